"""People steer instances of workflows from Notion: by the property `Action`, or by a comment.

What is asked for is taken note of, done once, and answered on the page, in this order, and each of
these survives the end of the process. A choice counts as a new one when the property was empty in
between, since Notion's times are minutes; of a comment its identifier counts.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from higherself.db.pool import Row
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import (
    Conflict,
    HigherSelfError,
    Misconfigured,
    NotFound,
    Rejected,
    Unavailable,
)
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.content import Content, render
from higherself.notion.content.rich import text as rich
from higherself.notion.content.tree import Paragraph
from higherself.notion.databases.fields import from_notion
from higherself.notion.errors import NotionForbidden, NotionRejected, PageNotFound
from higherself.notion.following.sightings import Seen, Sighting
from higherself.notion.ids import same_id
from higherself.notion.ports import JsonObject
from higherself.services.notion.commands import (
    DECISIONS,
    NOBODY,
    UNKNOWN,
    Person,
    Roles,
    cannot,
    done,
    event_of,
    not_theirs,
    nothing,
    read_comment,
    who_was_it,
)
from higherself.services.notion.status import NotionStatus, PageState
from higherself.services.notion.status_page import ACTION, ACTIONS, RESULT
from higherself.workflow.engine.engine import Engine

KNOWN_FOR = timedelta(minutes=10)
"""How long the name and address of somebody are taken to be what they were."""


class SteeringReads(Protocol):
    """What is read of Notion here (`notion.api.Notion`)."""

    async def page(self, page: str) -> JsonObject:
        """Return a page."""
        ...

    async def user(self, user: str) -> JsonObject:
        """Return a person or a bot."""
        ...

    async def me(self) -> JsonObject:
        """Return the connection itself."""
        ...

    def comments(self, block: str) -> AsyncIterator[JsonObject]:
        """Yield the comments on a page, the oldest first."""
        ...


class SteeringWrites(Protocol):
    """What is written to Notion here (`notion.writes.Writes`). The same key is done once."""

    async def update_page(self, page: str, *, key: str, properties: JsonObject) -> JsonObject:
        """Change properties."""
        ...

    async def comment(
        self, page: str, markdown: str, *, key: str, discussion: str | None = None
    ) -> JsonObject:
        """Comment on a page."""
        ...


class NotionSteering:
    """Watches the pages of instances for what people want, and does it.

    ``comments_every`` is how often the comments of a page are read whose instance waits for a
    person; of other pages they are read when Notion announces them.
    """

    name = "steering"

    def __init__(
        self,
        engine: Engine,
        status: NotionStatus,
        reads: SteeringReads,
        writes: SteeringWrites,
        clock: Clock,
        *,
        roles: Roles | None = None,
        comments_every: timedelta = timedelta(minutes=1),
        comments_at_once: int = 2,
    ) -> None:
        self._engine, self._status, self._store = engine, status, status.store
        self._reads, self._writes, self._clock = reads, writes, clock
        self._roles = roles or Roles()
        self._every, self._at_once = comments_every, comments_at_once
        self._people: dict[str, tuple[float, Person]] = {}
        self._me: str | None = None
        self._edited: dict[str, str] = {}

    # --- What the follower shows.

    def watches(self, data_source_id: str | None) -> bool:
        """Return whether these are the pages of instances."""
        source = self._status.source
        return source is not None and same_id(source.data_source_id, data_source_id)

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        """Do what is asked for on these pages; note which of them are away, or back."""
        rows = await self._store.pages([each.page_id for each in sightings])
        failed: dict[str, str] = {}
        updated = deleted = 0
        for each in sightings:
            raise_if_cancelled()
            row = rows.get(each.page_id)
            if row is None:
                continue
            if each.page is None or each.kind != "seen":
                deleted += await self._away(each)
                continue
            try:
                updated += await self._looked_at(each.page_id, each.page, row)
            except (Unavailable, Misconfigured):
                raise
            except HigherSelfError as error:
                failed[each.page_id] = str(error)
        return Seen(
            updated=updated, deleted=deleted, failed=failed,
            unchanged=len(sightings) - updated - deleted - len(failed),
        )  # fmt: skip

    async def _away(self, sighting: Sighting) -> bool:
        state: PageState = "gone" if sighting.kind == "gone" else "lost"
        why = {"gone": "the page is in the trash", "lost": "the page is not shared any more"}
        again = state == "gone" and self._status.policy.when_removed == "recreate"
        return await self._store.change_state(sighting.page_id, state, why[state], again=again)

    async def _looked_at(self, page_id: str, page: Mapping[str, Any], row: Row) -> bool:
        """Return whether there was anything to do."""
        if row["state"] in ("gone", "lost"):
            await self._store.change_state(page_id, "ok", "", again=True)
        found = False
        if self._chosen(page) is not None:
            found = await self.choice(page_id, row)
        if self._is_wrong(page, row):
            await self._store.mark(row["instance_id"], wrong=True)
            found = True
        if await self._may_have_comments(page_id, page):
            found = bool(await self.comments(page_id, row)) or found
        return found

    def _chosen(self, page: Mapping[str, Any]) -> str | None:
        value = self._value(page, ACTION)
        chosen = (value or {}).get(value.get("type", "select")) if value else None
        return str(chosen["name"]) if isinstance(chosen, Mapping) and chosen.get("name") else None

    def _value(self, page: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
        """Return a declared property of a page, whatever it is called there."""
        source = self._status.source
        mapped = None if source is None else source.mapping.get(name)
        if mapped is None:
            return None
        values: Mapping[str, Mapping[str, Any]] = page.get("properties") or {}
        return next((each for each in values.values() if each.get("id") == mapped.id), None)

    def _is_wrong(self, page: Mapping[str, Any], row: Row) -> bool:
        """Return whether somebody has changed a property that says how the instance is."""
        for name, ours in (row["properties"] or {}).items():
            declared = self._status.declared.properties.get(name)
            value = self._value(page, name)
            if declared is None or value is None or value.get("has_more"):
                continue
            if not self._status.can_say(name, ours):
                continue
            there = from_notion(declared, value)
            if (there or None) != (ours or None):
                return True
        return False

    async def _may_have_comments(self, page_id: str, page: Mapping[str, Any]) -> bool:
        """Return whether a page was shown because of something else than a write of our own.

        One that is shown again as it was has been announced: maybe because of a comment.
        """
        edited, before = str(page.get("last_edited_time")), self._edited.get(page_id)
        if len(self._edited) > 10_000:
            self._edited.clear()
        self._edited[page_id] = edited
        by = (page.get("last_edited_by") or {}).get("id")
        return edited == before or not same_id(by, await self._bot())

    # --- What goes on beside it.

    async def tick(self) -> None:
        """End what was begun, and read comments where somebody may answer."""
        for row in await self._store.open_commands():
            raise_if_cancelled()
            async with self._store.alone_with(row["page_id"]) as ours:
                if ours:
                    await self._ended(row)
        if self._status.share.room() < 2:
            return
        for row in await self._store.commentable(every=self._every, limit=self._at_once):
            raise_if_cancelled()
            try:
                await self.comments(row["page_id"], row)
            except (PageNotFound, NotionRejected, NotionForbidden) as error:
                telemetry.warning("notion.comments.not_read", reason=str(error))
                await self._store.comments_read(row["page_id"])

    # --- Choices.

    async def choice(self, page_id: str, row: Row) -> bool:
        """Do what is chosen on a page now; return whether anything was.

        Raises
            Conflict: another process does so.
        """
        async with self._store.alone_with(page_id) as ours:
            if not ours:
                raise Conflict(
                    "another process does what was chosen on this page; it is looked at again"
                )
            open_ones = [each for each in await self._store.open_commands(page_id) if each["source"] == "property"]  # fmt: skip
            if open_ones:
                await self._ended(open_ones[0])
                return True
            self._status.share.spend()
            page = await self._reads.page(page_id)
            action = self._chosen(page)
            if action is None:
                return False
            person = await self._person((page.get("last_edited_by") or {}).get("id"))
            known = action if action in ACTIONS else UNKNOWN
            command = await self._store.take_choice(
                entity=row["entity"], instance=row["instance_id"], page=page_id, action=known,
                person_id=person.id, person=person.name,
            )  # fmt: skip
            if command is not None:
                (taken,) = (each for each in await self._store.open_commands(page_id) if each["command_id"] == command)  # fmt: skip
                await self._ended(taken)
        return True

    # --- Comments.

    async def comments(self, page_id: str, row: Row) -> int:
        """Read the comments of a page, do what they ask for; return how many asked for anything."""
        self._status.share.spend()
        mine = await self._bot()
        found = [each async for each in self._reads.comments(page_id)]
        theirs = [
            each for each in found if not same_id((each.get("created_by") or {}).get("id"), mine)
        ]
        known = await self._store.known_comments([each["id"] for each in theirs])
        count = 0
        for each in theirs:
            if each["id"] in known:
                continue
            text = "".join(str(item.get("plain_text", "")) for item in each.get("rich_text") or ())
            asked = read_comment(text)
            if asked is None:
                continue
            person = await self._person((each.get("created_by") or {}).get("id"))
            async with self._store.alone_with(page_id) as ours:
                if not ours:
                    continue  # it is read again the next time
                taken = await self._store.take_comment(
                    comment=each["id"], entity=row["entity"], instance=row["instance_id"],
                    page=page_id, action=asked.action, words=asked.words,
                    discussion=each.get("discussion_id"), person_id=person.id, person=person.name,
                )  # fmt: skip
                for command in await self._store.open_commands(page_id):
                    if command["command_id"] == taken:
                        await self._ended(command)
                        count += 1
        await self._store.comments_read(page_id)
        return count

    # --- Doing it.

    async def _ended(self, command: Row) -> None:
        """Carry a command out, if it was not, and answer it."""
        answer = command["answer"]
        if command["state"] == "taken":
            outcome, answer = await self._carried_out(command)
            await self._store.end_command(command["command_id"], outcome, answer)
            telemetry.count("notion.command.done", action=command["action"], outcome=outcome)
        try:
            await self._answer(command, answer)
        except (PageNotFound, NotionRejected, NotionForbidden) as error:
            telemetry.warning("notion.command.not_answered", reason=str(error))
        await self._store.answer_command(command["command_id"])

    async def _carried_out(self, command: Row) -> tuple[str, str]:
        action, words = command["action"], command["words"]
        if action == UNKNOWN:
            said = words or f"there is no such action; there are {', '.join(ACTIONS)}"
            return "impossible", f"✘ {said[:1].upper()}{said[1:].rstrip('.')}"
        person = await self._person(command["person_id"]) if command["person_id"] else NOBODY
        if person.id is None and (action in DECISIONS or not self._roles.may_steer(person)):
            return "refused", who_was_it(action)
        if action not in DECISIONS and not self._roles.may_steer(person):
            return "refused", not_theirs(action, person)
        event = event_of(action, words, person, self._roles.of(person))
        try:
            step = await self._engine.steer(
                command["instance_id"], event, id=f"notion/{command['command_id']}"
            )
        except (Rejected, Conflict, NotFound) as error:
            return cannot(action, error, person)
        if step is not None and step.outcome == "ignored":
            return "impossible", nothing(action, step.reason)
        return "carried_out", done(action, person, self._clock.now(), step)

    async def _answer(self, command: Row, answer: str) -> None:
        key, page = f"command/{command['command_id']}", command["page_id"]
        source = self._status.source
        self._status.share.spend()
        if command["source"] == "comment":
            discussion = command["discussion"]
            await self._writes.comment(page, _as_text(answer), key=key, discussion=discussion)
            return
        chosen = None if source is None else source.mapping.get(ACTION)
        result = None if source is None else source.mapping.get(RESULT)
        if chosen is None:
            return
        empty: JsonObject = {chosen.id: {chosen.type: None}}
        if result is not None:
            number = command["command_id"].rpartition("/")[2]
            said = f"{answer[:1900]} (#{number})"
            if command["state"] != "taken" and await self._says(page, said):
                return  # answered, and not noted: what is chosen there now is another choice
            empty[result.id] = {"rich_text": [{"type": "text", "text": {"content": said}}]}
        await self._writes.update_page(page, key=key, properties=empty)
        if result is None:
            await self._writes.comment(page, _as_text(answer), key=f"{key}/told")

    async def _says(self, page_id: str, answer: str) -> bool:
        self._status.share.spend()
        value = self._value(await self._reads.page(page_id), RESULT) or {}
        there = "".join(str(each.get("plain_text", "")) for each in value.get("rich_text") or ())
        return there == answer

    # --- Who it was.

    async def _bot(self) -> str:
        if self._me is None:
            self._status.share.spend()
            self._me = str((await self._reads.me())["id"])
        return self._me

    async def who(self, user: str) -> tuple[str, Sequence[str]]:
        """Return the name and the roles of somebody in Notion.

        Raises
            Unavailable: Notion does not answer.
        """
        person = await self._person(user)
        return person.name, self._roles.of(person)

    async def _person(self, user: str | None) -> Person:
        """Return who a user is; nobody, if it is ourselves."""
        if user is None or same_id(user, await self._bot()):
            return NOBODY
        now = self._clock.monotonic()
        read_at, known = self._people.get(user, (0.0, None))
        if known is not None and now - read_at < KNOWN_FOR.total_seconds():
            return known
        self._status.share.spend()
        try:
            found = await self._reads.user(user)
        except (PageNotFound, NotionForbidden, NotionRejected):
            return Person(user, f"user {user}")
        email = (found.get("person") or {}).get("email")
        person = Person(user, str(found.get("name") or f"user {user}"), email)
        self._people[user] = now, person
        return person


def _as_text(answer: str) -> str:
    """Return an answer as markdown that says just this."""
    return render(Content((Paragraph(rich(answer)),)))
