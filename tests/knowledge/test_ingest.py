"""Taking documents in, on the real database with the real model."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from tests.conftest import hub_on

from higherself.db.pool import Database
from higherself.knowledge.errors import ProviderUnavailable, SpaceMismatch
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.ingest import unit
from higherself.knowledge.model import EmbeddingSpace, Failure, IngestReport, NewDocument
from higherself.knowledge.ports import Purpose, Vectors
from higherself.knowledge.providers.local import LocalEmbeddings

pytestmark = pytest.mark.postgres

LATE = NewDocument(
    external_id="late.md",
    title="Late arrival",
    text="# Late arrival\n\nGuests who come more than ten minutes late lose their turn.",
    entity="the_7_space",
    tags=("policy",),
)
SPACE = EmbeddingSpace(name="test/3", provider="test", model="test", dimensions=3)


class Counting:
    """The real model, counting what it is asked to embed, failing when told to."""

    def __init__(self, model: LocalEmbeddings) -> None:
        self._model = model
        self.embedded = 0
        self.fail_after: int | None = None

    @property
    def space(self) -> EmbeddingSpace:
        return self._model.space

    @property
    def window(self) -> int:
        return self._model.window

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._model.count_tokens(texts)

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        if self.fail_after is not None and self.embedded + len(texts) > self.fail_after:
            raise ProviderUnavailable("the model is having a rest")
        self.embedded += len(texts)
        return await self._model.embed(texts, purpose=purpose)

    def close(self) -> None: ...


@pytest.fixture
def counting(local_model: LocalEmbeddings) -> Counting:
    return Counting(local_model)


@pytest.fixture
def hub(database: Database, counting: Counting) -> KnowledgeHub:
    return hub_on(database, counting)


def facts(report: IngestReport) -> dict[str, Any]:
    names = ("documents", "created", "updated", "unchanged", "chunks", "embedded", "reused")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


async def is_sound(hub: KnowledgeHub) -> bool:
    return all(finding.ok for finding in await hub.verify())


def long_text(sections: int) -> str:
    return "\n\n".join(
        f"## Rule {number}\n\n" + f"Room number {number} is opened by the one who came first. " * 14
        for number in range(sections)
    )


async def test_a_document_is_found_once_it_is_added(hub: KnowledgeHub) -> None:
    report = await hub.add([LATE])
    assert facts(report) == {"documents": 1, "created": 1, "chunks": 1, "embedded": 1}
    (hit,) = (await hub.search("what if a guest is not on time")).hits
    assert hit.document.external_id == "late.md"
    assert await is_sound(hub)


async def test_adding_it_again_costs_nothing(hub: KnowledgeHub, counting: Counting) -> None:
    await hub.add([LATE])
    before = counting.embedded
    report = await hub.add([LATE])
    assert facts(report) == {"documents": 1, "unchanged": 1}
    assert counting.embedded == before


async def test_an_edit_embeds_only_the_chunks_that_changed(
    hub: KnowledgeHub, counting: Counting
) -> None:
    text = long_text(8)
    first = await hub.add([replace(LATE, text=text)])
    assert first.chunks >= 4
    before = counting.embedded
    edited = text.replace("Room number 7 is opened", "Room number 7 is closed")
    report = await hub.add([replace(LATE, text=edited)])
    assert report.updated == 1
    assert 1 <= counting.embedded - before <= 2
    assert report.reused == report.chunks - report.embedded
    assert await is_sound(hub)
    assert await whole_text(hub, "late.md") == edited


async def test_moved_sections_keep_their_vectors(hub: KnowledgeHub, counting: Counting) -> None:
    sections = long_text(6).split("\n\n## ")
    text = "\n\n## ".join(sections)
    await hub.add([replace(LATE, text=text)])
    before = counting.embedded
    front = "## Rule 99\n\n" + "A notice that was put in front of all others. " * 20 + "\n\n"
    await hub.add([replace(LATE, text=front + text)])
    assert counting.embedded - before <= 3
    assert await is_sound(hub)
    assert await whole_text(hub, "late.md") == front + text


async def test_attributes_change_without_embedding(hub: KnowledgeHub, counting: Counting) -> None:
    await hub.add([LATE])
    before = counting.embedded
    at = datetime(2026, 3, 4, tzinfo=UTC)
    report = await hub.add([replace(LATE, tags=("new",), metadata={"author": "Ana"}, at=at)])
    assert facts(report) == {"documents": 1, "updated": 1}
    assert counting.embedded == before
    (hit,) = (await hub.search("late", tags=["new"], metadata={"author": "Ana"})).hits
    assert (hit.document.at, hit.document.tags) == (at, ("new",))


async def test_the_same_text_in_two_documents_is_embedded_once_and_survives_one_of_them(
    hub: KnowledgeHub, counting: Counting
) -> None:
    twin = replace(LATE, external_id="copy.md")
    report = await hub.add([LATE, twin])
    assert (report.embedded, report.reused, counting.embedded) == (1, 1, 1)
    await hub.delete(["late.md"])
    (hit,) = (await hub.search("guests who come late", mode="vector")).hits
    assert hit.document.external_id == "copy.md"
    assert await is_sound(hub)


async def test_deleting_takes_every_trace_with_it(hub: KnowledgeHub, database: Database) -> None:
    await hub.add([LATE])
    await hub.delete(["late.md"])
    assert not (await hub.search("guests late turn")).hits
    async with database.transaction() as tx:
        for table in ("document", "chunk", "lexical_posting", "embedding_1"):
            cursor = await tx.connection.execute(
                f"SELECT count(*) FROM {await existing(tx, table)}".encode()
            )
            assert await cursor.fetchone() == (0,), table


async def existing(tx: Any, table: str) -> str:
    if table != "embedding_1":
        return table
    cursor = await tx.connection.execute("SELECT space_id FROM embedding_space")
    (space,) = await cursor.fetchone()
    return f"embedding_{space}"


async def test_failures_stop_nothing(hub: KnowledgeHub) -> None:
    report = await hub.add(
        [
            LATE,
            Failure("gone.pdf", "permission denied"),
            replace(LATE, external_id="empty", text="  \n"),
            replace(LATE, external_id=" "),
            replace(LATE, external_id="nul", text="a\0b"),
            replace(LATE, external_id="half", text="a\ud800b"),
            replace(LATE, external_id="na\0me"),
            replace(LATE, external_id="nan", metadata={"x": float("nan")}),
            replace(LATE, external_id="entity", entity="Not A Slug!"),
            replace(LATE, external_id="second.md", text="Another one."),
        ]
    )
    assert (report.created, len(report.failed), report.documents) == (2, 8, 10)
    reasons = {failure.path: failure.reason for failure in report.failed}
    assert "text is empty" in reasons["empty"]
    assert "NUL" in reasons["nul"]
    assert "surrogate" in reasons["half"]
    assert "metadata.x" in reasons["nan"]
    assert "slug" in reasons["entity"]
    assert await is_sound(hub)


async def test_a_second_document_of_the_same_name_replaces_the_first(hub: KnowledgeHub) -> None:
    report = await hub.add([LATE, replace(LATE, text="Something else altogether.")])
    assert (report.created, report.updated) == (1, 1)
    assert await whole_text(hub, "late.md") == "Something else altogether."


async def test_what_the_model_does_not_embed_is_stored_and_waits(
    hub: KnowledgeHub, counting: Counting
) -> None:
    documents = [
        replace(LATE, external_id=f"{n}.md", text=f"Text number {n}. " * 20) for n in range(220)
    ]
    counting.fail_after = 150
    name = counting.space.name
    report = await hub.add(documents)
    assert (report.created, report.embedded) == (220, 96)
    assert (report.waiting, report.reasons) == ({name: 124}, {name: "the model is having a rest"})
    assert not await is_sound(hub), "it is told, too, that vectors are missing"
    answer = await hub.search("text number 200")
    assert answer.hits[0].document.external_id == "200.md"
    counting.fail_after = None
    (filled,) = await hub.reembed()
    assert (filled.embedded, filled.waiting) == (124, 0)
    assert (await hub.add(documents)).unchanged == 220
    assert await is_sound(hub)


async def test_two_who_add_the_same_documents_at_once_agree(hub: KnowledgeHub) -> None:
    documents = [replace(LATE, external_id=f"{n}.md", text=f"Text number {n}.") for n in range(40)]
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(hub.add(documents)) for _ in range(2)]
    assert sum(one.result().created for one in both) == 40
    assert (await hub.stats())["documents"] == 40
    assert await is_sound(hub)


async def test_two_who_edit_the_same_document_at_once_leave_one_whole_text(
    hub: KnowledgeHub,
) -> None:
    await hub.add([LATE])
    texts = [long_text(n) for n in (2, 3, 4)]
    async with asyncio.TaskGroup() as group:
        for text in texts:
            group.create_task(hub.add([replace(LATE, text=text)]))
    assert await whole_text(hub, "late.md") in texts
    assert await is_sound(hub)


async def test_many_small_additions_are_merged_and_still_found(hub: KnowledgeHub) -> None:
    for number in range(70):
        await hub.add([replace(LATE, external_id=f"{number}.md", text=f"Paper lantern {number}.")])
    assert await is_sound(hub)
    answer = await hub.search("lantern 69", mode="lexical", limit=3)
    assert answer.hits[0].document.external_id == "69.md"
    await hub.delete([f"{number}.md" for number in range(69)])
    assert await is_sound(hub)
    assert len((await hub.search("lantern", mode="lexical")).hits) == 1


async def test_own_vectors_are_found_and_never_meet_those_of_others(hub: KnowledgeHub) -> None:
    await hub.add([LATE])
    east = replace(LATE, external_id="east", text="east")
    north = replace(LATE, external_id="north", text="north")
    report = await hub.add_embedded([(east, [2.0, 0, 0]), (north, [0, 3.0, 0])], space=SPACE)
    assert facts(report) == {"documents": 2, "created": 2, "chunks": 2}
    answer = await hub.search("", mode="vector", vector=[1, 0.1, 0], space="test/3")
    assert [hit.document.external_id for hit in answer.hits] == ["east", "north"]
    assert answer.spaces == ("test/3",)
    with pytest.raises(SpaceMismatch):
        await hub.add_embedded([(east, [1.0, 0])], space=replace(SPACE, dimensions=2))


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param([0.0, 0, 0], id="zero"),
        pytest.param([float("nan"), 0, 0], id="nan"),
        pytest.param([float("inf"), 0, 0], id="infinite"),
        pytest.param([1.0, 0], id="too short"),
        pytest.param([], id="empty"),
    ],
)
async def test_a_vector_that_cannot_be_stored_is_a_failure(
    hub: KnowledgeHub, vector: list[float]
) -> None:
    report = await hub.add_embedded([(LATE, vector)], space=SPACE)
    assert (report.created, len(report.failed)) == (0, 1)
    assert (await hub.stats())["documents"] == 0


def test_unit_keeps_the_direction() -> None:
    assert np.allclose(unit([3.0, 4.0]), [0.6, 0.8])


async def whole_text(hub: KnowledgeHub, name: str) -> str:
    texts = [row["text"] async for row in hub.export() if row["external_id"] == name]
    assert len(texts) == 1
    return str(texts[0])


async def test_verify_finds_and_mends(hub: KnowledgeHub, database: Database) -> None:
    await hub.add([LATE, replace(LATE, external_id="second.md", text="A second one.")])
    async with database.transaction() as tx:
        table = await existing(tx, "embedding_1")
        await tx.connection.execute(f"DELETE FROM {table}".encode())
        await tx.connection.execute("DELETE FROM lexical_posting")
    wrong = {finding.name: finding.wrong for finding in await hub.verify() if not finding.ok}
    assert len(wrong) == 2
    findings = await hub.verify(repair=True)
    assert all(finding.ok for finding in findings)
    assert await is_sound(hub)
    assert len((await hub.search("second", mode="lexical")).hits) == 1
    assert len((await hub.search("second", mode="vector")).hits) == 2
