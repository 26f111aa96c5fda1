"""Carrying out what follows from a happening: instances start and are told, each step once for its key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, NotFound, Rejected
from higherself.services.consequences import Action, Log, Send, Skip, Start
from higherself.services.outcomes import Left, Sent, Started
from higherself.workflow.engine.engine import Engine

QUERIES = read_queries("higherself.services", "happenings.sql")

GoOn = Callable[[str, str], Awaitable[None]]
"""Goes on with a happening (of a business, of an id), should it have stopped."""


@dataclass(slots=True)
class Doing:
    """What was done so far. ``waits``: something that is to be told is not there yet."""

    started: list[Started] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    waits: bool = False


class CarryingOut:
    """Does what was decided."""

    def __init__(self, database: Database, engine: Engine, clock: Clock, go_on: GoOn) -> None:
        self._database, self._engine, self._clock, self._go_on = database, engine, clock, go_on

    async def do(self, action: Action, row: Row, doing: Doing) -> None:
        """Do it, or note why not: what nobody makes possible by trying again is left.

        Raises
            Unavailable: it cannot be done now.
        """
        workflow = "" if isinstance(action, Log) else action.workflow
        try:
            match action:
                case Start():
                    await self._start(action, row, doing)
                case Send():
                    await self._send(action, row, doing)
                case Log():
                    await self._log(action, row, doing)
                case Skip():
                    doing.left.append(Left(action.workflow, action.reason))
        except (Rejected, NotFound, Conflict) as error:
            # Nobody can make it possible by trying again; a person reads why.
            doing.left.append(Left(workflow, str(error)[:1000], failed=True))
            telemetry.warning(
                "happenings.not_done", entity=row["entity"], happening=row["id"],
                workflow=workflow, reason=str(error),
            )  # fmt: skip

    async def _start(self, action: Start, row: Row, doing: Doing) -> None:
        """Start it, unless another happening of the conversation does; the claim says which."""
        claim = {
            "entity": row["entity"],
            "workflow": action.workflow,
            "correlation": row["correlation_id"],
        }
        await self._run(
            "claim_start",
            **claim,
            id=row["id"],
            key=action.key,
            about=action.about,
            now=self._clock.now(),
        )
        (owner,) = await self._rows("whose_start", **claim)
        if owner["happening_id"] != row["id"]:
            said = f"this conversation has started {action.workflow} already"
            doing.left.append(Left(action.workflow, said))
            return
        instance = await self._engine.start(
            action.workflow, context=action.context, key=action.key, entity=row["entity"]
        )
        started = {"workflow": action.workflow, "instance": instance.instance}
        await self._run("note_start", entity=row["entity"], id=row["id"], **started)
        doing.started.append(Started(action.workflow, instance.instance))

    async def _send(self, action: Send, row: Row, doing: Doing) -> None:
        targets = await self._targets(action, row["entity"])
        if not targets:
            where = f"key {action.key}" if action.key is not None else f"about {action.about}"
            if action.instances:
                where = ", ".join(action.instances)
            doing.waits = doing.waits or action.key is not None
            reason = f"no instance of {action.workflow} is there ({where})"
            doing.left.append(Left(action.workflow, reason))
            return
        for last, target in enumerate(targets, start=1 - len(targets)):
            try:
                await self._engine.send(target, action.event, action.data, id=action.id)
            except (Rejected, Conflict):
                if last == 0:
                    raise
                continue
            doing.sent.append(Sent(action.workflow, target, action.event))
            if not action.instances:
                return

    async def _targets(self, action: Send, entity: str) -> list[UUID]:
        if action.instances:
            return [
                each
                for each in map(_uuid, action.instances)
                if each is not None and await self._is_of(each, action.workflow, entity)
            ]
        if action.key is not None:
            found = await self._engine.keyed(action.workflow, action.key, entity=entity)
            return [] if found is None else [found.instance]
        given = {"entity": entity, "workflow": action.workflow, "about": action.about}
        return [each["instance_id"] for each in await self._rows("instances_about", **given)]

    async def _is_of(self, instance: UUID, workflow: str, entity: str) -> bool:
        """Return whether an instance is of a workflow and a business: who names it may name any."""
        try:
            found = (await self._engine.get(instance)).instance
        except NotFound:
            return False
        return (found.workflow, found.entity) == (workflow, entity)

    async def _log(self, action: Log, row: Row, doing: Doing) -> None:
        """Tell what the earlier happening has started; first it goes on itself, if it has stopped."""
        await self._go_on(row["entity"], action.earlier)
        given = {"entity": row["entity"], "id": action.earlier}
        for each in await self._rows("starts_of", **given):
            try:
                await self._engine.send(
                    each["instance_id"], action.event, action.data, id=action.id
                )
            except (Rejected, Conflict, NotFound) as error:
                doing.left.append(Left(each["workflow"], f"it could not be told: {error}"))
            else:
                doing.sent.append(Sent(each["workflow"], each["instance_id"], action.event))

    async def _rows(self, query: str, **given: Any) -> list[Row]:
        async with self._database.reading(entity=given.get("entity")) as tx:
            return await tx.many(QUERIES[query], given)

    async def _run(self, query: str, **given: Any) -> None:
        async with self._database.transaction(entity=given.get("entity")) as tx:
            await tx.run(QUERIES[query], given)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
