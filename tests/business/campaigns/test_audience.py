"""Audiences: nobody twice, nobody who asked not to be; batches that lose and repeat nobody."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from higherself.business.campaigns.audience import audience, batch
from higherself.business.campaigns.figures import added, figures, latest
from higherself.business.campaigns.insights import profile, proposed, report

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
contacts = st.lists(
    st.fixed_dictionaries(
        {
            "email": st.one_of(
                st.none(),
                st.just("nobody"),
                st.integers(0, 9).map(lambda n: f"Guest{n}@example.org"),
                st.integers(0, 9).map(lambda n: f"guest{n}+news@example.org"),
            ),
            "status": st.sampled_from([None, "Active Client", "Active Lead", "Do Not Contact"]),
        },
        optional={
            "marketing_consent": st.booleans(),
            "last_interaction": st.sampled_from(["2026-02-20T10:00:00Z", "2025-02-20T10:00:00Z"]),
            "tags": st.lists(st.sampled_from(["VIP", "New"]), max_size=2),
        },
    ),
    max_size=25,
)


@given(contacts)
def test_everybody_who_is_meant_is_a_member_or_counted_with_the_reason(
    people: list[dict[str, Any]],
) -> None:
    found = audience(people)
    assert found.meant == len(people)
    addresses = [each.email.lower().replace("+news", "") for each in found.members]
    assert addresses == sorted(set(addresses))
    silent = {p["email"] for p in people if p["status"] == "Do Not Contact"}
    said_yes = {p["email"] for p in people if p["status"] != "Do Not Contact"}
    assert not {each.email for each in found.members} & (silent - said_yes)


@given(contacts, st.integers(1, 4))
def test_batches_reach_everybody_once(people: list[dict[str, Any]], limit: int) -> None:
    members = audience(people, purpose="transactional").members
    reached: list[str] = []
    after = ""
    while part := batch(members, after, limit):
        reached += [each.email for each in part]
        after = part[-1].email
    assert reached == [each.email for each in members]


@given(contacts, contacts, st.integers(1, 4))
def test_whoever_joins_meanwhile_nobody_comes_twice(
    people: list[dict[str, Any]], more: list[dict[str, Any]], limit: int
) -> None:
    first = batch(audience(people).members, "", limit)
    rest = batch(audience([*people, *more]).members, first[-1].email if first else "", 1_000)
    keys = [each.email.lower().replace("+news", "") for each in (*first, *rest)]
    assert len(set(keys)) == len(keys)


@given(contacts)
def test_who_does_not_agree_still_gets_what_is_no_advertising(people: list[dict[str, Any]]) -> None:
    marketing = {each.email for each in audience(people).members}
    assert len(marketing) <= len(audience(people, purpose="transactional").members)


@given(contacts)
def test_proposals_hold_what_they_say(people: list[dict[str, Any]]) -> None:
    known = profile(people, now=NOW)
    assert sum(known.recency.values()) == known.contacts == len(people)
    for each in proposed(people, now=NOW, least=2):
        assert each.members == len(audience(people, each.criteria, now=NOW).members) >= 2
    assert f"{known.contacts:,} contacts" in report("The 7 Space", known, [], now=NOW)


counts = st.dictionaries(
    st.sampled_from(["sent", "opened", "clicked", "bounced", "colour"]), st.integers(0, 50)
)


@given(counts, counts)
def test_counts_add_up_and_never_shrink(one: dict[str, int], other: dict[str, int]) -> None:
    both: Any = added(one, other)
    assert both == added(both, {})
    assert all(both.get(k, 0) == one.get(k, 0) + other.get(k, 0) for k in ("sent", "opened"))
    told: Any = latest(one, other)
    assert latest(told, other) == told
    assert all(told.get(k, 0) >= one.get(k, 0) for k in ("sent", "opened"))
    rate: Any = figures(one)["open_rate"]
    assert rate is None or 0 <= rate <= 1
