"""On what the languages share, guards say what CEL says (the Rust implementation).

`GUARD_CASES` is how many expressions are compared; 20,000 take minutes.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import cel
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from higherself.workflow.guard import ExpressionFailed, compile_value

CASES = int(os.environ.get("GUARD_CASES", "2000"))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Pair(NamedTuple):
    """One expression in both languages."""

    ours: str
    cel: str


Pairs = st.SearchStrategy[Pair]

INTEGERS = st.integers(-3, 3) | st.integers(-(2**62), 2**62)
DOUBLES = st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 1.5, 3.0, 1e9])
TEXTS = st.sampled_from(["", "a", "b", "ab", "Ab", "é", "字", "tag", "a b", 'q"', "x\\n"])

SCOPES = st.fixed_dictionaries(
    {
        "i": INTEGERS,
        "j": INTEGERS,
        "x": DOUBLES,
        "s": TEXTS,
        "t": TEXTS,
        "p": st.booleans(),
        "q": st.booleans(),
        "n": st.none() | INTEGERS,
        "li": st.lists(st.integers(-3, 3), max_size=4),
        "ls": st.lists(TEXTS, max_size=4),
        "o": st.fixed_dictionaries(
            {"i": INTEGERS, "s": TEXTS, "deep": st.fixed_dictionaries({"p": st.booleans()})},
            optional={"k": INTEGERS, "m": TEXTS},
        ),
        "lo": st.lists(st.fixed_dictionaries({"i": st.integers(-3, 3), "s": TEXTS}), max_size=3),
    }
)


def same(*texts: str) -> Pairs:
    return st.sampled_from([Pair(text, text) for text in texts])


def quoted(text: str) -> Pair:
    written = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Pair(written, written)


def both(form: str, *parts: Pairs, cel_form: str | None = None) -> Pairs:
    """Return ``form`` filled with ``parts``, in each language."""
    return st.tuples(*parts).map(
        lambda found: Pair(
            form.format(*(part.ours for part in found)),
            (cel_form or form).format(*(part.cel for part in found)),
        )
    )


def integers(depth: int) -> Pairs:
    leaf = (
        same("i", "j", "o.i", "o['i']", "n", "o.k", "li[0]", "lo[1].i")
        | st.integers(0, 9).map(lambda number: Pair(str(number), str(number)))
        | both("len({0})", same("li", "ls", "lo"), cel_form="size({0})")
    )
    if depth == 0:
        return leaf
    inner = integers(depth - 1)
    return leaf | st.sampled_from("+-*").flatmap(
        lambda sign: both(f"({{0}} {sign} {{1}})", inner, inner)
    ) | both("(-{0})", inner)  # fmt: skip


def doubles(depth: int) -> Pairs:
    leaf = same("x", "0.5", "2.0", "-1.5", "1e3")
    if depth == 0:
        return leaf
    inner = doubles(depth - 1)
    return leaf | st.sampled_from("+-*/").flatmap(
        lambda sign: both(f"({{0}} {sign} {{1}})", inner, inner)
    )  # fmt: skip


def texts(depth: int) -> Pairs:
    return same("s", "t", "o.s", "o.m", "ls[0]") | TEXTS.map(quoted)


def comparison(parts: Pairs, *signs: str) -> Pairs:
    return st.sampled_from(signs).flatmap(lambda sign: both(f"({{0}} {sign} {{1}})", parts, parts))


def chain(parts: Pairs, first: str, second: str) -> Pairs:
    return both(
        f"({{0}} {first} {{1}} {second} {{2}})",
        parts,
        parts,
        parts,
        cel_form=f"({{0}} {first} {{1}} && {{1}} {second} {{2}})",
    )


def condition_of_items(depth: int) -> Pairs:
    number = same("item", "1", "i", "-2")
    return comparison(number, "<", "<=", "==", "!=") | both(
        "({0} and {1})",
        comparison(number, "<", ">"),
        comparison(number, "<", "!="),
        cel_form="({0} && {1})",
    )


def quantified(name: str, macro: str, items: Pairs, conditions: Pairs) -> Pairs:
    return both(f"{name}({{0}}, {{1}})", items, conditions, cel_form=f"{{0}}.{macro}(item, {{1}})")


def booleans(depth: int) -> Pairs:
    order = ("<", "<=", ">", ">=", "==", "!=")
    number, text = integers(min(depth, 2)), texts(depth)
    leaves: list[Pairs] = [
        same("p", "q", "o.deep.p", "true", "false"),
        comparison(number, *order),
        comparison(doubles(min(depth, 2)), *order),
        comparison(number | doubles(1), *order),
        comparison(text, *order),
        comparison(number | text | same("n", "null", "p", "li", "o"), "==", "!="),
        comparison(same("li", "ls", "lo", "o", "[1, 2]", '["a"]', "[]"), "==", "!="),
        chain(number, "<", "<="),
        chain(text, "<=", "!="),
        both("({0} in {1})", number, same("li", "[1, 2, i]", "[]", "[-1, 0, 3]")),
        both("({0} not in {1})", number, same("li", "[1, j]"), cel_form="(!({0} in {1}))"),
        both("({0} in {1})", text, same("ls", '["a", s]', "o")),
        both("({0} in {1})", text, text, cel_form="{1}.contains({0})"),
        both("contains({0}, {1})", text, text, cel_form="{0}.contains({1})"),
        both("startswith({0}, {1})", text, text, cel_form="{0}.startsWith({1})"),
        both("endswith({0}, {1})", text, text, cel_form="{0}.endsWith({1})"),
        both("has({0})", same("o.k", "o.m", "o.i", "o.deep.p", "o.deep.k")),
        quantified("any_of", "exists", same("li", "[1, 2, 3]"), condition_of_items(depth)),
        quantified("all_of", "all", same("li", "[]"), condition_of_items(depth)),
        quantified(
            "any_of", "exists", same("lo"), same("item.i > 0", "item.s == s", "item.i == i")
        ),
    ]
    leaf = st.one_of(leaves)
    if depth == 0:
        return leaf
    inner = booleans(depth - 1)
    return st.one_of(
        leaf,
        both("({0} and {1})", inner, inner, cel_form="({0} && {1})"),
        both("({0} or {1})", inner, inner, cel_form="({0} || {1})"),
        both("(not {0})", inner, cel_form="(!{0})"),
        both("({0} and {1} or {2})", inner, inner, inner, cel_form="({0} && {1} || {2})"),
    )


@pytest.mark.timeout(120 + CASES // 20)
@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(booleans(2) | booleans(3) | integers(3) | doubles(3), SCOPES)
def test_says_what_cel_says(pair: Pair, scope: dict[str, Any]) -> None:
    expected, failed_there = _outcome(lambda: cel.compile(pair.cel).execute(scope))
    got, failed_here = _outcome(lambda: compile_value(pair.ours)(scope, NOW))
    if failed_here:
        event("an error")
        assert failed_there or any(sign in pair.cel for sign in _FORGIVING), pair.ours
    else:
        event(f"{got}" if isinstance(got, bool) else "a number")
        assert not failed_there, f"{pair.ours} came to {got}, CEL fails"
        assert got == expected
        assert isinstance(got, bool) is isinstance(expected, bool)


def _outcome(evaluate: Callable[[], Any]) -> tuple[Any, bool]:
    """Return the value, and whether there is none. Our errors and CEL's are the only ones."""
    try:
        return evaluate(), False
    except (
        ExpressionFailed,
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RuntimeError,
        IndexError,
    ):
        return None, True


_FORGIVING = ("&&", "||", ".exists(", ".all(", "/")
"""Where CEL comes to a value with an error in a part, or divides by 0: ours stays an error."""
