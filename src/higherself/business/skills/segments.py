"""Skills for audience segments: defined by criteria, counted again, analysed, handed to platforms."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, Field

from higherself.agents.ports import Made
from higherself.agents.skills import SkillCall, skill
from higherself.business.campaigns import audience as audiences
from higherself.business.campaigns import insights
from higherself.business.campaigns.criteria import criteria
from higherself.business.data.records import to_csv
from higherself.business.skills.publishing import Delivery, handed_over
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.services.shelf import KeepsThings

RECORDS, SHELF, KNOWLEDGE = "records", "shelf", "knowledge_store"
SEGMENTS = "segments"
"""Under what name segments are kept."""

MOST_CONTACTS = 50_000

Source = Literal["contacts_profiles", "community_members"]
Criteria = Annotated[
    dict[str, Any] | list[Any] | None,
    Field(
        description='{"all": [{"field": "status", "operator": "equals", "value": "Active Client"}]}'
    ),
]
Purpose = Literal["marketing", "transactional"]


class Rows(Protocol):
    """The rows of one database."""

    async def find(self, where: Any = None, *, entity: str | None, limit: int) -> list[Any]:
        """Return rows, the oldest first."""
        ...


class Segment(BaseModel):
    """A segment as it is kept. ``joined`` and ``left``: since it was refreshed before."""

    name: str
    description: str
    criteria: dict[str, Any] | list[Any] | None
    source: Source
    tags: list[str]
    platform_ids: dict[str, str]
    active: bool
    member_count: int
    joined: int = 0
    left: int = 0
    excluded: dict[str, int]
    refreshed_at: str


class SegmentList(BaseModel):
    """Segments, by name."""

    segments: list[Segment]
    count: int


@skill(
    description="Define (or change) an audience segment by criteria over the contacts, and count it.",
    effects="write",
    idempotent=True,
    tags=("campaigns",),
)
async def save_segment(
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w .-]+$")],
    call: SkillCall,
    criteria: Criteria = None,
    description: str = "",
    source: Source = "contacts_profiles",
    tags: list[str] = [],  # noqa: B006  pydantic copies it
    platform_ids: dict[str, str] = {},  # noqa: B006
    active: bool = True,
) -> Segment:
    """Keep the segment with who is in it now; without criteria, one that there is keeps its own."""
    if criteria is None:
        known = (await _shelf(call).read(call.entity, SEGMENTS) or {}).get(name, {})
        criteria = known.get("criteria")
    defined: dict[str, Any] = {
        "name": name, "description": description, "criteria": criteria, "source": source,
        "tags": tags, "platform_ids": platform_ids, "active": active,
    }  # fmt: skip
    counted = await _counted(call, defined)

    def keep(kept: Any) -> tuple[Any, JsonObject]:
        there = dict(kept or {})
        refreshed = _moved(there.get(name), counted)
        return {**there, name: refreshed}, refreshed

    return _segment(await _shelf(call).change(call.entity, SEGMENTS, keep))


@skill(
    description="Show the audience segments of the business.", effects="read", tags=("campaigns",)
)
async def list_segments(call: SkillCall, active: bool = True) -> SegmentList:
    """Return the segments as they were when they were last refreshed."""
    kept = await _shelf(call).read(call.entity, SEGMENTS) or {}
    found = [_segment(kept[name]) for name in sorted(kept) if kept[name]["active"] or not active]
    return SegmentList(segments=found, count=len(found))


@skill(
    description="Count again who is in each audience segment, and who has joined or left.",
    effects="write",
    idempotent=True,
    tags=("campaigns",),
)
async def refresh_segments(
    call: SkillCall,
    names: Annotated[list[str] | None, Field(description="Default: all that are active")] = None,
) -> SegmentList:
    """Return the segments as they are now."""
    kept = await _shelf(call).read(call.entity, SEGMENTS) or {}
    wanted = [n for n in sorted(kept) if (kept[n]["active"] if names is None else n in names)]
    counted = {name: await _counted(call, kept[name]) for name in wanted}

    def keep(now: Any) -> tuple[Any, list[JsonObject]]:
        there = dict(now or {})
        changed = {name: _moved(there.get(name), each) for name, each in counted.items()}
        return {**there, **changed}, list(changed.values())

    found = await _shelf(call).change(call.entity, SEGMENTS, keep)
    return SegmentList(segments=[_segment(each) for each in found], count=len(found))


class Proposed(BaseModel):
    """A segment that suggests itself."""

    name: str
    description: str
    criteria: dict[str, Any]
    members: int


class Analysis(BaseModel):
    """What the contacts are like, the segments that suggest themselves, and all of it as a text."""

    contacts: int
    reachable: int
    by: dict[str, dict[str, int]]
    recency: dict[str, int]
    proposals: list[Proposed]
    report: str


@skill(
    description="Analyse the contacts: kinds, how long ago they were heard of, segments to make.",
    effects="read",
    tags=("campaigns", "insight"),
)
async def analyse_contacts(
    call: SkillCall,
    least: Annotated[int, Field(ge=1, description="Members of a segment worth proposing")] = 5,
    business: str = "",
) -> Analysis:
    """Return the analysis, with the segments that there are in its report."""
    contacts, now = await rows_of(call, "contacts_profiles"), SYSTEM_CLOCK.now()
    known = insights.profile(contacts, now=now)
    kept = await _shelf(call).read(call.entity, SEGMENTS) or {}
    segments = [kept[name] for name in sorted(kept) if kept[name]["active"]]
    return Analysis(
        contacts=known.contacts,
        reachable=known.reachable,
        by={kind: dict(counts) for kind, counts in known.by.items()},
        recency=dict(known.recency),
        proposals=[
            Proposed(
                name=each.name,
                description=each.description,
                criteria=dict(each.criteria),
                members=each.members,
            )
            for each in insights.proposed(contacts, now=now, least=least)
        ],
        report=insights.report(business or call.entity, known, segments, now=now),
    )


@skill(
    description="Make the segments that suggest themselves from the contacts, and refresh them all.",
    effects="write",
    idempotent=True,
    tags=("campaigns",),
)
async def define_segments(
    call: SkillCall,
    segments: Annotated[
        list[dict[str, Any]], Field(max_length=100, description="{name, criteria, ...} each")
    ] = [],  # noqa: B006
    propose: Annotated[bool, Field(description="Also those that suggest themselves")] = True,
    least: Annotated[int, Field(ge=1)] = 5,
    most: Annotated[int, Field(ge=0, le=50)] = 20,
) -> SegmentList:
    """Keep the segments; those that are named go before those that are proposed."""
    named = {str(each.get("name", "")) for each in segments}
    if "" in named:
        raise Rejected("segments: each needs a name")
    wanted: list[dict[str, Any]] = list(segments)
    if propose:
        found = insights.proposed(
            await rows_of(call, "contacts_profiles"), now=SYSTEM_CLOCK.now(), least=least, most=most
        )
        wanted += [
            {
                "name": e.name,
                "description": e.description,
                "criteria": e.criteria,
                "tags": ["proposed"],
            }
            for e in found
            if e.name not in named
        ]
    for each in wanted:
        await call.skill("save_segment", **each)
    refreshed: Any = await call.skill("refresh_segments")
    return SegmentList.model_validate(refreshed)


class Report(BaseModel):
    """The report on the audience, and the document that it is in the knowledge of the business."""

    document: str
    text: str


@skill(
    description="Write the report on contacts and segments into the knowledge of the business.",
    effects="write",
    idempotent=True,
    tags=("campaigns", "knowledge"),
)
async def report_segments(call: SkillCall, business: str = "") -> Report:
    """Keep the report of today; the one of the same day is replaced."""
    contacts, now = await rows_of(call, "contacts_profiles"), SYSTEM_CLOCK.now()
    kept = await _shelf(call).read(call.entity, SEGMENTS) or {}
    segments = [kept[name] for name in sorted(kept) if kept[name]["active"]]
    known = insights.profile(contacts, now=now)
    text = insights.report(business or call.entity, known, segments, now=now)
    made = Made(
        entity=call.entity,
        agent=call.agent or "workflow",
        name=f"audience/{now:%Y-%m-%d}",
        title=f"Audience of {business or call.entity}, {now:%d %B %Y}",
        text=text,
        tags=("audience", "analysis"),
        provenance={"instance": call.instance, "correlation": call.correlation},
    )
    document = await call.resource(KNOWLEDGE).remember(made)
    return Report(document=str(document), text=text)


class Synced(BaseModel):
    """What was handed over, by segment and platform."""

    deliveries: list[Delivery]


@skill(
    description="Hand the members of all active segments to platforms, as CSV; each list once a day.",
    effects="external",
    irreversible=True,
    idempotent=True,
    tags=("campaigns",),
)
async def sync_segments(
    call: SkillCall,
    platforms: Annotated[list[str], Field(min_length=1)],
    adapters: dict[str, Any] = {},  # noqa: B006
) -> Synced:
    """Hand over; nobody is in a list who does not want to hear from the business."""
    kept = await _shelf(call).read(call.entity, SEGMENTS) or {}
    segments = [kept[name] for name in sorted(kept) if kept[name]["active"]]
    return Synced(
        deliveries=[
            await _handed_over(call, segment, platform, adapters)
            for segment in segments
            for platform in dict.fromkeys(platforms)
        ]
    )


async def _handed_over(
    call: SkillCall, segment: dict[str, Any], platform: str, adapters: dict[str, Any]
) -> Delivery:
    name, members = segment["name"], segment["members"]
    return await handed_over(
        call,
        platform,
        adapters,
        kind="segment",
        name=f"{name}-{segment['refreshed_at'][:10]}.csv",
        payload={
            "segment": name,
            "id": segment["platform_ids"].get(platform),
            "count": len(members),
            "members": members,
        },
        text=to_csv([{"email": each, "segment": name} for each in members]),
    )


async def audience_of(
    call: SkillCall, segment: str | None, said: Any, source: Source, purpose: Purpose
) -> audiences.Audience:
    """Return who is in a segment that is kept, or fulfils criteria, and may be written to.

    Raises
        NotFound: there is no such segment, and there are no criteria.
    """
    if segment:
        kept = (await _shelf(call).read(call.entity, SEGMENTS) or {}).get(segment)
        if kept is None and not said:
            raise NotFound(f"segment: there is no {segment!r}; `define_segments` makes segments")
        if kept is not None:
            said, source = kept["criteria"], kept["source"]
    contacts = await rows_of(call, source)
    return audiences.audience(contacts, said, purpose=purpose, now=SYSTEM_CLOCK.now())


async def _counted(call: SkillCall, defined: JsonObject) -> dict[str, Any]:
    now = SYSTEM_CLOCK.now()
    criteria(defined["criteria"], now=now)  # also where there are no contacts, it is refused
    source: Any = defined["source"]
    found = audiences.audience(await rows_of(call, source), defined["criteria"], now=now)
    return {
        **{name: defined[name] for name in _DEFINED},
        "members": [each.email for each in found.members],
        "member_count": len(found.members),
        "excluded": {str(why): count for why, count in found.excluded.items()},
        "refreshed_at": now.isoformat(),
    }


_DEFINED = ("name", "description", "criteria", "source", "tags", "platform_ids", "active")


def _moved(before: Any, counted: dict[str, Any]) -> dict[str, Any]:
    """Return a segment with how many have joined and left since ``before``."""
    old, new = set((before or {}).get("members", ())), set(counted["members"])
    return {**counted, "joined": len(new - old), "left": len(old - new)}


def _segment(kept: Any) -> Segment:
    return Segment.model_validate({k: v for k, v in kept.items() if k != "members"})


async def rows_of(call: SkillCall, source: Source) -> list[JsonObject]:
    """Return the contacts, or the members of the community, of the business that asks, as JSON."""
    rows: Rows = call.resource(RECORDS).of(source)
    found = await rows.find({}, entity=call.entity, limit=MOST_CONTACTS)
    return [_plain(dict(row)) for row in found]


def _plain(row: dict[str, Any]) -> JsonObject:
    """Return a row as JSON, with the names that contacts have."""
    plain = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }
    if "member_email" in plain:
        plain["email"], plain["full_name"] = plain["member_email"], plain.get("member_name")
    return plain


def _shelf(call: SkillCall) -> KeepsThings:
    shelf: KeepsThings = call.resource(SHELF)
    return shelf
