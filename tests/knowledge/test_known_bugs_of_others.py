"""Mistakes that are open in other systems, so that they are not made here.

Found by reading the issues of peers; each test names one.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pytest
from tests.conftest import hub_on
from tests.knowledge.words_provider import WordsProvider

from higherself.db.pool import Database
from higherself.knowledge.errors import SpaceMismatch
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, Mode, NewDocument

pytestmark = pytest.mark.postgres

PAGE = NewDocument(
    external_id="page-1",
    title="Deposits",
    text="# Deposits\n\nA deposit is due two weeks ahead.",
    entity="the_7_space",
    source="notion",
    tags=("policy",),
    metadata={"status": "draft"},
)
MODES = get_args(Mode)


@pytest.fixture
def provider() -> WordsProvider:
    return WordsProvider()


@pytest.fixture
def hub(database: Database, provider: WordsProvider) -> KnowledgeHub:
    return hub_on(database, provider)


async def is_sound(hub: KnowledgeHub) -> bool:
    return all(finding.ok for finding in await hub.verify())


async def names(hub: KnowledgeHub, question: str, **given: Any) -> list[str]:
    return [hit.document.external_id for hit in (await hub.search(question, **given)).hits]


@pytest.mark.parametrize("gone", ["page-1", "page-2"])
async def test_a_text_on_two_pages_stays_when_one_of_them_goes(
    hub: KnowledgeHub, provider: WordsProvider, gone: str
) -> None:
    """Documents that share a hash survive, or take the other's vector with them.

    run-llama/llama_index#22706, #23002.
    """
    await hub.add([PAGE, replace(PAGE, external_id="page-2")])
    assert len(provider.embedded) == 1
    await hub.delete([gone])
    kept = {"page-1": "page-2", "page-2": "page-1"}[gone]
    for mode in MODES:
        assert await names(hub, "when is a deposit due", mode=mode) == [kept]
    assert await is_sound(hub)
    await hub.delete([kept])
    for mode in MODES:
        assert await names(hub, "when is a deposit due", mode=mode) == []
    assert await is_sound(hub)


async def test_a_page_that_changes_to_the_text_of_another_and_back(hub: KnowledgeHub) -> None:
    other = replace(PAGE, external_id="page-2", text="Late guests may wait.", title="")
    for text in (other.text, PAGE.text, other.text):
        await hub.add([replace(PAGE, text=text, title=""), other])
        assert await is_sound(hub)
    assert sorted(await names(hub, "late guests", mode="vector")) == ["page-1", "page-2"]


async def test_a_page_that_spans_several_batches_is_embedded_once(
    hub: KnowledgeHub, provider: WordsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged documents are embedded again when their source spans several batches.

    langchain-ai/langchain#32612, #35631, #38955.
    """
    monkeypatch.setattr("higherself.knowledge.ingest.EMBEDDED_AT_ONCE", 3)
    monkeypatch.setattr("higherself.knowledge.ingest.COMPARED_AT_ONCE", 4)
    long = "\n\n".join(
        f"## Rule {n}\n\n" + f"Room {n} is opened by the first. " * 12 for n in range(30)
    )
    pages = [replace(PAGE, text=long)]
    pages += [replace(PAGE, external_id=f"note-{n}", text=f"Note {n} on tea.") for n in range(11)]
    first = await hub.add(pages)
    assert first.chunks > 20
    assert len(provider.embedded) == len(set(provider.embedded)) == first.embedded
    again = await hub.add(pages)
    assert (again.unchanged, again.deleted, again.embedded) == (len(pages), 0, 0)
    assert len(provider.embedded) == first.embedded
    found = (await hub.stats())["documents"]
    assert found == len(pages)
    assert await is_sound(hub)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"status": "published"}}, id="metadata"),
        pytest.param({"metadata": {}}, id="no metadata"),
        pytest.param({"tags": ("policy", "money")}, id="tags"),
        pytest.param({"uri": "https://notion.so/page-1"}, id="address"),
        pytest.param({"at": datetime(2026, 3, 1, tzinfo=UTC)}, id="time"),
        pytest.param({"trust": "external"}, id="trust"),
        pytest.param({"local_only": True}, id="privacy"),
    ],
)
async def test_a_property_that_is_not_embedded_embeds_nothing(
    hub: KnowledgeHub, provider: WordsProvider, change: dict[str, Any]
) -> None:
    """Rows are embedded again when a column changes that has no part in it: timescale/pgai#878."""
    await hub.add([PAGE])
    calls, chunks = (
        provider.calls,
        [chunk["chunk_id"] for chunk in (await hub.show("page-1"))["chunks"]],
    )
    report = await hub.add([replace(PAGE, **change)])
    assert (report.updated, report.embedded, provider.calls) == (1, 0, calls)
    shown = await hub.show("page-1")
    assert [chunk["chunk_id"] for chunk in shown["chunks"]] == chunks
    assert await is_sound(hub)


async def test_adding_again_changes_nothing(hub: KnowledgeHub, provider: WordsProvider) -> None:
    """Adding twice doubles what is found: langchain-ai/langchain#22135, #28447."""
    pages = [PAGE, replace(PAGE, external_id="page-2", text="Late guests may wait.")]
    await hub.add(pages)
    before, calls = [row async for row in hub.export()], provider.calls
    for order in (pages, pages[::-1], [*pages, *pages]):
        report = await hub.add(order)
        assert (report.unchanged, report.created, report.updated) == (len(order), 0, 0)
    assert [row async for row in hub.export()] == before
    assert provider.calls == calls
    assert len(await names(hub, "deposit guests", mode="vector")) == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "filter",
    [
        pytest.param({"tags": ["policy", "no-such-tag"]}, id="a tag"),
        pytest.param({"metadata": {"status": "lost"}}, id="metadata"),
        pytest.param({"sources": ["elsewhere"]}, id="a source"),
        pytest.param({"entity": "another"}, id="a business"),
        pytest.param({"since": datetime(2030, 1, 1, tzinfo=UTC)}, id="a time"),
        pytest.param({"tags": ["policy"], "entity": "another"}, id="a tag in a business"),
    ],
)
async def test_a_filter_that_nothing_passes_finds_nothing(
    hub: KnowledgeHub, mode: Mode, filter: dict[str, Any]
) -> None:
    """An empty filter result counts as no filter, and everything is found."""
    await hub.add([PAGE, replace(PAGE, external_id="page-2", text="A deposit is refunded.")])
    assert len(await names(hub, "deposit", mode=mode)) == 2
    assert await names(hub, "deposit", mode=mode, **filter) == []


async def test_a_phrase_that_nobody_said_finds_nothing(hub: KnowledgeHub) -> None:
    await hub.add([PAGE])
    for mode in MODES:
        assert await names(hub, '"deposit is never due"', mode=mode) == []


async def test_two_spaces_of_different_dimensions_live_in_one_schema(hub: KnowledgeHub) -> None:
    """A second store of another size fails, or answers from the first: one fixed column for all."""
    three, five = (
        EmbeddingSpace(name=f"given/{n}", provider="given", model="given", dimensions=n)
        for n in (3, 5)
    )
    near, far = np.eye(5)[0], np.eye(5)[1]
    for space in (three, five):
        await hub.add_embedded(
            [
                (replace(PAGE, external_id=f"near-{space.dimensions}", text="near"), near[: space.dimensions]),
                (replace(PAGE, external_id=f"far-{space.dimensions}", text="far"), far[: space.dimensions]),
            ],
            space=space,
        )  # fmt: skip
    for space in (three, five):
        answer = await hub.search(
            "", mode="vector", vector=near[: space.dimensions], space=space.name
        )
        assert answer.spaces == (space.name,)
        assert answer.hits[0].chunk.text == "near"
    with pytest.raises(SpaceMismatch):
        await hub.add_embedded([(PAGE, near)], space=replace(three, dimensions=5))
    assert all(finding.ok for finding in await hub.verify(repair=True))
    await hub.delete(["near-3"])
    hits = (await hub.search("", mode="vector", vector=near, space="given/5")).hits
    assert {hit.document.external_id for hit in hits} == {"near-5", "far-5", "far-3"}


async def test_another_model_on_a_filled_store_mixes_nothing(database: Database) -> None:
    """A new model is refused on a filled table, or its vectors are compared with the old ones.

    vectorize-io/hindsight#1884, onyx-dot-app/onyx#13931, timescale/pgai#337.
    """
    old, new = WordsProvider(name="old/32"), WordsProvider(name="new/16", dimensions=16)
    await hub_on(database, old).add([PAGE])
    hub = hub_on(database, new)
    await hub.add([replace(PAGE, external_id="page-2", text="Late guests may wait.", title="")])
    spaces = {space["name"]: space for space in await hub.spaces()}
    assert spaces.keys() == {"old/32", "new/16"}
    answer = await hub.search("deposit", mode="vector")
    assert len(answer.spaces) == 1
    await hub.reembed()
    assert sorted(new.embedded) == sorted({*old.embedded, "Late guests may wait."})
    for mode in MODES:
        assert (await names(hub, "when is a deposit due", mode=mode))[0] == "page-1"
    assert await is_sound(hub)
    async with database.transaction() as tx:
        for number, dimensions in ((1, 32), (2, 16)):
            cursor = await tx.connection.execute(
                "SELECT space_id, dimensions FROM embedding_space ORDER BY space_id OFFSET %s LIMIT 1",
                [number - 1],
            )
            row = await cursor.fetchone()
            assert row is not None
            cursor = await tx.connection.execute(
                f"SELECT DISTINCT vector_dims(embedding) FROM embedding_{row[0]}".encode()
            )
            assert await cursor.fetchall() == [(dimensions,)]


async def test_the_last_of_many_with_one_name_is_what_stays(hub: KnowledgeHub) -> None:
    """Batches are stored beside one another; the order of documents of one name counts still."""
    versions = [replace(PAGE, text=f"Version {n} of the page.") for n in range(12)]
    report = await hub.add(versions)
    assert (report.created, report.updated) == (1, 11)
    given = EmbeddingSpace(name="given/3", provider="given", model="given", dimensions=3)
    other = [(replace(each, external_id="given"), [1.0, 0, n]) for n, each in enumerate(versions)]
    await hub.add_embedded(other, space=given)
    assert {row["text"] async for row in hub.export()} == {"Version 11 of the page."}
