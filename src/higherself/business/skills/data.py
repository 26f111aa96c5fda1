"""Skills that put records in order: mapped, cleaned, checked, without doubles, as CSV and JSON."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from higherself.agents.skills import skill
from higherself.business.data import contacts as people
from higherself.business.data import dates, money, phones
from higherself.business.data import records as shapes

Record = dict[str, Any]
Records = Annotated[list[Record], Field(max_length=shapes.MOST_RECORDS)]
Country = Annotated[
    str | None,
    Field(pattern=r"^[A-Za-z]{2}$", description="ISO 3166, for numbers without a country code"),
]


class Problem(BaseModel):
    """What is wrong with a field of the record at a place, counted from 0."""

    record: int
    field: str
    reason: str


class Treated(BaseModel):
    """The records that are right, and what is wrong with the others."""

    records: list[Record]
    problems: list[Problem]


class Listed(BaseModel):
    """Records."""

    records: list[Record]


@skill(
    description="Bring records into another shape: new names, and texts read as dates, phones, money.",
    effects="pure",
    tags=("data",),
)
def map_records(
    records: Records,
    mapping: Annotated[
        Record,
        Field(
            description="By new name: a path (contact.email), or {from: tel, as: phone, country: US, "
            "required: true, default: ...}; as: text, email, phone, date, instant, money, number, "
            "boolean, list"
        ),
    ],
) -> Treated:
    """Return the records that could be mapped, and why the others could not."""
    return _treated(shapes.mapped(records, mapping))


@skill(
    description="Trim texts, put them into one Unicode form, and make empty ones null.",
    effects="pure",
    tags=("data",),
)
def clean_records(records: Records) -> Listed:
    """Return the records, cleaned."""
    return Listed(records=[dict(each) for each in shapes.cleaned(records)])


@skill(
    description="Check records by a JSON Schema, each by itself.", effects="pure", tags=("data",)
)
def validate_records(records: Records, schema: Record) -> Treated:
    """Return the records that fit, and what is wrong with the others, by field."""
    return _treated(shapes.validated(records, schema))


class Person(BaseModel):
    """Contacts that are one person: their places in the list, and why."""

    contact: Record
    places: list[int]
    reasons: list[str]


class People(BaseModel):
    """The people behind contacts."""

    people: list[Person]
    merged: int


@skill(
    description="Find contacts that are the same person, and merge them. Nothing is thrown away.",
    effects="pure",
    tags=("data",),
)
def deduplicate_contacts(contacts: Records, country: Country = None) -> People:
    """Return the people behind ``contacts``, and how many contacts were one too many."""
    found = people.same_people(contacts, country=country)
    return People(
        people=[
            Person(contact=dict(each.merged), places=list(each.places), reasons=list(each.reasons))
            for each in found
        ],
        merged=len(contacts) - len(found),
    )


class NormalDate(BaseModel):
    """A date as ISO 8601."""

    date: str


@skill(
    description="Read a date as people write it. One that might be two is refused.",
    effects="pure",
    tags=("data",),
)
def normalise_date(text: str, first: Literal["day", "month"] | None = None) -> NormalDate:
    """Return the date; ``first`` says what comes first in 03/04/2026."""
    return NormalDate(date=dates.read_date(text, first=first).isoformat())


class NormalPhone(BaseModel):
    """A telephone number as E.164, and as people read it."""

    phone: str
    shown: str


@skill(
    description="Read a telephone number, and write it as E.164.", effects="pure", tags=("data",)
)
def normalise_phone(text: str, country: Country = None) -> NormalPhone:
    """Return the number."""
    phone = phones.read_phone(text, country=country)
    return NormalPhone(phone=phone, shown=phones.shown(phone))


class NormalMoney(BaseModel):
    """An exact amount: a decimal number as text, and its currency (ISO 4217)."""

    amount: str
    currency: str


@skill(
    description="Read an amount of money as people write it: € 1.234,50 or 1,234.50 USD.",
    effects="pure",
    tags=("data",),
)
def normalise_money(text: str, currency: str | None = None) -> NormalMoney:
    """Return the amount; ``currency`` is what is meant where none stands."""
    read = money.read_money(text, currency=currency)
    return NormalMoney(amount=str(read.amount), currency=read.currency)


@skill(
    description="Read a CSV text; its first row names the fields.", effects="pure", tags=("data",)
)
def csv_to_records(text: str, delimiter: Literal[",", ";", "\t", "|"] | None = None) -> Listed:
    """Return its records; every value is a text."""
    return Listed(records=[dict(each) for each in shapes.from_csv(text, delimiter=delimiter)])


class Csv(BaseModel):
    """A CSV text."""

    csv: str


@skill(
    description="Write records as CSV that a spreadsheet opens without running anything in it.",
    effects="pure",
    tags=("data",),
)
def records_to_csv(records: Records) -> Csv:
    """Return the CSV text."""
    return Csv(csv=shapes.to_csv(records))


def _treated(treated: shapes.Treated) -> Treated:
    return Treated(
        records=[dict(each) for each in treated.records],
        problems=[Problem(**asdict(each)) for each in treated.problems],
    )
