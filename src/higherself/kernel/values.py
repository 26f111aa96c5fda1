"""Values that are made by the thousand: dataclasses that nobody changes. Pure."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen, slots):
        """Make a class of values: to the type checker frozen, at run time not.

        A step of a workflow makes a dozen of them with a hundred fields, the hits of a search forty,
        and frozen ones take five times as long to make. That nothing is changed is checked by mypy
        (and for the machine in the tests after every step).
        """
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]
