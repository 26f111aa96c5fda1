"""Set-ups of workflows on the pages of the library, in Notion's emulator."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.notion.conftest import requests
from tests.services.notion.status.story import Story, library

from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.following.sightings import Sighting
from higherself.services.notion.setup_blocks import (
    SetupUnreadable,
    SetupWritten,
    read_setup,
    written_setups,
)
from higherself.services.notion.setup_pages import NotionSetups
from higherself.services.setups import Setups

NURSING = """
workflow: greeting
version: 1
context: {settings: {words: Hello}}
schema:
  properties:
    settings:
      required: [link]
      properties:
        link: {type: string, pattern: "^https://", title: Link, description: Where they book}
        words: {type: string, title: Words, description: What is said}
initial: hello
states:
  hello: {on: {heard: {to: done}}}
  done: {final: true}
"""
PAGE = """
How the gallery has it:
```yaml
setup: greeting
entity: the_7_space
settings:
  words: Good day
```
"""


@pytest.mark.postgres
async def test_what_a_page_says_is_set_up_and_what_is_wrong_is_told_there(story: Story) -> None:
    await story.bench.engine.add_text(NURSING, file="greeting.yaml")
    shelf, ada = library(story), story.person()
    page = shelf.adds(ada, "Greeting", PAGE, status="Draft")
    setups = Setups(story.database, story.bench.engine, SYSTEM_CLOCK)
    watcher = NotionSetups(
        setups, story.notion.api, story.notion.writes, story.databases, story.database, SYSTEM_CLOCK
    )

    async def seen() -> str:
        there = await story.notion.api.page(page)
        source = story.databases.data_source("workflows_library")
        assert source is not None
        found = await watcher.see([Sighting(page, there, source.data_source_id)])
        assert not found.failed
        return (await shelf.shown(page))[1].replace("\\", "")

    shown = await seen()
    assert "**Not set up: greeting for the_7_space**" in shown
    assert "link: it has to be set (Where they book)" in shown
    assert await setups.get("the_7_space", "greeting") is None

    ada.replaces(page, "  words: Good day", "  words: Good day\n  link: https://t7s.example")
    assert "**Set up: greeting for the_7_space**" in await seen()
    found = await setups.get("the_7_space", "greeting")
    assert found is not None
    assert found.settings == {"words": "Good day", "link": "https://t7s.example"}
    assert (found.origin, found.set_by.partition(":")[0]) == ("notion", "notion")

    before = len(requests(story.emulator))
    await seen()
    assert all(each["method"] != "PATCH" for each in requests(story.emulator)[before:])

    ada.replaces(page, "entity: the_7_space", "entity: the_7_space\nenabled: false")
    assert "**Disabled: greeting for the_7_space**" in await seen()
    assert "disabled" in str(await setups.refusal("the_7_space", "greeting"))


# --- Reading blocks.


def test_a_block_is_a_setup_if_it_begins_so_and_what_is_ours_is_none() -> None:
    text = f"Hello\n{PAGE}\n```yaml\nworkflow: w\n```\n```\nsetup: other\n```\n"
    assert [each.partition("\n")[0] for each in written_setups(text)] == [
        "setup: greeting", "setup: other"
    ]  # fmt: skip


def test_a_block_is_read() -> None:
    text = written_setups(PAGE)[0]
    assert read_setup(text) == SetupWritten("greeting", "the_7_space", {"words": "Good day"})
    assert read_setup("setup: a\nentity: b\nenabled: false") == SetupWritten("a", "b", {}, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("setup: [", "line 1: this is no YAML"),
        ("- setup", "this is no set-up"),
        ("setup: &a a\nentity: *a", "line 2: .*aliases"),
        ("[" * 5000, "nested too deeply"),
        ("setup: a", "entity: it has to be set"),
        ("setup: 5\nentity: b", "setup: it has to be set"),
        ("setup: a\nentity: b\nsetings: {}", "setings: .* did you mean 'settings'"),
        ("setup: a\nentity: b\nsettings: [1]", "settings: write one on a line"),
        ("setup: a\nentity: b\nenabled: maybe", "enabled: it is 'maybe'"),
        ("setup: a\nentity: b\nsettings: {n: .nan}", "settings"),
        ("setup: a\nentity: b\nsettings: {on: 2026-03-02}", "settings"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_key(text: str, said: str) -> None:
    with pytest.raises(SetupUnreadable, match=said):
        read_setup(text)


@given(st.text())
def test_whatever_stands_in_a_block_is_a_setup_or_refused(text: str) -> None:
    with suppress(SetupUnreadable):
        assert isinstance(read_setup(f"setup: {text}"), SetupWritten)
