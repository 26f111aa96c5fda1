"""The committed reference says what the code says."""

from pathlib import Path

import pytest

from higherself.cli.reference import main, pages
from higherself.kernel.errors import FAMILIES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = pages()
WRITTEN_BY_HAND = {"guards.md", "workflow-definition.md"}


@pytest.mark.parametrize("name", PAGES)
def test_reference_is_not_stale(name: str) -> None:
    committed = (FOLDER / name).read_text("utf-8")
    assert committed == PAGES[name], "run `python -m higherself.cli.reference docs/reference`"


def test_reference_has_no_page_that_nothing_writes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES) | WRITTEN_BY_HAND


def test_every_command_has_an_example() -> None:
    sections = PAGES["commands.md"].split("\n## ")[1:]
    assert [section for section in sections if "\nExample: `" not in section] == []


def test_every_family_has_its_errors() -> None:
    for family in FAMILIES:
        _, _, section = PAGES["errors.md"].partition(f"\n## {family.__name__}\n")
        assert section.partition("\n## ")[0].count("\n| `") >= 1


def test_pages_are_written_into_the_folder(tmp_path: Path) -> None:
    main([str(tmp_path / "reference")])
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "reference").iterdir()}
    assert written == PAGES
