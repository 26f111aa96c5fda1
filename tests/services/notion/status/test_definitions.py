import pytest
from tests.notion.conftest import requests
from tests.services.notion.status.story import Story, library

from higherself.kernel.errors import NotFound
from higherself.notion.content import region

pytestmark = pytest.mark.postgres

GREETING = """
How we greet.
```yaml
workflow: greeting
version: {version}
description: Says hello
initial: hello
states:
  hello: {{on: {{heard: {{to: {target}}}}}}}
  done: {{final: true}}
  {more}
```
"""


def text(*, version: int = 1, target: str = "done", more: str = "") -> str:
    return GREETING.format(version=version, target=target, more=more)


async def test_an_active_page_is_loaded_and_shows_its_picture(story: Story) -> None:
    shelf, ada = library(story), story.person()
    page = shelf.adds(ada, "Greeting", text())
    await shelf.cycle()
    loaded = await story.bench.engine.definition("greeting")
    assert loaded.definition.description == "Says hello"
    assert loaded.source.startswith("workflow: greeting")
    _, shown = await shelf.shown(page)
    ours = region(shown, "definition") or ""
    assert "**Loaded: greeting version 1**" in ours
    assert "flowchart TB" in ours
    assert "How we greet." in shown
    before = len(requests(story.emulator))
    await shelf.cycle()
    writes = [each for each in requests(story.emulator)[before:] if each["method"] == "PATCH"]
    assert writes == []
    assert (await story.bench.engine.start("greeting")).state == "hello"


async def test_a_draft_is_left_alone(story: Story) -> None:
    shelf = library(story)
    shelf.adds(story.person(), "Greeting", text(), status="Draft")
    await shelf.cycle()
    with pytest.raises(NotFound):
        await story.bench.engine.definition("greeting")


async def test_what_is_wrong_is_told_on_the_page_with_its_line(story: Story) -> None:
    shelf, ada = library(story), story.person()
    page = shelf.adds(ada, "Greeting", text(target="dune"))
    await shelf.cycle()
    await shelf.cycle()
    with pytest.raises(NotFound):
        await story.bench.engine.definition("greeting")
    properties, shown = await shelf.shown(page)
    assert properties["Problems"].startswith("line 6: states.hello.on.heard.to: ")
    ours = region(shown, "definition") or ""
    assert "**Not loaded: 1 problem**" in ours
    assert "line 6: " in ours

    ada.replaces(page, "to: dune", "to: done")
    await shelf.cycle()
    await shelf.cycle()
    properties, shown = await shelf.shown(page)
    assert properties["Problems"] == ""
    assert "**Loaded: greeting version 1**" in shown
    assert (await story.bench.engine.definition("greeting")).definition.version == 1


async def test_a_definition_in_use_asks_for_another_version(story: Story) -> None:
    shelf, ada = library(story), story.person()
    page = shelf.adds(ada, "Greeting", text())
    await shelf.cycle()
    await story.bench.engine.start("greeting")
    ada.replaces(page, "description: Says hello", "description: Says goodbye")
    await shelf.cycle()
    _, shown = await shelf.shown(page)
    assert "give the new one `version: 2`" in shown.replace("\\", "")
    ada.replaces(page, "version: 1", "version: 2")
    await shelf.cycle()
    assert sorted((await story.bench.engine.workflows())["greeting"]) == [1, 2]
    assert "**Loaded: greeting version 2**" in (await shelf.shown(page))[1]


async def test_a_page_does_not_replace_what_a_file_defines(story: Story) -> None:
    await story.bench.engine.add_text(text().split("```")[1].removeprefix("yaml\n").replace("Says hello", "Of the file"), file="greeting.yaml")  # fmt: skip
    shelf = library(story)
    page = shelf.adds(story.person(), "Greeting", text())
    await shelf.cycle()
    assert "is there already with another content" in (await shelf.shown(page))[1]
    assert (await story.bench.engine.definition("greeting")).definition.description == "Of the file"


async def test_definitions_of_files_are_shown(story: Story) -> None:
    await story.bench.engine.add_text(text().split("```")[1].removeprefix("yaml\n"), file="g.yaml")
    shelf = library(story)
    for _ in range(3):
        await shelf.cycle()
    source = story.databases.data_source("workflows_library")
    assert source is not None
    (page,) = [each async for each in story.notion.api.query(source.data_source_id)]
    properties, shown = await shelf.shown(page["id"])
    assert (properties["Workflow Name"], properties["Version"]) == ("Greeting", "1")
    assert properties["Workflow Steps"] == "hello, done"
    assert "It is defined in a file of the server; change it there." in shown
    assert "flowchart TB" in shown
