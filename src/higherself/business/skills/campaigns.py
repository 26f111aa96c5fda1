"""Skills for campaigns: who would be reached, sending to them once, the figures, the campaign's row."""

import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.campaigns import audience as audiences
from higherself.business.campaigns import figures
from higherself.business.data.dates import zone_named
from higherself.business.events.wording import readable
from higherself.business.skills.events import Untold, send_as
from higherself.business.skills.segments import Criteria, Purpose, Source, audience_of
from higherself.kernel.errors import Rejected

RECORDS, CAMPAIGNS = "records", "marketing_campaigns"


class AudienceFound(BaseModel):
    """How many a message may go to, how many not and why, and some of them."""

    segment: str
    members: int
    meant: int
    excluded: dict[str, int]
    sample: list[str]


@skill(
    description="Count who a campaign would reach: by a segment or criteria, honouring consent.",
    effects="read",
    tags=("campaigns",),
)
async def find_audience(
    call: SkillCall,
    segment: str | None = None,
    criteria: Criteria = None,
    source: Source = "contacts_profiles",
    purpose: Purpose = "marketing",
    sample: Annotated[int, Field(ge=0, le=20)] = 5,
) -> AudienceFound:
    """Return the audience in figures."""
    found = await audience_of(call, segment, criteria, source, purpose)
    return AudienceFound(
        segment=segment or "",
        members=len(found.members),
        meant=found.meant,
        excluded={str(why): count for why, count in found.excluded.items()},
        sample=[each.email for each in found.members[:sample]],
    )


class SegmentSent(BaseModel):
    """What came of a batch: counts, whom it did not reach, and where the next one begins."""

    sent: int
    held: int
    dropped: int
    failed: int
    problems: list[Untold]
    next: str
    done: bool


@skill(
    description="Send an e-mail to the next members of a segment, each once for the campaign.",
    effects="external",
    irreversible=True,
    idempotent=True,
    tags=("campaigns", "communication"),
)
async def send_to_segment(
    call: SkillCall,
    campaign: Annotated[
        str, Field(min_length=1, description="Whoever has it does not get it again")
    ],
    segment: str | None = None,
    criteria: Criteria = None,
    source: Source = "contacts_profiles",
    template: str | None = None,
    subject: str | None = None,
    body: Annotated[str | None, Field(description="Markdown; may say {{ first_name }}")] = None,
    facts: dict[str, Any] = {},  # noqa: B006
    purpose: Purpose = "marketing",
    after: Annotated[str, Field(description="The address of the last one before: `next`")] = "",
    limit: Annotated[int, Field(ge=1, le=500)] = 50,
    zone: Annotated[str, Field(description="Where times among the facts are shown for")] = "UTC",
) -> SegmentSent:
    """Send a batch. A mail server that is down stops it; nothing is sent twice when it goes on.

    Raises
        Unavailable: mail cannot be sent now.
    """
    found = await audience_of(call, segment, criteria, source, purpose)
    members = audiences.batch(found.members, after, limit)
    said = {"template": template} if template else {"subject": subject, "body": body}
    shown = readable(facts, zone_named(zone))
    once = replace(call, key=f"campaign/{call.entity}/{campaign}")
    counts = {"sent": 0, "held": 0, "dropped": 0}
    problems: list[Untold] = []
    for each in members:
        given: dict[str, Any] = {
            "to": each.email,
            "facts": {**shown, **each.facts, "client": {**each.facts}},
            "purpose": purpose,
            **said,
        }
        if each.contact is not None:
            given["contact"] = each.contact
        try:
            counts[await send_as(once, each.email, given)] += 1
        except Rejected as error:
            problems.append(Untold(email=each.email, reason=str(error)))
    return SegmentSent(
        **counts,
        failed=len(problems),
        problems=problems[:20],
        next=members[-1].email if members else after,
        done=len(members) < limit,
    )


class Figures(BaseModel):
    """Counts and rates of a campaign, and which goals were met."""

    figures: dict[str, Any]
    counts: dict[str, int]


@skill(
    description="Reckon the figures of a campaign: counts, open and click rates, goals that were met.",
    effects="pure",
    tags=("campaigns", "insight"),
)
def campaign_figures(
    counts: dict[str, Any],
    told: Annotated[
        dict[str, Any] | None, Field(description="Totals as a provider tells them")
    ] = None,
    goals: dict[str, float] = {},  # noqa: B006
) -> Figures:
    """Return the figures; totals that a provider tells replace smaller ones."""
    now = figures.latest(counts, told)
    known = figures.figures(now, goals)
    return Figures(figures=dict(known), counts={n: int(str(v)) for n, v in now.items()})


class Campaign(BaseModel):
    """A campaign's row."""

    record: str
    name: str
    status: str


@skill(
    description="Keep a campaign in the campaigns of the business, or change its status and figures.",
    effects="write",
    idempotent=True,
    tags=("campaigns",),
)
async def save_campaign(
    name: Annotated[str, Field(min_length=1, max_length=200)],
    call: SkillCall,
    key: Annotated[str | None, Field(description="The same key is the same campaign")] = None,
    status: Literal["Draft", "Scheduled", "Active", "Paused", "Completed", "Cancelled"]
    | None = None,
    kind: Annotated[
        str | None, Field(description="Email, Social Media, Event, Content, ...")
    ] = None,
    channels: list[str] = [],  # noqa: B006
    description: str | None = None,
    starts_at: AwareDatetime | None = None,
    ends_at: AwareDatetime | None = None,
    metrics: dict[str, Any] | None = None,
) -> Campaign:
    """Save the row; what is not given stays as it is."""
    values = {
        "campaign_name": name,
        "status": status,
        "campaign_type": kind,
        "channels": channels or None,
        "description": description,
        "start_date": starts_at,
        "end_date": ends_at,
        "performance_metrics": None if metrics is None else json.dumps(metrics, sort_keys=True),
    }
    given = {column: value for column, value in values.items() if value is not None}
    table = call.resource(RECORDS).of(CAMPAIGNS)
    row = await table.save(call.entity, given, key=key or call.instance or call.key)
    return Campaign(
        record=str(row["record_id"]), name=row["campaign_name"], status=row["status"] or ""
    )
