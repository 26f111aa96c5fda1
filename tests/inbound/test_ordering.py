"""The order of deliveries: whatever it is, and however often they come, the end is the same."""

from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st
from tests.inbound.deliveries import NOON

from higherself.inbound.ordering import NOTHING_KNOWN, Standing, Step, Told, learn
from higherself.inbound.store import read_standing, written_standing

FINAL = frozenset({"canceled", "refunded"})
MILESTONES = {"paid": "payment_received", "completed": "payment_received"}


def told(state: str | None, minutes: int, *, complete: bool = True, dated: bool = True) -> Told:
    return Told(
        state=state,
        at=NOON + timedelta(minutes=minutes),
        is_dated=dated,
        data={"state": state, "minutes": minutes},
        complete=complete,
        final=FINAL,
        milestones=MILESTONES,
        opens="booking_created",
        happening="booking_changed",
    )


def after(*given_: Told) -> tuple[Standing, list[Step]]:
    standing, steps = NOTHING_KNOWN, list[Step]()
    for each in given_:
        standing, some = learn(read_standing(written_standing(standing)), each)
        steps += some
    return standing, steps


def last_state(standing: Standing, steps: list[Step]) -> object:
    """The state that whoever is told of the steps believes in."""
    said = [step.data["state"] for step in steps if step.kind in ("state", "opened")]
    return said[-1] if said else None


def outcome(*given_: Told) -> object:
    standing, steps = after(*given_)
    keys = [step.key for step in steps]
    assert len(keys) == len(set(keys)), "nothing is announced twice"
    milestones = {step.type for step in steps if step.kind == "milestone"}
    opened = [step.type for step in steps if step.kind == "opened"]
    if standing.opened and standing.state is not None:
        assert last_state(standing, steps) == standing.state
    return standing.state, standing.at, standing.opened, standing.reached, milestones, opened


EVENTS = st.lists(
    st.builds(
        told,
        st.sampled_from(["pending", "paid", "completed", "canceled", "refunded", None]),
        st.integers(0, 6),
        complete=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(EVENTS, st.data())
def test_order_and_duplicates_change_nothing(events: list[Told], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(events))
    again = data.draw(st.lists(st.sampled_from(events), max_size=3))
    mixed = data.draw(st.permutations([*shuffled, *again]))
    assert outcome(*shuffled) == outcome(*events)
    assert outcome(*mixed) == outcome(*events)


def test_a_late_older_state_does_not_overwrite_in_any_order() -> None:
    events = [told("pending", 0), told("paid", 1), told("canceled", 2)]
    ends = {outcome(*each)[0] for each in permutations(events)}  # type: ignore[index]
    assert ends == {"canceled"}


def test_what_was_missed_before_it_could_be_opened_is_announced_again() -> None:
    _, steps = after(told("canceled", 5, complete=False), told("pending", 0))
    assert [(each.kind, each.data["state"]) for each in steps] == [
        ("state", "canceled"),
        ("opened", "pending"),
        ("state", "canceled"),
    ]
    assert len({each.key for each in steps}) == 3


def test_a_final_state_stays_unless_another_says_that_it_is_later() -> None:
    assert (
        after(told("canceled", 0, dated=False), told("paid", 9, dated=False))[0].state == "canceled"
    )
    assert after(told("canceled", 0), told("paid", 9))[0].state == "paid"


def test_nothing_comes_of_what_is_known() -> None:
    _, steps = after(told("paid", 1), told("paid", 1), told("pending", 0))
    assert [each.kind for each in steps] == ["opened", "milestone"]
