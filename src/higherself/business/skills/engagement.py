"""Skills for the community: points for what members do, their row, and what they get."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.community import points as rules
from higherself.business.data.contacts import normal_email
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected

MEMBERS, REWARDS, RECORDS = "community_members", "rewards_bounties", "records"

PLATFORMS = {
    "circle": "Circle.so", "circle.so": "Circle.so", "discord": "Discord", "slack": "Slack",
    "facebook": "Facebook Group", "facebook group": "Facebook Group",
}  # fmt: skip


class Points(BaseModel):
    """A score, what was earned, and the level."""

    score: int
    earned: int
    level: str
    previous_level: str
    risen: bool
    unknown: list[str]


@skill(
    description="Reckon a member's engagement score after activities: post, comment, reaction, login.",
    effects="pure",
    tags=("community",),
)
def score_engagement(
    activities: Annotated[list[str], Field(max_length=1_000)],
    score: Annotated[int | None, Field(description="None: nothing was done before")] = None,
    points: Annotated[
        dict[str, int] | None, Field(description="Other points than the usual")
    ] = None,
    levels: dict[str, int] | None = None,
) -> Points:
    """Return the new score."""
    found = rules.scored(score, activities, points=points, levels=levels)
    return Points(
        score=found.score,
        earned=found.earned,
        level=found.level,
        previous_level=found.previous_level,
        risen=found.risen,
        unknown=list(found.unknown),
    )


class Member(BaseModel):
    """A member's row."""

    record: str
    email: str
    name: str
    score: int | None
    status: str
    created: bool


@skill(
    description="Add a member of the community, or change what is given; found by e-mail.",
    effects="write",
    idempotent=True,
    tags=("community",),
)
async def save_member(
    email: str,
    call: SkillCall,
    name: str = "",
    score: Annotated[int | None, Field(ge=0, le=100)] = None,
    status: Literal["Active", "Inactive", "Pending", "Expired", "Suspended"] | None = None,
    membership: Literal["Standard", "Premium", "VIP", "Founding Member", "Trial"] | None = None,
    platform: str | None = None,
    platform_id: str | None = None,
    contact: Annotated[str | None, Field(description="The record_id of the contact")] = None,
    joined_at: AwareDatetime | None = None,
    active_at: AwareDatetime | None = None,
    badges: list[str] = [],  # noqa: B006  pydantic copies it
) -> Member:
    """Save the member's row; what is not given stays as it is."""
    key = normal_email(email)
    if key is None:
        raise Rejected(f"email: {email!r} is no e-mail address")
    table = call.resource(RECORDS).of(MEMBERS)
    found = await _members(table, call.entity, email, key)
    values: dict[str, Any] = {
        "member_name": name or None,
        "engagement_score": score,
        "membership_status": status,
        "membership_level": membership,
        "primary_platform": PLATFORMS.get(platform.lower(), "Other") if platform else None,
        "platform_ids": f"{platform or 'platform'}: {platform_id}" if platform_id else None,
        "contact_profile": [contact] if contact else None,
        "last_active_date": active_at,
        "badges": badges or None,
    }
    values = {column: value for column, value in values.items() if value is not None}
    if found:
        row = await table.save(call.entity, values, record=found[0]["record_id"])
    else:
        fresh = {
            "member_name": name or email.partition("@")[0],
            "member_email": email.strip(),
            "join_date": joined_at or SYSTEM_CLOCK.now(),
            "membership_status": "Active",
            "membership_level": "Standard",
        }
        row = await table.save(call.entity, {**fresh, **values}, key=f"member/{key}")
    kept = row["engagement_score"]
    return Member(
        record=str(row["record_id"]),
        email=row["member_email"],
        name=row["member_name"],
        score=None if kept is None else int(kept),
        status=row["membership_status"] or "",
        created=not found,
    )


class Due(BaseModel):
    """Something that a member gets."""

    name: str
    points: int
    description: str
    instructions: str
    record: str


class Rewards(BaseModel):
    """What is due now, the smallest first, and everything given then."""

    due: list[Due]
    given: list[str]
    count: int


@skill(
    description="Say which active rewards a score has reached that the member has not got yet.",
    effects="read",
    tags=("community",),
)
async def find_rewards(
    score: Annotated[int, Field(ge=0)],
    call: SkillCall,
    given: Annotated[list[str] | None, Field(description="Names of those that were given")] = None,
) -> Rewards:
    """Return the rewards of the business that are due."""
    rows = await call.resource(RECORDS).of(REWARDS).find({"status": "Active"}, entity=call.entity)
    now = SYSTEM_CLOCK.now()
    open_ = [row for row in rows if row["points_value"] is not None and _runs(row, now)]
    by_name = {row["reward_name"]: row for row in open_}
    rewards = [
        rules.Reward(
            row["reward_name"],
            int(row["points_value"]),
            int(row["redemption_count"] or 0),
            None if row["maximum_redemptions"] is None else int(row["maximum_redemptions"]),
        )
        for row in open_
    ]
    due = rules.rewards_due(score, rewards, given or [])
    return Rewards(
        due=[
            Due(
                name=each.name,
                points=each.points,
                description=by_name[each.name]["description"] or "",
                instructions=by_name[each.name]["redemption_instructions"] or "",
                record=str(by_name[each.name]["record_id"]),
            )
            for each in due
        ],
        given=[*(given or []), *(each.name for each in due)],
        count=len(due),
    )


def _runs(row: Any, now: Any) -> bool:
    start, end = row["start_date"], row["end_date"]
    return (start is None or start <= now) and (end is None or now < end + timedelta(days=1))


async def _members(table: Any, entity: str, email: str, key: str) -> list[Any]:
    """Return the rows of a member, whichever way the address is written."""
    found = await table.find({"member_email": email.strip()}, entity=entity, limit=1)
    if found:
        return list(found)
    rows = await table.find({}, entity=entity, limit=50_000)
    return [row for row in rows if normal_email(row["member_email"] or "") == key][:1]
