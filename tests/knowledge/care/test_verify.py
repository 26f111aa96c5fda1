"""A store that somebody has damaged: found, told in a sentence, mended, and sound again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.knowledge.conftest import Damage

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.care.findings import Finding
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, NewDocument, StoredSpace
from higherself.knowledge.postgres import PostgresDocuments

pytestmark = pytest.mark.postgres

TEA = NewDocument(
    external_id="tea.md",
    title="Tea",
    text="We serve green tea and black tea.",
    entity="gallery",
    tags=("menu",),
    metadata={"floor": 2},
)
HOURS = NewDocument(
    external_id="hours.md",
    title="Hours",
    text="We open at nine.\n\n" + "On Sundays the doors stay closed until noon. " * 40,
    entity="gallery",
    local_only=True,
)
ADVICE = replace(TEA, text="An hour of advice costs 200 dollars.", entity="practice", title="")
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def filled(hub: KnowledgeHub) -> KnowledgeHub:
    report = await hub.add([TEA, HOURS, ADVICE])
    assert (report.created, report.chunks) == (3, 4)
    return hub


@pytest.fixture
async def space(filled: KnowledgeHub) -> StoredSpace:
    (space,) = await filled._roster.spaces()
    return space


def wrong(findings: list[Finding]) -> dict[str, int]:
    return {each.name.partition(" of local")[0]: each.wrong for each in findings if each.wrong}


async def assert_sound(hub: KnowledgeHub) -> None:
    findings = await hub.verify()
    assert wrong(findings) == {}, findings
    for question, mode in (("green tea", "lexical"), ("what is there to drink", "vector")):
        best = (await hub.search(question, mode=mode, entity="gallery")).hits[0]  # type: ignore[arg-type]
        assert best.document.external_id == "tea.md"
    assert (await hub.search("tea", tags=["menu"], metadata={"floor": 2})).hits
    assert len((await hub.search("hour", entity="practice")).hits) == 1


async def test_a_store_that_nobody_damaged_is_sound(filled: KnowledgeHub) -> None:
    lines: list[str] = []
    findings = await filled.verify(progress=lines.append)
    assert all(finding.ok and finding.wrong == 0 for finding in findings)
    assert len(lines) == len(findings) >= 10
    assert all(finding.detail[0].islower() for finding in findings)
    await assert_sound(filled)


async def test_an_empty_store_is_sound(hub: KnowledgeHub) -> None:
    assert wrong(await hub.verify(repair=True)) == {}


DAMAGES = [
    pytest.param(
        ["DELETE FROM {embedding} WHERE entity = 'gallery'"],
        {"vectors": 3},
        id="vectors are gone",
    ),
    pytest.param(
        ["UPDATE {embedding} SET content_hash = sha256(content_hash) WHERE entity = 'practice'"],
        {"orphans": 1, "vectors": 1},
        id="a vector is of a content that is nowhere",
    ),
    pytest.param(
        ["INSERT INTO embedding_refusal VALUES ({space_id}, 'x', 'gallery', 'too rude', now())"],
        {"orphans": 1},
        id="a refusal is of a content that is nowhere",
    ),
    pytest.param(
        [f"INSERT INTO document_label VALUES ('tag ghost', 'gallery', '{NOBODY}')"],
        {"chunks and labels": 1},
        id="a label is of no document",
    ),
    pytest.param(
        [
            "INSERT INTO chunk (document_id, entity, ordinal, headings, span_start, span_end,"
            f" tokens, text, content_hash) VALUES ('{NOBODY}', 'gallery', 0, '{{{{}}}}', 0, 4, 1,"
            " 'lost', sha256('lost'))"
        ],
        {"chunks and labels": 1, "lexical index": 1},
        id="a chunk is of no document",
    ),
    pytest.param(
        ["UPDATE chunk SET entity = 'practice' WHERE text LIKE '%%green%%'"],
        {"chunks and labels": 1, "lexical index": 2, "orphans": 1, "vectors": 1},
        id="a chunk is under another business",
    ),
    pytest.param(
        ["UPDATE document_label SET entity = 'practice' WHERE entity = 'gallery'"],
        {"chunks and labels": 2},
        id="labels are under another business",
    ),
    pytest.param(
        ["DELETE FROM document_label WHERE label = 'tag menu'"],
        {"labels": 2},
        id="labels are gone",
    ),
    pytest.param(
        ["UPDATE document SET tags = '{{menu,drinks}}' WHERE entity = 'gallery' AND title = 'Tea'"],
        {"labels": 1},
        id="labels are of other tags",
    ),
    pytest.param(
        ["DELETE FROM lexical_posting WHERE term = 'green'"],
        {"lexical index": 1},
        id="a word is not indexed",
    ),
    pytest.param(
        ["DELETE FROM lexical_posting WHERE entity = 'practice'"],
        {"lexical index": 1},
        id="a business is not indexed",
    ),
    pytest.param(
        [
            "INSERT INTO lexical_posting VALUES ('ghost', 'gallery', 999999, 999999, 1, 0,"
            " ARRAY[999999::bigint << 24 | 1 << 16 | 7])"
        ],
        {"lexical index": 1},
        id="a posting is of no chunk",
    ),
    pytest.param(
        ["INSERT INTO lexical_posting VALUES ('ghost', 'stranger', 1, 1, 0, 0, '{{}}')"],
        {"lexical index": 1},
        id="a word is of nothing at all",
    ),
    pytest.param(
        [
            "INSERT INTO lexical_posting SELECT term, entity, 0, last_chunk_id, chunks, length,"
            " postings FROM lexical_posting WHERE term IN ('', 'green')"
        ],
        {"lexical index": 2},
        id="postings are there twice",
    ),
    pytest.param(
        ["UPDATE lexical_posting SET last_chunk_id = 0, first_chunk_id = 0 WHERE term = 'green'"],
        {"lexical index": 1},
        id="a run says that it ends where it does not",
    ),
    pytest.param(
        ["UPDATE chunk SET text = replace(text, 'green', 'white') WHERE text LIKE '%%green%%'",
         "UPDATE chunk SET text = replace(text, 'white', 'green') WHERE text LIKE '%%white%%'"],
        {},
        id="a text was changed and changed back",
    ),
    pytest.param(
        ["UPDATE chunk SET content_hash = sha256('x') WHERE text LIKE '%%green%%'"],
        {"texts": 1, "orphans": 1, "vectors": 1},
        id="a chunk has the hash of another text",
    ),
    pytest.param(
        ["UPDATE {embedding} SET embedding = embedding + embedding WHERE entity = 'gallery'"],
        {"lengths": 3},
        id="vectors are too long",
    ),
    pytest.param(
        ["UPDATE {embedding} SET embedding = embedding - embedding WHERE entity = 'practice'"],
        {"lengths": 1},
        id="a vector points nowhere",
    ),
    pytest.param(["DROP TABLE {embedding}"], {"tables of vectors": 1}, id="the vectors' table is gone"),
    pytest.param(
        [
            "ALTER TABLE {embedding} ALTER embedding TYPE halfvec(5) USING '[1,0,0,0,0]'::halfvec(5)"
        ],
        {"tables of vectors": 1},
        id="the vectors have other dimensions",
    ),
    pytest.param(
        ["UPDATE embedding_space SET dimensions = 5"],
        {"tables of vectors": 1},
        id="the space says other dimensions",
    ),
    pytest.param(
        [
            "CREATE TABLE embedding_30000 (content_hash bytea, entity text, embedding halfvec(3))",
            "ALTER TABLE embedding_30000 OWNER TO higherself",
        ],
        {"separation of businesses": 1, "tables of vectors": 1},
        id="a table of vectors is of no space",
    ),
    pytest.param(
        ["ALTER TABLE chunk NO FORCE ROW LEVEL SECURITY"],
        {"separation of businesses": 1},
        id="row-level security does not bind the owner",
    ),
    pytest.param(
        ["ALTER TABLE {embedding} DISABLE ROW LEVEL SECURITY", "DROP POLICY entity_scope ON entity"],
        {"separation of businesses": 2},
        id="row-level security is off",
    ),
    pytest.param(
        ["CREATE POLICY everything ON document USING (true)"],
        {"separation of businesses": 1},
        id="a second policy lets everything through",
    ),
    pytest.param(
        [
            "DROP POLICY entity_scope ON document",
            "CREATE POLICY entity_scope ON document USING (true)",
        ],
        {"separation of businesses": 1},
        id="the policy says something else",
    ),
    pytest.param(
        [
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'higherself.document_by_time'::regclass"
        ],
        {"indexes": 1},
        id="an index does not work",
    ),
    pytest.param(
        [
            "CREATE INDEX document_by_time_ccnew ON document (changed_at)",
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'higherself.document_by_time_ccnew'::regclass",
        ],
        {"indexes": 1},
        id="an interrupted rebuild has left an index",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "expected"), DAMAGES)
async def test_damage_is_found_and_mended(
    filled: KnowledgeHub,
    space: StoredSpace,
    damage: Damage,
    statements: list[str],
    expected: dict[str, int],
) -> None:
    for statement in statements:
        damage(statement.format(embedding=space.table, space_id=space.space_id).replace("%%", "%"))
    assert wrong(await filled.verify()) == expected
    findings = await filled.verify(repair=True)
    assert all(finding.ok for finding in findings), findings
    assert bool(wrong(findings)) is bool(expected)
    await assert_sound(filled)


async def test_a_text_that_was_changed_is_embedded_and_indexed_as_it_is_now(
    filled: KnowledgeHub, damage: Damage
) -> None:
    damage("UPDATE chunk SET text = replace(text, 'green', 'white')")
    assert wrong(await filled.verify()) == {"texts": 1}
    findings = await filled.verify(repair=True)
    assert wrong(findings) == {"texts": 1, "orphans": 1, "vectors": 1}
    assert all(finding.ok for finding in findings)
    assert wrong(await filled.verify()) == {}
    (hit,) = (await filled.search('"white tea"', entity="gallery")).hits
    assert hit.why.similarity is not None
    assert not (await filled.search("green", mode="lexical")).hits


async def test_a_title_that_was_changed_is_embedded_and_indexed_as_it_is_now(
    filled: KnowledgeHub, damage: Damage
) -> None:
    damage("UPDATE document SET title = 'Infusions' WHERE title = 'Tea'")
    assert all(finding.ok for finding in await filled.verify(repair=True))
    assert wrong(await filled.verify()) == {}
    assert (await filled.search("infusions", mode="lexical", entity="gallery")).hits


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM chunk WHERE ordinal = 0 AND entity = 'gallery'", id="lacks one"),
        pytest.param("DELETE FROM chunk WHERE entity = 'gallery'", id="has none"),
        pytest.param("UPDATE chunk SET text = text || ' And more.'", id="is longer than its place"),
        pytest.param("UPDATE chunk SET span_start = span_start + 3, span_end = span_end + 3 WHERE"
                     " ordinal = 0 AND entity = 'gallery'", id="leaves out what is not blank"),
    ],
)  # fmt: skip
async def test_a_document_without_all_its_chunks_is_taken_in_anew_when_it_is_added_again(
    filled: KnowledgeHub, damage: Damage, statement: str
) -> None:
    damage(statement)
    (found,) = [each for each in await filled.verify(repair=True) if each.name == "documents"]
    assert not found.ok
    assert "add these documents again" in found.detail
    assert (await filled.add([TEA, HOURS, ADVICE])).updated == found.wrong
    await assert_sound(filled)
    texts = {row["external_id"]: row["text"] async for row in filled.export("gallery")}
    assert texts == {"tea.md": TEA.text, "hours.md": HOURS.text}


async def test_blank_lines_that_no_passage_has_are_no_damage(hub: KnowledgeHub) -> None:
    gaps = replace(TEA, text="\n" * 3_000 + "We serve tea." + "\n" * 20_000 + "And milk.\n\n")
    await hub.add([gaps])
    assert wrong(await hub.verify()) == {}
    (exported,) = [row async for row in hub.export()]
    assert exported["text"] == gaps.text


async def test_a_vector_made_elsewhere_of_a_private_text_is_a_breach(
    filled: KnowledgeHub, database: Database, damage: Damage
) -> None:
    store = PostgresDocuments(database, SYSTEM_CLOCK)
    remote = await store.add_space(
        EmbeddingSpace(name="far/3", provider="far", model="far", dimensions=3), on_machine=False
    )
    filled._roster.forget()
    damage(
        f"INSERT INTO {remote.table} SELECT DISTINCT content_hash, entity, '[1,0,0]'::halfvec(3)"
        " FROM chunk"
    )
    breaches = {each.name: each for each in await filled.verify()}
    assert wrong(list(breaches.values())) == {"privacy of far/3": 2}
    assert "has seen the text" in breaches["privacy of far/3"].detail
    assert all(finding.ok for finding in await filled.verify(repair=True))
    assert damage(f"SELECT count(*) FROM {remote.table}") == [(2,)]
    await assert_sound(filled)


async def test_a_text_that_is_private_in_one_document_alone_is_no_breach(
    filled: KnowledgeHub, database: Database, damage: Damage
) -> None:
    await filled.add([replace(TEA, external_id="secret.md", local_only=True)])
    store = PostgresDocuments(database, SYSTEM_CLOCK)
    remote = await store.add_space(
        EmbeddingSpace(name="far/3", provider="far", model="far", dimensions=3), on_machine=False
    )
    filled._roster.forget()
    damage(
        f"INSERT INTO {remote.table} SELECT DISTINCT content_hash, entity, '[1,0,0]'::halfvec(3)"
        " FROM chunk WHERE text LIKE '%green%'"
    )
    assert wrong(await filled.verify()) == {}


async def test_vectors_of_a_caller_with_other_dimensions_are_left_to_him(
    hub: KnowledgeHub, damage: Damage
) -> None:
    given = EmbeddingSpace(name="his/3", provider="his", model="his", dimensions=3)
    await hub.add_embedded([(TEA, [1.0, 0, 0])], space=given)
    damage("UPDATE embedding_space SET dimensions = 4 WHERE name = 'his/3'")
    hub._roster.forget()
    (found,) = [each for each in await hub.verify(repair=True) if not each.ok and each.wrong]
    assert found.name == "tables of vectors"
    assert "3 dimensions, and his/3 has 4" in found.detail


@pytest.fixture
def four_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("postgres", "care.postgres"):
        monkeypatch.setattr(f"higherself.knowledge.{module}.INDEX_FROM", 4)


@pytest.mark.usefixtures("four_are_many")
async def test_a_large_space_without_an_index_gets_one(
    filled: KnowledgeHub, space: StoredSpace, damage: Damage
) -> None:
    damage(f"DROP INDEX {space.table}_nearest")
    assert wrong(await filled.verify()) == {"indexes": 1}
    assert all(finding.ok for finding in await filled.verify(repair=True))
    index = f"higherself.{space.table}_nearest"
    assert damage("SELECT to_regclass(%s) IS NOT NULL", index) == [(True,)]
    damage("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", index)
    assert wrong(await filled.verify()) == {"indexes": 1}
    assert all(finding.ok for finding in await filled.verify(repair=True))
    await assert_sound(filled)


async def test_dead_rows_are_vacuumed_and_a_swollen_index_is_built_anew(
    filled: KnowledgeHub,
    damage: Damage,
    large: Callable[[], tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage("ALTER TABLE document_label SET (autovacuum_enabled = false)")
    damage(
        "INSERT INTO document_label SELECT 'x' || g, 'gallery', gen_random_uuid()"
        " FROM generate_series(1, 20000) AS g"
    )
    damage("DELETE FROM document_label WHERE label LIKE 'x%'")
    table, index = large()
    with monkeypatch.context() as worth:
        worth.setattr("higherself.knowledge.care.findings.WORTH_MENDING", 100_000)
        found = next(each for each in await filled.verify() if each.name.startswith("size"))
        assert "of deleted rows in document_label" in found.detail
        assert "too much in document_label" in found.detail
        assert found.ok, "it works as it is"
        findings = await filled.verify(repair=True)
        assert all(finding.mended == finding.wrong for finding in findings), findings
    smaller_table, smaller_index = large()
    assert smaller_table < table
    assert smaller_index < index / 10
    await assert_sound(filled)


@pytest.fixture
def large(damage: Damage) -> Callable[[], tuple[int, int]]:
    def measured() -> tuple[int, int]:
        ((table, index),) = damage(
            "SELECT pg_relation_size('document_label'), pg_relation_size('document_label_once')"
        )
        return table, index

    return measured


async def test_one_business_is_checked_and_mended_without_the_others(
    filled: KnowledgeHub, damage: Damage, space: StoredSpace
) -> None:
    damage(f"UPDATE {space.table} SET embedding = embedding + embedding")
    damage("DELETE FROM lexical_posting")
    damage("DELETE FROM document_label")
    mine = await filled.verify(entity="practice", repair=True)
    assert wrong(mine) == {"labels": 1, "lexical index": 1, "lengths": 1}
    assert all(finding.ok for finding in mine)
    assert "gallery" not in " ".join(finding.detail for finding in mine)
    assert wrong(await filled.verify(entity="practice")) == {}
    assert wrong(await filled.verify()) == {"labels": 1, "lexical index": 1, "lengths": 3}


async def test_long_checks_tell_how_far_they_are(
    filled: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higherself.knowledge.care.checks.AT_ONCE", 1)
    monkeypatch.setattr("higherself.knowledge.care.checks.TOLD_EVERY", 2)
    lines: list[str] = []
    findings = await filled.verify(progress=lines.append)
    assert [line for line in lines if "texts read" in line] == [
        "2 of 4 texts read",
        "4 of 4 texts read",
    ]
    assert wrong(findings) == {}


async def test_mending_goes_on_beside_adding_and_deleting(
    hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higherself.knowledge.care.postgres.AT_ONCE", 1)

    async def add(part: int) -> None:
        for number in range(12):
            text = f"Note {part} {number} on green tea."
            await hub.add([replace(TEA, external_id=f"{part}-{number}", text=text)])

    async def change() -> None:
        for number in range(12):
            await hub.add([replace(HOURS, text=f"We open at {number}.")])
            await hub.delete(["hours.md"])

    async def mend() -> None:
        while not added.is_set():
            await hub._catalogue.care.rebuild_lexical("gallery")

    added = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        mending = group.create_task(mend())
        async with asyncio.TaskGroup() as writing:
            for work in (add(1), add(2), change()):
                writing.create_task(work)
        added.set()
        await mending
    assert wrong(await hub.verify()) == {}
    assert len((await hub.search("green tea", mode="lexical", limit=50)).hits) == 24
