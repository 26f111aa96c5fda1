"""Whether two guards can hold at once: right, or silent."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.workflow.guard import ExpressionFailed, Guard, compile_guard, overlap

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("a >= 70", "a < 70", "never"),
        ("a >= 70", "a <= 70", "sometimes"),
        ("a > 70", "a < 71", "sometimes"),
        ("0 < a < 10", "10 <= a < 20", "never"),
        ("a > 3 and b == 'x'", "a < 10 and b != 'x'", "never"),
        ("a > 3 and b == 'x'", "a < 10", "sometimes"),
        ("a == 'x'", "a == 'y'", "never"),
        ("a in ['x', 'y']", "a == 'z'", "never"),
        ("a in ['x', 'y']", "a in ['y', 'z']", "sometimes"),
        ("a not in ['x', 'y']", "a in ['y', 'z']", "sometimes"),
        ("a != 'x'", "a != 'y'", "sometimes"),
        ("a == 1", "a == true", "never"),
        ("a == null", "a != null", "never"),
        ("vip", "not vip", "never"),
        ("vip", "paid", "sometimes"),
        ("has(x) and x > 3", "not has(x)", "never"),
        ("has(x)", "x > 3", "sometimes"),
        ("'v' in t", "'v' not in t", "never"),
        ("'v' in t", "'w' in t", "sometimes"),
        ("a > 3 or b", "a <= 3 and not b", "never"),
        ("not (a > 3)", "a > 3", "never"),
        ("a > 3", "a == 'x'", "never"),
        ("true", "a.b.c == 'x'", "sometimes"),
        ("false", "true", "never"),
        ("context.score >= 70", "context.score >= 90", "sometimes"),
        ("event.x == 1", "context.x == 2", "sometimes"),
        # Not understood: an example is worth something, its absence is not.
        ("len(x) > 3", "len(x) < 2", "unknown"),
        ("a == b", "a != b", "unknown"),
        ("a + 1 > 3", "a < 2", "unknown"),
        ("x.y > 1", "x == 3", "unknown"),
        ("lines[0] == 1", "lines[0] == 2", "unknown"),
        ("any_of(lines, item > 3)", "true", "unknown"),
        ("len(x) == 5 or y", "y", "sometimes"),
        (" or ".join(f"f{i} == {i}" for i in range(9)), "f0 > 0 and f0 < 0", "unknown"),
        (" and ".join(f"'{i}' in t" for i in range(9)), "'0' not in t", "unknown"),
    ],
)
def test_overlap(one: str, other: str, verdict: str) -> None:
    for pair in ((one, other), (other, one)):
        found = overlap(*map(compile_guard, pair))
        assert found.verdict == verdict
        assert (found.example is not None) is (verdict == "sometimes")


def test_the_example_is_one() -> None:
    one, other = (
        compile_guard("context.a > 3 and b"),
        compile_guard("context.a < 10 and c.d == 'x'"),
    )
    found = overlap(one, other)
    assert found.example == {"context": {"a": 4}, "b": True, "c": {"d": "x"}}


ATOMS = st.sampled_from(
    [
        *(
            "a > 1",
            "a >= 2",
            "a < 2",
            "a == 1",
            "a != 2",
            "1 < a <= 3",
            "a == null",
            "a in ['x', 1]",
        ),
        *("b", "b == true", "has(a)", "has(b)"),
        *("c == 'x'", "c != 'y'", "'x' in c", "'y' not in c", "c in ['x', 'z']"),
    ]
)
GUARDS = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not {}".format, inner.map("({})".format))
    ),
    max_leaves=4,
)
VALUES: list[Any] = [
    0,
    1,
    1.5,
    2,
    2.5,
    3,
    9,
    True,
    False,
    None,
    "",
    "x",
    "y",
    "xy",
    "q",
    [],
    ["x"],
    ["x", "y"],
]
VALUES += [{"x": 1}, -1.0]


@given(GUARDS, GUARDS, st.randoms(use_true_random=False))
def test_never_means_never(one: str, other: str, chance: random.Random) -> None:
    """No scope, however chosen, is one for which both hold; and an example always is."""
    first, second = compile_guard(one), compile_guard(other)
    found = overlap(first, second)
    assert found.verdict != "unknown"
    if found.example is not None:
        assert first(found.example, NOW) is second(found.example, NOW) is True
        return
    for _ in range(200):
        scope = {name: chance.choice(VALUES) for name in "abc" if chance.random() < 0.9}
        assert not (_holds(first, scope) and _holds(second, scope)), scope


def _holds(guard: Guard, scope: dict[str, Any]) -> bool:
    try:
        return guard(scope, NOW)
    except ExpressionFailed:
        return False
