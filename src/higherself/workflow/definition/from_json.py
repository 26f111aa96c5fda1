"""From a text in JSON to nodes."""

import json
import re
from typing import NoReturn

from higherself.workflow.definition.nodes import Builder, Entries, Items, Node, Scalar

_BLANK = re.compile(r"[ \t\r\n]*")


class JsonNodes(Builder):
    """Reads one text in JSON."""

    def build(self) -> Node:
        """Return what the text says.

        Raises
            InvalidDefinition: it is no JSON, or beyond the limits.
        """
        try:
            node, end = self._value(self._past_blank(0), 1)
            end = self._past_blank(end)
        except json.JSONDecodeError as error:
            said = f"{error.msg[0].lower()}{error.msg[1:]}"
            self.stop(self.place_at(error.pos), f"this is no JSON: {said}")
        if end < len(self.text):
            self.stop(self.place_at(end), "this is no JSON: something follows its end")
        return node

    def _value(self, at: int, depth: int) -> tuple[Node, int]:
        place = self.place_at(at)
        self.counted(place, depth)
        first = self.text[at : at + 1]
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._list(at, depth)
        try:
            value, end = _DECODER.raw_decode(self.text, at)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            self.stop(place, str(error))
        return Scalar(value, place, 1 if first == '"' else 0), end

    def _list(self, at: int, depth: int) -> tuple[Node, int]:
        place, nodes = self.place_at(at), list[Node]()
        at = self._past_blank(at + 1)
        while self.text[at : at + 1] != "]":
            if nodes:
                at = self._past(",", at)
            node, at = self._value(at, depth + 1)
            nodes.append(node)
            at = self._past_blank(at)
        return Items(tuple(nodes), place), at + 1

    def _object(self, at: int, depth: int) -> tuple[Node, int]:
        entries = Entries({}, {}, self.place_at(at))
        at = self._past_blank(at + 1)
        while self.text[at : at + 1] != "}":
            if entries.nodes:
                at = self._past(",", at)
            place = self.place_at(at)
            if self.text[at : at + 1] != '"':
                raise json.JSONDecodeError("a key in double quotes is missing", self.text, at)
            key, end = _DECODER.raw_decode(self.text, at)
            node, at = self._value(self._past(":", self._past_blank(end)), depth + 1)
            self.add(entries, key, place, node)
            at = self._past_blank(at)
        return entries, at + 1

    def _past_blank(self, at: int) -> int:
        found = _BLANK.match(self.text, at)
        return found.end() if found else at

    def _past(self, sign: str, at: int) -> int:
        if self.text[at : at + 1] != sign:
            raise json.JSONDecodeError(f"a {sign!r} is missing", self.text, at)
        return self._past_blank(at + 1)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
