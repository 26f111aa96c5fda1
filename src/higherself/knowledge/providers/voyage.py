"""Embeddings of Voyage AI, through its SDK (extra ``voyage``), which is loaded on first use.

The connection to Voyage is here, too, for whatever else is asked of it.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from higherself.kernel.clock import Clock
from higherself.knowledge.errors import ProviderMisconfigured, ProviderUnavailable
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose
from higherself.knowledge.providers.faults import Account
from higherself.knowledge.providers.portions import Limits
from higherself.knowledge.providers.remote import RemoteEmbeddings, Response

T = TypeVar("T")

TIER = "voyage"
TEXTS = 1_000
SETTING = "VOYAGE_DIMENSIONS"


@dataclass(frozen=True, slots=True)
class Model:
    """What Voyage says of a model: its dimensions, the default first, and its limits in tokens."""

    dimensions: tuple[int, ...]
    tokens: int = 120_000
    window: int = 32_000


FLEXIBLE = (1024, 256, 512, 2048)
MODELS = {
    "voyage-4-large": Model(FLEXIBLE),
    "voyage-4": Model(FLEXIBLE, tokens=320_000),
    "voyage-4-lite": Model(FLEXIBLE, tokens=1_000_000),
    "voyage-3.5": Model(FLEXIBLE, tokens=320_000),
    "voyage-3.5-lite": Model(FLEXIBLE, tokens=1_000_000),
    "voyage-3-large": Model(FLEXIBLE),
    "voyage-code-3": Model(FLEXIBLE),
    "voyage-finance-2": Model((1024,)),
    "voyage-law-2": Model((1024,), window=16_000),
}
"""What this release knows. The limits are those that Voyage's documentation gives."""

FAMILY = "voyage-4"
FAMILY_MODELS = ("voyage-4-large", "voyage-4", "voyage-4-lite")
"""Their vectors are comparable with one another: one space."""


def voyage_embeddings(
    key: str,
    *,
    base_url: str,
    model: str,
    dimensions: int | None,
    clock: Clock,
    **patience: Any,
) -> RemoteEmbeddings:
    """Return the provider. No ``dimensions``: as many as the model gives of itself.

    The name of the model alone decides the space, whatever the address: only Voyage and those who
    host for it serve models of these names. ``patience`` is passed on.

    Raises
        ProviderMisconfigured: the model does not have these dimensions, or is not known and they
            are not given.
    """
    known = MODELS.get(model, Model((dimensions,) if dimensions else ()))
    if not known.dimensions:
        raise ProviderMisconfigured(
            f"{SETTING} must say how many dimensions {model} has; known models: {', '.join(MODELS)}"
        )
    made = dimensions or known.dimensions[0]
    if made not in known.dimensions:
        allowed = ", ".join(map(str, sorted(known.dimensions)))
        raise ProviderMisconfigured(f"{SETTING} is {made}; {model} has {allowed}")
    account = Account(
        tier=TIER,
        key=key,
        key_setting="VOYAGE_API_KEY",
        url_setting="VOYAGE_BASE_URL",
        model_setting="VOYAGE_MODEL",
    )
    return RemoteEmbeddings(
        TIER,
        VoyageEndpoint(
            VoyageConnection(account, base_url=base_url, clock=clock),
            model=model,
            dimensions=made if len(known.dimensions) > 1 else None,
        ),
        space=space(model, made),
        model=model,
        limits=Limits(window=known.window, texts=TEXTS, tokens=known.tokens),
        clock=clock,
        **patience,
    )


def space(model: str, dimensions: int) -> EmbeddingSpace:
    """Return the space that ``model`` embeds into.

    >>> space("voyage-4-lite", 512).name, space("voyage-code-3", 1024).name
    ('voyage-4/512', 'voyage/voyage-code-3/1024')
    """
    family = model in FAMILY_MODELS
    name = f"{FAMILY}/{dimensions}" if family else f"voyage/{model}/{dimensions}"
    return EmbeddingSpace(
        name=name, provider=TIER, model=FAMILY if family else model, dimensions=dimensions
    )


class VoyageEndpoint:
    """Asks Voyage AI for embeddings. ``dimensions`` are asked for only if there is a choice."""

    def __init__(
        self, connection: "VoyageConnection", *, model: str, dimensions: int | None
    ) -> None:
        self._connection = connection
        self._model = model
        self._dimensions = dimensions

    async def open(self) -> None:
        """Load the SDK."""
        await self._connection.open()

    async def post(self, texts: Sequence[str], purpose: Purpose) -> Response:
        """Send one request. The SDK's client would drop the index; its resource keeps it.

        Raises
            RequestRefused: there is something about the texts, or the model.
            ProviderUnavailable: anything else went wrong.
        """
        asked: dict[str, Any] = {
            "input": list(texts),
            "model": self._model,
            "input_type": purpose,
            "truncation": False,  # nothing is ever cut silently
        }
        if self._dimensions is not None:
            asked["output_dimension"] = self._dimensions
        return await self._connection.ask("Embedding", asked, _response)

    async def close(self) -> None:
        """Release the connections."""
        await self._connection.close()


def _response(answer: Any) -> Response:
    rows = [(row.index, row.embedding) for row in answer.data]
    return Response(rows, int(answer.usage.total_tokens))


class VoyageConnection:
    """The SDK of Voyage AI, and the connections that it sends its requests over."""

    def __init__(self, account: Account, *, base_url: str, clock: Clock) -> None:
        self._account = account
        self._base_url = base_url
        self._clock = clock
        self._sdk: Any = None
        self._session: Any = None

    async def open(self) -> None:
        """Load the SDK, which takes a second, beside the event loop."""
        if self._sdk is not None:
            return
        try:
            self._sdk = await asyncio.to_thread(import_module, "voyageai")
        except ImportError as error:
            raise ProviderUnavailable(
                f"{self._account.tier}: its SDK cannot be loaded: {error}", permanent=True
            ) from error

    async def ask(self, resource: str, asked: dict[str, Any], read: Callable[[Any], T]) -> T:
        """Send one request to a resource of the SDK, and return what ``read`` reads in the answer.

        Raises
            RequestRefused: there is something about what is asked.
            ProviderUnavailable: anything else went wrong.
        """
        own_session = self._sdk.aiosession.set(self._connections())
        try:
            answer = await getattr(self._sdk, resource).acreate(
                api_key=self._account.key,
                base_url=self._base_url,
                **asked,
            )
            return read(answer)
        except self._sdk.error.VoyageError as error:
            raise self._fault(error) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._account.unreadable() from error
        finally:
            self._sdk.aiosession.reset(own_session)

    async def close(self) -> None:
        """Release the connections."""
        if self._session is not None:
            await self._session.close()

    def _connections(self) -> Any:
        """Return connections that are kept between requests; the SDK would make new ones."""
        if self._session is None:
            self._session = _session(self._account)
        return self._session

    def _fault(self, error: Any) -> Exception:
        if isinstance(error, self._sdk.error.Timeout):
            return ProviderUnavailable(
                f"{self._account.tier} did not answer in time", timed_out=True
            )
        if error.http_status is None:
            return self._account.unreachable(error.__cause__ or error)
        if error.http_status < 300:
            return self._account.unreadable()
        return self._account.fault(
            error.http_status, _said(error.http_body), error.headers, self._clock.now()
        )


def _said(body: str) -> str:
    """Return what an error answer says. The SDK reads it for some kinds of errors only."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, LookupError, TypeError):
        return body


def _session(account: Account) -> Any:
    import aiohttp

    class CutResponse(aiohttp.ClientResponse):
        """Says itself when the connection is cut; the SDK would print that, and then fail."""

        async def read(self) -> bytes:
            try:
                return await super().read()
            except aiohttp.ClientError as error:
                raise account.unreachable(error) from error

    return aiohttp.ClientSession(response_class=CutResponse)
