from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.data.contacts import merged, normal_email, same_people

FIELD = st.sampled_from
CONTACT = st.fixed_dictionaries(
    {},
    optional={
        "email": FIELD(
            [
                "ana@x.org",
                "ANA+shop@x.org",
                "info@x.org",
                "bo@gmail.com",
                "b.o@googlemail.com",
                "no",
            ]
        ),
        "phone": FIELD(["+19175550142", "(917) 555-0142", "+351912345678", "x"]),
        "name": FIELD(["Ana Silva", "Silva, Ana", "A. Silva", "Bo Li", ""]),
        "company": FIELD(["The 7 Space", "7 space the"]),
    },
)


def grouped(contacts: list[Any]) -> set[frozenset[int]]:
    return {frozenset(each.places) for each in same_people(contacts, country="US")}


@given(st.lists(CONTACT, max_size=8))
def test_every_contact_is_of_exactly_one_person(contacts: list[Any]) -> None:
    places = [place for each in same_people(contacts, country="US") for place in each.places]
    assert sorted(places) == list(range(len(contacts)))


@given(st.lists(CONTACT, max_size=6))
def test_nothing_that_is_known_is_lost(contacts: list[Any]) -> None:
    for person in same_people(contacts, country="US"):
        theirs = [contacts[place] for place in person.places]
        assert person.merged.keys() == {field for each in theirs for field in each}
        for field, value in person.merged.items():
            assert value in [each.get(field) for each in theirs]


def test_who_shares_an_address_of_their_own_is_one() -> None:
    contacts = [
        {"email": "ana@x.org"},
        {"email": "ANA@x.org ", "name": "Ana"},
        {"email": "bo@x.org"},
    ]
    assert grouped(contacts) == {frozenset({0, 1}), frozenset({2})}
    assert same_people(contacts)[0].reasons == ("the same email: ana@x.org",)


def test_a_shared_inbox_or_line_makes_nobody_one() -> None:
    desk = {"email": "info@gallery.org", "phone": "+19175550142"}
    assert grouped([{**desk, "name": "Ana Silva"}, {**desk, "name": "Bo Li"}]) == {
        frozenset({0}),
        frozenset({1}),
    }
    assert grouped([{**desk, "name": "Ana Silva"}, {**desk, "name": "A. Silva"}]) == {
        frozenset({0, 1})
    }


def test_the_same_name_alone_is_not_enough() -> None:
    assert len(grouped([{"name": "Ana Silva"}, {"name": "Ana Silva"}])) == 2
    at_work = {"name": "Ana Silva", "company": "AM"}
    assert len(grouped([at_work, at_work])) == 1
    assert len(grouped([{**at_work, "email": "a@x.org"}, {**at_work, "email": "b@x.org"}])) == 2


def test_one_fact_leads_to_the_next() -> None:
    contacts = [
        {"email": "ana@x.org"},
        {"email": "ana@x.org", "phone": "+19175550142", "name": "Ana Silva"},
        {"phone": "(917) 555-0142", "name": "Silva, Ána"},
    ]
    for order in permutations(contacts):
        assert len(same_people(list(order), country="US")) == 1


def test_the_latest_wins_and_lists_are_joined() -> None:
    old = {"name": "Ana", "tags": ["art"], "city": "Lisbon", "updated_at": "2026-01-01"}
    new = {"name": "Ana Silva", "tags": ["art", "yoga"], "city": "", "updated_at": "2026-02-01"}
    together = merged([old, new])
    assert together["name"] == "Ana Silva"
    assert together["city"] == "Lisbon"
    assert together["tags"] == ["art", "yoga"]
    assert together == merged([new, old])


@pytest.mark.parametrize("text", ["ana", "ana@x", "a b@x.org", "<ana@x.org>", ""])
def test_what_is_no_address(text: str) -> None:
    assert normal_email(text) is None
