from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path

import psycopg
import pytest

import higherself
from higherself.db.queryfile import Queries, Query, Slots
from higherself.messaging.statements import PARTS
from higherself.workflow.engine.writing import INLINE

FILES = {
    "agents/queries.sql": "higherself.agents.roster",
    "a2a/queries.sql": "higherself.a2a.store",
    "app/escalations.sql": "higherself.app.escalations",
    "app/demo.sql": "higherself.app.demo_notion",
    "agents/llm/ledger.sql": "higherself.agents.llm.ledger_postgres",
    "agents/coordination/queries.sql": "higherself.agents.coordination.postgres",
    "agents/skills/queries.sql": "higherself.agents.skills.store_postgres",
    "db/queries.sql": "higherself.db.inspection",
    "knowledge/care/queries.sql": "higherself.knowledge.care.postgres",
    "knowledge/erasure.sql": "higherself.knowledge.erasure_postgres",
    "knowledge/ledger.sql": "higherself.knowledge.ledger_postgres",
    "knowledge/queries.sql": "higherself.knowledge.postgres",
    "messaging/bus.sql": "higherself.messaging.subscribing",
    "messaging/care.sql": "higherself.messaging.care",
    "messaging/inline.sql": "higherself.workflow.engine.writing",
    "messaging/nats/queries.sql": "higherself.messaging.nats.drain",
    "messaging/queries.sql": "higherself.messaging.statements",
    "notion/databases/queries.sql": "higherself.notion.databases.lookup",
    "notion/following/queries.sql": "higherself.notion.following.postgres",
    "notion/gateway/queries.sql": "higherself.notion.gateway.postgres",
    "flows/queries.sql": "higherself.flows.stage",
    "inbound/queries.sql": "higherself.inbound.store",
    "outbound/queries.sql": "higherself.outbound.ledger",
    "services/contacts.sql": "higherself.services.contacts",
    "services/happenings.sql": "higherself.services.happenings",
    "services/human_tasks.sql": "higherself.services.human_tasks",
    "services/setups.sql": "higherself.services.setups",
    "services/collaboration/queries.sql": "higherself.services.collaboration.collaborations",
    "services/notion/conflicts.sql": "higherself.services.notion.conflicts",
    "services/notion/generated.sql": "higherself.services.notion.generated",
    "services/notion/knowledge.sql": "higherself.services.notion.knowledge",
    "services/notion/definitions.sql": "higherself.services.notion.definitions",
    "services/notion/setup_pages.sql": "higherself.services.notion.setup_pages",
    "services/notion/status.sql": "higherself.services.notion.status_store",
    "services/notion/records.sql": "higherself.services.notion.record_store",
    "workflow/engine/queries.sql": "higherself.workflow.engine.writing",
}
"""Every file of queries, and the module that reads it."""

FRAGMENTS = {
    "bm25",
    "unrestricted",
    "among_chunks",
    "among_allowed",
    "conditions",
    "holders",
    "private",
    "orphaned",
    "create_instances",
    "create_nothing",
    "nothing",
    "every_instance",
    "of_status",
    "of_workflow",
    "of_workflow_and_status",
    "in_state",
    "of_entity",
}
"""What stands inside other queries."""


def every_query() -> list[tuple[str, Query, Queries]]:
    found = []
    for module in dict.fromkeys(FILES.values()):
        queries: Queries = import_module(module).QUERIES
        found += [(name, query, queries) for name, query in queries.items()]
    return found


@pytest.fixture(scope="module")
def connection(worker_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(worker_database, autocommit=True) as connection:
        connection.execute("SET search_path = higherself, extensions, public")
        connection.execute(
            "CREATE TEMP TABLE embedding_probe (content_hash bytea, entity text, embedding halfvec(3))"
        )
        for name, query, _ in every_query():
            if name == "stage":
                connection.execute(query.statement())
        yield connection


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("query", "queries"),
    [
        pytest.param(query, queries, id=name)
        for name, query, queries in every_query()
        if name not in FRAGMENTS
    ],
)
def test_every_query_fits_the_migrated_schema(
    connection: psycopg.Connection, query: Query, queries: Queries
) -> None:
    for restriction, near in product(_restrictions(query), _ways_to_be_near(query)):
        slots: Slots = {
            **dict.fromkeys(query.slots, "probe"),
            "embedding": "embedding_probe",
            "schema": "higherself",
            "rows": "contacts_profiles",
            "field": "email",
            "title": "full_name",
            "table": "chunk",
            "column": "content_hash",
            "entity": "entity",
            "private": queries.get("private", 0),
            "orphaned": queries.get("orphaned", 0),
            "index": "probe_index",
            "dimensions": 3,
            "allowed": queries.get("allowed", 0),
            "conditions": queries.get("conditions", 0),
            "bm25": queries.get("bm25", 0),
            "holders": queries.get("holders", 0),
            "uncovered": queries.get("uncovered", 0),
            "served": queries.get("of_workflow_and_status", 0),
            "in_state": queries.get("in_state", 0),
            "of_entity": queries.get("of_entity", 0),
            "create_instances": queries.get("create_instances", 0),
            **INLINE,
            **PARTS,
            "near": queries[near] if near else 0,
            "restriction": queries[restriction] if restriction else 0,
        }
        text = query.statement(slots).decode()
        if not text.lstrip().upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            continue  # PREPARE takes no utility statements; running the program does
        for number, name in enumerate(_parameters(text), start=1):
            text = text.replace(f"%({name})s", f"${number}")
        connection.execute(f"PREPARE probe AS {text}".encode())
        connection.execute("DEALLOCATE probe")


def _restrictions(query: Query) -> list[str | None]:
    if "restriction" not in query.slots:
        return [None]
    return ["unrestricted", "among_chunks", "among_allowed"]


def _parameters(text: str) -> tuple[str, ...]:
    return Query("probe", "many", text).parameters


def test_the_table_of_files_is_complete() -> None:
    root = Path(higherself.__file__).parent
    found = {str(path.relative_to(root)) for path in root.rglob("*.sql")}
    before_there_is_a_schema = ("db/migrations/", "db/server/")
    assert {each for each in found if not each.startswith(before_there_is_a_schema)} == set(FILES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("-- name: a :lots\nSELECT 1;", "expects :lots", id="unknown number of rows"),
        pytest.param(
            "-- name: a :one\nSELECT 1;\n-- name: a :one\nSELECT 2;", "two queries", id="twice"
        ),
    ],
)
def test_a_malformed_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Queries(text, origin="here")


def test_slots_are_quoted_and_may_nest() -> None:
    queries = Queries(
        "-- name: outer :many\nSELECT * FROM {table} WHERE {condition};\n"
        "-- name: inner :one\n-- A comment.\na < {limit} AND b = %(b)s;",
        origin="here",
    )
    statement = queries["outer"].statement(
        {"table": 'odd"name', "condition": queries["inner"], "limit": 7}
    )
    assert statement == b'SELECT * FROM "odd""name" WHERE a < 7 AND b = %(b)s'


def _ways_to_be_near(query: Query) -> list[str | None]:
    if "near" not in query.slots:
        return [None]
    return ["nearest", "nearest_of_entity", "nearest_among", "nearest_allowed"]
