"""Fields are found in texts by their labels and shapes, and nothing is guessed."""

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from higherself.agents.llm.fields import found

LETTER = """Hello, I would like to book the Lotus class.

Name: Ana Sousa
Date: 30 November 2026
Seats: 3
Price: 1,250.50 EUR
Vegetarian: yes
Extras: towel, mat
My number is +351 912 345 678, or write to ana@example.org. See https://ana.example.org/me.
"""


class Level(Enum):
    BEGINNER = "beginner"
    EXPERT = "expert"


class Booking(BaseModel):
    name: str
    date: date
    seats: int
    price: Decimal
    vegetarian: bool
    extras: list[str]
    phone: str
    email: str
    website: str
    course: Literal["Lotus", "Heron"] | None = None
    level: Level | None = None
    note: str = "none"


def test_a_letter_gives_its_fields() -> None:
    booking = Booking.model_validate(found(Booking, LETTER))
    assert booking == Booking(
        name="Ana Sousa",
        date=date(2026, 11, 30),
        seats=3,
        price=Decimal("1250.50"),
        vegetarian=True,
        extras=["towel", "mat"],
        phone="+351 912 345 678",
        email="ana@example.org",
        website="https://ana.example.org/me",
        course="Lotus",
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-04", "2026-03-04"),
        ("on 4.3.2026", "2026-03-04"),
        ("March 4th, 2026", "2026-03-04"),
        ("4. März 2026", "2026-03-04"),
        ("4 Octember 2026", None),
        ("soon", None),
    ],
)
def test_dates(written: str, expected: str | None) -> None:
    class Day(BaseModel):
        day: date | None = None

    assert found(Day, f"Day: {written}").get("day") == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (int, "Value: about 12 people", 12),
        (float, "Value: 1.250,5", 1250.5),
        (int, "Value: 1'250", 1250),
        (bool, "Value: Nein, danke", False),
        (str, "Value: a\u200b b", "a b"),
    ],
)
def test_shapes(kind: Any, text: str, expected: Any) -> None:
    class One(BaseModel):
        value: Annotated[kind, Field()]

    assert One.model_validate(found(One, text)).value == expected


def test_a_number_or_a_name_without_a_label_is_not_taken() -> None:
    assert found(Booking, "Ana and 3 others come on Monday.") == {}


def test_an_alias_and_a_title_are_labels_too() -> None:
    class Guest(BaseModel):
        who: str = Field(alias="guestName", title="Guest name")

    assert Guest.model_validate(found(Guest, "Guest name: Ana")).who == "Ana"
