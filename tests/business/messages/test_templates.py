from typing import Any

import pytest

from higherself.business.messages import templates
from higherself.business.messages.templates import (
    Template,
    TemplateRejected,
    TemplateUnknown,
    built_in,
    fill,
)
from higherself.business.messages.text import read

FACTS: dict[str, Any] = {
    "business": "The 7 Space", "client": {"name": "Ana"}, "amount": "$45", "service": "Sound bath", "date": "21 March",
    "time": "18:00", "place": "Studio", "link": "https://x.org/a_b?c=1&d=2", "about": "Hello", "message": "Text",
    "item": "Blue No. 3", "ticket": "ESC-12345678", "severity": "3", "reason": "asked for a person",
    "attempts": ["looked", "asked"], "interest": "yoga", "due": "1 April", "carrier": "UPS", "summary": "All of it",
    "order": "1001", "total": "$90", "items": [{"name": "Mug", "quantity": 2}], "next": "We pack it.", "refunded": True,
    "subject": "Your question", "answer": "Yes.", "answer_within": "2 hours", "citations": [{"number": 1, "title": "Hours"}],
}  # fmt: skip


@pytest.mark.parametrize("name", templates.names())
def test_every_template_can_be_filled_in(name: str) -> None:
    filled = fill(built_in(name), FACTS)
    assert filled.subject
    assert "{{" not in filled.subject + filled.body
    blocks = read(filled.body)
    assert blocks
    links = {span.link for block in blocks for span in block.spans if span.link}
    assert links <= {FACTS["link"]}
    assert not [block for block in blocks if block.kind == "code"]


def test_the_workflows_ask_for_templates_that_exist() -> None:
    from importlib import resources
    from re import findall

    asked = {
        name
        for file in resources.files("higherself.business.workflows").iterdir()
        if file.name.endswith(".yaml")
        for name in findall(r"skill: send_email.*?template: (\w+)", file.read_text())
    }
    assert asked
    assert asked <= set(templates.names())


def test_a_missing_fact_is_named() -> None:
    with pytest.raises(TemplateRejected, match=r"template quote: a fact is missing: .*amount"):
        fill(built_in("quote"), {"client": {"name": "Ana"}, "business": "AM"})


def test_a_template_that_is_not_there() -> None:
    with pytest.raises(TemplateUnknown, match="did you mean 'welcome'"):
        built_in("welcom")


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ client.__init__.__globals__ }}",
        "{% for x in range(10**9) %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{% if %}",
    ],
)
def test_a_template_runs_in_a_sandbox(body: str) -> None:
    with pytest.raises(TemplateRejected):
        fill(Template("mine", "s", body), {"client": {}})


def test_a_fact_is_no_header_and_no_markup() -> None:
    filled = fill(
        Template("mine", "For {{ name }}", "**{{ name }}**"), {"name": "A\r\nBcc: x@y.z *b*"}
    )
    assert filled.subject == "For A Bcc: x@y.z *b*"
    (block,) = read(filled.body)
    assert block.text == "A Bcc: x@y.z *b*"
    assert all(span.bold for span in block.spans)


def test_a_file_without_a_subject_is_none() -> None:
    with pytest.raises(TemplateRejected, match="first line"):
        Template.read("mine", "Dear all")
