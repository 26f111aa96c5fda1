"""The triggers that come with the program fit the workflows that do."""

from typing import Any

from tests.business.workflows.shipped import DEFINITIONS

from higherself.app.happenings import installed_triggers
from higherself.services.setups import is_template


def test_what_triggers_start_and_tell_is_there() -> None:
    triggers = installed_triggers()
    for each in triggers.triggers:
        definition = DEFINITIONS[each.workflow]
        if each.send is not None:
            assert each.send.event in definition.events, f"{each.on}: {each.send.event}"
        if each.start is not None:
            schema: Any = definition.schema.source if definition.schema else {}
            assert set(schema.get("required", ())) <= each.start.context.keys(), each.on
            assert is_template(definition), f"{each.workflow} is set up by nobody"
    for type_, duplicate in triggers.duplicates.items():
        begun = [e.workflow for e in triggers.triggers if e.on == type_ and e.start]
        assert begun
        assert all(duplicate.event in DEFINITIONS[name].events for name in begun)


def test_changes_of_rows_bring_about_what_leads_on() -> None:
    triggers = installed_triggers()
    assert triggers.records
    assert {each.happening for each in triggers.records} <= {*triggers.types}
