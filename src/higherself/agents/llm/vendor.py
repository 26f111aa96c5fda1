"""Anthropic, OpenAI and servers that speak their protocols, through pydantic-ai.

Extras ``anthropic`` and ``openai``; both are loaded on first use. pydantic-ai and the vendors' SDKs
translate, and nothing more: they try nothing again, run no tools, and count nothing.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from higherself.agents.llm.errors import (
    AskFailed,
    AskRejected,
    ModelMisconfigured,
    ModelUnavailable,
)
from higherself.agents.llm.ports import Call, Exchange, Offer, Reply, Told
from higherself.agents.llm.usage import FREE, Price, Usage

LONGEST_REASON = 200
NO_KEY = "none"
"""The key for a server of one's own that wants none; the SDKs insist on one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A protocol: the extra and the settings it needs, and whose own address it is."""

    extra: str
    key_setting: str
    url_setting: str
    host: str


ANTHROPIC = Vendor(
    extra="anthropic",
    key_setting="ANTHROPIC_API_KEY",
    url_setting="ANTHROPIC_BASE_URL",
    host="api.anthropic.com",
)
OPENAI = Vendor(
    extra="openai",
    key_setting="OPENAI_API_KEY",
    url_setting="OPENAI_BASE_URL",
    host="api.openai.com",
)
VENDORS = {
    "anthropic": ANTHROPIC,
    "openai": OPENAI,
    "openai-chat": OPENAI,
    "openai-responses": OPENAI,
}
"""What a model's name may begin with. ``openai`` speaks the Responses API with OpenAI itself, and
Chat Completions, which every server of that kind knows, with others."""

_NAME = re.compile(r"(?P<vendor>[a-z-]+):(?P<model>\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model of which vendor, where it answers, and how it is spoken to."""

    name: str
    protocol: str
    vendor: Vendor
    model: str
    base_url: str

    @classmethod
    def read(cls, name: str, *, urls: dict[str, str]) -> "ModelChoice":
        """Return what ``name`` (``anthropic:claude-sonnet-5``) says; ``urls`` by setting.

        Raises
            ModelMisconfigured: it names no vendor that is known.
        """
        found = _NAME.fullmatch(name)
        if found is None or found["vendor"] not in VENDORS:
            known = ", ".join(f"{vendor}:MODEL" for vendor in VENDORS)
            raise ModelMisconfigured(
                f"HIGHERSELF_LLM is {name!r}, which names no model; it may be template or {known}"
            )
        vendor = VENDORS[found["vendor"]]
        base_url = urls[vendor.url_setting]
        protocol = found["vendor"]
        if protocol == "openai":
            own = urlsplit(base_url).hostname == vendor.host
            protocol = "openai-responses" if own else "openai-chat"
        return cls(
            name=name, protocol=protocol, vendor=vendor, model=found["model"], base_url=base_url
        )

    @property
    def of_vendor(self) -> bool:
        """Whether the vendor itself answers, and not a server that speaks its protocol."""
        return urlsplit(self.base_url).hostname == self.vendor.host

    @property
    def on_machine(self) -> bool:
        """Whether it answers on this machine.

        >>> urls = {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}
        >>> ModelChoice.read("openai:llama3", urls=urls).on_machine
        True
        """
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def known_price(choice: ModelChoice) -> Price | None:
    """Return what a vendor's model costs by the table that comes with pydantic-ai, or None.

    A server of one's own costs nothing that could be known here.
    """
    if not choice.of_vendor:
        return FREE
    try:
        prices = import_module("genai_prices")
    except ImportError:
        return None
    usage = prices.Usage

    def of(**tokens: int) -> Any:
        return prices.calc_price(
            usage(**tokens), choice.model, provider_id=choice.vendor.extra
        ).total_price

    try:
        return Price(
            input=_for_a_million(of(input_tokens=1000)),
            output=_for_a_million(of(output_tokens=1000)),
            cached=_for_a_million(of(input_tokens=1000, cache_read_tokens=1000)),
            written=_for_a_million(of(input_tokens=1000, cache_write_tokens=1000)),
        )
    except LookupError:
        return None


def _for_a_million(dollars_for_a_thousand: Any) -> int:
    return int(dollars_for_a_thousand * 1_000 * 1_000_000)


class VendorEndpoint:
    """An `Endpoint` behind pydantic-ai's model of a vendor."""

    def __init__(self, choice: ModelChoice, *, key: str | None, price: Price) -> None:
        self.name = choice.name
        self.price = price
        self.on_machine = choice.on_machine
        self._choice = choice
        self._key = key
        self._client: Any = None
        self._model: Any = None
        self._loading = asyncio.Lock()

    async def open(self) -> None:
        """Load pydantic-ai and the SDK, which takes seconds, beside the event loop.

        Raises
            ModelMisconfigured: they are not installed, or there is no key.
        """
        async with self._loading:
            if self._model is None:
                vendor = self._choice.vendor
                if self._key is None and self._choice.of_vendor:
                    raise ModelMisconfigured(f"{self.name} needs a key; set {vendor.key_setting}")
                try:
                    self._client, self._model = await asyncio.to_thread(self._loaded)
                except ImportError as missing:
                    raise ModelMisconfigured(
                        f"{self.name} needs the extra {vendor.extra!r} ({missing}); install it: "
                        f"pip install 'higherself-network-server[{vendor.extra}]'"
                    ) from missing

    async def post(self, exchange: Exchange) -> Reply:
        """Send one request, without trying again.

        Raises
            AskRejected: there is something about what is asked.
            ModelUnavailable: anything else went wrong.
        """
        ai = import_module("pydantic_ai")
        errors = import_module("pydantic_ai.exceptions")
        models = import_module("pydantic_ai.models")
        parameters = models.ModelRequestParameters(
            function_tools=[_definition(ai, tool, "function") for tool in exchange.tools],
            output_tools=[_definition(ai, exchange.output, "output")] if exchange.output else [],
            output_mode="tool" if exchange.output else "text",
            allow_text_output=exchange.output is None,
        )
        direct = import_module("pydantic_ai.direct")
        try:
            response = await direct.model_request(
                self._model,
                _messages(ai, exchange),
                model_settings={"max_tokens": exchange.output_tokens},
                model_request_parameters=parameters,
                instrument=False,
            )
            return _reply(ai, response)
        except errors.AgentRunError as error:
            raise self._fault(errors, error) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # An answer of another shape than the SDK expects, which it does not check.
            raise self._unreadable() from error

    async def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            await self._client.close()

    def _loaded(self) -> tuple[Any, Any]:
        """Return the SDK's client, which tries nothing again, and pydantic-ai's model."""
        choice = self._choice
        key = self._key or NO_KEY
        sdk = import_module(choice.vendor.extra)
        models = import_module(f"pydantic_ai.models.{choice.vendor.extra}")
        providers = import_module(f"pydantic_ai.providers.{choice.vendor.extra}")
        if choice.vendor is ANTHROPIC:
            client = sdk.AsyncAnthropic(api_key=key, base_url=choice.base_url, max_retries=0)
            provider = providers.AnthropicProvider(anthropic_client=client)
            return client, models.AnthropicModel(choice.model, provider=provider)
        client = sdk.AsyncOpenAI(api_key=key, base_url=choice.base_url, max_retries=0)
        provider = providers.OpenAIProvider(openai_client=client)
        make = (
            models.OpenAIResponsesModel
            if choice.protocol == "openai-responses"
            else models.OpenAIChatModel
        )
        return client, make(choice.model, provider=provider)

    def _fault(self, errors: Any, error: Any) -> AskFailed:
        """Return our error for one of pydantic-ai's."""
        match error:
            case errors.ModelHTTPError():
                return self._answered(error)
            case errors.ModelTimeoutError() | errors.ModelRequestTimeout():
                return ModelUnavailable(
                    f"{self.name} did not answer in time", timed_out=True, spent=True
                )
            case errors.ModelConnectionError():
                reason = error.__cause__ and (error.__cause__.__cause__ or error.__cause__)
                connected = type(reason).__name__ != "ConnectError"
                return ModelUnavailable(
                    f"{self.name} cannot be reached: {self._shown(reason or error)}",
                    spent=connected,
                )
            case errors.ContentFilterError():
                return AskRejected(f"{self.name} refuses what is asked: {self._shown(error)}")
            case _:
                return self._unreadable()

    def _answered(self, error: Any) -> AskFailed:
        """Return our error for an answer with an error status."""
        vendor, status = self._choice.vendor, error.status_code
        wait = None if error.retry_after is None else timedelta(seconds=max(0, error.retry_after))
        said = self._shown(_said(error.body))
        told = f"{self.name} answers {status}{said and f' ({said})'}"
        if error.provider_error_code == "insufficient_quota":
            status = 402
        match status:
            case 400 | 413 | 422:
                return AskRejected(told)
            case 401 | 403:
                # Not what it says: some repeat the key.
                return ModelUnavailable(
                    f"{self.name} refuses the key (HTTP {status}); check {vendor.key_setting}",
                    retry_after=wait,
                    permanent=True,
                )
            case 402:
                return ModelUnavailable(
                    f"{told}; check the account of {vendor.key_setting}",
                    retry_after=wait,
                    permanent=True,
                )
            case 404:
                return ModelUnavailable(
                    f"{told}; check HIGHERSELF_LLM and {vendor.url_setting}",
                    retry_after=wait,
                    permanent=True,
                )
            case _:
                return ModelUnavailable(told, retry_after=wait)

    def _unreadable(self) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self.name} answered with something that is no answer of a model; check "
            f"{self._choice.vendor.url_setting}",
            spent=True,
        )

    def _shown(self, said: object) -> str:
        """Return what a vendor said as part of a line: short, without the key, no HTML."""
        text = str(said)
        line = " ".join((text.replace(self._key, "****") if self._key else text).split())
        if line[:1] == "<":
            return "a page of HTML"
        return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 3]}..."


def _definition(ai: Any, offer: Offer, kind: str) -> Any:
    return ai.ToolDefinition(
        name=offer.name,
        description=offer.description,
        parameters_json_schema=dict(offer.schema),
        kind=kind,
    )


def _messages(ai: Any, exchange: Exchange) -> list[Any]:
    messages: list[Any] = []
    for turn in exchange.turns:
        match turn:
            case Reply():
                messages.append(turn.raw)
            case Told():
                parts = [
                    ai.ToolReturnPart(
                        tool_name=result.call.name,
                        content=result.text,
                        tool_call_id=result.call.id,
                        outcome="failed" if result.failed else "success",
                    )
                    for result in turn.results
                ]
                if turn.text:
                    parts.append(ai.UserPromptPart(content=turn.text))
                messages.append(ai.ModelRequest(parts=parts, instructions=exchange.instructions))
    return messages


def _reply(ai: Any, response: Any) -> Reply:
    usage = response.usage
    calls = [part for part in response.parts if isinstance(part, ai.ToolCallPart)]
    return Reply(
        text="".join(part.content for part in response.parts if isinstance(part, ai.TextPart)),
        calls=tuple(
            Call(call.tool_call_id, call.tool_name, call.args_as_json_str()) for call in calls
        ),
        usage=Usage(
            requests=1,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cache_read_tokens,
            written_tokens=usage.cache_write_tokens,
        ),
        model=response.model_name or "",
        cut=response.finish_reason == "length",
        raw=response,
    )


def _said(body: object) -> str:
    """Return the message in an error's body, wherever a vendor puts it."""
    match body:
        case {"error": {"message": str(message)}} | {"message": str(message)}:
            return message
        case str():
            return body
        case None:
            return ""
        case _:
            return str(body)
