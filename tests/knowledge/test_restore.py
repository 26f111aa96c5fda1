"""What was exported comes back exactly as it was, and what is broken stops nothing."""

import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import hub_on
from tests.knowledge.words_provider import WordsProvider

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.jsonvalue import JsonValue, shown
from higherself.knowledge.exported import exported, read_exported
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, Failure, IngestReport, NewDocument
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.restore import restore

pytestmark = pytest.mark.postgres

HOURS = NewDocument(
    external_id="hours.md",
    text="\n\n# Opening hours\r\n\r\nWe open at nine.\n" + "\n" * 9_000 + "On Sundays at ten.  \n",
    entity="the_7_space",
    source="handbook",
    title=" Opening\thours ",
    uri="file:///hours.md",
    tags=("public", "a tag, with a comma", "public"),
    metadata={"floor": 2, "of": {"1e20": 1e20, "zero": -0.0, "list": [None, True, "é\u2028"]}},
    at=datetime(2026, 3, 1, 9, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5.5))),
    local_only=True,
    trust="external",
)
PLAIN = NewDocument(external_id="1", text="Parking is free.", entity="gallery")


@pytest.fixture
def hub(database: Database) -> KnowledgeHub:
    return hub_on(database, WordsProvider())


async def lines_of(hub: KnowledgeHub, entity: str | None = None) -> list[str]:
    return [shown(exported(row), indent=None) async for row in hub.export(entity)]


async def restored(hub: KnowledgeHub, lines: Iterable[str | bytes], **options: Any) -> IngestReport:
    written = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return await hub.restore(read_exported(io.BytesIO(written), name="backup.jsonl"), **options)


def facts(report: IngestReport) -> dict[str, int]:
    names = ("documents", "created", "updated", "unchanged")
    counts = {name: getattr(report, name) for name in names} | {"failed": len(report.failed)}
    return {name: count for name, count in counts.items() if count}


async def test_a_document_comes_back_exactly(hub: KnowledgeHub) -> None:
    await hub.add([HOURS, PLAIN])
    before = await lines_of(hub)
    assert json.loads(next(line for line in before if "hours.md" in line)) == {
        "id": HOURS.external_id,
        "title": HOURS.title,
        "text": HOURS.text,
        "entity": "the_7_space",
        "source": "handbook",
        "uri": HOURS.uri,
        "tags": list(HOURS.tags),
        "metadata": HOURS.metadata,
        "date": "2026-03-01T04:00:15.123456+00:00",
        "trust": "external",
        "local_only": True,
    }
    for entity in ("the_7_space", "gallery"):
        await hub.forget(entity)
    assert await lines_of(hub) == []
    assert facts(await restored(hub, before)) == {"documents": 2, "created": 2}
    assert sorted(await lines_of(hub)) == sorted(before)
    assert all(finding.ok for finding in await hub.verify())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
printable = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
names = printable.filter(str.strip)
texts = st.lists(
    st.sampled_from(["# Tea\n", "Green tea. ", "\r\n", " ", "\n" * 1_200, "\x1f", "| a | b |\n",
                     "- item\n", "```\ncode\n", "wort" * 300, "茶。", "\u2028", "\t\x0b"])
    | printable,
    min_size=1, max_size=12,
).map("".join).filter(str.strip)  # fmt: skip
times = st.none() | st.datetimes(
    datetime(1, 1, 3),  # noqa: DTZ001
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-8)), timezone(timedelta(minutes=345))]),
)  # fmt: skip
documents = st.builds(
    NewDocument,
    external_id=names,
    text=texts,
    entity=st.sampled_from(["gallery", "practice"]),
    source=names,
    title=printable,
    uri=st.none() | printable,
    tags=st.lists(printable, max_size=3).map(tuple),
    metadata=st.dictionaries(printable, json_values, max_size=3),
    at=times,
    local_only=st.booleans(),
    trust=st.sampled_from(["own", "generated", "external"]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(documents, min_size=1, max_size=4, unique_by=lambda document: document.key))
async def test_whatever_is_exported_comes_back_and_a_second_time_changes_nothing(
    hub: KnowledgeHub, given: list[NewDocument]
) -> None:
    for entity in ("gallery", "practice"):
        await hub.forget(entity)
    assert facts(await hub.add(given)) == {"documents": len(given), "created": len(given)}
    before = await lines_of(hub)
    as_given = {(d.entity, d.source, d.external_id): d for d in given}
    for line in map(json.loads, before):
        document = as_given[line["entity"], line["source"], line["id"]]
        assert (line["text"], line["title"], line["uri"]) == (
            document.text, document.title, document.uri,
        )  # fmt: skip
        assert (tuple(line["tags"]), line["trust"], line["local_only"]) == (
            document.tags, document.trust, document.local_only,
        )  # fmt: skip
        assert line["metadata"] == exactly(document.metadata)
        assert (line["date"] and datetime.fromisoformat(line["date"])) == document.at
    same = {"documents": len(given), "unchanged": len(given)}
    assert facts(await restored(hub, before)) == same
    for entity in ("gallery", "practice"):
        await hub.forget(entity)
    dry = await restored(hub, before, dry_run=True)
    assert facts(dry) == {"documents": len(given), "created": len(given)}
    assert await lines_of(hub) == []
    assert facts(await restored(hub, before)) == {"documents": len(given), "created": len(given)}
    assert sorted(await lines_of(hub)) == sorted(before)
    assert facts(await restored(hub, before)) == same


def exactly(value: JsonValue) -> Any:
    """PostgreSQL writes a large float out: the number it stands for, to the last digit given."""

    def read(number: str) -> int | float:
        return int(Decimal(number)) if abs(float(number)) >= 1e16 else float(number)

    return json.loads(json.dumps(value), parse_float=read)


async def test_what_was_taken_in_whole_is_unchanged_where_it_is_and_split_elsewhere(
    hub: KnowledgeHub,
) -> None:
    space = EmbeddingSpace(name="his/3", provider="his", model="his", dimensions=3)
    long = replace(PLAIN, title="Parking", text="Parking is free. " * 200)
    await hub.add_embedded([(long, [1.0, 0, 0])], space=space)
    before = await lines_of(hub)
    assert facts(await restored(hub, before)) == {"documents": 1, "unchanged": 1}
    await hub.forget("gallery")
    assert (await restored(hub, before)).chunks > 1
    assert await lines_of(hub) == before


async def test_only_what_differs_is_touched(hub: KnowledgeHub) -> None:
    await hub.add([HOURS, PLAIN])
    before = await lines_of(hub)
    await hub.add([replace(PLAIN, text="Parking costs two dollars.")])
    await hub.delete(["hours.md"])
    report = await restored(hub, before)
    assert facts(report) == {"documents": 2, "created": 1, "updated": 1}
    assert sorted(await lines_of(hub)) == sorted(before)


async def test_one_business_of_a_backup_of_all(hub: KnowledgeHub) -> None:
    await hub.add([HOURS, PLAIN])
    before = await lines_of(hub)
    for entity in ("the_7_space", "gallery"):
        await hub.forget(entity)
    assert facts(await restored(hub, before, entity="gallery")) == {"documents": 1, "created": 1}
    (line,) = await lines_of(hub)
    assert json.loads(line)["entity"] == "gallery"


GOOD = {"id": "a", "text": "Tea.", "entity": "gallery", "source": "api"}
BROKEN: list[Any] = [
    pytest.param("{", "not JSON", id="no JSON"),
    pytest.param("[]", "not an object", id="no object"),
    pytest.param('"text"', "not an object", id="a text"),
    pytest.param(b"\xe9t\xe9", "not UTF-8", id="another encoding"),
    pytest.param('{"id": "a\0"}', "binary", id="a NUL"),
    pytest.param({**GOOD, "text": "a\0b"}, "NUL", id="a NUL in the text"),
    pytest.param({**GOOD, "title": "\ud800"}, "surrogate", id="half of a pair"),
    pytest.param({**GOOD, "id": ""}, "`id` is missing or empty", id="no name"),
    pytest.param({**GOOD, "id": 7}, "`id` must be a text", id="a number for a name"),
    pytest.param({"id": "a", "text": "b"}, "`entity` is missing", id="of another program"),
    pytest.param({**GOOD, "entity": "No Slug"}, "not a slug", id="no slug"),
    pytest.param({**GOOD, "text": " \n"}, "text is empty", id="a blank text"),
    pytest.param({**GOOD, "text": ["a"]}, "`text` must be a text", id="a list for a text"),
    pytest.param({**GOOD, "tags": "a,b"}, "`tags` must be a list", id="tags in a text"),
    pytest.param({**GOOD, "tags": [1]}, "`tags` must be a list of texts", id="a number for a tag"),
    pytest.param({**GOOD, "metadata": []}, "`metadata` must be an object", id="a list of facts"),
    pytest.param({**GOOD, "date": "soon"}, "`date` must be", id="no date"),
    pytest.param({**GOOD, "trust": "much"}, "trust is 'much'", id="no trust"),
    pytest.param({**GOOD, "local_only": "yes"}, "`local_only` must be true or", id="no truth"),
    pytest.param({**GOOD, "owner": "Ana"}, "`owner` is none", id="a field unknown"),
    pytest.param(json.dumps({**GOOD, "metadata": {"x": float("nan")}}), "no JSON", id="NaN"),
    pytest.param('{"id": "a", "metadata": ' + "[" * 50_000, "deeply|JSON", id="too deep"),
    pytest.param(f'{{"id": "a", "x": {"9" * 5_000}}}', "number|digits", id="too long a number"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), BROKEN)
async def test_a_broken_line_is_a_failure_with_its_number_and_stops_nothing(
    hub: KnowledgeHub, line: Any, reason: str
) -> None:
    broken = json.dumps(line) if isinstance(line, dict) else line
    lines = [json.dumps(GOOD), "", broken, json.dumps({**GOOD, "id": "b"})]
    report = await restored(hub, lines)
    assert facts(report) == {"documents": 3, "created": 2, "failed": 1}
    (failure,) = report.failed
    assert failure.path == "backup.jsonl:3"
    assert re.search(reason, failure.reason), failure.reason


async def test_a_document_that_is_refused_later_is_told_with_its_line(database: Database) -> None:
    async def add(documents: Iterable[NewDocument], *, progress: Any) -> IngestReport:
        refused = [Failure(document.external_id, "no") for document in documents]
        return IngestReport(documents=len(refused), failed=refused)

    written = json.dumps(GOOD).encode()
    report = await restore(
        read_exported(io.BytesIO(written), name="backup.jsonl"),
        store=PostgresDocuments(database, SYSTEM_CLOCK),
        add=add,
        clock=SYSTEM_CLOCK,
    )
    assert report.failed == [Failure("backup.jsonl:1", "a: no")]


async def test_progress_counts_up_to_the_report(
    hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higherself.knowledge.restore.READ_AT_ONCE", 2)
    lines = [json.dumps({**GOOD, "id": str(number)}) for number in range(5)]
    await restored(hub, lines[:1])
    seen: list[tuple[int, int, int]] = []
    report = await restored(
        hub,
        [*lines, "broken"],
        progress=lambda part: seen.append((part.documents, part.created, len(part.failed))),
    )
    assert facts(report) == {"documents": 6, "created": 4, "unchanged": 1, "failed": 1}
    assert seen[-1] == (6, 4, 1)
    assert seen == sorted(seen)
    assert len({documents for documents, _, _ in seen}) >= 3


async def test_lines_are_read_as_they_are_needed(
    hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higherself.knowledge.restore.READ_AT_ONCE", 3)
    read = 0

    def lines() -> Any:
        nonlocal read
        for number in range(9):
            read += 1
            written = json.dumps({**GOOD, "id": str(number)}).encode()
            yield from read_exported(io.BytesIO(written), name="-")

    ahead: list[int] = []
    await hub.restore(lines(), progress=lambda report: ahead.append(read - report.documents))
    assert max(ahead) <= 3
