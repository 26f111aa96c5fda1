"""How writes are sent: each once, by `Once`, and each remembered as our own."""

from collections.abc import Awaitable, Callable

from higherself.kernel.jsonvalue import canonical, content_hash
from higherself.notion.gateway.echoes import Echoes
from higherself.notion.gateway.exchange import File
from higherself.notion.gateway.gateway import Leaving
from higherself.notion.ports import Intent, JsonObject
from higherself.notion.reading.api import Notion, PageMarkdown, page_markdown
from higherself.notion.writing.once import Made, Once, Write
from higherself.notion.writing.readback import Readback

Send = Callable[[Leaving], Awaitable[Made]]
Find = Callable[[Intent], Awaitable[Made | None]]


class Sending:
    """What every write needs."""

    def __init__(self, notion: Notion, once: Once, echoes: Echoes, *, scope: str = "") -> None:
        # The same key is another write where another Notion answers: on the emulator, say.
        self._scope = scope
        self._notion, self._once, self.echoes = notion, once, echoes
        self._gateway = notion.gateway
        self._readback = Readback(notion, once.intents)

    async def _write(
        self,
        kind: str,
        key: str,
        target: str,
        body: JsonObject,
        send: Send,
        find: Find,
    ) -> Made:
        sent = content_hash(canonical(body)).hex()
        return await self._once.run(
            Write(key=self._scope + key, kind=kind, target=target, sent=sent, send=send, find=find)
        )

    async def _again(self, kind: str, key: str, target: str, body: JsonObject, send: Send) -> Made:
        """Do what does no harm twice."""
        sent = content_hash(canonical(body)).hex()
        return await self._once.run(
            Write(
                key=self._scope + key,
                kind=kind,
                target=target,
                sent=sent,
                send=send,
                find=_no,
                repeated=True,
            )
        )

    async def _text(
        self,
        kind: str,
        key: str,
        page: str,
        body: JsonObject,
        find: Find | None,
    ) -> PageMarkdown:
        path = f"pages/{page}/markdown"

        async def send(leaving: Leaving) -> Made:
            answer = await self._request("PATCH", path, body, leaving)
            return Made(result=page, answer=answer)

        if find is None:
            made = await self._again(kind, key, page, body, send)
        else:
            made = await self._write(kind, key, page, body, send, find)
        if made.answer is None:
            return await self._notion.markdown(page)
        shown = page_markdown(made.answer)
        if not shown.truncated:
            await self.echoes.wrote_markdown(page, shown.markdown)
        return shown

    async def _inserted(self, page: str, insert: JsonObject, key: str) -> PageMarkdown:
        async def find(intent: Intent) -> Made | None:
            return await self._readback.inserted(intent, insert["content"])

        body = {"type": "insert_content", "insert_content": insert}
        return await self._text("insert_markdown", key, page, body, find)

    async def _appended(
        self, key: str, block: str, blocks: list[JsonObject], after: str | None
    ) -> list[JsonObject]:
        body: JsonObject = {"children": blocks}
        if after is not None:
            body["position"] = {"type": "after_block", "after_block": {"id": after}}

        async def send(leaving: Leaving) -> Made:
            answer = await self._request("PATCH", f"blocks/{block}/children", body, leaving)
            # With a position, the blocks that follow come along.
            made = answer["results"][: len(blocks)]
            return Made(children=tuple(item["id"] for item in made), answer={"results": made})

        made = await self._write(
            "append",
            key,
            block,
            body,
            send,
            lambda intent: self._readback.blocks(intent, blocks),
        )
        if made.answer is not None:
            return list(made.answer["results"])
        return [await self._notion.block(child) for child in made.children]

    async def _inside(self, block: str, path: tuple[int, ...]) -> str:
        for place in path:
            inside = [child["id"] async for child in self._notion.children(block)]
            block = inside[place]
        return block

    def _posting(self, method: str, path: str, body: JsonObject) -> Send:
        async def send(leaving: Leaving) -> Made:
            answer = await self._request(method, path, body, leaving)
            return Made(result=answer["id"], answer=answer)

        return send

    async def _request(
        self,
        method: str,
        path: str,
        body: JsonObject | None,
        leaving: Leaving | None,
    ) -> JsonObject:
        return await self._gateway.request(
            method, path, body=body, lane=self._notion.lane, leaving=leaving
        )

    async def _send_file(self, path: str, file: File) -> None:
        await self._gateway.request("POST", path, file=file, lane=self._notion.lane)


async def _no(intent: Intent) -> Made | None:
    return None


def result_of(made: Made) -> str:
    """Return the id of what a write made."""
    if made.result is None:
        raise AssertionError("a write that makes something knows what it made")
    return made.result
