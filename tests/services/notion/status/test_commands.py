import pytest

from higherself.kernel.errors import Misconfigured, Rejected
from higherself.services.notion.commands import (
    NOBODY,
    Asked,
    Person,
    Roles,
    cannot,
    event_of,
    read_comment,
)
from higherself.workflow.machine import Cancelled, Decided, Retried

ADA = Person("1f3c1f3c-1f3c-4f3c-8f3c-1f3c1f3c1f3c", "Ada", "Ada@Example.org")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("approve", Asked("Approve")),
        (" Approved! ", Asked("Approve")),
        ("/APPROVE", Asked("Approve")),
        ("/reject: too dear,\nby far", Asked("Reject", "too dear, by far")),
        ("cancel: booked elsewhere", Asked("Cancel", "booked elsewhere")),
        ("/retry from booking", Asked("Retry", "from booking")),
        ("cancel that idea", None),
        ("We could approve", None),
        ("I/approve", None),
        ("", None),
        ("/", None),
    ],
)
def test_what_a_comment_asks_for(text: str, asked: Asked | None) -> None:
    assert read_comment(text) == asked


def test_what_there_is_not_is_told() -> None:
    asked = read_comment("/xyzzy")
    assert asked is not None
    assert asked.words.startswith("there is no action 'xyzzy'; there is approve, cancel, pause")


def test_roles_go_by_address_or_by_identifier_in_any_spelling() -> None:
    roles = Roles.read("owner: ada@example.org; curator: 1F3C1F3C1F3C4F3C8F3C1F3C1F3C1F3C;")
    assert roles.of(ADA) == ("curator", "owner")
    assert roles.of(NOBODY) == ()
    assert roles.may_steer(NOBODY)
    assert not Roles.read("operator: ben@example.org").may_steer(ADA)


@pytest.mark.parametrize("text", ["owner", "owner:", ": ada@example.org", "owner: ,"])
def test_roles_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="NOTION_ROLES"):
        Roles.read(text)


def test_what_happens_to_the_instance() -> None:
    assert event_of("Approve", "yes", ADA, ["owner"]) == Decided(
        "approved", by=f"Ada (Notion {ADA.id})", roles=("owner",), comment="yes"
    )
    assert event_of("Retry", "from booking", ADA, []) == Retried(state="booking", by=ADA.told)
    assert event_of("Retry", "please", ADA, []) == Retried(by=ADA.told)
    assert event_of("Cancel", "", NOBODY, []) == Cancelled(
        "cancelled in Notion", by="somebody in Notion"
    )


def test_any_other_trouble_is_told_as_it_is() -> None:
    assert cannot("Retry", Rejected("no state 'x'"), ADA) == (
        "impossible",
        "✘ Retry is not possible: no state 'x'.",
    )
