"""The right to be forgotten: nothing is left, that is proven, and the bytes go when asked."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import hub_on
from tests.knowledge.conftest import Damage
from tests.knowledge.words_provider import WordsProvider

from higherself.db.embedded import EmbeddedPostgres
from higherself.db.pool import Database
from higherself.kernel.errors import Conflict
from higherself.knowledge.erasure import Erased, Shredded, proven
from higherself.knowledge.errors import DocumentNotFound, TracesLeft
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, NewDocument

SECRET = "zyqvorblatt"
ANA = NewDocument(
    external_id=f"client-{SECRET}.md",
    title=f"About {SECRET}",
    text=f"# The wishes of {SECRET}\n\nShe wants {SECRET} tea.",
    uri=f"file:///{SECRET}.md",
    entity="gallery",
    source=f"desk-{SECRET}",
    tags=(f"tag-{SECRET}",),
    metadata={"client": {"name": SECRET}},
    at=datetime(2026, 3, 1, tzinfo=UTC),
)
HOURS = NewDocument(external_id="hours.md", text="We open at nine.", entity="gallery")
OTHERS = [
    replace(HOURS, external_id=f"{n}.md", title=f"Note {n}", text=f"Note {n} on tea.")
    for n in range(5)
]
GIVEN = EmbeddingSpace(name="his/3", provider="his", model="his", dimensions=3)

TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'higherself'::regnamespace"
)

postgres = pytest.mark.postgres


@pytest.fixture
def hub(database: Database) -> KnowledgeHub:
    return hub_on(database, WordsProvider())


def test_what_is_left_is_an_error_that_says_where() -> None:
    clean = Erased(1, {"document": 0, "chunk": 0})
    assert proven(clean) is clean
    with pytest.raises(TracesLeft, match="2 in chunk, 1 in embedding_1") as raised:
        proven(Erased(1, {"document": 0, "chunk": 2, "embedding_1": 1}))
    assert raised.value.left == {"chunk": 2, "embedding_1": 1}


def test_a_shredding_is_complete_when_nothing_was_skipped_and_nothing_is_seen() -> None:
    assert Shredded(12).complete
    assert not Shredded(12, skipped=("permission denied",)).complete
    assert not Shredded(12, unseen={"chunk": 1}).complete
    assert Shredded(12, unseen={"chunk": 0}).complete


@postgres
async def test_deleting_takes_every_row_with_it(hub: KnowledgeHub, damage: Damage) -> None:
    await hub.add([ANA, HOURS, *OTHERS])
    await hub.add_embedded([(replace(ANA, source="given"), [1.0, 0, 0])], space=GIVEN)
    before = [row async for row in hub.export()]
    ids = [str(row["document_id"]) for row in before if SECRET in str(row)]
    assert len(ids) == 2
    erased = await hub.delete(ids)
    assert sorted(map(str, erased.ids)) == sorted(ids)
    assert set(erased.proof.values()) == {0}
    tables = [name for (name,) in damage(TABLES)]
    vectors = {name for name in tables if re.fullmatch(r"embedding_\d+", name)}
    looked_at = {"document", "document_label", "chunk", "lexical_posting", "embedding_refusal"}
    looked_at |= {"notion_document"}  # what a page of Notion became
    assert erased.proof.keys() == looked_at | vectors
    for table in tables:
        found = damage(f"SELECT count(*) FROM {table} AS t WHERE t::text ILIKE '%{SECRET}%'")
        assert found == [(0,)], table
    assert all(finding.ok for finding in await hub.verify())


@postgres
async def test_a_vector_that_another_document_needs_is_no_trace(hub: KnowledgeHub) -> None:
    await hub.add([HOURS, replace(HOURS, external_id="copy.md")])
    assert set((await hub.delete(["hours.md"])).proof.values()) == {0}
    assert len((await hub.search("open", mode="vector")).hits) == 1
    assert all(finding.ok for finding in await hub.verify())


OF_HOURS = {
    "document": "title = '' AND external_id = 'hours.md'",
    "document_label": "label = 'tag open'",
    "chunk": "text LIKE '%nine%'",
    "lexical_posting": "term = 'nine'",
    "embedding": "content_hash IN (SELECT content_hash FROM chunk WHERE text LIKE '%nine%')",
}


@postgres
@pytest.mark.parametrize("table", OF_HOURS)
async def test_a_row_that_is_left_is_found(hub: KnowledgeHub, damage: Damage, table: str) -> None:
    await hub.add([replace(HOURS, tags=("open",)), *OTHERS])
    ((space,),) = damage("SELECT space_id FROM embedding_space")
    name = f"embedding_{space}" if table == "embedding" else table
    damage(f"CREATE TEMP TABLE kept AS SELECT * FROM {name} WHERE {OF_HOURS[table]}")
    page = await hub.page()
    (document,) = [row["document_id"] for row in page if row["external_id"] == "hours.md"]
    deleted = await hub._store.delete([document])
    erasure = hub._catalogue.erasure
    assert set((await erasure.left_of(deleted)).values()) == {0}
    damage(f"INSERT INTO {name} SELECT * FROM kept")
    left = await erasure.left_of(deleted)
    assert {table: rows for table, rows in left.items() if rows} == {name: 1}


@postgres
async def test_a_word_of_nothing_is_a_trace(hub: KnowledgeHub, damage: Damage) -> None:
    await hub.add([HOURS])
    damage("INSERT INTO lexical_posting VALUES ('secretword', 'gallery', 1, 1, 0, 0, '{}')")
    with pytest.raises(TracesLeft, match="1 in lexical_posting"):
        await hub.delete(["hours.md"])
    assert (await hub.stats())["documents"] == 0
    assert all(finding.ok for finding in await hub.verify(repair=True))


@postgres
async def test_forgetting_a_business_takes_every_row_with_it(
    hub: KnowledgeHub, damage: Damage
) -> None:
    await hub.add([ANA, *OTHERS, replace(ANA, entity="practice")])
    await hub.add_embedded([(replace(ANA, source="given"), [1.0, 0, 0])], space=GIVEN)
    ((space,),) = damage("SELECT min(space_id) FROM embedding_space")
    damage("INSERT INTO embedding_refusal VALUES (%s, 'x', 'gallery', 'rude', now())", space)
    damage(
        "INSERT INTO message (message_id, entity, topic, source, type, time, correlation_id,"
        " hop_count, data, priority, status, due_at, leased_until, leased_by)"
        " SELECT gen_random_uuid(), slug, 't', 's', 't', now(), 'c', 0, '{}', 1, 'leased', now(),"
        " now(), 'somebody' FROM entity"
    )
    damage("INSERT INTO message_inbox SELECT message_id, topic, entity, now() FROM message")
    erased = await hub.forget("gallery")
    assert (erased.documents, set(erased.proof.values())) == (7, {0})
    assert {"message", "message_inbox"} <= set(erased.proof)
    assert damage("SELECT DISTINCT entity FROM message") == [("practice",)]
    assert set(erased.proof) == {
        name
        for (name,) in damage(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'higherself'"
            " AND column_name = 'entity' UNION SELECT 'entity'"
        )
    }
    assert [row["slug"] for row in (await hub.stats())["entities"]] == ["practice"]
    assert all(finding.ok for finding in await hub.verify())


@postgres
async def test_a_forgotten_table_of_vectors_keeps_a_business_from_being_forgotten(
    hub: KnowledgeHub, damage: Damage
) -> None:
    await hub.add([ANA])
    ((space,),) = damage("SELECT space_id FROM embedding_space")
    damage(f"CREATE TABLE embedding_31000 AS SELECT * FROM embedding_{space}")
    damage("ALTER TABLE embedding_31000 OWNER TO higherself")
    with pytest.raises(TracesLeft, match="in embedding_31000"):
        await hub.forget("gallery")
    assert all(finding.ok for finding in await hub.verify(repair=True))
    assert set((await hub.forget("gallery")).proof.values()) == {0}


@postgres
async def test_what_is_not_there_cannot_be_deleted_and_then_nothing_is(hub: KnowledgeHub) -> None:
    await hub.add([HOURS])
    with pytest.raises(DocumentNotFound):
        await hub.delete(["hours.md", "00000000-0000-7000-8000-000000000000"])
    assert (await hub.stats())["documents"] == 1


@pytest.fixture
def files_with_the_secret(server: EmbeddedPostgres, damage: Damage) -> Callable[[], dict[str, str]]:
    """Reads every file of this database, and says of which table those are that hold the secret."""

    def found() -> dict[str, str]:
        damage("CHECKPOINT")
        ((database, names),) = damage(
            "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text,"
            " (SELECT json_object_agg(relfilenode::text, oid::regclass::text) FROM pg_class"
            " WHERE relfilenode > 0)"
        )
        folder = Path(server._layout.data) / "base" / database
        holding = {}
        for path in folder.iterdir():
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            if SECRET.encode() in data:
                holding[path.name] = names.get(path.name.partition("_")[0].partition(".")[0], "?")
        return holding

    return found


@postgres
@pytest.mark.parametrize("version", [170000, 180000])
async def test_shredding_leaves_no_byte_in_any_file_of_the_database(
    hub: KnowledgeHub,
    database: Database,
    damage: Damage,
    files_with_the_secret: Callable[[], dict[str, str]],
    version: int,
) -> None:
    database.inspection = replace(database.inspection, server_version=version)
    await hub.add([ANA, *OTHERS])
    damage("ANALYZE")
    before = set(files_with_the_secret().values())
    assert {"document", "chunk", "document_label", "lexical_posting"} <= before
    assert "pg_statistic" in before, "the planner's statistics quote it"
    await hub.delete([ANA.external_id])
    after = set(files_with_the_secret().values())
    assert {"document", "chunk"} <= after, "deleted is not overwritten"
    lines: list[str] = []
    shredded = await hub.shred(progress=lines.append)
    assert shredded.complete
    assert len(lines) == shredded.tables
    assert files_with_the_secret() == {}
    assert all(finding.ok for finding in await hub.verify())
    assert len((await hub.search("note tea", mode="lexical")).hits) == 5


@postgres
async def test_what_is_added_while_a_business_is_forgotten_is_there_whole_or_not_at_all(
    hub: KnowledgeHub,
) -> None:
    async def forget() -> None:
        for _ in range(15):
            with suppress(Conflict):
                await hub.forget("gallery")

    async def add(part: int) -> None:
        for number in range(15):
            document = replace(HOURS, external_id=f"{part}-{number}", text=f"Note {part} {number}")
            with suppress(Conflict):
                await hub.add([document])

    async with asyncio.TaskGroup() as group:
        for part in range(2):
            group.create_task(add(part))
        group.create_task(forget())
    assert all(finding.ok for finding in await hub.verify())
    assert set((await hub.forget("gallery")).proof.values()) == {0}
