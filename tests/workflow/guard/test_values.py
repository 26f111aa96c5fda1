"""What expressions come to: one table of the whole language."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from higherself.kernel.jsonvalue import JsonValue
from higherself.workflow.guard import ExpressionFailed, compile_guard, compile_value

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

SCOPE: dict[str, Any] = {
    "context": {
        "name": "Ann",
        "score": 41,
        "share": 0.5,
        "vip": True,
        "nothing": None,
        "empty": [],
        "tags": ["new", "vip"],
        "lines": [{"price": 3, "kind": "tea"}, {"price": 120, "kind": "bath"}],
        "grid": [[1, 2], [3]],
        "kind": "tea",
        "prices": {"tea": 3, "due date": 7},
        "asked_at": "2026-11-19T12:00:00Z",
        "due": "2026-11-25",
        "größe": "klein",
        "a": {"b": {"c": {"d": {"e": 5}}}},
    },
    "event": {"text": "A sound BATH, please", "amount": "12.50"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Literals.
        ("1", 1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-3", -3),
        ("- - 3", 3),
        ("true", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ('"it\'s"', "it's"),
        (r"'a\n\u00e9\x41\\'", "a\né\x41\\"),
        ("[1, 'a', [true, null], []]", [1, "a", [True, None], []]),
        ("(((1)))", 1),
        # Durations are seconds.
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7_200),
        ("3d", 259_200),
        ("1w", 604_800),
        ("1.5h", 5_400),
        ("1h + 30m", 5_400),
        ("2.d", 172_800),
        ("0s", 0),
        ("1e3ms", 1),
        ("1e2m", 6_000),
        ("3d in[3d]", True),
        ("not.5s>1", True),
        # Fields.
        ("context.score", 41),
        ("context['name']", "Ann"),
        ('context.prices["due date"]', 7),
        ("context.lines[1].price", 120),
        ("context.lines[-1].kind", "bath"),
        ("context.grid[0][1]", 2),
        ("context.prices[context.kind]", 3),
        ("context.lines[len(context.tags) - 1].price", 120),
        ("context.a.b.c.d.e", 5),
        ("context.größe", "klein"),
        ("context", SCOPE["context"]),
        # Logic.
        ("true and false", False),
        ("true or false", True),
        ("not context.vip", False),
        ("not not true", True),
        ("false and context.missing", False),
        ("true or context.missing", True),
        ("context.vip and context.score > 40 and 'vip' in context.tags", True),
        ("false or false or context.vip", True),
        ("true or true and false", True),
        # Order.
        ("context.score >= 41", True),
        ("41 <= context.score", True),
        ("41 < context.score", False),
        ("context.score > 40.5", True),
        ("context.name < 'Bob'", True),
        ("'a' < 'ä' < '字'", True),
        ("40 < context.score < 42", True),
        ("40 < context.score < 41 < context.missing", False),
        ("1 < 2 > 1 != 5", True),
        # Equality: the same JSON, so a number is never true or false.
        ("context.score == 41", True),
        ("context.score == 41.0", True),
        ("1 == true", False),
        ("context.vip == 1", False),
        ("1 != true", True),
        ("context.vip == true", True),
        ("context.nothing == null", True),
        ("context.nothing != null", False),
        ("context.score == '41'", False),
        ("context.name != 'Bob'", True),
        ("context.tags == ['new', 'vip']", True),
        ("[1, [true]] == [1, [1]]", False),
        ("[1, [true]] == [1.0, [true]]", True),
        ("context.lines[0] == context.lines[0]", True),
        ("context.lines[0] == context.lines[1]", False),
        ("context.prices == context.lines", False),
        ("context.nothing == false", False),
        # Membership.
        ("'vip' in context.tags", True),
        ("'vip' not in context.tags", False),
        ("context.name in ['Bob', 'Ann']", True),
        ("context.name not in ['Bob', 'Ann']", False),
        ("context.score in [1, 41]", True),
        ("1 in [true]", False),
        ("true in [1]", False),
        ("true in [1, true]", True),
        ("null in [0, false]", False),
        ("null in [null]", True),
        ("[3] in context.grid", True),
        ("'sound' in event.text", True),
        ("'tea' in context.prices", True),
        ("'nn' in 'Ann'", True),
        ("'x' in []", False),
        # Arithmetic.
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 - 2 - 1", 4),
        ("6 / 2", 3),
        ("7 / 2", 3.5),
        ("9007199254740993 / 1", 9007199254740993),
        ("-context.score", -41),
        ("context.score * context.share", 20.5),
        ("9223372036854775807 - 1", 9223372036854775806),
        # Functions.
        ("has(context.score)", True),
        ("has(context.nothing)", True),
        ("has(context.missing)", False),
        ("has(context.missing.deeper)", False),
        ("has(context.score.deeper)", False),
        ("has(context.tags[1])", True),
        ("has(context.tags[2])", False),
        ("has(missing)", False),
        ("has(context.prices[context.kind])", True),
        ("default(context.missing, 3)", 3),
        ("default(context.nothing, 3)", 3),
        ("default(context.score, 3)", 41),
        ("default(context.score, context.missing)", 41),
        ("len(context.tags)", 2),
        ("len(context.name)", 3),
        ("len(context.prices)", 2),
        ("is_empty(context.empty)", True),
        ("is_empty(context.nothing)", True),
        ("is_empty('')", True),
        ("is_empty(context.tags)", False),
        ("lower(event.text)", "a sound bath, please"),
        ("upper('straße')", "STRASSE"),
        ("startswith(context.name, 'An')", True),
        ("endswith(context.name, 'nn')", True),
        ("contains(context.tags, 'vip')", True),
        ("contains(lower(event.text), 'bath')", True),
        ("contains(context.prices, 'tea')", True),
        ("min(3, 1, 2)", 1),
        ("max([3, 1.5, 2])", 3),
        ("min(['b', 'a'])", "a"),
        ("max(context.score, 50)", 50),
        ("abs(-3)", 3),
        ("abs(2.5)", 2.5),
        ("number(event.amount)", 12.5),
        ("number(' 7 ')", 7),
        ("number('-1e2')", -100.0),
        ("number(3)", 3),
        ("any_of(context.lines, item.price > 100)", True),
        ("any_of(context.lines, item.price > 200)", False),
        ("all_of(context.lines, item.price > 2)", True),
        ("all_of(context.lines, item.price > 3)", False),
        ("any_of(context.tags, item == 'vip')", True),
        ("any_of(context.tags, startswith(item, 'v'))", True),
        ("any_of(context.lines, item.price > context.score and item.kind in ['bath'])", True),
        ("any_of(context.lines, has(item.rebate) and item.rebate)", False),
        ("any_of(context.empty, item > 3)", False),
        ("all_of(context.empty, item > 3)", True),
        ("any_of(context.grid, item[0] == 3)", True),
        ("any_of([1, 2], item > 1)", True),
        # Time.
        ("now()", "2026-11-22T12:00:00+00:00"),
        ("now() + 3d", "2026-11-25T12:00:00+00:00"),
        ("1h + now()", "2026-11-22T13:00:00+00:00"),
        ("now() - 1w", "2026-11-15T12:00:00+00:00"),
        ("now() - context.asked_at", 259_200),
        ("now() - context.asked_at > 2d", True),
        ("context.due - now()", 216_000),
        ("context.asked_at < now()", True),
        ("now() <= context.due", True),
        ("time(context.asked_at) + 3d == now()", True),
        ("time('2026-11-22T13:00+01:00') == now()", True),
        ("time(context.due)", "2026-11-25T00:00:00+00:00"),
        ("days_between(context.asked_at, now())", 3),
        ("days_between(now(), context.due)", 2.5),
        ("days_between(now(), context.asked_at)", -3),
        ("seconds_between(context.asked_at, '2026-11-19T12:00:00.250Z')", 0.25),
        ("max(now(), context.due)", "2026-11-25"),
        ("'0001-01-01T00:00+05:00' < now()", True),
        ("seconds_between('9999-12-31T23:00-05:00', '9999-12-31T23:00-06:00')", 3_600),
        ("startswith(now(), '2026-11')", True),
        ("[now()] == ['2026-11-22T12:00:00+00:00']", True),
        # More than one line.
        ("context.score > 1\n  and context.vip", True),
    ],
)
def test_value(text: str, expected: JsonValue) -> None:
    value = compile_value(text)(SCOPE, NOW)
    assert value == expected
    assert type(value) is type(expected)
    if isinstance(expected, bool):
        assert compile_guard(text)(SCOPE, NOW) is expected


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("", "", True),
        ("", "*", True),
        ("a", "", False),
        ("", "?", False),
        ("invoice-2026.pdf", "invoice-*.pdf", True),
        ("invoice-2026.pdf", "invoice-????.pdf", True),
        ("invoice-2026.pdf", "invoice-???.pdf", False),
        ("invoice-2026.pdf", "*.PDF", False),
        ("aXbXc", "a*b*c", True),
        ("abc", "a*b*c*", True),
        ("ab", "a*ab", False),
        ("aab", "a*ab", True),
        ("mississippi", "*iss?ppi", True),
        ("mississippi", "*i?s*i?p*", True),
        ("mississippi", "m*ss*ss*ss*", False),
        ("a*b", "a?b", True),
        ("[a]", "[a]", True),
        ("line\nline", "l*e", True),
        ("abc", "???*", True),
        ("ab", "???*", False),
        ("xaybz", "*a?b*", True),
    ],
)
def test_matches_glob(text: str, pattern: str, expected: bool) -> None:
    guard = compile_guard("matches_glob(text, pattern)")
    assert guard({"text": text, "pattern": pattern}, NOW) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("context.scor > 1", "there is no field 'context.scor'; did you mean 'context.score'?"),
        ("contxt.score > 1", "there is no field 'contxt'; did you mean 'context'?"),
        ("context.a.b.c.x", "there is no field 'context.a.b.c.x'"),
        ("context.a.b.c.d.x", "there is no field 'context.a.b.c.d.x'"),
        ("context.name.first", "there is no field 'context.name.first': 'context.name' is a text"),
        ("context.name[0]", "there is no field 'context.name[0]': 'context.name' is a text"),
        ("context.nothing.x", "there is no field 'context.nothing.x': 'context.nothing' is null"),
        ("context.tags[2]", "there is no field 'context.tags[2]': 'context.tags' is a list of 2"),
        ("context.prices[3]", "there is no field 'context.prices[3]': 'context.prices' is an object"),
        ("context.prices[event.text]", "there is no field 'context.prices[\"A sound BATH, please\"]'"),
        ("any_of(context.lines, item.cost > 1)", "there is no field 'item.cost'"),
        ("any_of(context.tags, item.cost > 1)", "there is no field 'item.cost': 'item' is a text"),
        ("item", "there is no field 'item'"),
        ("context.name > 1", "> compares two numbers or two texts, not a text and a number"),
        ("1 > context.name", "< compares two numbers or two texts, not a text and a number"),
        ("context.vip > 0", "> compares two numbers or two texts, not true or false and a number"),
        ("context.nothing < context.score", "< compares two numbers or two texts, not null and a number"),
        ("context.tags and true", "a condition is true or false, and this is a list"),
        ("not context.score", "a condition is true or false, and this is a number"),
        ("any_of(context.tags, item)", "a condition is true or false, and this is a text"),
        ("any_of(context.name, item == 1)", "any_of() needs a list, not a text"),
        ("context.name + 1", "+ needs two numbers, not a text and a number"),
        ("context.vip * 2", "* needs two numbers, not true or false and a number"),
        ("-context.name", "- needs a number, not a text"),
        ("1 / (context.score - 41)", "nothing can be divided by 0"),
        ("9223372036854775807 + 1", "the result is too large"),
        ("1e308 * 10", "the result is too large"),
        ("1e308 + 1e308 - 1e308", "the result is too large"),
        ("'x' in context.score", "a list, a text or an object can contain something; this is a number"),
        ("context.score in context.name", "a text can contain a text, not a number"),
        ("1 in context.prices", "an object's keys are texts, not a number"),
        ("len(context.score)", "len() needs a text, a list or an object, not a number"),
        ("lower(context.score)", "lower() needs a text, not a number"),
        ("startswith(context.tags, 'x')", "startswith() needs a text, not a list"),
        ("is_empty(context.score)", "is_empty() needs a text, a list, an object or null, not a number"),
        ("min(context.empty)", "an empty list has no min()"),
        ("min(context.score)", "min() of one value needs a list, not a number"),
        ("max(context.score, context.name)", "max() compares two numbers or two texts"),
        ("max(context.lines)", "max() compares two numbers or two texts"),
        ("abs(context.name)", "abs() needs a number, not a text"),
        ("number(context.name)", "'Ann' is not a number"),
        ("number('nan')", "'nan' is not a number"),
        ("number('1_0')", "'1_0' is not a number"),
        ("number('1e999')", "this number is too large"),
        ("time(context.name)", "'Ann' is not a time such as 2026-01-31T09:00:00Z"),
        ("now() > context.score", "a time is a text such as 2026-01-31T09:00:00Z, not a number"),
        ("now() + 1e12", "this time is out of range"),
        ("time('0001-01-01T00:00+05:00')", "this time is out of range"),
        ("context.asked_at + 3d", "time() makes a time of a text, number() a number"),
    ],
)  # fmt: skip
def test_failure(text: str, problem: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        compile_value(text)(SCOPE, NOW)
    assert problem in f"{caught.value.problem}{caught.value.hint}"


def test_a_guard_is_never_just_something() -> None:
    """Nothing but true holds: no number, text or list does."""
    guard = compile_guard("context.it")
    assert guard({"context": {"it": True}}, NOW) is True
    values: list[JsonValue] = [1, 0, "yes", "", [1], [], None, {}]
    for value in values:
        with pytest.raises(ExpressionFailed, match="a condition is true or false"):
            guard({"context": {"it": value}}, NOW)


def test_the_time_is_the_one_handed_in() -> None:
    guard = compile_guard("now() - context.since > 2h")
    scope = {"context": {"since": "2026-11-22T10:00:00Z"}}
    assert guard(scope, NOW) is False
    assert guard(scope, NOW + timedelta(seconds=1)) is True
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert compile_value("now()")(scope, elsewhere) == "2026-11-22T12:00:00+00:00"


def test_values_are_by_reference_and_lists_as_written_are_new() -> None:
    lines = [1]
    assert compile_value("lines")({"lines": lines}, NOW) is lines
    written = compile_value("['a']")
    assert written({}, NOW) is not written({}, NOW)


def test_objects_that_are_no_json_are_left_alone() -> None:
    """Attributes are never looked at, whatever the scope holds."""

    class Trap:
        secret = "x"

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("an attribute was asked for")

    scope: Any = {"trap": Trap()}
    for text in ("trap.secret", "trap['secret']", "trap[0]", "trap > 1", "trap + 1", "len(trap)"):
        with pytest.raises(ExpressionFailed, match="a Trap, which is not JSON"):
            compile_value(text)(scope, NOW)
