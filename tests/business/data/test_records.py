import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.data.records import (
    Problem,
    RecordsRejected,
    cleaned,
    from_csv,
    mapped,
    to_csv,
    validated,
)

TYPEFORM: list[Any] = [
    {
        "form_response": {"answers": [{"text": " Ana "}, {"email": "ANA@x.org"}]},
        "paid": "€ 1.234,50",
    },
    {"form_response": {"answers": [{"text": "Bo"}, {"email": "nobody"}]}},
    {"form_response": {"answers": []}},
]


def test_records_are_mapped_and_the_bad_ones_told_of() -> None:
    treated = mapped(
        TYPEFORM,
        {
            "name": {"from": "form_response.answers.0.text", "as": "text"},
            "email": {"from": "form_response.answers.1.email", "as": "email", "required": True},
            "paid": {"from": "paid", "as": "money"},
            "source": {"value": "typeform"},
        },
    )
    assert treated.records == (
        {
            "name": "Ana",
            "email": "ana@x.org",
            "paid": {"amount": "1234.50", "currency": "EUR"},
            "source": "typeform",
        },
    )
    assert treated.problems == (
        Problem(1, "email", "'nobody' is no e-mail address"),
        Problem(2, "email", "there is nothing at form_response.answers.1.email"),
    )


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a": 1}, "a: say where it comes from"),
        ({"a": {"from": "x", "value": 1}}, "a: say where"),
        ({"a": {"from": "x", "as": "colour"}}, "a.as: 'colour' is none of text"),
        (
            {"a": {"from": "x", "as": "date", "country": "US"}},
            "a: date has no such option as country",
        ),
    ],
)
def test_a_wrong_mapping_names_the_field(mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordsRejected, match=re.escape(said)):
        mapped([{"x": "2026-01-01"}], mapping)


def test_numbers_and_booleans_are_not_guessed() -> None:
    treated = mapped(
        [
            {"n": "12", "b": "yes"},
            {"n": 1.5, "b": False},
            {"n": "nan", "b": "y"},
            {"n": "1", "b": "perhaps"},
        ],
        {"n": {"from": "n", "as": "number"}, "b": {"from": "b", "as": "boolean"}},
    )
    assert treated.records == ({"n": 12, "b": True}, {"n": 1.5, "b": False})
    assert [(each.record, each.field) for each in treated.problems] == [(2, "n"), (3, "b")]


def test_cleaning_makes_what_looks_the_same_the_same() -> None:
    assert cleaned([{"a": " Ana\u200b\u00ad ", "b": "", "c": ["e\u0301 "]}]) == (
        {"a": "Ana", "b": None, "c": ["\u00e9"]},
    )


def test_records_are_checked_one_by_one() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["email"],
        "properties": {"visits": {"minimum": 0}},
    }
    treated = validated([{"email": "a"}, {"visits": -1}], schema)
    assert treated.records == ({"email": "a"},)
    assert [(each.record, each.field) for each in treated.problems] == [
        (1, "(record)"),
        (1, "visits"),
    ]
    with pytest.raises(RecordsRejected, match="schema"):
        validated([], {"type": "no such"})


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20).filter(
    lambda text: not text.startswith(("=", "+", "-", "@"))
)
NAME = TEXT.map(str.strip).filter(bool).filter(lambda text: "\ufeff" not in text)


@given(st.lists(NAME, min_size=1, max_size=4, unique=True), st.data())
def test_csv_comes_back_as_it_went(names: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, TEXT)), max_size=4))
    if rows and any(any(row.values()) for row in rows[-1:]):
        assert list(from_csv(to_csv(rows), delimiter=",")) == rows


def test_a_formula_is_not_run_and_a_number_stays_one() -> None:
    text = to_csv(
        [{"a": '=HYPERLINK("x")', "b": "+1 917 555", "c": -5, "d": "-x", "e": True, "f": [1]}]
    )
    assert text == 'a,b,c,d,e,f\r\n"\'=HYPERLINK(""x"")",+1 917 555,-5,\'-x,yes,[1]\r\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a,a\n1,2", "'a' twice"),
        ("a,,b\n1,2,3", "without a name"),
        ("a,b\n1\n", "line 2 has 1 fields"),
        ('a\n"1', "line 2"),
    ],
)
def test_a_broken_file_says_where(text: str, said: str) -> None:
    with pytest.raises(RecordsRejected, match=said):
        from_csv(text)


def test_the_mark_between_fields_is_found() -> None:
    assert from_csv("\ufeffname;price\nAna;1,5\n") == ({"name": "Ana", "price": "1,5"},)
