"""The committed page of the templates says what the definitions say."""

from pathlib import Path

import pytest
from tests.business.workflows.shipped import DEFINITIONS

from higherself.cli.reference_templates import main, templates_page
from higherself.services.setups import is_template, settings_of

PAGE = templates_page()
COMMITTED = Path(__file__).parents[2] / "docs" / "templates.md"


def test_the_page_is_not_stale() -> None:
    said = "run `python -m higherself.cli.reference_templates docs/templates.md`"
    assert COMMITTED.read_text("utf-8") == PAGE, said


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_workflow_has_its_settings_its_states_and_a_picture(name: str) -> None:
    definition = DEFINITIONS[name]
    _, _, rest = PAGE.partition(f"\n### {name}\n")
    section = rest.partition("\n### ")[0]
    assert definition.description in section
    assert f"[{name}](#{name})" in PAGE
    if is_template(definition):
        missing = [e.name for e in settings_of(definition) if f"| `{e.name}` |" not in section]
        assert missing == []
    picture = section.partition("```mermaid\n")[2].partition("```")[0]
    assert [state for state in definition.states if state not in picture] == []
    assert len(picture) < 50_000, "what is longer is not drawn where the page is shown"


def test_the_page_is_written_into_the_file(tmp_path: Path) -> None:
    main([str(tmp_path / "templates.md")])
    assert (tmp_path / "templates.md").read_text("utf-8") == PAGE
