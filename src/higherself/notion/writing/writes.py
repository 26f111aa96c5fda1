"""Writes to Notion that happen once. Every one has a key of the caller's: the same key, once.

What a method returns is Notion's answer, or, when the write was done before, what is there now.
"""

from collections.abc import Sequence
from typing import Any

from higherself.kernel.errors import HigherSelfError
from higherself.notion.content.regions import Edit
from higherself.notion.errors import EditConflict, NotionRejected
from higherself.notion.gateway.exchange import File
from higherself.notion.gateway.gateway import Leaving
from higherself.notion.gateway.lanes import Lane
from higherself.notion.ids import notion_id
from higherself.notion.ports import Intent, JsonObject
from higherself.notion.reading.api import PageMarkdown
from higherself.notion.writing.limits import cut, fitted_properties, markdown_parts, portions
from higherself.notion.writing.once import Made
from higherself.notion.writing.readback import sent_title
from higherself.notion.writing.sending import Sending, result_of

__all__ = ["Edit", "Writes"]

EDITS = 100
SINGLE_PART = 20_000_000
PART = 10_000_000


class Writes(Sending):
    """Changes Notion. Each method tells in its errors what `Gateway.request` and `Once.run` tell."""

    def in_lane(self, lane: Lane) -> "Writes":
        """Return the same, with its requests in another lane."""
        return Writes(self._notion.in_lane(lane), self._once, self.echoes, scope=self._scope)

    async def is_done(self, key: str) -> bool:
        """Return whether the write of a key was done."""
        return await self._once.intents.is_done(self._scope + key)

    # --- Pages.

    async def create_page(
        self,
        parent: JsonObject,
        properties: JsonObject,
        *,
        key: str,
        markdown: str = "",
        icon: str | JsonObject | None = None,
        position: JsonObject | None = None,
    ) -> JsonObject:
        """Make a page in a data source, under a page or in the workspace, with text on it."""
        parts = markdown_parts(markdown)
        body: JsonObject = {"parent": parent, "properties": fitted_properties(properties)}
        if parts[0]:
            body["markdown"] = parts[0]
        if icon is not None:
            body["icon"] = icon_of(icon)
        if position is not None:
            body["position"] = position
        made = await self._write(
            "create_page",
            key,
            parent.get("data_source_id")
            or parent.get("page_id")
            or parent.get("database_id")
            or "",
            body,
            self._posting("POST", "pages", body),
            lambda intent: self._readback.page(intent, parent, sent_title(properties), parts[0]),
        )
        page = made.answer or await self._notion.page(result_of(made))
        for number, part in enumerate(parts[1:], 2):
            await self.insert_markdown(page["id"], part, key=f"{key}#{number}")
        if made.answer is not None:
            await self.echoes.wrote_page(page)
            if len(parts) == 1:
                await self.echoes.wrote_markdown(page["id"], markdown)
        return page

    async def update_page(
        self,
        page: str,
        *,
        key: str,
        properties: JsonObject | None = None,
        icon: str | JsonObject | None = None,
        in_trash: bool | None = None,
    ) -> JsonObject:
        """Change a page's properties or icon, move it to the trash, or bring it back."""
        body: JsonObject = {}
        if properties is not None:
            body["properties"] = fitted_properties(properties)
        if icon is not None:
            body["icon"] = icon_of(icon)
        if in_trash is not None:
            body["in_trash"] = in_trash
        page = notion_id(page)
        made = await self._again(
            "update_page", key, page, body, self._posting("PATCH", f"pages/{page}", body)
        )
        if made.answer is None:
            return await self._notion.page(page)
        await self.echoes.wrote_page(made.answer)
        return made.answer

    async def link(self, page: str, relation: str, to: Sequence[str], *, key: str) -> JsonObject:
        """Add pages to a relation of a page, which is given by its name, to those that it has."""
        page, added = notion_id(page), [notion_id(each) for each in to]

        async def send(leaving: Leaving) -> Made:
            there = await self._notion.page(page)
            if relation not in there["properties"]:
                raise NotionRejected(f"{relation!r} is no property of the page {page}")
            before = await self._notion.related(there, relation)
            together = list(dict.fromkeys([*before, *added]))
            if together == before:
                return Made(result=page, answer=there)
            linked = {relation: {"relation": [{"id": each} for each in together]}}
            body = {"properties": fitted_properties(linked)}
            answer = await self._request("PATCH", f"pages/{page}", body, leaving)
            return Made(result=page, answer=answer)

        made = await self._again("link", key, page, {"relation": relation, "to": added}, send)
        if made.answer is None:
            return await self._notion.page(page)
        await self.echoes.wrote_page(made.answer)
        return made.answer

    # --- Text.

    async def edit_markdown(self, page: str, edits: Sequence[Edit], *, key: str) -> PageMarkdown:
        """Put new text in the place of old text, everywhere or nowhere.

        Raises
            EditConflict: an old text does not stand there exactly once: somebody has changed it.
        """
        page = notion_id(page)
        if not edits or len(edits) > EDITS:
            raise NotionRejected(f"{len(edits)} edits; Notion takes 1 to {EDITS} in a request")
        changes = [{"old_str": edit.old, "new_str": edit.new} for edit in edits]
        body = {"type": "update_content", "update_content": {"content_updates": changes}}

        async def find(intent: Intent) -> Made | None:
            there = (await self._notion.markdown(page)).markdown
            return Made(result=page) if all(_edited(there, edit) for edit in edits) else None

        try:
            return await self._text("edit_markdown", key, page, body, find)
        except NotionRejected as error:
            if "old_str" in str(error):
                raise EditConflict(
                    f"the text to be changed on {page} is not there as it was ({error}); read the "
                    "page again"
                ) from error
            raise

    async def insert_markdown(
        self, page: str, markdown: str, *, key: str, after: str | None = None, first: bool = False
    ) -> PageMarkdown:
        """Add text at the end of a page; at its beginning; or after the text ``after``.

        ``after`` is ``beginning...end`` of text that stands there once.
        """
        page = notion_id(page)
        *most, last = markdown_parts(markdown)
        if most and (first or after):
            raise NotionRejected("so long a text can only be added at the end of a page")
        for number, part in enumerate(most, 1):
            await self._inserted(page, {"content": part}, f"{key}#{number}")
        insert: JsonObject = {"content": last}
        if after is not None:
            insert["after"] = after
        elif first:
            insert["position"] = {"type": "start"}
        return await self._inserted(page, insert, key)

    async def replace_markdown(self, page: str, markdown: str, *, key: str) -> PageMarkdown:
        """Put ``markdown`` in the place of all that stands on a page. For pages that are ours alone.

        Raises
            NotionRejected: child pages would be deleted.
        """
        page = notion_id(page)
        body = {"type": "replace_content", "replace_content": {"new_str": markdown}}
        return await self._text("replace_markdown", key, page, body, None)

    # --- Blocks.

    async def append(
        self, block: str, blocks: Sequence[JsonObject], *, key: str, after: str | None = None
    ) -> list[JsonObject]:
        """Add blocks inside a page or block, at its end or ``after`` one; return those of the first level.

        However many, and however deep: what does not fit into a request comes with the next.
        """
        block = notion_id(block)
        made: list[JsonObject] = []
        for number, portion in enumerate(portions(blocks)):
            added = await self._appended(f"{key}#{number}", block, portion.blocks, after)
            made += added
            for place, rest in enumerate(portion.rests):
                inside = await self._inside(added[rest.path[0]]["id"], rest.path[1:])
                await self.append(inside, rest.blocks, key=f"{key}#{number}.{place}")
            after = added[-1]["id"] if after is not None else None
        return made

    async def update_block(self, block: str, content: JsonObject, *, key: str) -> JsonObject:
        """Change what a block itself has: ``{"to_do": {"checked": True}}``."""
        block = notion_id(block)
        send = self._posting("PATCH", f"blocks/{block}", content)
        made = await self._again("update_block", key, block, content, send)
        return made.answer or await self._notion.block(block)

    async def delete_block(self, block: str, *, key: str) -> None:
        """Move a block, or a page, to the trash."""
        block = notion_id(block)

        async def send(leaving: Leaving) -> Made:
            try:
                await self._request("DELETE", f"blocks/{block}", None, leaving)
            except HigherSelfError:
                if (made := await self._readback.gone(block)) is None:
                    raise
                return made
            return Made(result=block)

        await self._write(
            "delete_block", key, block, {}, send, lambda intent: self._readback.gone(block)
        )

    # --- Comments, databases, views.

    async def comment(
        self, page: str, markdown: str, *, key: str, discussion: str | None = None
    ) -> JsonObject:
        """Comment on a page, or in a discussion that is on it."""
        page = notion_id(page)
        body: JsonObject = {"markdown": markdown}
        if discussion is not None:
            body["discussion_id"] = discussion
        else:
            body["parent"] = {"page_id": page}
        made = await self._write(
            "create_comment",
            key,
            page,
            body,
            self._posting("POST", "comments", body),
            lambda intent: self._readback.comment(intent, markdown),
        )
        if made.answer is not None:
            return made.answer
        path = f"comments/{result_of(made)}"
        return await self._gateway.request("GET", path, lane=self._notion.lane)

    async def create_database(
        self,
        parent: JsonObject,
        title: str,
        properties: JsonObject,
        *,
        key: str,
        icon: str | JsonObject | None = None,
        description: str = "",
        inline: bool = False,
    ) -> JsonObject:
        """Make a database with one data source under a page."""
        body: JsonObject = {
            "parent": parent,
            "title": text(title),
            "initial_data_source": {"properties": properties},
        }
        if icon is not None:
            body["icon"] = icon_of(icon)
        if description:
            body["description"] = text(description)
        if inline:
            body["is_inline"] = True
        made = await self._write(
            "create_database",
            key,
            str(parent.get("page_id", "")),
            body,
            self._posting("POST", "databases", body),
            lambda intent: self._readback.database(intent, parent, title),
        )
        return made.answer or await self._notion.database(result_of(made))

    async def update_database(self, database: str, body: JsonObject, *, key: str) -> JsonObject:
        """Change a database's title, icon, description, or whether it is in the trash."""
        database = notion_id(database)
        send = self._posting("PATCH", f"databases/{database}", body)
        made = await self._again("update_database", key, database, body, send)
        return made.answer or await self._notion.database(database)

    async def update_data_source(
        self, data_source: str, *, key: str, properties: JsonObject | None = None, **more: Any
    ) -> JsonObject:
        """Add, change or (with None) remove properties of a data source."""
        data_source = notion_id(data_source)
        body: JsonObject = {**more} if properties is None else {"properties": properties, **more}
        send = self._posting("PATCH", f"data_sources/{data_source}", body)
        made = await self._again("update_data_source", key, data_source, body, send)
        return made.answer or await self._notion.data_source(data_source)

    async def create_view(self, body: JsonObject, *, key: str) -> JsonObject:
        """Make a view; ``body`` as in Notion's reference."""
        database = str(body.get("database_id", ""))
        made = await self._write(
            "create_view",
            key,
            database,
            body,
            self._posting("POST", "views", body),
            lambda intent: self._readback.view(intent, str(body.get("name", ""))),
        )
        return made.answer or await self._notion.view(result_of(made))

    async def update_view(self, view: str, body: JsonObject, *, key: str) -> JsonObject:
        """Change a view."""
        view = notion_id(view)
        send = self._posting("PATCH", f"views/{view}", body)
        made = await self._again("update_view", key, view, body, send)
        return made.answer or await self._notion.view(view)

    # --- Files.

    async def upload(self, name: str, type: str, data: bytes) -> str:
        """Send a file, and return the id with which it can be put on a page within an hour.

        It needs no key: what is not put anywhere, Notion forgets.
        """
        parts = [data[start : start + PART] for start in range(0, len(data), PART)]
        large = len(data) > SINGLE_PART
        body: JsonObject = {"filename": name, "content_type": type, "mode": "single_part"}
        if large:
            body |= {"mode": "multi_part", "number_of_parts": len(parts)}
        made = await self._request("POST", "file_uploads", body, None)
        path = f"file_uploads/{made['id']}"
        if not large:
            await self._send_file(f"{path}/send", File(name=name, type=type, data=data))
            return str(made["id"])
        for number, part in enumerate(parts, 1):
            file = File(name=name, type=type, data=part, part=number)
            await self._send_file(f"{path}/send", file)
        await self._request("POST", f"{path}/complete", None, None)
        return str(made["id"])


def _edited(markdown: str, edit: Edit) -> bool:
    """Return whether the new text is there and the old is not, except as a part of the new."""
    if edit.new and edit.new not in markdown:
        return False
    rest = markdown.replace(edit.new, "\0") if edit.new else markdown
    return edit.old not in rest


def icon_of(icon: str | JsonObject) -> JsonObject:
    """Return an icon as Notion takes it; a text is an emoji.

    >>> icon_of("🌱")
    {'type': 'emoji', 'emoji': '🌱'}
    """
    return {"type": "emoji", "emoji": icon} if isinstance(icon, str) else icon


def text(content: str) -> list[JsonObject]:
    """Return rich text of plain text."""
    return [{"type": "text", "text": {"content": part}} for part in cut(content)] if content else []
