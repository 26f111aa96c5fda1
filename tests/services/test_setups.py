"""Set-ups: what may be set is set, what is wrong or missing is refused by its name."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.business.workflows.shipped import DEFINITIONS

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.services.setups import (
    NotATemplate,
    NotSetUp,
    SettingsRejected,
    effective,
    is_template,
    problems_of,
    settings_of,
)
from higherself.workflow.definition import load_text

BUSINESS = "the_7_space"
TEXT = """
workflow: greeting
version: {version}
context: {{settings: {{words: Hello, times: 1}}, name: ""}}
schema:
  properties:
    settings:
      required: [link]
      properties:
        link: {{type: string, pattern: "^https://", title: Link, description: Where they book}}
        words: {{type: string, title: Words, description: What is said}}
        times: {{type: integer, minimum: 1, maximum: {most}, title: Times, description: How often}}
initial: hello
states:
  hello: {{on: {{heard: {{to: done}}}}}}
  done: {{final: true}}
"""
LINK = "https://t7s.example"


def greeting(*, version: int = 1, most: int = 9) -> Any:
    text = TEXT.format(version=version, most=most)
    return load_text(text, file="greeting.yaml").definition


GREETING = greeting()
NAMES = st.sampled_from(["link", "words", "times", "wrds", "other"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 12), st.text(max_size=5), st.just(LINK)
)


@given(st.dictionaries(NAMES, VALUES))
def test_settings_that_are_taken_fit_the_schema_and_those_refused_are_named(settings: Any) -> None:
    problems = problems_of(GREETING, settings)
    merged = effective(GREETING, settings)
    fits = (
        settings.keys() <= {"link", "words", "times"}
        and isinstance(merged.get("link"), str)
        and str(merged["link"]).startswith("https://")
        and isinstance(merged["words"], str)
        and type(merged["times"]) is int
        and 1 <= merged["times"] <= 9
    )
    assert (problems == []) == fits
    assert all(each.partition(":")[0] in {"link", "words", "times", *settings} for each in problems)


@pytest.mark.parametrize("name", [n for n, each in DEFINITIONS.items() if is_template(each)])
def test_every_shipped_template_can_be_set_up_by_its_examples(name: str) -> None:
    definition = DEFINITIONS[name]
    schema: Any = definition.schema.source if definition.schema else {}
    described = schema.get("properties", {}).get("settings", {}).get("properties", {})
    needed = [each.name for each in settings_of(definition) if each.required]
    assert problems_of(definition, {n: described[n]["examples"][0] for n in needed}) == []
    assert sorted(problems_of(definition, {})) == sorted(
        each for each in problems_of(definition, {}) if each.partition(":")[0] in needed
    )


# --- In the database.


@pytest.fixture
async def hs(database_url: str) -> AsyncIterator[HigherSelf]:
    settings = {"DATABASE_URL": database_url, "HIGHERSELF_EMBEDDING_TIERS": ("local",)}
    async with HigherSelf.open(Settings.model_validate(settings)) as hs:
        await hs.workflows.add(GREETING)
        plain = "workflow: plain\nversion: 1\ninitial: a\nstates: {a: {final: true}}"
        await hs.workflows.add(load_text(plain, file="plain.yaml").definition)
        yield hs


@pytest.mark.postgres
async def test_what_is_set_stays_until_it_is_set_anew(hs: HigherSelf) -> None:
    setups = hs.setups
    with pytest.raises(SettingsRejected, match=r"link: it has to be set \(Where they book\)"):
        await setups.set_up(BUSINESS, "greeting", {"words": "Hi"}, by="ada")
    assert await setups.all() == []
    await setups.set_up(BUSINESS, "greeting", {"link": LINK, "times": 3}, by="ada")
    kept = await setups.set_up(BUSINESS, "greeting", {"words": "Hi", "times": None}, by="bo")
    assert (kept.settings, kept.set_by) == ({"link": LINK, "words": "Hi"}, "bo")
    anew = await setups.set_up(BUSINESS, "greeting", {"link": LINK}, by="bo", keep=False)
    assert anew.settings == {"link": LINK}
    assert await setups.all(entity="am_consulting") == []
    with pytest.raises(NotATemplate, match="plain has no settings"):
        await setups.set_up(BUSINESS, "plain", {}, by="ada")


@pytest.mark.postgres
async def test_an_instance_begins_with_the_settings_of_its_business(hs: HigherSelf) -> None:
    async def begun(entity: str = BUSINESS, **context: Any) -> Any:
        started = await hs.workflows.start("greeting", context=context, entity=entity)
        return (await hs.workflows.get(started.instance)).snapshot.context["settings"]

    with pytest.raises(SettingsRejected, match="link: it has to be set"):
        await begun()
    await hs.setups.set_up(BUSINESS, "greeting", {"link": LINK, "words": "Hi"}, by="ada")
    assert await begun() == {"link": LINK, "words": "Hi", "times": 1}
    assert (await begun(settings={"words": "Ho"}))["words"] == "Ho"
    with pytest.raises(SettingsRejected, match="am_consulting"):
        await begun("am_consulting")
    with pytest.raises(SettingsRejected, match="times"):
        await begun(settings={"times": 0})


@pytest.mark.postgres
async def test_what_a_trigger_may_start(hs: HigherSelf) -> None:
    async def refusal(workflow: str = "greeting", **more: bool) -> str:
        return await hs.setups.refusal(BUSINESS, workflow, **more) or ""

    assert "has not set up greeting: link" in await refusal()
    assert await refusal("plain") == ""
    assert "has not set up plain" in await refusal("plain", needs_setup=True)
    assert "no_such" in await refusal("no_such")
    with pytest.raises(NotSetUp):
        await hs.setups.disable(BUSINESS, "greeting", by="ada")
    await hs.setups.set_up(BUSINESS, "greeting", {"link": LINK, "times": 9}, by="ada")
    assert await refusal(needs_setup=True) == ""
    await hs.setups.disable(BUSINESS, "greeting", by="ada")
    assert await refusal() == "the_7_space has disabled greeting"
    await hs.setups.disable(BUSINESS, "greeting", by="ada", enabled=True)
    assert await refusal() == ""
    await hs.setups.disable(BUSINESS, "plain", by="ada")
    assert "has disabled plain" in await refusal("plain")
    await hs.workflows.add(greeting(version=2, most=5))
    assert "does not fit any more: times" in (await refusal()).replace("settings.", "")
