"""Every e-mail that a shipped workflow sends has the facts that its template asks for."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.business.workflows.shipped import DEFINITIONS, is_written, parts

from higherself.business import contact_sequences, tasks
from higherself.business.messages import templates as letters

PASSAGE = {
    "number": 1,
    "title": "Tea",
    "text": "Green tea is steeped at seventy degrees.",
    "name": "A bowl",
}
LISTS = ("passages", "citations", "items")


def sent() -> Iterator[Any]:
    """Yield what each workflow sends by which template."""
    for name in DEFINITIONS:
        for path, activity in parts(name, "skill"):
            given = activity.get("input", {})
            template = given.get("template")
            if activity["skill"] == "send_email" and template and is_written(template):
                yield pytest.param(template, given.get("facts", {}), id=path)


def facts_of(said: Any, name: str = "") -> Any:
    """Return facts as they might be when it is sent."""
    if name in LISTS:
        return [PASSAGE]
    if isinstance(said, dict):
        return {key: facts_of(value, key) for key, value in said.items()}
    if isinstance(said, list | tuple):
        return [facts_of(each) for each in said]
    return "something" if isinstance(said, str) and "{{" in said else said


@pytest.mark.parametrize(("template", "facts"), list(sent()))
def test_a_letter_has_all_that_its_template_asks_for(template: str, facts: Any) -> None:
    business = {"business": "The 7 Space"}
    filled = letters.fill(letters.built_in(template), {**business, **facts_of(facts)})
    assert filled.subject
    assert filled.body.strip()


@pytest.mark.parametrize("name", contact_sequences.sequences())
def test_the_steps_of_a_sequence_can_be_done(name: str) -> None:
    contact = {"full_name": "Ana Ito", "company": None}
    facts: Any = {
        "business": "The 7 Space",
        "client": {"name": "Ana"},
        "contact": contact,
        "link": "",
    }
    for step in contact_sequences.named(name):
        match step.do:
            case "email":
                assert letters.fill(letters.built_in(str(step.template)), facts).body
            case "task":
                assert step.template in tasks.templates()
            case "notify":
                text = letters.Template("step", "", str(step.text))
                assert "Ana" in letters.fill(text, facts).body


def test_a_missing_fact_is_told_by_its_name() -> None:
    with pytest.raises(letters.TemplateRejected, match=r"lead_follow_up.*interest"):
        letters.fill(letters.built_in("lead_follow_up"), {"business": "B", "client": {"name": ""}})
