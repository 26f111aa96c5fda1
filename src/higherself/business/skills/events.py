"""Skills for events and bookings: times held once, places and the waiting list, notices."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.data.dates import zone_named
from higherself.business.events import holds, places
from higherself.business.events.wording import readable
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.services.shelf import KeepsThings

SHELF = "shelf"
"""The resource of a `SkillCall` that keeps what is taken when."""

KEPT = timedelta(days=30)
"""How long a time that is over stays in the calendar."""

Roll = Annotated[
    dict[str, Any] | None, Field(description="{registered: [...], waiting: [...], attended: [...]}")
]
Capacity = Annotated[int, Field(ge=1, le=places.MOST_PEOPLE)]
Resource = Annotated[
    str, Field(min_length=1, max_length=200, description="What is taken, such as main-gallery")
]


class Taken(BaseModel):
    """A time that somebody else has."""

    title: str
    start: str
    end: str


class TimeHeld(BaseModel):
    """Whether the time could be had, and else what is in the way."""

    held: bool
    holder: str
    conflicts: list[Taken]


@skill(
    description="Hold a time of a room, a practitioner or a retreat's places; never twice the same.",
    effects="write",
    idempotent=True,
    tags=("events",),
)
async def hold_time(
    resource: Resource,
    start: AwareDatetime,
    end: AwareDatetime,
    call: SkillCall,
    title: str = "",
    places: Annotated[int, Field(ge=1, le=5_000, description="Who may have it at once")] = 1,
    pause_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 0,
    holder: Annotated[str | None, Field(description="Default: the instance that asks")] = None,
) -> TimeHeld:
    """Hold the time, instead of the one that the same holder had; or say what is in the way."""
    wanted = holds.Hold(_holder(holder, call), holds.span_of(start, end), title)
    now = SYSTEM_CLOCK.now()

    def take(kept: Any) -> tuple[list[JsonObject], tuple[holds.Hold, ...]]:
        there = holds.current(holds.read_holds(kept), now, kept=KEPT)
        found = holds.hold(there, wanted, places=places, pause=timedelta(minutes=pause_minutes))
        return [each.to_json() for each in found.holds], found.conflicts

    in_the_way = await _shelf(call).change(call.entity, f"calendar/{resource}", take)
    return TimeHeld(
        held=not in_the_way, holder=wanted.holder, conflicts=[_taken(each) for each in in_the_way]
    )


class TimeReleased(BaseModel):
    """Whether there was anything to give back."""

    released: bool


@skill(
    description="Give a time back that was held.",
    effects="write",
    idempotent=True,
    tags=("events",),
)
async def release_time(
    resource: Resource, call: SkillCall, holder: str | None = None
) -> TimeReleased:
    """Give back what the holder has of a resource."""
    whose = _holder(holder, call)

    def give_back(kept: Any) -> tuple[list[JsonObject], bool]:
        there = holds.read_holds(kept)
        left = holds.release(there, whose)
        return [each.to_json() for each in left], len(left) < len(there)

    shelf = _shelf(call)
    return TimeReleased(released=await shelf.change(call.entity, f"calendar/{resource}", give_back))


class Registration(BaseModel):
    """What became of somebody, who moved up by it, whom to tell by which template, and the roll."""

    outcome: Literal[
        "registered", "waiting", "already_registered", "already_waiting", "refused",
        "withdrawn", "unknown", "resized",
    ]  # fmt: skip
    reason: str = ""
    tell: list[dict[str, Any]]
    template: str
    promoted: list[dict[str, Any]]
    roll: dict[str, Any]
    registered: int
    waiting: int
    free: int


@skill(
    description="Give somebody a place at an event, or one on the waiting list.",
    effects="pure",
    tags=("events",),
)
def register_attendee(
    roll: Roll,
    capacity: Capacity,
    contact: Annotated[dict[str, Any], Field(description="With email, and name or first_name")],
    most_waiting: Annotated[int, Field(ge=0, le=5_000)] = 50,
    open: Annotated[bool, Field(description="Whether one can still register")] = True,
) -> Registration:
    """Return what became of it. Somebody who is on the roll already stays where they are."""
    person = _person(contact)
    placed = places.register(
        places.read_roll(roll), person, capacity=capacity, most_waiting=most_waiting, open_=open
    )
    new = placed.outcome in ("registered", "waiting")
    refused = placed.outcome == "refused" and "e-mail" not in placed.reason
    return _registration(
        placed.roll,
        capacity,
        outcome=placed.outcome,
        reason=placed.reason,
        tell=[person] if new or refused else [],
        template=f"event_{placed.outcome}" if new or refused else "event_registered",
    )


@skill(
    description="Take somebody off an event's roll; whoever waits longest moves up.",
    effects="pure",
    tags=("events",),
)
def withdraw_attendee(roll: Roll, capacity: Capacity, email: str) -> Registration:
    """Return the roll without them, and who has moved up."""
    left, was_there, promoted = places.withdraw(places.read_roll(roll), email, capacity=capacity)
    return _registration(
        left,
        capacity,
        outcome="withdrawn" if was_there else "unknown",
        tell=promoted,
        template="event_promoted",
        promoted=promoted,
    )


@skill(
    description="Change how many places an event has; whoever waits moves up.",
    effects="pure",
    tags=("events",),
)
def resize_event(roll: Roll, capacity: Capacity) -> Registration:
    """Return the roll with the new number of places; nobody loses a place."""
    moved, promoted = places.promote(places.read_roll(roll), capacity=capacity)
    return _registration(
        moved,
        capacity,
        outcome="resized",
        tell=promoted,
        template="event_promoted",
        promoted=promoted,
    )


class Attendance(BaseModel):
    """Who came, and who had a place and did not."""

    roll: dict[str, Any]
    came: list[dict[str, Any]]
    missed: list[dict[str, Any]]


@skill(description="Note who came to an event.", effects="pure", tags=("events",))
def note_attendance(
    roll: Roll,
    emails: Annotated[list[str] | None, Field(description="None: all who had a place")] = None,
) -> Attendance:
    """Return the roll with those noted who came."""
    known = places.read_roll(roll)
    came = [each.email for each in known.registered] if emails is None else emails
    noted = places.attend(known, came)
    missed = places.absent(noted)
    return Attendance(
        roll=dict(noted.to_json()),
        came=[dict(e.to_json()) for e in noted.registered if e not in missed],
        missed=[dict(each.to_json()) for each in missed],
    )


class Untold(BaseModel):
    """Somebody who could not be told, and why."""

    email: str
    reason: str


class Told(BaseModel):
    """How many messages went out, are held back or were dropped, and who could not be told."""

    sent: int
    held: int
    dropped: int
    failed: list[Untold]


@skill(
    description="Write to several people, each by themselves, from a template or a text.",
    effects="external",
    irreversible=True,
    idempotent=True,
    tags=("events", "communication"),
)
async def tell_people(
    people: Annotated[list[dict[str, Any]], Field(max_length=places.MOST_PEOPLE)],
    call: SkillCall,
    template: str | None = None,
    subject: str | None = None,
    body: str | None = None,
    facts: dict[str, Any] = {},  # noqa: B006  pydantic copies it
    purpose: Literal["transactional", "marketing"] = "transactional",
    zone: Annotated[str, Field(description="Where times among the facts are shown for")] = "UTC",
) -> Told:
    """Write to everybody; whom it cannot reach does not cost the others theirs.

    The key of each message is made of the person, so that another attempt writes to nobody twice.
    """
    said = {"template": template} if template else {"subject": subject, "body": body}
    shown = readable(facts, zone_named(zone))
    counts = {"sent": 0, "held": 0, "dropped": 0}
    failed: list[Untold] = []
    for each in people:
        person = _person(each)
        name = person.name or "friend"
        given = {
            "to": person.email,
            "facts": {**shown, "client": {"name": name, "email": person.email}},
            "purpose": purpose,
            **said,
        }
        if person.contact is not None:
            given["contact"] = person.contact
        try:
            status = await send_as(call, person.key, given)
        except Rejected as error:
            failed.append(Untold(email=person.email, reason=str(error)))
        else:
            counts[status] += 1
    return Told(**counts, failed=failed)


async def send_as(call: SkillCall, key: str, given: dict[str, Any]) -> str:
    """Send an e-mail under a key of its own, and return its status: sent, held or dropped.

    Raises
        Rejected: it will not go out, whoever tries.
        Unavailable: it may, later.
    """
    if call.runs is None:
        raise AssertionError("this call came from no invoker")
    found: Any = await call.runs.run("send_email", given, call.under(f"send_email/{key}"))
    status = str(found["status"])
    return status if status in ("held", "dropped") else "sent"


class Appended(BaseModel):
    """A list, and how long it is."""

    items: list[Any]
    count: int


@skill(
    description="Add something to a list that an instance keeps, such as answers; once for an id.",
    effects="pure",
    tags=("data",),
)
def append_item(
    items: Annotated[list[Any] | None, Field(max_length=10_000)],
    item: dict[str, Any],
    most: Annotated[int, Field(ge=1, le=10_000, description="The oldest go")] = 5_000,
) -> Appended:
    """Return the list with the item at its end; one with the same ``id`` is replaced."""
    kept = list(items or [])
    if item.get("id") is not None:
        same = item["id"]
        kept = [e for e in kept if not (isinstance(e, dict) and e.get("id") == same)]
    kept = [*kept, item][-most:]
    return Appended(items=kept, count=len(kept))


def _shelf(call: SkillCall) -> KeepsThings:
    shelf: KeepsThings = call.resource(SHELF)
    return shelf


def _holder(said: str | None, call: SkillCall) -> str:
    return said or call.instance or call.key


def _taken(hold: holds.Hold) -> Taken:
    start, end = hold.span.start.isoformat(), hold.span.end.isoformat()
    return Taken(title=hold.title, start=start, end=end)


def _person(contact: dict[str, Any]) -> places.Person:
    named = contact.get("name") or contact.get("full_name")
    if not named:
        parts = (str(contact.get(part) or "").strip() for part in ("first_name", "last_name"))
        named = " ".join(part for part in parts if part)
    record = contact.get("contact") or contact.get("record_id")
    return places.Person(
        str(contact.get("email") or "").strip(), str(named), None if record is None else str(record)
    )


def _registration(
    roll: places.Roll,
    capacity: int,
    *,
    outcome: Any,
    template: str,
    tell: Any,
    reason: str = "",
    promoted: tuple[places.Person, ...] = (),
) -> Registration:
    return Registration(
        outcome=outcome,
        reason=reason,
        template=template,
        tell=[dict(each.to_json()) for each in tell],
        promoted=[dict(each.to_json()) for each in promoted],
        roll=dict(roll.to_json()),
        registered=len(roll.registered),
        waiting=len(roll.waiting),
        free=max(0, capacity - len(roll.registered)),
    )
