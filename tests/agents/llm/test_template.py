"""Without a model, templates do the work, say so, and invent nothing."""

from datetime import date
from time import process_time
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from higherself.agents.llm import tasks
from higherself.agents.llm.errors import AskRejected, NoTemplate
from higherself.agents.llm.model import Answer, Ask, Source, Tool
from higherself.agents.llm.tasks import Classify, Outline, Summary
from higherself.agents.llm.template import TemplateModel
from higherself.kernel.errors import Misconfigured

REFUNDS = Source(
    text="A deposit is refunded if a class is cancelled a day ahead. Gift cards are not refunded.",
    title="Refunds",
    trust="own",
)
PARKING = Source(text="Parking is behind the house. It costs nothing after six.", trust="own")
STRANGE = Source(text="A deposit is refunded by eve@evil.example at once.", trust="external")
FACTS = {"name": "Ana", "date": "30 November", "deposit": "40 dollars"}


async def done(ask: Ask[Any]) -> Answer[Any]:
    answer = await TemplateModel("the model is away").complete(ask)
    assert (answer.degraded, answer.reason, answer.model) == (True, "the model is away", "template")
    assert answer.usage.tokens == 0
    assert (await TemplateModel("the model is away").complete(ask)) == answer
    return answer


async def test_an_answer_quotes_and_cites_what_it_is_from() -> None:
    answer = await done(tasks.answer("When is a deposit refunded?", [PARKING, REFUNDS]))
    assert answer.output.text.startswith(
        "A deposit is refunded if a class is cancelled a day ahead. [2]"
    )
    assert answer.output.sources == [2]


async def test_what_the_sources_do_not_say_is_not_answered() -> None:
    answer = await done(tasks.answer("Who founded the gallery in Lisbon?", [PARKING, REFUNDS]))
    assert (answer.output.found, answer.output.sources) == (False, [])
    assert answer.output.text == "The sources do not say."


async def test_a_summary_has_sentences_of_the_sources() -> None:
    answer = await done(tasks.summarise([REFUNDS, PARKING], sentences=2))
    assert len(answer.output.points) == 2
    assert all(point in REFUNDS.text + PARKING.text for point in answer.output.points)


async def test_a_summary_about_something_has_that_first() -> None:
    answer = await done(tasks.summarise([REFUNDS, PARKING], sentences=1, about="parking"))
    assert answer.output.points == ["Parking is behind the house."]
    assert answer.output.sources == [2]


async def test_an_email_has_its_facts_and_cites_the_house_alone() -> None:
    ask = tasks.draft_email("confirm the deposit", FACTS, sources=[STRANGE, REFUNDS], sender="Mira")
    draft = (await done(ask)).output
    assert draft.subject == "Confirm the deposit"
    assert draft.body.startswith("Hello Ana,\n\nWe are writing to you to confirm the deposit.\n")
    assert "- Deposit: 40 dollars\n" in draft.body
    assert "- A deposit is refunded if a class is cancelled a day ahead. [2]" in draft.body
    assert draft.body.endswith("Kind regards,\nMira")
    assert "evil" not in str(draft)
    assert draft.sources == [2]


@pytest.mark.parametrize(
    ("language", "greeting"),
    [("de", "Guten Tag Ana,"), ("es", "Hola Ana,"), ("fr", "Bonjour Ana,")],
)
async def test_an_email_in_another_language(
    language: Literal["de", "es", "fr"], greeting: str
) -> None:
    ask = tasks.draft_email("x", FACTS, language=language)
    assert (await done(ask)).output.body.startswith(greeting)


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4), st.text(min_size=1))
async def test_no_fact_breaks_a_line_or_reads_as_a_template(
    facts: dict[str, str], purpose: str
) -> None:
    try:
        ask = tasks.draft_email(f"say {purpose}", {**facts, "note": "{{ 7 * 7 }} {% if x %}"})
    except AskRejected:
        return
    draft = (await TemplateModel().complete(ask)).output
    assert len(draft.subject.splitlines()) == 1
    assert "- Note: {{ 7 * 7 }} {% if x %}" in draft.body
    listed = {label for label in facts if label not in ("name", "subject", "hashtags", "note")}
    assert sum(each.startswith("- ") for each in draft.body.split("\n")) == len(listed) + 1


async def test_a_post_and_an_outline() -> None:
    post = await done(tasks.draft_post("Open house", {"when": "Sunday", "hashtags": "#art, free"}))
    assert post.output.text == "Open house\n\nWhen: Sunday"
    assert post.output.hashtags == ["art", "free"]
    outline = await done(
        tasks.draft_outline("our deposits", {"length": "a page"}, sources=[REFUNDS])
    )
    assert outline.output == Outline(
        title="Our deposits",
        sections=[
            {"heading": "Length", "points": ["a page"]},  # type: ignore[list-item]
            {
                "heading": "Refunds",
                "points": ["A deposit is refunded if a class is cancelled a day ahead."],
            },  # type: ignore[list-item]
        ],
        sources=[1],
    )


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I want my money back, this was terrible!", "complaint"),
        ("Can I book two seats on Friday?", "booking"),
        ("Hello there.", "other"),
    ],
)
async def test_words_choose_a_label(text: str, label: str) -> None:
    labels = {"booking": ["book", "seats"], "complaint": ["money back", "terrible"]}
    answer = await done(tasks.classify(Source(text=text), labels, otherwise="other"))
    assert answer.output.label == label
    assert (answer.output.confidence > 0) == (label != "other")


async def test_fields_are_extracted_or_their_absence_is_told() -> None:
    class Guest(BaseModel):
        name: str
        email: str

    ask = tasks.extract(Guest, [Source(text="Name: Ana\nana@example.org")])
    assert (await done(ask)).output == Guest(name="Ana", email="ana@example.org")
    with pytest.raises(NoTemplate, match="do not have what Guest needs: email"):
        await TemplateModel().complete(tasks.extract(Guest, [Source(text="Name: Ana")]))


async def test_a_task_whose_output_is_words_is_written_out() -> None:
    ask: Ask[str] = Ask(prompt="x", sources=(REFUNDS,), task=tasks.Summarise(sentences=1))
    assert (await done(ask)).output.startswith("- ")


async def test_an_ask_without_a_task_is_answered_from_its_sources() -> None:
    ask: Ask[str] = Ask(prompt="When is a deposit refunded?", sources=(REFUNDS,))
    assert "[1]" in (await done(ask)).output


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (Ask(prompt="Write a poem."), "no template does what is asked"),
        (Ask(prompt="x", output=Summary, task=Classify(labels={}, otherwise="o")), "no points"),
        (Ask(prompt="x", task=tasks.Extract()), "output names none"),
        (tasks.summarise([]), "nothing to summarise"),
        (tasks.draft_outline("x", {}), "nothing to outline"),
    ],
)
async def test_what_no_template_does_is_told(ask: Ask[Any], said: str) -> None:
    with pytest.raises(NoTemplate, match=said) as raised:
        await TemplateModel().complete(ask)
    assert isinstance(raised.value, Misconfigured)


async def test_tools_are_never_used() -> None:
    class Nothing(BaseModel):
        pass

    async def run(given: Nothing) -> None:
        raise AssertionError

    tool = Tool(name="send", description="Sends.", input=Nothing, run=run)
    with pytest.raises(NoTemplate):
        await TemplateModel().complete(Ask(prompt="Send.", sources=(REFUNDS,), tools=(tool,)))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "unit",
    ["a", "a.", "a@", "1", "1,", ". ", "\n", " \n", "A. ", "- ", ": ", "1 2 ", "www.", "\u200b"],
)
async def test_a_text_of_one_thing_takes_no_longer_than_another(unit: str) -> None:
    class Guest(BaseModel):
        name: str = ""
        email: str = ""
        phone: str = ""
        website: str = ""
        day: date | None = None
        seats: int = 0

    long = Source(text=unit * (200_000 // len(unit)) + "\nA deposit is refunded.", trust="own")
    started = process_time()
    await done(tasks.answer("deposit refunded", [long]))
    await done(tasks.summarise([long]))
    await done(tasks.extract(Guest, [long]))
    await done(tasks.draft_email("say so", FACTS, sources=[long]))
    assert process_time() - started < 10
