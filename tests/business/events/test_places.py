"""The roll of an event: never too many, nobody twice, whoever waits longest moves up first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from higherself.business.events.places import (
    Person,
    Roll,
    RollRejected,
    absent,
    attend,
    promote,
    read_roll,
    register,
    withdraw,
)

people = st.integers(0, 12).map(
    lambda number: Person(f"guest{number}@example.org", f"Guest {number}")
)


class Rolls(RuleBasedStateMachine):
    """Whatever is asked of a roll, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.roll, self.capacity = Roll(), 3
        self.order: list[str] = []

    @rule(person=people, most=st.integers(0, 4))
    def somebody_wants_to_come(self, person: Person, most: int) -> None:
        before = self.roll
        placed = register(before, person, capacity=self.capacity, most_waiting=most)
        again = register(placed.roll, person, capacity=self.capacity, most_waiting=most)
        assert again.roll == placed.roll, "asking twice changed something"
        if placed.outcome == "waiting":
            self.order.append(person.key)
        if placed.outcome == "refused":
            assert placed.roll == before
            assert placed.reason
        self.roll = placed.roll

    @rule(person=people)
    def somebody_does_not_come(self, person: Person) -> None:
        self.roll, was_there, promoted = withdraw(
            self.roll, person.email.upper(), capacity=self.capacity
        )
        self.order = [key for key in self.order if key != person.key]
        if promoted:
            assert [each.key for each in promoted] == self.order[: len(promoted)]
            self.order = self.order[len(promoted) :]
        assert withdraw(self.roll, person.email, capacity=self.capacity)[1] is False
        assert was_there in (True, False)

    @rule(capacity=st.integers(1, 6))
    def there_are_more_or_fewer_places(self, capacity: int) -> None:
        had = self.roll.registered
        self.capacity = capacity
        self.roll, promoted = promote(self.roll, capacity=capacity)
        assert self.roll.registered[: len(had)] == had, "somebody lost a place"
        self.order = self.order[len(promoted) :]
        self.most = max(capacity, len(had))

    most = 3

    @invariant()
    def it_holds(self) -> None:
        keys = [each.key for each in (*self.roll.registered, *self.roll.waiting)]
        assert len(set(keys)) == len(keys), "somebody is on it twice"
        assert len(self.roll.registered) <= max(self.capacity, self.most)
        if self.roll.waiting:
            assert len(self.roll.registered) >= self.capacity, "somebody waits while there is room"
        assert [each.key for each in self.roll.waiting] == self.order
        assert read_roll(self.roll.to_json()) == self.roll


TestRolls = Rolls.TestCase


@given(st.lists(people, max_size=10), st.lists(people, max_size=10))
def test_who_came_and_who_did_not_are_all_who_had_a_place(
    come: list[Person], came: list[Person]
) -> None:
    roll = Roll()
    for each in come:
        roll = register(roll, each, capacity=5).roll
    noted = attend(roll, [each.email for each in came])
    missed = absent(noted)
    assert {*missed} | {e for e in roll.registered if e.key in noted.attended} == {*roll.registered}
    assert attend(noted, [each.email for each in came]) == noted


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c", "a b@example.org"])
def test_without_an_address_nobody_has_a_place(email: str) -> None:
    placed = register(Roll(), Person(email), capacity=1)
    assert (placed.outcome, placed.roll) == ("refused", Roll())
    assert "no e-mail address" in placed.reason


def test_what_is_no_roll_is_refused_by_name() -> None:
    with pytest.raises(RollRejected, match="roll"):
        read_roll({"registered": [{"name": "Ana"}]})
    with pytest.raises(RollRejected, match="capacity"):
        register(Roll(), Person("ana@example.org"), capacity=0)
