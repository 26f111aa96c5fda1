"""Embeddings of OpenAI, and of servers that speak its protocol, through its SDK (extra ``openai``).

The SDK is loaded on first use. The connection is here, too, for whatever else is asked over it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import urlsplit

from higherself.kernel.clock import Clock
from higherself.knowledge.errors import ProviderMisconfigured, ProviderUnavailable
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose
from higherself.knowledge.providers.faults import Account
from higherself.knowledge.providers.portions import Limits
from higherself.knowledge.providers.remote import RemoteEmbeddings, Response

T = TypeVar("T")

TIER = "openai"
SETTING = "OPENAI_EMBEDDING_DIMENSIONS"
LIMITS = Limits(window=8_191, texts=2_048, tokens=300_000)
OWN_HOSTS = ("api.openai.com", "openai.azure.com")


@dataclass(frozen=True, slots=True)
class Model:
    """What OpenAI says of a model: the dimensions it has, and whether it gives fewer if asked."""

    dimensions: int
    shortens: bool = True


MODELS = {
    "text-embedding-3-small": Model(1536),
    "text-embedding-3-large": Model(3072),
    "text-embedding-ada-002": Model(1536, shortens=False),
}


def openai_embeddings(
    key: str,
    *,
    base_url: str,
    model: str,
    dimensions: int | None,
    clock: Clock,
    **patience: Any,
) -> RemoteEmbeddings:
    """Return the provider. No ``dimensions``: as many as the model gives of itself.

    Of a model that is not OpenAI's they must be given, and are not asked for. ``patience`` is
    passed on.

    Raises
        ProviderMisconfigured: the model does not have these dimensions, or is not known and they
            are not given.
    """
    known = MODELS.get(model, Model(dimensions or 0, shortens=False))
    made = dimensions or known.dimensions
    if not made:
        raise ProviderMisconfigured(
            f"{SETTING} must say how many dimensions {model} has; known models: {', '.join(MODELS)}"
        )
    if made > known.dimensions or (made < known.dimensions and not known.shortens):
        fewer = " or fewer" if known.shortens else ""
        raise ProviderMisconfigured(f"{SETTING} is {made}; {model} has {known.dimensions}{fewer}")
    account = Account(
        tier=TIER,
        key=key,
        key_setting="OPENAI_API_KEY",
        url_setting="OPENAI_BASE_URL",
        model_setting="OPENAI_EMBEDDING_MODEL",
    )
    return RemoteEmbeddings(
        TIER,
        OpenAIEndpoint(
            OpenAIConnection(account, base_url=base_url, clock=clock),
            model=model,
            dimensions=made if made < known.dimensions else None,
        ),
        space=space(model, made, base_url),
        model=model,
        limits=LIMITS,
        clock=clock,
        **patience,
    )


def space(model: str, dimensions: int, base_url: str) -> EmbeddingSpace:
    """Return the space that ``model`` embeds into at ``base_url``.

    Many servers speak this protocol, and some call a model of their own by OpenAI's name. So the
    space of another server has its host in its name, and is never taken for OpenAI's.

    >>> space("text-embedding-3-small", 1536, "https://api.openai.com/v1").name
    'openai/text-embedding-3-small/1536'
    >>> space("nomic-embed-text", 768, "http://gpu.example.org:11434/v1").name
    'openai/nomic-embed-text/768@gpu.example.org'
    """
    host = urlsplit(base_url).hostname or ""
    own = any(host == each or host.endswith(f".{each}") for each in OWN_HOSTS)
    name = f"openai/{model}/{dimensions}" + ("" if own else f"@{host}")
    return EmbeddingSpace(name=name, provider=TIER, model=model, dimensions=dimensions)


class OpenAIEndpoint:
    """Asks for embeddings. ``dimensions`` are asked for only if they are not the model's own."""

    def __init__(
        self, connection: "OpenAIConnection", *, model: str, dimensions: int | None
    ) -> None:
        self._connection = connection
        self._model = model
        self._dimensions = dimensions

    async def open(self) -> None:
        """Load the SDK."""
        await self._connection.open()

    async def post(self, texts: Sequence[str], purpose: Purpose) -> Response:
        """Send one request. ``purpose`` makes no difference: OpenAI has no input types.

        Raises
            RequestRefused: there is something about the texts, or the model.
            ProviderUnavailable: anything else went wrong.
        """
        asked: dict[str, Any] = {"input": list(texts), "model": self._model}
        if self._dimensions is not None:
            asked["dimensions"] = self._dimensions
        return await self._connection.ask(
            lambda client: client.embeddings.create(**asked), _response
        )

    async def close(self) -> None:
        """Release the connections."""
        await self._connection.close()


def _response(answer: Any) -> Response:
    rows = [(row.index, row.embedding) for row in answer.data]
    # Some servers that speak this protocol do not say.
    usage = getattr(answer, "usage", None)
    return Response(rows, None if usage is None else int(usage.total_tokens))


class OpenAIConnection:
    """The SDK of OpenAI with a client of it, which sends requests and never tries again."""

    def __init__(self, account: Account, *, base_url: str, clock: Clock) -> None:
        self._account = account
        self._base_url = base_url
        self._clock = clock
        self._sdk: Any = None
        self._client: Any = None

    async def open(self) -> None:
        """Load the SDK and its certificates, which takes a second, beside the event loop."""
        if self._client is None:
            try:
                self._sdk, self._client = await asyncio.to_thread(self._loaded)
            except ImportError as error:
                raise ProviderUnavailable(
                    f"{self._account.tier}: its SDK cannot be loaded: {error}", permanent=True
                ) from error

    async def ask(self, send: Callable[[Any], Awaitable[Any]], read: Callable[[Any], T]) -> T:
        """Have the client ``send`` one request, and return what ``read`` reads in the answer.

        Raises
            RequestRefused: there is something about what is asked.
            ProviderUnavailable: anything else went wrong.
        """
        try:
            return read(await send(self._client))
        except self._sdk.APITimeoutError as error:
            raise ProviderUnavailable(
                f"{self._account.tier} did not answer in time", timed_out=True
            ) from error
        except self._sdk.APIStatusError as error:
            raise self._fault(error) from error
        except self._sdk.APIConnectionError as error:
            raise self._account.unreachable(error.__cause__ or error) from error
        except (AttributeError, KeyError, TypeError, ValueError, self._sdk.OpenAIError) as error:
            raise self._account.unreadable() from error

    async def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            await self._client.close()

    def _loaded(self) -> tuple[Any, Any]:
        sdk = import_module("openai")
        client = sdk.AsyncOpenAI(api_key=self._account.key, base_url=self._base_url, max_retries=0)
        return sdk, client

    def _fault(self, error: Any) -> Exception:
        body = error.body if isinstance(error.body, dict) else {}
        said = str(body.get("message") or error.response.text)
        if body.get("code") == "insufficient_quota":
            account = self._account
            return ProviderUnavailable(
                f"{account.tier}: the quota of {account.key_setting} is used up; check its account",
                permanent=True,
            )
        return self._account.fault(
            error.status_code, said, error.response.headers, self._clock.now()
        )
