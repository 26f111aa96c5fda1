"""The connection to NATS that is always being kept: opened, checked, watched, opened again."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import nats.errors
from pydantic_core import from_json, to_json

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.kernel.tasks import abandonable, in_background, raise_if_cancelled
from higherself.messaging.nats import fitness
from higherself.messaging.nats.client import CutOff, Wire
from higherself.messaging.nats.fitness import Wanted
from higherself.messaging.nats.settings import NatsSettings

LOOK_EVERY = timedelta(seconds=1)
ANSWER_WITHIN = 2.0
"""So often is the server asked whether it is there, and so long may it think: a hole is noticed in 3 s."""

AGAIN_AFTER = timedelta(milliseconds=250)
UNFIT_FOR = timedelta(seconds=5)
"""Until the next try: of one that does not answer, of one that cannot be used as it is set up."""

API = "$JS.API."
API_WITHIN = 3.0

OnUp = Callable[[Wire], Awaitable[None]]


class Link:
    """Keeps a connection. What is sent while there is none is refused at once: other roads are there."""

    def __init__(self, settings: NatsSettings, installation: str, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.installation = installation
        self.stream = f"HIGHERSELF_{installation}"
        self.wire: Wire | None = None
        self._reason: HigherSelfError = CutOff("it was not asked yet")
        self._tried = asyncio.Event()
        self._is_up = asyncio.Event()
        self._on_up: list[OnUp] = []

    def subject(self, rest: str) -> str:
        """Return a subject of this installation: others may use the same server."""
        return f"higherself.{self.installation}.{rest}"

    def on_up(self, call: OnUp) -> None:
        """Call that with every new connection, before anybody else uses it."""
        self._on_up.append(call)

    def up(self) -> Wire:
        """Return the connection.

        Raises
            CutOff: there is none just now.
            Misconfigured: the server cannot be used as it is set up.
        """
        if self.wire is None:
            raise self._reason
        return self.wire

    async def when_up(self) -> Wire:
        """Wait for a connection."""
        while self.wire is None:
            await self._is_up.wait()
        return self.wire

    async def tried(self) -> None:
        """Wait until it is known whether the server can be used.

        Raises
            Misconfigured: it cannot, as it is set up; the text says what to set.
        """
        await self._tried.wait()
        if self.wire is None and isinstance(self._reason, Misconfigured):
            raise self._reason

    async def api(self, call: str, **question: object) -> dict[str, object]:
        """Ask JetStream, and return its answer, which may be an error."""
        return await asked(self.up(), call, **question)

    async def check(self) -> str:
        """Return which server answers.

        Raises
            Unavailable, Misconfigured: none does, or it cannot be used.
        """
        wire = self.up()
        if not await wire.answers(within=ANSWER_WITHIN):
            raise CutOff("it does not answer")
        return f"NATS {wire.server.get('version')} at {self._settings.shown}"

    async def run(self) -> None:
        """Keep the connection, for ever."""
        while True:
            raise_if_cancelled()
            wire = Wire()
            try:
                await self._open(wire)
                await self._watch(wire)
            except Misconfigured as error:
                self._fail(error, "messaging.nats.unfit")
            except HigherSelfError as error:
                self._fail(error, "messaging.nats.away")
            finally:
                self.wire = None
                self._is_up.clear()
                await wire.shut()
            unfit = isinstance(self._reason, Misconfigured)
            await self._clock.sleep(UNFIT_FOR if unfit else AGAIN_AFTER)

    async def _open(self, wire: Wire) -> None:
        try:
            await wire.open(self._settings.servers, self._settings.credentials)
        except (OSError, TimeoutError, nats.errors.Error, ValueError) as error:
            raise explained(error, self._settings) from error
        await self._require_fit(wire)
        for call in self._on_up:
            await call(wire)
        self.wire = wire
        self._is_up.set()
        self._tried.set()
        telemetry.info("messaging.nats.up", server=self._settings.shown)

    async def _watch(self, wire: Wire) -> None:
        while not wire.lost.is_set():
            try:
                async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                    await wire.lost.wait()
            except TimeoutError:
                if not await wire.answers(within=ANSWER_WITHIN):
                    break
            raise_if_cancelled()
        raise CutOff("the connection was lost")

    def _fail(self, error: HigherSelfError, what: str) -> None:
        if str(error) != str(self._reason):
            telemetry.warning(what, reason=str(error))
        self._reason = error
        self._tried.set()

    async def _require_fit(self, wire: Wire) -> None:
        fitness.require_server(wire.server)
        wanted = Wanted(
            name=self.stream,
            subjects=(self.subject("durable.>"),),
            replicas=self._settings.replicas,
            most_bytes=self._settings.most_bytes,
            most_messages=self._settings.most_messages,
        )
        stream = await self._stream(wire, wanted)
        if fitness.needs_to_sync(stream, wire.server):
            facts = await self._monitored(str(wire.server["server_id"]))
            fitness.require_synced(facts, self._settings.monitors)

    async def _stream(self, wire: Wire, wanted: Wanted) -> dict[str, object]:
        """Return the stream as the server has it; it is made, or corrected, if need be."""
        found = await asked(wire, f"STREAM.INFO.{wanted.name}")
        if fitness.is_missing(found):
            found = await asked(wire, f"STREAM.CREATE.{wanted.name}", **wanted.config())
            if fitness.may_be_tried_again(found):
                await self._clock.sleep(AGAIN_AFTER)
                found = await asked(wire, f"STREAM.CREATE.{wanted.name}", **wanted.config())
        elif wanted.differences(found):
            found = await asked(wire, f"STREAM.UPDATE.{wanted.name}", **wanted.config())
        fitness.require_stream(found, wanted)
        return found

    async def _monitored(self, server_id: str) -> dict[str, object] | None:
        """Return what the monitoring of the server says of JetStream; None: nobody can be asked."""
        for url in self._settings.monitors:
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    facts = await abandonable(lambda url=url: _read(f"{url}/jsz"))  # type: ignore[misc]
            except (OSError, ValueError, TimeoutError):
                continue
            if isinstance(facts, dict) and facts.get("server_id") == server_id:
                return facts
        return None


async def asked(wire: Wire, call: str, **question: object) -> dict[str, object]:
    """Ask JetStream, and return its answer, which may be an error.

    Raises
        CutOff: it did not answer.
        Misconfigured: there is no JetStream.
    """
    header, payload = await wire.asked(
        f"{API}{call}", to_json(question) if question else b"", within=API_WITHIN
    )
    if header.startswith(b"NATS/1.0 503"):
        raise Misconfigured(fitness.NO_JETSTREAM)
    answer: dict[str, object] = from_json(payload)
    return answer


def explained(error: Exception, settings: NatsSettings) -> Misconfigured | Unavailable:
    """Return what is wrong when a connection cannot be opened."""
    text = str(error).lower()
    if "authoriz" in text or "authentic" in text:
        return Misconfigured(
            f"the NATS server at {settings.shown} does not let us in ({error}); correct the user and "
            "password (or token) in NATS_URL, or NATS_CREDS"
        )
    if isinstance(error, FileNotFoundError | ValueError):
        return Misconfigured(
            f"NATS cannot be reached as it is set up ({error}); correct NATS_URL or NATS_CREDS"
        )
    return CutOff(f"{settings.shown}: {str(error) or type(error).__name__}")


def _read(url: str) -> object:
    with urllib.request.urlopen(url, timeout=ANSWER_WITHIN) as answer:  # noqa: S310  an operator's own URL
        return from_json(answer.read())


@asynccontextmanager
async def open_link(
    settings: NatsSettings, installation: str, clock: Clock, *, prepare: Callable[[Link], None]
) -> AsyncIterator[Link]:
    """Yield a link that is kept meanwhile; ``prepare`` it before it is up.

    Raises
        Misconfigured: the server answers, and cannot be used.
    """
    link = Link(settings, installation, clock)
    prepare(link)
    async with in_background(link.run()):
        await link.tried()
        yield link
