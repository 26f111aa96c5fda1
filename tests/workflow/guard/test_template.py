"""Templates: what becomes of ``{{ }}``."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from higherself.kernel.jsonvalue import JsonValue
from higherself.workflow.guard import (
    ExpressionFailed,
    InvalidExpression,
    compile_template,
    render,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCOPE: dict[str, Any] = {
    "context": {
        "name": "Ann",
        "score": 41,
        "vip": True,
        "nothing": None,
        "tags": ["a", "é"],
        "share": 0.5,
    },
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        (3, 3),
        (None, None),
        # Alone, a value keeps its type.
        ("{{ context.score }}", 41),
        ("{{context.tags}}", ["a", "é"]),
        ("{{ context.nothing }}", None),
        ("{{ context.score > 40 }}", True),
        ("  {{ context.score }}\n", 41),
        ("{{ now() }}", "2026-11-22T12:00:00+00:00"),
        # Among text it becomes text.
        ("Dear {{ context.name }},", "Dear Ann,"),
        ("{{ context.name }}{{ context.name }}", "AnnAnn"),
        ("{{ context.score }}/{{ context.share }}", "41/0.5"),
        ("{{ context.vip }}!", "true!"),
        ("tags: {{ context.tags }}", 'tags: ["a", "é"]'),
        ("{{ default(context.nothing, 'you') }}!", "you!"),
        # Braces that are text.
        ("{ a } }} {", "{ a } }} {"),
        ("{{ '}}' }}", "}}"),
        ('{{ "{{" }} as it is }}', "{{ as it is }}"),
        # In lists and objects; keys stay.
        (["{{ context.score }}", ["x{{ 1 + 1 }}"]], [41, ["x2"]]),
        ({"{{ a }}": {"to": "{{ context.name }}"}}, {"{{ a }}": {"to": "Ann"}}),
    ],
)
def test_rendered(source: JsonValue, expected: JsonValue) -> None:
    value = render(source, SCOPE, NOW)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("source", "problem", "within", "column"),
    [
        ("a {{ b", "this {{ is never closed", (), 3),
        ("{{ 1 }} {{ b } }", "this {{ is never closed", (), 9),
        ("{{}}", "there is no expression", (), 3),
        ("{{ it's }}", "the text that begins with this ' has no end", (), 6),
        ("{{ {{ a }} }}", "'{' is not part of the language", (), 4),
        ({"a": ["ok", "to {{ 1 + }}"]}, "a value is missing after +", ("a", 1), 9),
        ({"a": "{{ contxt.name }}"}, "unknown field 'contxt'; did you mean 'context'?", ("a",), 4),
    ],
)
def test_refused(source: JsonValue, problem: str, within: tuple[Any, ...], column: int) -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_template(source, known={"context": None})
    assert problem in caught.value.problem
    assert (caught.value.within, caught.value.column) == (within, column)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ context.nam }}", "there is no field 'context.nam'; did you mean 'context.name'?"),
        (
            "Dear {{ context.nothing }}",
            "context.nothing is null; write default(context.nothing, ...)",
        ),
        ("x{{ context.name + 1 }}", "+ needs two numbers"),
    ],
)
def test_failed(source: str, problem: str) -> None:
    template = compile_template({"mail": [source]})
    with pytest.raises(ExpressionFailed) as caught:
        template(SCOPE, NOW)
    assert problem in f"{caught.value.problem}{caught.value.hint}"
    assert caught.value.within == ("mail", 0)
    assert caught.value.text == source


def test_a_text_that_would_be_huge_is_refused() -> None:
    template = compile_template("{{ text }}" * 20)
    with pytest.raises(ExpressionFailed, match="longer than 1,000,000 characters"):
        template({"text": "x" * 60_000}, NOW)


def test_reads_are_found_with_their_place() -> None:
    template = compile_template({"to": "{{ context.email }}", "lines": ["a {{ event.x + 1 }}"]})
    assert [(found.within, found.read.path) for found in template.reads] == [
        (("to",), ("context", "email")),
        (("lines", 0), ("event", "x")),
    ]


def test_templates_are_values() -> None:
    template = compile_template(["{{ a }}"])
    assert template == compile_template(["{{ a }}"])
    assert copy.deepcopy(template)({"a": 1}, NOW) == [1]
