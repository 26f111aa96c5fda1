"""A write that happens once, whatever becomes of the process that sends it, or of its answer.

It is remembered before it leaves. If nobody knows how it ended, it is looked for in Notion; it is
sent again only when it is not there, and so long after it left that it cannot arrive any more.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Unavailable
from higherself.kernel.ids import new_id
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.errors import Committed, NotionRejected, NotionUnavailable
from higherself.notion.gateway.exchange import LONGEST
from higherself.notion.ports import Intent, Intents, JsonObject

SETTLE = LONGEST + timedelta(seconds=5)
"""When a request that left cannot arrive any more: the connection was given up before."""

OFTEN = timedelta(milliseconds=250)
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a write made: a ``result``, or ``children`` in its target; the ``answer`` if it is new."""

    result: str | None = None
    children: tuple[str, ...] = ()
    answer: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write: what it is, how it is sent, and how it is found.

    ``send`` gets what to call when the request leaves. ``find`` returns what the write has made if
    it is there. A write that may be ``repeated`` does no harm twice.
    """

    key: str
    kind: str
    target: str
    sent: str
    send: Callable[[Callable[[], Awaitable[None]]], Awaitable[Made]]
    find: Callable[[Intent], Awaitable[Made | None]]
    repeated: bool = False


class _SentByAnother(Exception):
    """Another process has sent it meanwhile."""


class Once:
    """Has writes happen once."""

    def __init__(self, intents: Intents, clock: Clock, *, settle: timedelta = SETTLE) -> None:
        self.intents, self.clock, self.settle = intents, clock, settle
        self.often = min(OFTEN, settle / 4)
        self._sender = str(new_id(clock.now()))
        self._runs = 0

    async def run(self, write: Write) -> Made:
        """Return what the write made: now, or when it was done before.

        Raises
            NotionRejected: the key was used for another write, or Notion refuses it.
            NotionUnavailable: it is not known how it ended; the same call later finds out.
        """
        self._runs += 1
        run = _Run(self, write, f"{self._sender}.{self._runs}")
        while (made := await run.step()) is None:
            raise_if_cancelled()
        return made


class _Run:
    """One call of `Once.run`. ``failures`` counts the times that nobody knew how it ended."""

    def __init__(self, once: Once, write: Write, sender: str) -> None:
        self._intents, self._clock = once.intents, once.clock
        self._settle, self._often = once.settle, once.often
        self._write, self._sender = write, sender
        self._failures = 0
        self._told: NotionUnavailable | None = None

    async def step(self) -> Made | None:
        """Go one step on; return what was made if that is known then."""
        intent = await self._intent()
        if intent.done:
            return Made(result=intent.result, children=intent.children)
        if intent.sent_at is not None and not self._write.repeated:
            if (made := await self._found(intent)) is not None:
                return made
            if not await self._settled(intent):
                return None
            if (made := await self._found(intent)) is not None:
                return made
        if self._told is not None and self._failures >= TRIES:
            raise self._told
        return await self._send(intent)

    async def _send(self, intent: Intent) -> Made | None:
        async def leaving() -> None:
            if not await self._intents.sending(intent, self._sender):
                raise _SentByAnother

        try:
            made = await self._write.send(leaving)
        except _SentByAnother:
            return None
        except Committed as landed:
            made = Made(result=landed.resource, children=landed.children)
        except NotionUnavailable as error:
            await self._unknown(error)
            return None
        except Unavailable:
            await self._intents.not_sent(self._write.key)
            raise
        except HigherSelfError:
            await self._intents.forget(self._write.key)
            raise
        if await self._intents.done(self._write.key, made.result, made.children):
            return made
        # Somebody who looked for the same took it for theirs: so theirs was not there.
        await self._intents.not_sent(self._write.key)
        return None

    async def _unknown(self, error: NotionUnavailable) -> None:
        """Take note that it failed; raise if it is known that nothing was written."""
        key = self._write.key
        if not error.ambiguous:
            await self._intents.not_sent(key)
            raise error
        self._failures += 1
        self._told = error
        if not error.landed or self._write.repeated:
            await self._clock.sleep(self._often * self._failures)
        elif await self._found(await self._intent()) is None:
            await self._intents.not_sent(
                key
            )  # Notion has ended its work on it, and it is not there
            await self._clock.sleep(self._often * self._failures)

    async def _intent(self) -> Intent:
        write = self._write
        intent = await self._intents.begin(write.key, write.kind, write.target, write.sent)
        if (intent.kind, intent.target, intent.sent) != (write.kind, write.target, write.sent):
            raise NotionRejected(
                f"the key {write.key!r} was used for another write ({intent.kind}); every write "
                "needs a key of its own"
            )
        return intent

    async def _found(self, intent: Intent) -> Made | None:
        made = await self._write.find(intent)
        if made is None or not await self._intents.done(intent.key, made.result, made.children):
            return None
        return made

    async def _settled(self, intent: Intent) -> bool:
        """Wait until what was sent cannot arrive any more; False if it was sent or done meanwhile."""
        left = self._settle - intent.sent_ago
        while left > timedelta(0):
            await self._clock.sleep(min(left, self._often))
            raise_if_cancelled()
            now = await self._intent()
            if now.done or now.sent_at != intent.sent_at:
                return False
            left = self._settle - now.sent_ago
        return True
