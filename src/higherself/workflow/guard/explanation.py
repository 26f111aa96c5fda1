"""Why an expression has the value it has: every part with its own."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.guard.access import Closure
from higherself.workflow.guard.closures import plain
from higherself.workflow.guard.errors import ExpressionFailed
from higherself.workflow.guard.tree import (
    Call,
    Field,
    Literal,
    Logic,
    Node,
    Source,
    children,
)
from higherself.workflow.guard.values import Run


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression, ``depth`` levels inside it, at ``text[start:end]`` of the whole.

    ``problem`` says why it has no value. A part that was not ``reached``, because the parts before
    it decided, has neither.
    """

    text: str
    start: int
    end: int
    depth: int
    value: JsonValue = None
    problem: str | None = None
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an expression came to: ``value``, or the ``error``; ``parts`` in reading order.

    ``why`` is one line for people: ``false because context.score = 41``.
    """

    text: str
    value: JsonValue
    error: ExpressionFailed | None
    parts: tuple[Part, ...]
    why: str

    def as_json(self) -> JsonObject:
        """Return all of it as JSON, to be kept with the run; long values are shortened."""
        return {
            "text": self.text,
            "value": _short(self.value),
            "error": None if self.error is None else f"{self.error.problem}{self.error.hint}",
            "why": self.why,
            "parts": [_part_as_json(part) for part in self.parts],
        }


def explained(
    source: Source,
    closures: Mapping[Node, Closure],
    scope: JsonObject,
    new_run: Callable[[], Run],
) -> Explanation:
    """Return what ``source`` comes to for ``scope``, each part evaluated by itself."""
    findings = _Findings(source, closures, scope, new_run)
    value, error = findings.look(source.root, 0)
    text = source.text[source.start : source.end]
    return Explanation(text, value, error, tuple(findings.parts), findings.why())


_Outcome = tuple[JsonValue, ExpressionFailed | None]


class _Findings:
    """What is found out about the parts of one expression."""

    def __init__(
        self,
        source: Source,
        closures: Mapping[Node, Closure],
        scope: JsonObject,
        new_run: Callable[[], Run],
    ) -> None:
        self._source, self._closures, self._scope, self._new_run = source, closures, scope, new_run
        self._values: dict[Node, JsonValue] = {}  # of the parts that have one
        self.parts: list[Part] = []

    def look(self, node: Node, depth: int, *, reached: bool = True) -> _Outcome:
        """Note ``node`` and what is inside it; return its value, or why it has none."""
        value, error = self._evaluated(node) if reached else (None, None)
        if reached and error is None:
            self._values[node] = value
        if depth == 0 or not isinstance(node, Literal):
            self.parts.append(
                Part(
                    self._source.of(node),
                    node.start,
                    node.end,
                    depth,
                    value,
                    f"{error.problem}{error.hint}" if error is not None else None,
                    reached,
                )
            )
        for child in _looked_at(node):
            inner, failure = self.look(child, depth + 1, reached=reached)
            reached = reached and failure is None and not _decides(node, inner)
        return value, error

    def _evaluated(self, node: Node) -> _Outcome:
        try:
            return plain(self._closures[node](self._scope, self._new_run())), None
        except ExpressionFailed as error:
            return None, error

    def why(self) -> str:
        """Return the value, or the problem, and what it comes from, in one line."""
        root = self._source.root
        if root not in self._values:
            return f"failed: {self.parts[0].problem}"
        facts = dict.fromkeys(self._fact(node) for node in self._deciding(root))
        shown = list(facts)[:_MOST_FACTS] + (["..."] if len(facts) > _MOST_FACTS else [])
        because = f" because {', '.join(shown)}" if shown else ""
        return f"{_shown(self._values[root])}{because}"

    def _deciding(self, node: Node) -> Iterator[Node]:
        """Yield the parts whose values, together, made that of ``node``."""
        match node:
            case Logic(parts=parts):
                reached = [part for part in parts if part in self._values]
                decisive = [part for part in reached if _decides(node, self._values[part])]
                for part in decisive or reached:
                    yield from self._deciding(part)
            case Field() | Call(name="has" | "default" | "any_of" | "all_of" | "now"):
                yield node
            case _:
                for child in children(node):
                    yield from self._deciding(child)

    def _fact(self, node: Node) -> str:
        value, text = self._values.get(node), self._source.of(node)
        if isinstance(value, bool) and isinstance(node, Call):
            return f"{text} is {_shown(value)}"
        return f"{text} = {_shown(value)}"


def _looked_at(node: Node) -> tuple[Node, ...]:
    """Return the parts of ``node`` that have a value of their own."""
    match node:
        case Call(name="has" | "default"):
            return ()
        case Call(name="any_of" | "all_of", arguments=arguments):
            return arguments[:1]
        case _:
            return children(node)


def _decides(node: Node, value: JsonValue) -> bool:
    """Return whether ``value``, of a part, spares ``node`` the parts that follow."""
    return isinstance(node, Logic) and value is (node.operator == "or")


# --- Values, for people.

_MOST_FACTS = 6
_LONGEST_SHOWN, _LONGEST_KEPT, _MOST_KEPT, _DEEPEST_KEPT = 80, 200, 20, 3


def _part_as_json(part: Part) -> JsonObject:
    kept: dict[str, JsonValue] = {
        "text": part.text,
        "start": part.start,
        "end": part.end,
        "depth": part.depth,
    }
    if part.problem is not None:
        kept["problem"] = part.problem
    elif part.reached:
        kept["value"] = _short(part.value)
    else:
        kept["reached"] = False
    return kept


def _shown(value: JsonValue) -> str:
    text = json.dumps(_short(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _short(value: JsonValue, depth: int = 0) -> JsonValue:
    """Return ``value`` with what is long or deep in it cut off."""
    match value:
        case str() if len(value) > _LONGEST_KEPT:
            return f"{value[:_LONGEST_KEPT]}..."
        case list() | dict() if value and depth == _DEEPEST_KEPT:
            return "..."
        case list():
            kept = [_short(item, depth + 1) for item in value[:_MOST_KEPT]]
            return [*kept, "..."] if len(value) > _MOST_KEPT else kept
        case dict():
            some = islice(value.items(), _MOST_KEPT)
            found = {key: _short(item, depth + 1) for key, item in some}
            return found | {"...": "..."} if len(value) > _MOST_KEPT else found
        case _:
            return value
