"""No text can do harm: what others fell for, and a million texts if asked for (`GUARD_FUZZ`)."""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.workflow.guard import (
    ExpressionFailed,
    ExpressionRejected,
    Guard,
    InvalidExpression,
    compile_guard,
    compile_value,
    render,
)
from higherself.workflow.guard.functions import FUNCTIONS
from higherself.workflow.guard.tokens import UNITS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
INPUTS = int(os.environ.get("GUARD_FUZZ", "20000"))

# --- What other evaluators fell for.


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("''.__class__.__mro__[1].__subclasses__()", id="subclasses of object"),
        pytest.param("context.__class__", id="class of a value"),
        pytest.param("().__class__.__bases__[0]", id="bases of a tuple"),
        pytest.param("(lambda: 1).__globals__", id="globals of a function"),
        pytest.param("now.__self__", id="self of a function"),
        pytest.param("__import__('os').system('id')", id="import"),
        pytest.param("open('/etc/passwd')", id="open"),
        pytest.param("getattr(context, 'x')", id="getattr"),
        pytest.param("'{0.__class__}'.format(context)", id="format"),
        pytest.param("f'{context.__class__}'", id="f-string"),
        pytest.param("9**9**9", id="power"),
        pytest.param("'a' * 10000000000", id="repeated text"),
        pytest.param("[0] * 10000000000", id="repeated list"),
        pytest.param("1 << 1000000", id="shift"),
        pytest.param("[a for a in [1] for b in [2]]", id="comprehension"),
        pytest.param("(x := 1)", id="assignment"),
        pytest.param("*a, 1", id="star"),
        pytest.param("len(a=1)", id="keyword"),
        pytest.param("a if b else c", id="branch"),
        pytest.param("await a", id="await"),
        pytest.param("yield", id="yield"),
        pytest.param("...", id="ellipsis"),
        pytest.param("a[::]", id="slice"),
        pytest.param("1j", id="complex"),
        pytest.param("(" * 20_000 + ")" * 20_000, id="brackets"),
        pytest.param("-" * 20_000 + "1", id="minus"),
        pytest.param("not " * 20_000 + "true", id="not"),
        pytest.param("a." * 20_000 + "b", id="dots"),
        pytest.param("import os", id="statement"),
        pytest.param("a\nb = 1", id="second statement"),
    ],
)
def test_probe_is_refused_at_compile_with_a_place(text: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidExpression) as caught:
        compile_value(text)
    assert caught.value.column >= 1
    assert time.process_time() - began < 0.1


def test_a_key_that_looks_like_an_attribute_is_a_key() -> None:
    scope: dict[str, Any] = {"context": {"__class__": "plain data", "items": 3}}
    assert compile_value("context['__class__']")(scope, NOW) == "plain data"
    assert compile_value("context.items\n")(scope, NOW) == 3
    with pytest.raises(ExpressionFailed, match="there is no field"):
        compile_value("context.keys")(scope, NOW)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 40 + "b", "a" * 50_000),
        ("*" + "?" * 500 + "b", "a" * 50_000),
        ("*" * 1_000 + "b", "a" * 50_000),
        ("*a?" * 100 + "b", "a" * 50_000),
        ("*" + "a" * 900 + "b*", "a" * 50_000),
    ],
)
def test_patterns_do_not_explode(pattern: str, text: str) -> None:
    assert _milliseconds(compile_guard("matches_glob(t, p)"), {"t": text, "p": pattern}) <= 1


# --- Time.

N = 50_000
CONTEXTS: dict[str, Any] = {
    "ascii": ["a" * N, "a" * N],
    "greek": ["Ω" * (N // 2), "Ω" * (N // 2)],
    "letters that grow": ["ß" * (N // 2), "İ" * (N // 2)],
    "sigma": ["Σ" + "'" * N, "Σ" * (N // 2)],
    "almost the whole": ["a" * N, "a" * (N // 2 - 500) + "b" + "a" * (N // 2 - 500)],
    "numbers": [list(range(9_000)), list(range(9_000))],
    "few numbers": [list(range(900)), list(range(900))],
    "numbers and not": [[1.5] * 9_000, [True] * 9_000],
    "texts": [[f"ab{i}" for i in range(5_000)], [f"ab{i}" for i in range(5_000)]],
    "objects": [[{"p": 1} for _ in range(4_000)], [{"p": 1} for _ in range(4_000)]],
    "nested": [[[[[[[1]]]]]] * 1_000, [[[[[[1]]]]]] * 1_000],
    "keys": [{f"k{i}": i for i in range(4_000)}, {f"k{i}": i for i in range(4_000)}],
    "times": ["2026-01-01T00:00:00+05:00", "2026-01-02T00:00:00-05:00"],
    "plain": [1, 2],
}
PARTS = [
    "lower(a) != 'q'",
    "upper(a) != 'q'",
    "upper(b) != lower(b)",
    "contains(a, b)",
    "contains(a, 'aaaaaaaaab') or true",
    "a == b",
    "a != b or true",
    "a < b or true",
    "'zz' not in a",
    "7.5 not in a",
    "a in b or true",
    "b not in [a]",
    "any_of(a, item == -1) or true",
    "all_of(a, item.p == 1)",
    "all_of(a, item != 'q' and item != 'r' and item != 's' and item != 'ttt')",
    "any_of(a, lower(item) == 'q') or true",
    "any_of(a, item in b) or true",
    "all_of(a, has(item.p))",
    "matches_glob(a, '*a?a*b') or true",
    "matches_glob(a, '*?????????????????????????????????b*') or true",
    "matches_glob(a, '*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab*') or true",
    "min(a) != -1",
    "a + 1 != 0.5",
    "time(a) < time(b)",
    "b < now()",
    "seconds_between(a, b) > 0",
    "number(a) > 2 or true",
    "1 < a < 3 or true",
    "default(c, 1) == 1",
]


@pytest.mark.parametrize("part", PARTS)
def test_every_guard_ends_within_a_millisecond(part: str) -> None:
    """Once, a few times, and as often as fits, on 100 KB of what is worst for it."""
    for guard in [*(_repeated(part, times) for times in (1, 2, 5)), _as_often_as_fits(part)]:
        for name, (a, b) in CONTEXTS.items():
            assert _milliseconds(guard, {"a": a, "b": b}) <= 1, name


def _repeated(part: str, times: int) -> Guard:
    return compile_guard(" and ".join([part] * times))


def _as_often_as_fits(part: str) -> Guard:
    guard, times = _repeated(part, 1), 1
    while True:
        try:
            guard = _repeated(part, times)
        except InvalidExpression:
            return guard
        times += 1


def _milliseconds(guard: Guard, scope: dict[str, Any]) -> float:
    """Return the CPU time of an evaluation, the best of several: this machine has others to serve."""
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        with suppress(ExpressionFailed):
            guard(scope, NOW)
        best = min(best, time.perf_counter() - began)
        if best <= 0.001:
            break
    return best * 1_000


# --- Anything at all.

SCOPE: dict[str, Any] = {
    "context": {
        "score": 41,
        "name": "Ann",
        "vip": True,
        "none": None,
        "share": 0.25,
        "tags": ["new", "vip"],
        "lines": [{"price": 3}, {"price": 120}],
        "at": "2026-11-19T12:00:00Z",
        "big": 9007199254740993,
        "due date": "2026-12-01",
    },
    "event": {"text": "A sound bath", "n": -1},
    "item": 3,
}

_WORDS = [
    *(f"{name}(" for name in FUNCTIONS),
    *(f"3{unit}" for unit in UNITS),
    *("and", "or", "not", "in", "not in", "true", "false", "null", "is", "if", "else", "lambda", "for"),
    *("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "**", "//", "=", "&&", "||", ":=", "%", "!"),
    *("(", ")", "[", "]", "{", "}", ",", ".", ":", ";", "#", "\\", "\n", "\t", "@", "`", "$"),
    *("context", "event", "item", "context.score", "context.name", "context.tags", "context.lines"),
    *("context.at", "context.none", "event.text", "item.price", "context['due date']", "context.vip"),
    *("context.big", "context.share", "context.lines[0].price", ".score", "__class__", "class"),
    *("0", "1", "-1", "0.5", "1e308", "9223372036854775807", "1e", "0x1", "007", "1_0", "1j", "1."),
    *("'a'", '"vip"', "'", '"', "'\\n'", "'\\x00'", "'\\ud800'", "'''", "f'", "b'", "'2026-01-01'", "'*a?'"),
    *("é", "字", "\ud800", "\0", "\x1b", "\u202e", "ﬁ", "²", "\N{NO-BREAK SPACE}", "\N{COMBINING ACUTE ACCENT}"),
    *("{{", "}}"),
]  # fmt: skip
_LEAVES = [
    *(
        "context.score",
        "context.name",
        "context.tags",
        "context.lines",
        "context.vip",
        "context.at",
    ),
    *("context.none", "item.price", "'a'", "1", "0.5", "true", "null", "2h", "[]"),
]
_SEEDS = [
    "context.score >= 70 and 'vip' in context.tags",
    "has(context.x) and context.x > 3 or not context.vip",
    "any_of(context.lines, item.price > 100 and item.price < 2 * context.score)",
    "now() - context.at > 3d",
    "days_between(context.at, now()) / 2 + 1 != -0.5",
    "matches_glob(lower(event.text), '*sound*') == true",
    "default(context.none, [1, 'a', null]) == context.lines[0].price",
    "0 < context.share <= 1 != context.big in [1, 2, 3]",
    "context[\"due date\"] > '2026-11-01' and len(context.name) == 3",
]


@pytest.mark.timeout(120 + INPUTS // 200)
def test_no_text_is_ever_more_than_refused() -> None:
    """Seeded, so that a failure can be repeated; the seed is in the message."""
    accepted = slowest = 0.0
    for seed in range(INPUTS):
        text = _anything(random.Random(seed))
        began = time.perf_counter()
        try:
            accepted += _tried(text)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {text!r}") from error
        slowest = max(slowest, time.perf_counter() - began)
    sys.stderr.write(f"{INPUTS} inputs, {accepted:.0f} accepted, slowest {slowest * 1000:.1f} ms\n")
    assert accepted > INPUTS / 50
    assert slowest < 5


def _tried(text: str) -> bool:
    """Return whether ``text`` is an expression. Whatever it is, the errors are ours."""
    try:
        expression = compile_value(text)
    except InvalidExpression as error:
        _check_refusal(error, text)
        return False
    assert expression.reads is not None
    try:
        value = expression(SCOPE, NOW)
        json.dumps(value, allow_nan=False)
    except ExpressionFailed as error:
        _check_place(error, text)
    explanation = expression.explain(SCOPE, NOW)
    assert explanation.why
    json.dumps(explanation.as_json())
    return True


def _check_refusal(error: InvalidExpression, text: str) -> None:
    _check_place(error, text)
    assert error.problem != "this cannot be understood"  # tokens in order are understood


def _check_place(error: ExpressionRejected, text: str) -> None:
    assert 0 <= error.start <= error.end <= len(text)
    assert str(error).replace("\n", "").isprintable()


def _anything(chance: random.Random) -> str:
    make: Callable[[random.Random], str] = chance.choice(
        [_soup, _soup, _mutant, _mutant, _noise, _grown]
    )
    return make(chance)


def _soup(chance: random.Random) -> str:
    glue = chance.choice(["", " ", " ", " "])
    return glue.join(chance.choices(_WORDS, k=chance.randint(1, 12)))


def _mutant(chance: random.Random) -> str:
    text = chance.choice(_SEEDS)
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice([0, 0, 1, 2, 5]))
        text = (
            text[:start] + chance.choice(["", chance.choice(_WORDS), _noise(chance)]) + text[end:]
        )
    return text


def _noise(chance: random.Random) -> str:
    top = chance.choice([0x7F, 0x7F, 0xFF, 0xFFFF, 0x10FFFF])
    return "".join(chr(chance.randint(0, top)) for _ in range(chance.randint(0, 8)))


def _grown(chance: random.Random, depth: int = 4) -> str:
    """Return an expression that is well formed, and mostly makes no sense."""
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(_LEAVES)
    inner = [_grown(chance, depth - 1) for _ in range(3)]
    function = chance.choice(list(FUNCTIONS.values()))
    return chance.choice(
        [
            f"{inner[0]} {chance.choice(['and', 'or', '==', '!=', '<', '>=', 'in', 'not in'])} {inner[1]}",
            f"({inner[0]} {chance.choice('+-*/')} {inner[1]})",
            f"{inner[0]} < {inner[1]} <= {inner[2]}",
            f"(not {inner[0]})",
            f"(-{inner[0]})",
            f"[{inner[0]}, {inner[1]}]",
            f"context.lines[{inner[0]}]",
            f"{function.name}({', '.join((inner * 7)[: chance.randint(function.fewest, min(function.most, 3))])})",
        ]
    )


@given(st.text(max_size=60))
def test_no_template_is_ever_more_than_refused(text: str) -> None:
    for template in (text, f"{{{{{text}}}}}", f"a {{{{ {text} }}}} b {{{{ context.score }}}}"):
        try:
            render(template, SCOPE, NOW)
        except ExpressionRejected as error:
            _check_place(error, template)
