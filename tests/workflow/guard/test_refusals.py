"""What is no expression, and what the answer says: the problem, the place, what to write instead."""

import warnings

import pytest

from higherself.kernel.errors import Rejected
from higherself.workflow.guard import InvalidExpression, compile_guard, compile_value
from higherself.workflow.guard.syntax import LONGEST, MOST_NODES
from higherself.workflow.guard.tokens import DEEPEST


@pytest.mark.parametrize(
    ("text", "problem", "column"),
    [
        ("", "there is no expression", 1),
        ("   ", "there is no expression", 1),
        # Signs and words of other languages.
        ("a && b", "'&&' is not part of the language; write and", 3),
        ("a || b", "'||' is not part of the language; write or", 3),
        ("!a", "'!' is not part of the language; write not", 1),
        ("a = 1", "'=' is not part of the language; write == to compare", 3),
        ("a === 1", "'===' is not part of the language; write ==", 3),
        ("a <> 1", "'<>' is not part of the language; write !=", 3),
        ("a is None", "'is' is not part of the language; write == to compare", 3),
        ("1 if a else 2", "'if' is not part of the language; use two transitions with a guard each", 3),
        ("a ? 1 : 2", "'?' is not part of the language; use two transitions with a guard each", 3),
        ("{'a': 1}", "'{' is not part of the language; objects are written around", 1),
        ("[x for x in a]", "'for' is not part of the language; any_of() and all_of()", 4),
        ("lambda: 1", "'lambda' is not part of the language", 1),
        ("a := 1", "':=' is not part of the language", 3),
        ("a[1:2]", "':' is not part of the language", 4),
        ("a % 2", "'%' is not part of the language", 3),
        ("a // 2", "'//' is not part of the language", 3),
        ("~a", "'~' is not part of the language", 1),
        ("a; b", "';' is not part of the language", 2),
        ("a # b", "'#' is not part of the language", 3),
        ("a\N{NO-BREAK SPACE}> 1", "'U+00A0' is not part of the language", 2),
        ("a \\\n> 1", "'\\' is not part of the language", 3),
        ("\N{LEFT DOUBLE QUOTATION MARK}a\N{RIGHT DOUBLE QUOTATION MARK}", "is not part of the language", 1),
        ("a\0", "'U+0000' is not part of the language", 2),
        # Names.
        ("context.class == 1", "'class' is a word of the language; write [\"class\"] without the dot", 9),
        ("context.not", "'not' is a word of the language", 9),
        ("context.null", "'null' is a word of the language", 9),
        ("context.__class__", "'__class__' is not part of the language: it begins with __", 9),
        ("\N{LATIN SMALL LIGATURE FI}x", "is not taken as a name", 1),
        # Numbers and texts.
        ("0x10", "'0x10' is neither a number nor a duration", 1),
        ("1_000", "'1_000' is neither a number nor a duration", 1),
        ("1j", "'1j' is neither a number nor a duration", 1),
        ("3days", "'3days' is neither a number nor a duration (500ms, 30s, 5m, 2h, 3d, 1w)", 1),
        ("1.2.3", "'1.2.3' is neither a number nor a duration", 1),
        ("1if", "'1if' is neither a number nor a duration", 1),
        ("007", "a number has no 0 before its first digit", 1),
        ("9223372036854775808", "this number is too large", 1),
        ("1e999", "this number is too large", 1),
        ("1e999d", "this duration is too long", 1),
        ("'abc", "the text that begins with this ' has no end", 1),
        ("'a\nb'", "the text that begins with this ' has no end", 1),
        ("'''a'''", "an operator is missing between two texts", 1),
        ("'a' 'b'", "an operator is missing between two texts", 1),
        ("a == not b", "a not after an operator stands in ( )", 6),
        ("f'{a}'", "an operator is missing before '{a}'", 2),
        ("b'a'", "an operator is missing before 'a'", 2),
        (r"'\d'", "after \\ stands one of", 2),
        (r"'\N{DIGIT ONE}'", "after \\ stands one of", 2),
        (r"'\ud800'", "a text has neither NUL nor half of a surrogate pair", 1),
        (r"'\x00'", "a text has neither NUL nor half of a surrogate pair", 1),
        (r"'\U00110000'", "after \\ stands one of", 2),
        ("'\ud800'", "the text that begins with this ' has no end", 1),
        # Order of things.
        ("1 <", "a value is missing after <", 3),
        ("and a", "a value is missing before and", 1),
        ("a and or b", "a value is missing before or", 7),
        ("a b", "an operator is missing before b", 3),
        ("a 'b'", "an operator is missing before 'b'", 3),
        ("a not b", "an operator is missing before not", 3),
        ("1 + not a", "a not after an operator stands in ( )", 5),
        ("+1", "a value is missing before +", 1),
        ("(a", "this ( is never closed", 1),
        ("len([a)", "this ) closes nothing", 7),
        ("a)", "this ) closes nothing", 2),
        ("()", "a value is missing before )", 2),
        ("a[]", "a value is missing before ]", 3),
        ("[1, 2,]", "a value is missing before ]", 7),
        ("a.", "a value is missing after .", 2),
        ("a.1", "an operator is missing before .1", 2),
        ("a..b", "a name is missing after .", 2),
        ("a.'b'", "a name is missing after .", 2),
        ("a.(b)", "a name is missing after .", 2),
        ("(1, 2)", "a list is written in [ ]", 1),
        ("1, 2", "a list is written in [ ]", 1),
        ("len(*a)", "a value is missing before *", 5),
        # Fields and functions.
        ("lenn(a)", "unknown function 'lenn'; did you mean 'len'?", 1),
        ("eval(a)", "unknown function 'eval'", 1),
        ("len", "'len' is a function; write len(value)", 1),
        ("len()", "this is to be written len(value)", 1),
        ("len(a, b)", "this is to be written len(value)", 1),
        ("now(1)", "this is to be written now()", 1),
        ("context.name.lower()", "values have no functions of their own; write lower(text)", 1),
        ("context.name.strip()", "values have no functions of their own", 1),
        ("a[0](1)", "only a function can be called", 1),
        ("3d(1)", "only a function can be called", 1),
        ("'a'.b", "only a field has fields", 1),
        ("len(a).b", "only a field has fields", 1),
        ("3d.b", "'3d.b' is neither a number nor a duration", 1),
        ("3d[0]", "only a field has fields", 1),
        ("true.b", "only a field has fields", 1),
        ("a[true]", "a key is a text or a whole number", 3),
        ("has('a')", "write has(field), with a field first", 5),
        ("default(1, 2)", "write default(field, value), with a field first", 9),
        # Types that are certain.
        ("1 + 2", "a guard is true or false, and this is a number", 1),
        ("'yes'", "a guard is true or false, and this is a text", 1),
        ("now()", "a guard is true or false, and this is a time", 1),
        ("null", "a guard is true or false, and this is null", 1),
        ("a and 1", "and joins conditions, and this is a number", 7),
        ("'a' or b", "or joins conditions, and this is a text", 1),
        ("not len(a)", "not turns a condition round, and this is a number", 5),
        ("a > true", "> compares two numbers or two texts; this is true or false", 5),
        ("[1] < a", "< compares two numbers or two texts; this is a list", 1),
        ("1 < 'a'", "< compares two numbers or two texts, not a number and a text", 5),
        ("a in 3", "a list, a text or an object can contain something; this is a number", 6),
        ("a * 'b' > 1", "* needs numbers; this is a text", 5),
        ("a + 'b' > 1", "+ needs numbers; this is a text; time() makes a time of a text", 5),
        ("-(a > 1) > 1", "- needs numbers; this is true or false", 3),
        ("now() * 2 > 1", "* needs numbers; this is a time", 1),
        ("any_of(a, 1)", "write any_of(list, condition), and this is a number", 11),
        ("any_of('a', item)", "write any_of(list, condition); this is a text", 8),
        ("all_of(a, any_of(b, item))", "all_of() has no any_of() inside", 11),
    ],
)  # fmt: skip
def test_refused(text: str, problem: str, column: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidExpression) as caught:
            compile_guard(text)
    assert problem in caught.value.problem
    assert caught.value.column == column
    assert 0 <= caught.value.start <= caught.value.end <= len(text)
    str(caught.value).encode()


def test_the_error_shows_the_place() -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_guard("event.amout > 3", known={"event": {"amount": None}})
    assert isinstance(caught.value, Rejected)
    assert str(caught.value) == (
        "unknown field 'event.amout'; did you mean 'event.amount'? at column 1\n"
        "  event.amout > 3\n"
        "  ^^^^^^^^^^^"
    )


def test_the_place_of_a_text_in_lines() -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_guard("größe > 1\n  and 'ä' == lenn(b)\n")
    assert (caught.value.line, caught.value.column) == (2, 14)
    assert str(caught.value) == (
        "unknown function 'lenn'; did you mean 'len'? at line 2, column 14\n"
        "    and 'ä' == lenn(b)\n"
        "               ^^^^"
    )


def test_the_place_in_a_long_line_is_in_sight() -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_guard(" and ".join(["context.vip"] * 50) + " and lenn(b) and " + "c" * 300)
    _, line, carets = str(caught.value).split("\n")
    assert line[carets.index("^") :].startswith("lenn")
    assert len(line) < 130


def test_what_is_shown_plays_no_tricks_on_a_terminal() -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_guard("a '\x1b[31m\ud800")
    assert str(caught.value).replace("\n", "").isprintable()


def test_length_is_limited() -> None:
    text = "a == 1".ljust(LONGEST)
    compile_guard(text)
    with pytest.raises(
        InvalidExpression, match=r"at most 2,000 characters, and this one has 2,001"
    ):
        compile_guard(text + " ")


def test_parts_are_limited() -> None:
    """Every value and operator is a part, and so is every step of a field."""
    fits = "[" + ",".join(["1"] * (MOST_NODES - 1)) + "]"
    compile_value(fits)
    with pytest.raises(InvalidExpression, match="at most 200 parts"):
        compile_value(fits.replace("]", ",1]"))
    with pytest.raises(InvalidExpression, match="at most 200 parts"):
        compile_value("a" + ".b" * MOST_NODES)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1), id="brackets"),
        pytest.param("(" * 999, id="open brackets"),
        pytest.param("- " * 900 + "1", id="minus"),
        pytest.param("not " * 450 + "true", id="not"),
        pytest.param("1" + "+1" * DEEPEST, id="sums"),
        pytest.param("a[" * 400 + "0" + "]" * 400, id="keys"),
        pytest.param("abs(" * 300 + "1" + ")" * 300, id="calls"),
    ],
)
def test_depth_is_limited(text: str) -> None:
    with pytest.raises(InvalidExpression, match=r"at most 20 (levels )?deep"):
        compile_value(text)


def test_what_is_just_deep_enough() -> None:
    compile_value("(" * DEEPEST + "1" + ")" * DEEPEST)
    compile_value("1" + "+1" * (DEEPEST - 1))
