from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.messaging.errors import MessageMalformed
from higherself.messaging.patterns import expression, fits, group_topic

word = st.text("abz09_", min_size=1, max_size=3)
types = st.lists(word, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("pattern", "type_", "fitting"),
    [
        ("lead.*", "lead.scored", True),
        ("lead.*", "lead.scored.again", False),
        ("lead.*", "lead", False),
        ("booking.>", "booking.slot.freed", True),
        ("booking.>", "booking", False),
        (">", "anything.at.all", True),
        ("*.failed", "mail.failed", True),
        ("lead.scored", "lead.scored", True),
        ("lead.scored", "leadxscored", False),
        ("com.test.v1", "com.test.v1", True),
    ],
)
def test_what_fits(pattern: str, type_: str, fitting: bool) -> None:
    assert fits(pattern, type_) is fitting


@given(types)
def test_every_type_fits_itself_its_words_as_stars_and_everything(type_: str) -> None:
    words = type_.split(".")
    assert fits(type_, type_)
    assert fits(".".join("*" for _ in words), type_)
    assert not fits(".".join(["*"] * (len(words) + 1)), type_)
    assert fits(">", type_)


@pytest.mark.parametrize(
    "pattern", ["", ".", "lead.", ">.lead", "le*d", "lead.>>", "a b", "lead.(x)", "x" * 201, "a..b"]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(MessageMalformed, match="for example lead"):
        expression(pattern)


@pytest.mark.parametrize("group", ["", "Group", "a b", "x" * 42])
def test_what_is_no_name_for_a_group_is_refused(group: str) -> None:
    with pytest.raises(MessageMalformed, match="group"):
        group_topic(group)


@pytest.mark.postgres
def test_postgresql_sees_it_the_same_way(worker_database: str) -> None:
    patterns = ["a.*", "a.>", ">", "*", "*.b", "a.*.c", "a.b", "x/y:z-1._"]
    seen: list[Any] = [
        "a",
        "a.b",
        "a.b.c",
        "b.a",
        "ab",
        "a.",
        ".b",
        "a..b",
        "x/y:z-1._",
        "x/y:z-1",
        "ä.b",
    ]
    with psycopg.connect(worker_database) as connection:
        for pattern in patterns:
            rows = connection.execute(
                "SELECT t FROM unnest(%s::text[]) AS t WHERE t ~ %s", [seen, expression(pattern)]
            ).fetchall()
            assert {row[0] for row in rows} == {t for t in seen if fits(pattern, t)}, pattern
