"""Skills that judge: leads, segments, free times, prices, how somebody feels."""

from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.data.dates import zone_named
from higherself.business.insight import availability, leads, pricing, segments
from higherself.business.insight import sentiment as feelings
from higherself.kernel.clock import SYSTEM_CLOCK

Record = dict[str, Any]


class Reason(BaseModel):
    """Points, and what for."""

    points: int
    because: str


class LeadScore(BaseModel):
    """How promising a lead is, and why. ``unknown``: what would have to be known to say more."""

    score: int
    level: Literal["cold", "warm", "hot"]
    reasons: list[Reason]
    unknown: list[str]


@skill(
    description="Say how promising a lead is, by the rules of its business, with the reasons.",
    effects="read",
    tags=("insight",),
)
def score_lead(client: Record, call: SkillCall, rules: Record | None = None) -> LeadScore:
    """Return the score of a lead; ``rules`` are a scorecard to use instead of the business's."""
    card = leads.scorecard(call.entity) if rules is None else leads.read_scorecard(rules)
    found = leads.score(client, card, now=SYSTEM_CLOCK.now())
    return LeadScore(
        score=found.score,
        level=found.level,
        reasons=[Reason(**asdict(each)) for each in found.reasons],
        unknown=list(found.unknown),
    )


class Segment(BaseModel):
    """The members of a segment, by place. ``unclear``: those of whom a field is missing."""

    name: str
    members: list[int]
    unclear: list[int]


class Segments(BaseModel):
    """Segments, in the order in which they were asked for."""

    segments: list[Segment]


@skill(
    description="Divide contacts into segments, each a condition like `contact.visits > 2`.",
    effects="read",
    tags=("insight",),
)
def segment_contacts(
    contacts: Annotated[list[Record], Field(max_length=100_000)],
    definitions: Annotated[dict[str, str], Field(min_length=1, description="Name to condition")],
) -> Segments:
    """Return who is in which segment."""
    found = segments.segmented(contacts, definitions, now=SYSTEM_CLOCK.now())
    return Segments(
        segments=[
            Segment(name=each.name, members=list(each.members), unclear=list(each.unclear))
            for each in found
        ]
    )


class Booked(BaseModel):
    """A time that is taken."""

    start: AwareDatetime
    end: AwareDatetime


class Slot(BaseModel):
    """A time that can be booked: in UTC, and as the clock on the wall shows it."""

    start: str
    end: str
    local: str
    places: int


class Slots(BaseModel):
    """Free times, the next first."""

    slots: list[Slot]


@skill(
    description="Find free times between opening hours and what is booked.",
    effects="read",
    tags=("insight",),
)
def find_availability(
    hours: Annotated[
        dict[str, str | list[str]], Field(description='{"mon": "09:00-17:30", "sat": [...]}')
    ],
    zone: Annotated[str, Field(description="The place's time zone, like America/New_York")],
    first: date,
    last: date,
    minutes: Annotated[int, Field(ge=5, le=24 * 60, description="How long a booking is")],
    every_minutes: Annotated[int | None, Field(ge=5, description="From start to start")] = None,
    booked: list[Booked] = [],  # noqa: B006  pydantic copies it
    places: Annotated[int, Field(ge=1, description="Bookings at a time")] = 1,
    pause_minutes: Annotated[int, Field(ge=0)] = 0,
    notice_hours: Annotated[float, Field(ge=0, description="How long ahead at least")] = 0,
    closed: list[date] = [],  # noqa: B006
    limit: Annotated[int, Field(ge=1, le=1000)] = 50,
    now: Annotated[datetime | None, Field(description="Default: now")] = None,
) -> Slots:
    """Return free times, the next first."""
    place = zone_named(zone)
    offer = availability.Offer(
        length=timedelta(minutes=minutes),
        every=timedelta(minutes=every_minutes or minutes),
        places=places,
        pause=timedelta(minutes=pause_minutes),
        notice=timedelta(hours=notice_hours),
    )
    found = availability.slots(
        hours,
        [availability.Span(each.start, each.end) for each in booked],
        offer,
        zone=place,
        first=first,
        last=last,
        now=now or SYSTEM_CLOCK.now(),
        closed=closed,
    )
    return Slots(
        slots=[
            Slot(
                start=each.start.isoformat(),
                end=each.end.isoformat(),
                local=f"{each.start.astimezone(place):%A %d %B %Y, %H:%M}",
                places=each.places,
            )
            for each in found[:limit]
        ]
    )


class PriceLine(BaseModel):
    """So many of something, at a price each."""

    name: str
    price: Decimal
    quantity: int = 1


class PriceDiscount(BaseModel):
    """What is taken off."""

    name: str
    kind: Literal["percent", "amount"]
    value: Decimal
    from_subtotal: Decimal = Decimal(0)


class BillLine(BaseModel):
    """A line of a bill."""

    name: str
    amount: str


class Price(BaseModel):
    """What it comes to; amounts are decimal numbers as text."""

    currency: str
    subtotal: str
    discount: str
    tax: str
    total: str
    deposit: str
    lines: list[BillLine]


@skill(
    description="Reckon a price: lines, discounts, tax, deposit, to the cent.",
    effects="pure",
    tags=("insight",),
)
def quote_price(
    lines: Annotated[list[PriceLine], Field(min_length=1)],
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")],
    discounts: list[PriceDiscount] = [],  # noqa: B006
    tax_percent: Decimal = Decimal(0),
    tax_included: bool = False,
    deposit_percent: Decimal = Decimal(0),
) -> Price:
    """Return the price with every line of its bill."""
    priced = pricing.price(
        [pricing.Line(each.name, each.price, each.quantity) for each in lines],
        currency=currency,
        discounts=[pricing.Discount(**each.model_dump()) for each in discounts],
        tax_percent=tax_percent,
        tax_included=tax_included,
        deposit_percent=deposit_percent,
    )
    return Price(
        currency=priced.currency,
        subtotal=str(priced.subtotal),
        discount=str(priced.discount),
        tax=str(priced.tax),
        total=str(priced.total),
        deposit=str(priced.deposit),
        lines=[BillLine(name=name, amount=str(amount)) for name, amount in priced.steps],
    )


class Sentiment(BaseModel):
    """How a text sounds, from -1 to 1, the words it rests on, and what a person has to see."""

    feeling: Literal["positive", "neutral", "concerned", "frustrated", "angry"]
    score: float
    words: list[str]
    alarms: list[str]


@skill(
    description="Say how a message sounds, and whether a person has to see it (law, refund, distress).",
    effects="pure",
    tags=("insight",),
)
def analyse_sentiment(text: Annotated[str, Field(max_length=50_000)]) -> Sentiment:
    """Return how ``text`` sounds."""
    found = feelings.sentiment(text)
    return Sentiment(
        feeling=found.feeling,
        score=found.score,
        words=list(found.words),
        alarms=list(found.alarms),
    )
