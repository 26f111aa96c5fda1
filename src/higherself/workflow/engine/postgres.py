"""Definitions, instances and history in PostgreSQL: the reading side, and what is no step."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from higherself.db.pool import Database, Row
from higherself.db.queryfile import Slots
from higherself.kernel.clock import Clock
from higherself.kernel.ids import InstanceId
from higherself.messaging.statements import encoded
from higherself.workflow.definition import WorkflowDefinition, as_data, hash_of, load
from higherself.workflow.engine.model import (
    Instance,
    Page,
    StoredDefinition,
    StoredInstance,
    Wanted,
)
from higherself.workflow.engine.writing import QUERIES
from higherself.workflow.errors import DefinitionChanged
from higherself.workflow.machine import HistoryEntry, Snapshot

FRESH = timedelta(seconds=1)
"""How old it may be which version of a workflow is the latest."""

COUNTED = 200
"""Instances up to which a list counts how many it has in all, unless it is told to count on."""


class PostgresInstances:
    """Reads instances. Steps are stored by `Writer`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, instance: InstanceId) -> StoredInstance | None:
        """Return an instance, if there is one."""
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_instance"], {"instance_id": instance})
        return None if row is None else _stored(row)

    async def find_by_key(self, entity: str, workflow: str, key: str) -> StoredInstance | None:
        """Return the instance of ``workflow`` that was started with ``key``, if there is one."""
        named = {"entity": entity, "workflow": workflow, "key": key}
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_instance_by_key"], named)
        return None if row is None else _stored(row)

    async def children(self, parent: InstanceId) -> dict[str | None, InstanceId]:
        """Return the instances that ``parent`` started and that go on, by their keys."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["find_children"], {"parent_id": parent})
        return {row["key"]: InstanceId(row["instance_id"]) for row in rows}

    async def page(
        self,
        wanted: Wanted,
        *,
        limit: int,
        before: InstanceId | None = None,
        counted: int | None = COUNTED,
    ) -> Page:
        """Return a page of the instances that are ``wanted``, the latest first."""
        given = {
            "status": wanted.status,
            "workflow": wanted.workflow,
            "state": wanted.state,
            "entity": wanted.entity,
        }
        slots = _conditions(wanted)
        async with self._database.reading() as tx:
            rows = await tx.many(
                QUERIES["list_instances"], {**given, "before": before, "limit": limit + 1}, slots
            )
            most = None if counted is None else counted + 1
            (total,) = (
                await tx.one(QUERIES["count_instances"], {**given, "limit": most}, slots)
            ).values()
        found = tuple(_instance(row) for row in rows[:limit])
        return Page(
            found,
            total if counted is None else min(total, counted),
            found[-1].instance if len(rows) > limit else None,
            counted_all=counted is None or total <= counted,
        )

    async def history(
        self, instance: InstanceId, *, after: int = 0, until: int | None = None, limit: int = 1000
    ) -> list[HistoryEntry]:
        """Return what has happened to an instance, in order."""
        wanted = {"instance_id": instance, "after": after, "until": until, "limit": limit}
        async with self._database.reading() as tx:
            rows = await tx.tuples(QUERIES["list_history"], wanted)
        return [HistoryEntry.from_json(entry) for (entry,) in rows]

    async def has_event(self, instance: InstanceId, event_id: str) -> bool:
        """Return whether an event of this identifier stands in the history."""
        named = {"instance_id": instance, "event_id": event_id}
        async with self._database.reading() as tx:
            return await tx.maybe(QUERIES["find_event"], named) is not None

    async def note_obstacle(self, instance: InstanceId, obstacle: str) -> None:
        """Note why what an instance asks for cannot be done now."""
        noted = {"instance_id": instance, "obstacle": obstacle}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["note_obstacle"], noted)

    async def counts(self) -> Sequence[Row]:
        """Return how many unfinished instances are where."""
        async with self._database.reading() as tx:
            return await tx.many(QUERIES["count_by_state"])


class PostgresDefinitions:
    """Keeps definitions: each version for ever, once an instance has used it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._known: dict[tuple[str, int], StoredDefinition] = {}
        self._pinned: dict[tuple[str, int], WorkflowDefinition] = {}
        self._current: dict[tuple[str, int | None], tuple[float, StoredDefinition]] = {}

    async def add(self, definition: WorkflowDefinition, *, source: str = "") -> bool:
        """Store ``definition``; return whether that changed anything.

        Raises
            DefinitionChanged: another of this name and version is there, and an instance has used it.
        """
        digest = hash_of(definition)
        named = {"workflow": definition.name, "version": definition.version}
        async with self._database.transaction() as tx:
            added = await tx.many(
                QUERIES["add_definition"],
                {
                    **named,
                    "content_hash": digest,
                    "definition": encoded(as_data(definition)),
                    "source": source,
                    "now": self._clock.now(),
                },
            )
            if not added:
                row = await tx.one(QUERIES["find_definition"], named)
                if row["content_hash"] != digest:
                    raise DefinitionChanged(definition.name, definition.version)
        self._current.clear()
        return bool(added)

    async def get(self, workflow: str, version: int | None = None) -> StoredDefinition | None:
        """Return a version of ``workflow``, or the latest, if there is one."""
        named = {"workflow": workflow, "version": version}
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_definition"], named)
        if row is None:
            return None
        key, digest = (workflow, row["version"]), row["content_hash"]
        known = self._known.get(key)
        if known is None or known.content_hash != digest:
            definition = load(row["definition"])
            known = StoredDefinition(definition, digest, row["source"], row["created_at"])
            self._known[key] = known
        return known

    async def current(
        self, workflow: str, version: int | None, *, anew: bool = False
    ) -> StoredDefinition | None:
        """Return the same as `get`, as it was a moment ago unless it is to be read ``anew``."""
        now = self._clock.monotonic()
        read_at, known = self._current.get((workflow, version), (-math.inf, None))
        if known is None or anew or now - read_at > FRESH.total_seconds():
            known = await self.get(workflow, version)
            if known is not None:
                self._current[workflow, version] = now, known
        return known

    async def pinned(self, workflow: str, version: int) -> WorkflowDefinition:
        """Return the definition of an instance: it never changes, so it is read once."""
        definition = self._pinned.get((workflow, version))
        if definition is None:
            stored = await self.get(workflow, version)
            if stored is None:
                raise AssertionError(f"{workflow} version {version} has instances and is not there")
            definition = self._pinned[workflow, version] = stored.definition
        return definition

    async def sources(self) -> set[bytes]:
        """Return the SHA-256 of the texts that definitions were read from."""
        async with self._database.reading() as tx:
            return {digest for (digest,) in await tx.tuples(QUERIES["list_sources"])}

    async def names(self) -> dict[str, list[int]]:
        """Return the versions of every workflow, the latest first."""
        found: dict[str, list[int]] = {}
        async with self._database.reading() as tx:
            for row in await tx.many(QUERIES["list_definitions"]):
                found.setdefault(row["workflow"], []).append(row["version"])
        return found


def _conditions(wanted: Wanted) -> Slots:
    """Return what the list is made of: first what an index serves."""
    if wanted.workflow is not None:
        served = "of_workflow" if wanted.status is None else "of_workflow_and_status"
    else:
        served = "every_instance" if wanted.status is None else "of_status"
    return {
        "conditions": QUERIES["conditions"],
        "served": QUERIES[served],
        "in_state": QUERIES["every_instance" if wanted.state is None else "in_state"],
        "of_entity": QUERIES["every_instance" if wanted.entity is None else "of_entity"],
    }


def _stored(row: Row) -> StoredInstance:
    return StoredInstance(_instance(row), Snapshot.from_json(row["snapshot"]))


def _instance(row: Row) -> Instance:
    obstacle, reason = row["obstacle"], row["reason"]
    parent: UUID | None = row["parent_id"]
    facts: dict[str, Any] = {
        name: row[name]
        for name in (
            "workflow", "version", "entity", "key", "status", "state", "sequence", "waits_for",
            "started_at", "updated_at", "finished_at",
        )
    }  # fmt: skip
    return Instance(
        instance=InstanceId(row["instance_id"]),
        reason=f"{reason}: {obstacle}" if obstacle else reason,
        parent=parent,
        **facts,
    )
