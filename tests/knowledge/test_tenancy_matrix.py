"""Two businesses with documents of the same names and texts: every operation by every road, asked
for one of them, neither shows nor touches anything of the other."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.conftest import hub_on
from tests.knowledge.business_rows import ROWS
from tests.knowledge.conftest import Damage
from tests.knowledge.words_provider import WordsProvider

from higherself.cli.main import run
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.ids import ChunkId
from higherself.kernel.jsonvalue import shown
from higherself.knowledge.exported import exported, read_exported
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, NewDocument
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.quotations import quotations, quoted
from higherself.knowledge.search_postgres import SESSION_SETTINGS
from higherself.testing.http import Site, running
from higherself.testing.postgres import in_database

pytestmark = pytest.mark.postgres

MARK = "zebrafish"
"""In whatever the other business alone has."""

PRICES = NewDocument(
    external_id="prices.md",
    title="Prices",
    text='# Prices\n\nThe heron costs 7,400 dollars. "Ask us first."',
    entity="gallery",
    source="desk",
    tags=("public",),
    metadata={"floor": 2},
)
HOURS = replace(
    PRICES, external_id="hours.md", title="Hours", text="We open at nine, heron or not."
)
GIVEN = replace(PRICES, external_id="given.md", title="", text="A heron that came with its vector.")
THEIRS = [replace(each, entity="practice") for each in (PRICES, HOURS)]
ALONE = NewDocument(
    external_id=f"{MARK}.md",
    title=f"About the {MARK}",
    text=f"# The {MARK}\n\nA heron never meets the {MARK}; ask us first about prices.",
    entity="practice",
    source=f"{MARK}-files",
    uri=f"file:///{MARK}.md",
    tags=("public", MARK),
    metadata={"floor": 2, MARK: True},
    trust="external",
)
SPACE = EmbeddingSpace(name="given/3", provider="given", model="given", dimensions=3)

TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'higherself'::regnamespace"
    " AND (relname = 'entity' OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid"
    " AND attname = 'entity')) ORDER BY relname"
)


class Two:
    """What the other business has, and whether something of it can be seen."""

    def __init__(self, rows: list[dict[str, Any]], chunks: list[int]) -> None:
        self.ids = [str(row["document_id"]) for row in rows if row["entity"] == "practice"]
        self.own = [str(row["document_id"]) for row in rows if row["entity"] == "gallery"]
        self.chunks = chunks
        self.lines = [
            shown(exported(row), indent=None).encode()
            for row in rows
            if row["entity"] == "practice"
        ]

    def strange(self, answer: object) -> list[str]:
        """What of the other business is in an answer or an error."""
        text = answer if isinstance(answer, str) else shown(answer)
        known = [MARK, "practice", *self.ids]
        return [each for each in known if each.casefold() in text.casefold()]


async def fill(hub: KnowledgeHub) -> None:
    report = await hub.add([PRICES, HOURS, *THEIRS, ALONE])
    assert report.created == 5
    others = replace(GIVEN, entity="practice"), [0.0, 1.0, 0]
    await hub.add_embedded([(GIVEN, [1.0, 0, 0]), others], space=SPACE)


def everything_of_the_other(damage: Damage) -> Any:
    """All rows of the other business, in every table."""
    rows = {
        table: damage(
            f"SELECT t::text FROM {table} AS t WHERE t::text LIKE '%practice%' ORDER BY 1"
        )
        for (table,) in damage(TABLES)
    }
    assert all(rows[table] for table in ("entity", "document", "chunk", "lexical_posting"))
    return {table: found for table, found in rows.items() if found}


# The hub, as the role that row-level security binds, and as one that it does not.


@pytest.fixture(params=["bound", "superuser"])
async def hub(
    request: pytest.FixtureRequest, server: EmbeddedPostgres, database_url: str
) -> AsyncIterator[KnowledgeHub]:
    url = database_url
    if request.param == "superuser":
        url = in_database(server.admin_url, urlsplit(database_url).path.strip("/"))
    async with open_database(url, connections=3, settings=SESSION_SETTINGS) as database:
        hub = hub_on(database, WordsProvider())
        if request.param == "bound":
            await fill(hub)
        else:
            async with open_database(database_url, connections=2) as bound:
                await fill(hub_on(bound, WordsProvider()))
        yield hub


@pytest.fixture
async def two(hub: KnowledgeHub, damage: Damage) -> Two:
    rows = [row async for row in hub.export()]
    chunks = [
        number for (number,) in damage("SELECT chunk_id FROM chunk WHERE entity = 'practice'")
    ]
    return Two(rows, chunks)


Operation = Callable[[KnowledgeHub, Two], Awaitable[object]]
ME = "gallery"


async def searched(
    hub: KnowledgeHub, question: str = "heron prices ask us first", **given: Any
) -> object:
    answer = await hub.search(question, limit=50, entity=ME, **given)
    return answer, quoted(quotations(answer.hits)).text


async def no_vectors(hub: KnowledgeHub, chunks: list[int]) -> None:
    assert await hub.vectors([ChunkId(chunk) for chunk in chunks], space="given/3", entity=ME) == {}


async def all_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in stream]


READS: dict[str, Operation] = {
    **{
        f"search {mode} {name}": lambda hub, two, mode=mode, given=given: searched(  # type: ignore[misc]
            hub, mode=mode, **given
        )
        for mode in ("hybrid", "vector", "lexical")
        for name, given in {
            "everything": {},
            "by tag": {"tags": ["public"]},
            "by metadata": {"metadata": {"floor": 2}},
            "by source": {"sources": ["desk"]},
            "with neighbours": {"neighbours": 3},
        }.items()
    },
    "search for the other's words": lambda hub, two: searched(hub, f"the {MARK[:4]}"),
    "search a phrase": lambda hub, two: searched(hub, '"ask us first"'),
    "search by a given vector": lambda hub, two: searched(
        hub, mode="vector", vector=[0.1, 1.0, 0], space="given/3"
    ),
    "show by name": lambda hub, two: hub.show("prices.md", entity=ME),
    "show by identifier": lambda hub, two: hub.show(two.own[0], entity=ME),
    "page": lambda hub, two: hub.page(entity=ME),
    "page of a source": lambda hub, two: hub.page(source="desk", entity=ME),
    "page after the other's": lambda hub, two: hub.page(after=max(two.ids), entity=ME),
    "stats": lambda hub, two: hub.stats(entity=ME),
    "spaces": lambda hub, two: hub.spaces(entity=ME),
    "export": lambda hub, two: all_of(hub.export("gallery")),
    "verify": lambda hub, two: hub.verify(entity=ME),
    "find": lambda hub, two: hub.find("gallery", "desk", "prices.md"),
    "sources": lambda hub, two: hub.sources("gallery"),
    "read": lambda hub, two: hub.read("gallery", "desk", ["prices.md", "hours.md"]),
    "vectors of the other's chunks": lambda hub, two: no_vectors(hub, two.chunks),
}
WRITES: dict[str, Operation] = {
    "add": lambda hub, two: hub.add([replace(PRICES, text="The heron is sold.")]),
    "delete by name": lambda hub, two: hub.delete(["prices.md", "hours.md"], entity=ME),
    "delete by identifier": lambda hub, two: hub.delete(two.own, entity=ME),
    "delete by name in a source": lambda hub, two: hub.delete_named(
        "gallery", "desk", ["prices.md"]
    ),
    "prune": lambda hub, two: hub.prune("gallery", "desk", keep=lambda name: False),
    "prune what only the other has": lambda hub, two: hub.prune(
        "gallery", ALONE.source, keep=lambda name: False
    ),
    "forget": lambda hub, two: hub.forget("gallery"),
    "restore the other's backup": lambda hub, two: hub.restore(
        read_exported(io.BytesIO(b"\n".join(two.lines)), name="-"), entity=ME
    ),
    "verify and repair": lambda hub, two: hub.verify(repair=True, entity=ME),
}
REFUSED: dict[str, Operation] = {
    "show the other's identifier": lambda hub, two: hub.show(two.ids[0], entity=ME),
    "show the other's name": lambda hub, two: hub.show(ALONE.external_id[:-3], entity=ME),
    "show what the other has": lambda hub, two: hub.show(ALONE.external_id, entity=ME),
    "delete the other's identifier": lambda hub, two: hub.delete(
        [two.own[0], two.ids[0]], entity=ME
    ),
    "delete what the other has": lambda hub, two: hub.delete([ALONE.external_id], entity=ME),
    "search another space": lambda hub, two: hub.search("a", vector=[1.0], space="no", entity=ME),
    "everything as a slug": lambda hub, two: hub.page(entity="*"),
    "everything to be forgotten": lambda hub, two: hub.forget("*"),
    "no slug at all": lambda hub, two: hub.stats(entity=""),
}


async def test_reading_for_one_business_shows_nothing_of_the_other(
    hub: KnowledgeHub, two: Two, damage: Damage
) -> None:
    before = everything_of_the_other(damage)
    for name, operation in READS.items():
        assert two.strange(await operation(hub, two)) == [], name
    assert everything_of_the_other(damage) == before


@pytest.mark.parametrize("name", WRITES)
async def test_writing_for_one_business_shows_and_touches_nothing_of_the_other(
    hub: KnowledgeHub, two: Two, damage: Damage, name: str
) -> None:
    before = everything_of_the_other(damage)
    assert two.strange(await WRITES[name](hub, two)) == []
    assert everything_of_the_other(damage) == before


async def test_an_error_says_nothing_of_the_other(
    hub: KnowledgeHub, two: Two, damage: Damage
) -> None:
    before = everything_of_the_other(damage)
    for name, operation in REFUSED.items():
        with pytest.raises(HigherSelfError) as raised:
            await operation(hub, two)
        text = f"{raised.value} {raised.value.__cause__ or ''} {vars(raised.value)}"
        for asked in (ALONE.external_id, ALONE.external_id[:-3], *two.ids):
            text = text.replace(asked, "")  # what was asked for may be said again
        assert two.strange(text) == [], name
    assert everything_of_the_other(damage) == before


async def test_what_the_other_has_makes_no_name_ambiguous(hub: KnowledgeHub) -> None:
    with pytest.raises(HigherSelfError, match="several documents"):
        await hub.show("prices.md")
    assert (await hub.show("prices.md", entity=ME))["entity"] == "gallery"


async def test_counts_are_of_one_business(hub: KnowledgeHub, damage: Damage) -> None:
    stats = await hub.stats(entity=ME)
    ((documents, chunks, terms),) = damage(
        "SELECT (SELECT count(*) FROM document WHERE entity = 'gallery'),"
        " (SELECT count(*) FROM chunk WHERE entity = 'gallery'),"
        " (SELECT count(DISTINCT term) FROM lexical_posting WHERE entity = 'gallery')"
    )
    assert (stats["documents"], stats["chunks"], stats["terms"]) == (documents, chunks, terms)
    assert [row["slug"] for row in stats["entities"]] == ["gallery"]


# Raw SQL, as the role of the application.


RLS, FOREIGN_KEY, FINAL = "42501", "23503", "23001"
SCOPES = {"own": "gallery", "none": None, "all": "*", "made up": "nobody", "empty": ""}


@pytest.fixture
def filled(database_url: str, damage: Damage) -> Damage:
    async def run() -> None:
        async with open_database(database_url, connections=2) as database:
            await fill(hub_on(database, WordsProvider()))

    asyncio.run(run())
    damage(
        "INSERT INTO embedding_refusal SELECT space_id, content_hash, entity, 'too long', now()"
        " FROM chunk, embedding_space"
    )
    for statement in ROWS:
        damage(statement)
    return damage


@pytest.fixture
def tables(filled: Damage) -> list[tuple[str, str]]:
    """Every table with rows of businesses, and the column that says whose they are."""
    found = [(table, "slug" if table == "entity" else "entity") for (table,) in filled(TABLES)]
    assert len(found) >= 7
    return found


@pytest.mark.parametrize("scope", SCOPES)
def test_a_statement_reaches_no_row_outside_its_scope(
    filled: Damage, tables: list[tuple[str, str]], database_url: str, scope: str
) -> None:
    own, all_rows = scope == "own", scope == "all"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET search_path = higherself, extensions")
        if SCOPES[scope] is not None:
            connection.execute("SELECT set_config('higherself.entity', %s, false)", [SCOPES[scope]])
        for table, column in tables:
            ((mine, theirs),) = filled(
                f"SELECT count(*) FILTER (WHERE {column} = 'gallery'),"
                f" count(*) FILTER (WHERE {column} <> 'gallery') FROM {table}"
            )
            expected = mine * (own or all_rows) + theirs * all_rows
            for statement in (
                f"SELECT * FROM {table}",
                f"SELECT * FROM {table} WHERE {column} = 'gallery' OR {column} = 'practice'",
                f"UPDATE {table} SET {column} = {column}",
                f"DELETE FROM {table}",
            ):
                with connection.transaction(force_rollback=True):
                    try:
                        touched = connection.execute(statement.encode()).rowcount
                    except psycopg.errors.ForeignKeyViolation:
                        assert table == "entity"  # it has documents
                        continue
                    except psycopg.errors.RestrictViolation:
                        assert table == "workflow_history"  # it is never changed
                        continue
                assert touched == expected, statement


@pytest.mark.parametrize("scope", [name for name in SCOPES if name != "all"])
def test_no_row_gets_into_another_business(
    filled: Damage, tables: list[tuple[str, str]], database_url: str, scope: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET search_path = higherself, extensions")
        connection.execute("SET higherself.entity = '*'")
        for table, _ in tables:  # a row of the other, to be tried again as it is
            connection.execute(f"CREATE TEMP TABLE of_{table} AS SELECT * FROM {table}".encode())
        if SCOPES[scope] is None:
            connection.execute("RESET higherself.entity")
        else:
            connection.execute("SELECT set_config('higherself.entity', %s, false)", [SCOPES[scope]])
        tried = set()
        for table, column in tables:
            theirs = f"SELECT * FROM of_{table} WHERE {column} = 'practice' LIMIT 1"
            if connection.execute(theirs.encode()).fetchone() is None:
                continue  # of another feature, which tests its own
            tried.add(table)
            moved = f"UPDATE {table} SET {column} = 'practice'"
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
                connection.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE {theirs}".encode())
            assert MARK not in str(raised.value)
            if scope == "own":
                with pytest.raises(psycopg.Error) as refused:
                    connection.execute(moved.encode())
                assert refused.value.sqlstate in (RLS, FOREIGN_KEY, FINAL), table
                assert MARK not in str(refused.value)
        assert {"entity", "document", "document_label", "chunk", "lexical_posting"} < tried


@pytest.mark.parametrize("state", ["active", "filling", "retired"])
@pytest.mark.parametrize("on_machine", [True, False])
async def test_every_table_of_vectors_to_come_keeps_the_businesses_apart(
    filled: Damage, database: Database, state: Any, on_machine: bool
) -> None:
    store = PostgresDocuments(database, SYSTEM_CLOCK)
    space = await store.add_space(
        replace(SPACE, name=f"new/{state}"), tier="new", state=state, on_machine=on_machine
    )
    assert filled(
        "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = %s",
        space.table,
    ) == [(True,)]
    assert await hub_on(database, None)._catalogue.care.unprotected() == []


# The command line.


@pytest.fixture
def command(
    filled: Damage,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HIGHERSELF_HOME", str(tmp_path))
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "local")

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out + err

    return call


@pytest.fixture
def rows(filled: Damage, database_url: str) -> Two:
    async def read() -> Two:
        async with open_database(database_url, connections=2) as database:
            return Two([row async for row in hub_on(database, None).export()], [])

    return asyncio.run(read())


def test_a_command_for_one_business_shows_and_touches_nothing_of_the_other(
    filled: Damage, rows: Two, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    backup, page = tmp_path / "backup.jsonl", tmp_path / "page.md"
    backup.write_bytes(b"\n".join(rows.lines))
    page.write_text("A heron.")
    before = everything_of_the_other(filled)
    me = ("--entity", "gallery")
    for expected, *arguments in (
        *((0, "search", "heron prices", "--mode", mode, *me) for mode in ("hybrid", "lexical")),
        (0, "search", "heron prices", "--json", *me),
        (0, "search", "heron prices", "--quoted", *me),
        (0, "show", *me),
        (0, "show", "--json", "--after", max(rows.ids), *me),
        (0, "show", "prices.md", *me),
        (3, "show", rows.ids[0], *me),
        (3, "delete", rows.ids[0], *me),
        (0, "stats", *me),
        (0, "stats", "--json", *me),
        (0, "export", *me),
        (0, "import", backup, "--json", *me),
        (0, "import", backup, "--dry-run", *me),
        (1, "verify", *me),
        (0, "add", page, "--source", ALONE.source[len(MARK) :], "--prune", *me),
        (0, "delete", "prices.md", *me),
        (0, "verify", "--repair", "--json", *me),
        (0, "forget", "gallery", "--yes", "--json"),
    ):
        code, said = command("knowledge", *arguments)
        text = said
        for asked in rows.ids:
            if asked in arguments:
                text = text.replace(asked, "")
        assert (code, rows.strange(text)) == (expected, []), (arguments, said)
        assert everything_of_the_other(filled) == before, arguments


# The API.


@pytest.fixture(scope="module")
def site(server: EmbeddedPostgres) -> Iterator[Site]:
    with running(server) as site:
        yield site


def test_a_route_for_one_business_shows_and_touches_nothing_of_the_other(site: Site) -> None:
    documents, search = "/api/v1/knowledge/documents", "/api/v1/knowledge/search"

    def body(document: NewDocument) -> dict[str, Any]:
        names = ("external_id", "title", "text", "entity", "source", "uri", "metadata")
        return {name: getattr(document, name) for name in names} | {"tags": list(document.tags)}

    given = {"documents": [body(each) for each in (PRICES, HOURS, *THEIRS, ALONE)]}
    assert site.ask("POST", documents, given).json()["created"] == 5
    listed = site.ask("GET", f"{documents}?limit=100").json()["documents"]
    theirs = [row["document_id"] for row in listed if row["entity"] == "practice"]
    before = [site.ask("GET", f"{documents}/{each}").json() for each in theirs]
    question = {"query": "heron prices", "limit": 50, "entity": "gallery", "neighbours": 2}
    requests: list[tuple[int, str, str, Any]] = [
        *((200, "POST", search, {**question, "mode": mode}) for mode in ("hybrid", "vector", "lexical")),
        (200, "POST", search, {**question, "tags": ["public"], "metadata": {"floor": 2}}),
        (200, "POST", search, {**question, "query": '"ask us first"'}),
        (200, "GET", f"{documents}?entity=gallery", None),
        (200, "GET", f"{documents}?entity=gallery&cursor={max(theirs)}", None),
        (200, "GET", f"{documents}/prices.md?entity=gallery", None),
        *((404, method, f"{documents}/{theirs[0]}?entity=gallery", None) for method in ("GET", "DELETE")),
        (422, "GET", f"{documents}?entity=*", None),
        (200, "POST", documents, body(replace(PRICES, text="Sold."))),
        (200, "DELETE", f"{documents}/prices.md?entity=gallery", None),
    ]  # fmt: skip
    for status, method, path, sent in requests:
        answer = site.ask(method, path, sent)
        text = answer.text.replace(theirs[0], "") if theirs[0] in path else answer.text
        assert answer.status == status, (method, path, answer.text)
        assert [each for each in (MARK, "practice", *theirs) if each in text] == [], (path, text)
        assert [site.ask("GET", f"{documents}/{each}").json() for each in theirs] == before
