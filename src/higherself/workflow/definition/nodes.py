"""Nodes: the values of a text, every one with its place. Pure."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from higherself.kernel.jsonvalue import JsonScalar, JsonValue
from higherself.workflow.errors import InvalidDefinition, Place, Problem

DEEPEST = 60  # levels
MOST_NODES = 50_000  # an alias counts as all that it repeats


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, true, false or null. What it says begins ``inset`` characters on."""

    value: JsonScalar
    place: Place | None
    inset: int = 0


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    nodes: tuple["Node", ...]
    place: Place | None


@dataclass(frozen=True, slots=True)
class Entries:
    """An object: its values by key, and the places of its keys."""

    nodes: Mapping[str, "Node"]
    places: Mapping[str, Place | None]
    place: Place | None


Node = Scalar | Items | Entries


def nodes_of_value(value: JsonValue) -> Node:
    """Return the nodes of a JSON value, without places."""
    match value:
        case Mapping():
            nodes = {key: nodes_of_value(each) for key, each in value.items()}
            return Entries(nodes, dict.fromkeys(nodes), None)
        case list() | tuple():
            return Items(tuple(map(nodes_of_value, value)), None)
        case str() | int() | float() | None:
            return Scalar(value, None)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def value_of(node: Node) -> JsonValue:
    """Return the JSON value that ``node`` is."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [value_of(each) for each in node.nodes]
        case Entries():
            return {key: value_of(each) for key, each in node.nodes.items()}


class Builder:
    """What reading YAML and JSON have in common: problems, places, limits, keys that come twice."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.problems: list[Problem] = []
        self.count = 0

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place_at(self, index: int) -> Place:
        """Return the place of a character of the text."""
        line = bisect_right(self._starts, index)
        return Place(self.file, line, index - self._starts[line - 1] + 1)

    def stop(self, place: Place, what: str) -> NoReturn:
        """Give up: nothing sensible can be read from here on."""
        raise InvalidDefinition([*self.problems, Problem(place, "", what)])

    def wrong(self, place: Place, what: str) -> None:
        """Remember a problem, and go on."""
        self.problems.append(Problem(place, "", what))

    def counted(self, place: Place, depth: int, more: int = 1) -> None:
        """Count values against the limits."""
        self.count += more
        if self.count > MOST_NODES:
            self.stop(place, f"there are more than {MOST_NODES:,} values; a definition has fewer")
        if depth > DEEPEST:
            self.stop(place, f"this is nested more than {DEEPEST} levels deep")

    def add(self, entries: Entries, key: str, place: Place, node: Node) -> None:
        """Put an entry into an object that is being built."""
        if before := entries.places.get(key):
            self.wrong(place, f"the key {key!r} is on line {before.line} already; keep one of them")
        assert isinstance(entries.nodes, dict) and isinstance(entries.places, dict)  # noqa: S101, PT018
        entries.nodes[key], entries.places[key] = node, place
