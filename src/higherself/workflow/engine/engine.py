"""What can be done with instances: each step is decided by the machine and stored whole.

Whoever starts an instance or sends it an event makes the step himself, in one statement, and has
its answer when it is durable. Workers do only what takes time.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from higherself.db.entities import Entities
from higherself.db.errors import WriteCollided
from higherself.kernel.errors import Conflict, Rejected
from higherself.kernel.ids import InstanceId, new_id
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition import WorkflowDefinition, load_text
from higherself.workflow.engine.errors import (
    EntryNotFound,
    InstanceBusy,
    WorkflowNotFound,
)
from higherself.workflow.engine.model import (
    Instance,
    Listed,
    Moment,
    Page,
    StoredDefinition,
    StoredInstance,
    Wanted,
    Write,
)
from higherself.workflow.engine.outgoing import begun, moved
from higherself.workflow.engine.postgres import COUNTED, PostgresDefinitions, PostgresInstances
from higherself.workflow.engine.stepping import Stepper
from higherself.workflow.machine import (
    Cancelled,
    Decided,
    Event,
    HistoryEntry,
    Parent,
    Paused,
    Received,
    Resumed,
    Retried,
    Snapshot,
    Started,
    Step,
    migrated,
    new_instance,
    replayed,
)

LONGEST_KEY = 500

STARTS = 5
"""How often a start is made anew: its key was taken meanwhile, or its definition is another now."""

EVERYTHING = Wanted()

Prepare = Callable[[WorkflowDefinition, str, JsonObject], Awaitable[JsonObject]]
"""Returns the context that an instance of a definition starts with, for a business."""


class Engine:
    """Starts instances, moves them on, and shows them. Safe for concurrent use."""

    def __init__(
        self,
        *,
        instances: PostgresInstances,
        definitions: PostgresDefinitions,
        stepper: Stepper,
        entities: Entities,
    ) -> None:
        self._instances, self._definitions, self._entities = instances, definitions, entities
        self.stepper = stepper
        self.prepare: Prepare | None = None

    # --- Definitions.

    async def add(self, definition: WorkflowDefinition, *, source: str = "") -> bool:
        """Make a version of a workflow known; return whether it was not, or was another.

        Raises
            DefinitionChanged: an instance has used another definition of this name and version.
        """
        return await self._definitions.add(definition, source=source)

    async def add_text(self, text: str, *, file: str) -> WorkflowDefinition:
        """Make the definition known that ``text`` is (YAML, or JSON if ``file`` is named so).

        Raises
            InvalidDefinition: with every problem, and its line and column.
            DefinitionChanged: see `add`.
        """
        definition = load_text(text, file=file).definition
        await self.add(definition, source=text)
        return definition

    async def definition(self, workflow: str, version: int | None = None) -> StoredDefinition:
        """Return a version of ``workflow``, or the latest.

        Raises
            WorkflowNotFound: there is none.
        """
        stored = await self._definitions.get(workflow, version)
        if stored is None:
            raise WorkflowNotFound(workflow, version, sorted(await self._definitions.names()))
        return stored

    async def known_sources(self) -> set[bytes]:
        """Return the SHA-256 of the texts that definitions were read from."""
        return await self._definitions.sources()

    async def workflows(self) -> Mapping[str, Sequence[int]]:
        """Return the versions of every workflow, the latest first."""
        return await self._definitions.names()

    async def overview(self) -> Sequence[Listed]:
        """Return every workflow, with how many of its instances go on."""
        unfinished: Counter[str] = Counter()
        for row in await self._instances.counts():
            unfinished[row["workflow"]] += row["instances"]
        found = []
        for name, versions in (await self.workflows()).items():
            latest = await self.definition(name)
            description = latest.definition.description
            found.append(Listed(name, tuple(versions), description, unfinished[name]))
        return found

    # --- Looking.

    async def get(self, instance: UUID) -> StoredInstance:
        """Return an instance.

        Raises
            InstanceNotFound: there is none of this identifier.
        """
        return await self.stepper.find(InstanceId(instance))

    async def keyed(self, workflow: str, key: str, *, entity: str = "default") -> Instance | None:
        """Return the instance that was started with ``key`` for a business, if there is one."""
        found = await self._instances.find_by_key(entity, workflow, key)
        return None if found is None else found.instance

    async def page(
        self,
        wanted: Wanted = EVERYTHING,
        *,
        limit: int = 50,
        before: UUID | None = None,
        counted: int | None = COUNTED,
    ) -> Page:
        """Return a page of instances, the latest first; the next one begins ``before`` its ``next``.

        Its total is counted up to ``counted``, or to the end.
        """
        at = None if before is None else InstanceId(before)
        return await self._instances.page(wanted, limit=limit, before=at, counted=counted)

    async def history(self, instance: UUID, *, after: int = 0) -> Sequence[HistoryEntry]:
        """Return everything that has happened to an instance since entry ``after``.

        Raises
            InstanceNotFound: there is none of this identifier.
        """
        found: list[HistoryEntry] = []
        while page := await self._instances.history(InstanceId(instance), after=after):
            found += page
            after = page[-1].sequence
        if not found:
            await self.get(instance)
        return found

    async def at(self, instance: UUID, sequence: int) -> Moment:
        """Return an instance as it was after entry ``sequence`` of its history.

        Raises
            InstanceNotFound, EntryNotFound: there is no such instance, or it has no such entry.
        """
        history = [each for each in await self.history(instance) if each.sequence <= sequence]
        if not history or history[-1].sequence != sequence:
            raise EntryNotFound(str(instance), sequence)
        view = replayed(history)
        state = view.states.get("", "")
        return Moment(sequence, view.status, state, view.states, view.context, history[-1])

    async def pinned(self, snapshot: Snapshot) -> WorkflowDefinition:
        """Return the definition that an instance is pinned to."""
        return await self.stepper.pinned(snapshot)

    async def note_obstacle(self, instance: InstanceId, obstacle: str) -> None:
        """Note why what an instance asks for cannot be done now."""
        await self._instances.note_obstacle(instance, obstacle)

    async def children(self, parent: InstanceId) -> Mapping[str | None, InstanceId]:
        """Return the instances that ``parent`` started and that go on, by their keys."""
        return await self._instances.children(parent)

    # --- Steering.

    async def start(
        self,
        workflow: str,
        *,
        context: JsonObject | None = None,
        key: str | None = None,
        entity: str = "default",
        version: int | None = None,
        parent: Parent | None = None,
    ) -> Instance:
        """Start an instance of the latest version of ``workflow``, or of another.

        With a ``key`` it is started once for a business, and whoever starts it again gets the one
        there is.

        Raises
            WorkflowNotFound: there is no such workflow.
            Rejected: the context does not fit; nothing was started.
        """
        if key is not None and not 0 < len(key) <= LONGEST_KEY:
            raise Rejected(f"key: {key[:30]!r} is not 1 to {LONGEST_KEY} characters")
        for attempt in range(STARTS):
            current = await self._definitions.current(workflow, version, anew=attempt > 0)
            if current is None:
                current = await self.definition(workflow, version)  # says what there is
            if key is not None:
                known = await self._instances.find_by_key(entity, workflow, key)
                if known is not None:
                    return known.instance
            await self._entities.remember(entity, again=attempt > 0)
            given = context or {}
            if self.prepare is not None:
                given = await self.prepare(current.definition, entity, given)
            now = await self.stepper.now()
            fresh = new_instance(
                current.definition, instance=InstanceId(new_id(now)), entity=entity, parent=parent
            )
            step = self.stepper.advanced(current.definition, fresh, Started(given), now)
            write = Write(
                definition=current.definition, digest=current.content_hash, before=0, step=step,
                key=key,
            )  # fmt: skip
            try:
                if await self.stepper.begin(write):
                    return begun(write)
            except WriteCollided:  # the business was forgotten by another process
                continue
        raise InstanceBusy(workflow)

    async def send(
        self,
        instance: UUID,
        event: str,
        data: JsonObject | None = None,
        *,
        id: str | None = None,
    ) -> Instance:
        """Send an event to an instance; the same ``id`` counts once.

        Raises
            InstanceNotFound: there is no such instance.
            Rejected: nobody waits for it, or it does not fit; the instance is as it was.
            InstanceFinished: it has ended.
        """
        if id is not None and not 0 < len(id) <= LONGEST_KEY:
            raise Rejected(f"id: {id[:30]!r} is not 1 to {LONGEST_KEY} characters")
        try:
            return await self._steered(instance, Received(event, data or {}, id), event_id=id)
        except (Rejected, Conflict):
            if id is None or not await self._instances.has_event(InstanceId(instance), id):
                raise
        return (await self.get(instance)).instance

    async def approve(
        self,
        instance: UUID,
        *,
        by: str,
        roles: Sequence[str],
        outcome: str = "approved",
        comment: str = "",
        approval: str | None = None,
    ) -> Instance:
        """Decide an approval that an instance waits for.

        Raises
            NothingToDecide: somebody was faster, or it was never asked for.
            NotEntitled: none of ``roles`` may decide it.
        """
        decided = Decided(
            "approved" if outcome == "approved" else "rejected",
            by=by, roles=tuple(roles), comment=comment, approval=approval,
        )  # fmt: skip
        return await self._steered(instance, decided)

    async def pause(self, instance: UUID, *, by: str = "") -> Instance:
        """Have nothing happen to an instance until it is resumed; what comes meanwhile is kept."""
        return await self._steered(instance, Paused(by=by))

    async def resume(self, instance: UUID, *, by: str = "") -> Instance:
        """Have a paused instance go on."""
        return await self._steered(instance, Resumed(by=by))

    async def cancel(self, instance: UUID, *, reason: str, by: str = "") -> Instance:
        """End an instance; what it did is compensated, the latest first."""
        return await self._steered(instance, Cancelled(reason, by=by))

    async def retry(
        self,
        instance: UUID,
        *,
        state: str | None = None,
        context: JsonObject | None = None,
        by: str = "",
    ) -> Instance:
        """Have an instance go on where it failed, or from ``state``, with an edited context."""
        return await self._steered(instance, Retried(state=state, context=context, by=by))

    async def migrate(self, instance: UUID, to: int, *, by: str = "") -> Instance:
        """Move an instance to another version of its workflow, if it fits there.

        Raises
            WorkflowNotFound: there is no such version.
            Rejected, Conflict: something of the instance is not in that version; all is listed.
        """
        stored = await self.get(instance)
        new = (await self.definition(stored.instance.workflow, to)).definition

        def decide(old: WorkflowDefinition, snapshot: Snapshot, now: datetime) -> Step:
            return migrated(old, new, snapshot, now, by=by)

        await self.stepper.step(InstanceId(instance), decide)
        return (await self.get(instance)).instance

    async def steer(self, instance: UUID, event: Event, *, id: str) -> Step | None:
        """Have what a person wants of an instance count once for ``id``, whoever repeats it.

        Return the step, or None if it has counted before. A step that changed nothing says why.

        Raises
            InstanceNotFound: there is no such instance.
            Rejected, Conflict: it is not possible, or not theirs to do; the instance is as it was.
        """
        target = InstanceId(instance)
        stored = await self.get(instance)
        if await self._instances.has_event(target, id):
            return None
        try:
            applied = await self.stepper.apply(target, event, snapshot=stored.snapshot, event_id=id)
        except (Rejected, Conflict):
            if not await self._instances.has_event(target, id):
                raise
            return None
        if applied.write is None and await self._instances.has_event(target, id):
            return None
        return applied.step

    async def _steered(
        self, instance: UUID, event: Event, *, event_id: str | None = None
    ) -> Instance:
        stored = await self.get(instance)
        applied = await self.stepper.apply(
            InstanceId(instance), event, snapshot=stored.snapshot, event_id=event_id
        )
        if applied.write is None:
            return (await self.get(instance)).instance
        return moved(stored.instance, applied.write)
