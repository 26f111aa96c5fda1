"""Which fields an expression reads, and what is known of them."""

import copy
import pickle

import pytest

from higherself.workflow.guard import Fields, InvalidExpression, Read, compile_guard, compile_value

KNOWN: Fields = {
    "context": {"score": None, "contact": {"email": None, "name": None}, "lines": None},
    "event": None,
    "amount": None,
}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("true", []),
        ("context.score > 1 and event.text == 'a'", ["context.score", "event.text"]),
        ("context.lines[0].price", ["context.lines.*.price"]),
        ("context['due date']", ["context.due date"]),
        ("context.prices[context.kind]", ["context.prices.*", "context.kind"]),
        ("has(context.a) and default(event.b, context.c)", ["context.a?", "event.b?", "context.c"]),
        (
            "any_of(context.lines, item.price > context.limit)",
            ["context.lines", "context.lines.*.price", "context.limit"],
        ),
        ("any_of(context.lines, has(item.price))", ["context.lines", "context.lines.*.price?"]),
        ("item.price", ["item.price"]),
        ("[a, -b, c + d]", ["a", "b", "c", "d"]),
    ],
)
def test_reads(text: str, paths: list[str]) -> None:
    reads = compile_value(text).reads
    assert [_shown(read) for read in reads] == paths
    assert all(0 <= read.start < read.end <= len(text) for read in reads)


def _shown(read: Read) -> str:
    return ".".join("*" if step is None else step for step in read.path) + "?" * read.asked


@pytest.mark.parametrize(
    "text",
    [
        "context.score > 1",
        "context.score.anything.below",
        "event.whatever == 1",
        "context.contact['email'] == 'a'",
        "any_of(context.lines, item.price > 1)",
        "has(context.contact.name)",
        "context.contact[event.key] == 1",
    ],
)
def test_known(text: str) -> None:
    compile_value(text, known=KNOWN)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("context.scor > 1", "unknown field 'context.scor'; did you mean 'context.score'?"),
        ("score > 1", "unknown field 'score'; did you mean 'context.score'?"),
        ("contxt.score > 1", "unknown field 'contxt'; did you mean 'context'?"),
        ("context.contact.mail == 'a'", "unknown field 'context.contact.mail'; did you mean 'context.contact.email'?"),
        ("email == 'a'", "unknown field 'email'; did you mean 'context.contact.email'?"),
        ("has(context.phone)", "unknown field 'context.phone'"),
        ("zzz == 1", "unknown field 'zzz'"),
        ("item.price == 1", "unknown field 'item'"),
    ],
)  # fmt: skip
def test_unknown(text: str, problem: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_guard(text, known=KNOWN)
    assert caught.value.problem.startswith(problem)


def test_guards_are_values() -> None:
    guard = compile_guard("a > 1")
    assert guard == compile_guard("a > 1")
    assert guard != compile_guard("a > 2")
    assert {guard, compile_guard("a > 1")} == {guard}
    assert repr(guard) == "Guard(text='a > 1')"
    for copied in (pickle.loads(pickle.dumps(guard)), copy.deepcopy(guard)):
        assert copied == guard
