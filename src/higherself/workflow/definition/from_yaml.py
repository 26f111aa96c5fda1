"""From a text in YAML to nodes.

It is read as YAML 1.2 reads it, whatever the parser would make of it: ``on`` and ``yes`` are text,
and there are no types but those of JSON. Only the parser's events are used; what they amount to
is built here, within limits.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from higherself.kernel.jsonvalue import JsonScalar
from higherself.workflow.definition.nodes import Builder, Entries, Items, Node, Scalar
from higherself.workflow.errors import Place

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where the wheel has it


@dataclass(slots=True)
class _Open:
    """A list or an object whose end has not come yet; of an object, maybe the next key."""

    place: Place
    anchor: str | None
    before: int
    items: list[Node] = field(default_factory=list)
    entries: Entries | None = None
    key: str | None = None
    key_place: Place | None = None

    @property
    def awaits_key(self) -> bool:
        return self.entries is not None and self.key_place is None

    def closed(self) -> Node:
        return Items(tuple(self.items), self.place) if self.entries is None else self.entries


class YamlNodes(Builder):
    """Reads one text in YAML."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}

    def build(self) -> Node:
        """Return what the text says.

        Raises
            InvalidDefinition: it is no YAML, or beyond the limits.
        """
        try:
            return self._built(yaml.parse(self.text, Loader=_LOADER))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = self._place(mark) if mark else self.place_at(0)
            said = " ".join(part for part in (error.context, error.problem) if part)
            self.stop(place, f"this is no YAML: {said}")
        except yaml.reader.ReaderError as error:
            self.stop(self.place_at(error.position), f"this is no YAML: {error.reason}")

    def _place(self, mark: Any) -> Place:
        return Place(self.file, mark.line + 1, mark.column + 1)

    def _built(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            place = self._place(event.start_mark)
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self.stop(place, "a second document begins here; one text is one definition")
            node = self._node(event, place)
            if node is None:
                continue
            if not self._stack:
                root = node
            else:
                self._put(self._stack[-1], node)
        if root is None:
            self.stop(self.place_at(0), "the text is empty")
        return root

    def _node(self, event: Any, place: Place) -> Node | None:
        """Return the node that ``event`` completes, if it does."""
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event, place)
            case yaml.AliasEvent():
                return self._repeated(str(event.anchor), place)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._open(event, place)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                done = self._stack.pop()
                node = done.closed()
                if done.anchor:
                    self._anchors[done.anchor] = node, self.count - done.before
                return node
            case _:
                pass  # the beginning and the end of the text
        return None

    def _open(self, event: Any, place: Place) -> None:
        self._check_key(place)
        self._check_tag(event.tag, place)
        opened = _Open(place, event.anchor, self.count)
        if isinstance(event, yaml.MappingStartEvent):
            opened.entries = Entries({}, {}, place)
        self._stack.append(opened)
        self.counted(place, len(self._stack))

    def _repeated(self, anchor: str, place: Place) -> Node:
        self._check_key(place)
        if anchor not in self._anchors:
            self.stop(place, f"*{anchor} repeats nothing that has ended before it")
        node, size = self._anchors[anchor]
        self.counted(place, len(self._stack), size)
        return node

    def _check_key(self, place: Place) -> None:
        if self._stack and self._stack[-1].awaits_key:
            self.stop(place, "a key is a text, neither a list nor an object nor an alias")

    def _check_tag(self, tag: str | None, place: Place) -> None:
        if tag not in _TAGS:
            self.wrong(place, f"the tag {tag} means nothing here; remove it")

    def _scalar(self, event: Any, place: Place) -> Scalar | None:
        self.counted(place, len(self._stack))
        if self._stack and (around := self._stack[-1]).awaits_key:
            around.key, around.key_place = event.value, place
            return None
        plain, quoted = event.implicit
        if not (plain or quoted):
            self._check_tag(event.tag, place)
        scalar = Scalar(event.value, place, int(event.style in ("'", '"')))
        if plain:
            try:
                scalar = Scalar(_meant(event.value), place)
            except ValueError as error:
                self.wrong(place, str(error))
        if event.anchor:
            self._anchors[event.anchor] = scalar, 1
        return scalar

    def _put(self, around: _Open, node: Node) -> None:
        if around.entries is None:
            around.items.append(node)
        elif around.key_place is not None:
            self.add(around.entries, around.key or "", around.key_place, node)
            around.key_place = None


_TAGS = (None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")))
_WORDS: dict[str, JsonScalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER = re.compile(
    r"(?P<whole>[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)"
    r"|(?P<decimal>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<none>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_LONGEST_NUMBER = 400  # characters; longer ones no float can hold


def _meant(text: str) -> JsonScalar:
    """Return what a plain scalar means in YAML 1.2's core schema.

    Raises
        ValueError: it would be a number that JSON lacks, or one that other YAML reads otherwise.
    """
    if text in _WORDS:
        return _WORDS[text]
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > _LONGEST_NUMBER:
        return text
    if found["none"]:
        raise ValueError(f"{text} is no number that JSON has")
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError(f"{text} has a leading zero; put it in quotes if it is a text")
    if found["whole"]:
        return int(text, 0)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number
