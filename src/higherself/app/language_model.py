"""The language model that the settings name, with its budgets; or why templates work in its place."""

import asyncio
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from higherself.agents.llm.asking import AskedModel
from higherself.agents.llm.errors import AskFailed, ModelMisconfigured
from higherself.agents.llm.fallback import WithTemplates
from higherself.agents.llm.ledger_postgres import PostgresSpendingLedger
from higherself.agents.llm.ports import Exchange, LanguageModel, Told
from higherself.agents.llm.template import NAME, TemplateModel
from higherself.agents.llm.usage import Allowance, Price
from higherself.agents.llm.vendor import (
    ANTHROPIC,
    ModelChoice,
    VendorEndpoint,
    known_price,
)
from higherself.app.settings import Settings
from higherself.db.pool import Database
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK, Clock

PATIENCE = 30
"""Seconds that `doctor` waits for the model."""

PROBE = Exchange(
    instructions="Answer with one word.",
    turns=(Told("Does it work?"),),
    tools=(),
    output=None,
    output_tokens=256,
)


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """What the settings make of HIGHERSELF_LLM.

    ``model`` answers in any case; ``endpoint`` is None if templates alone do, and ``reason`` says
    why. It is ``wrong`` if a model was named that cannot be used so.
    """

    settings: Settings
    model: LanguageModel
    endpoint: VendorEndpoint | None = None
    reason: str | None = None
    wrong: bool = False

    async def close(self) -> None:
        """Release the connections."""
        if self.endpoint is not None:
            await self.endpoint.close()

    def described(self) -> dict[str, Any]:
        """Return what is configured, for people and programs; prices in dollars a million tokens."""
        price = self.endpoint.price if self.endpoint else None
        return {
            "setting": self.settings.llm,
            "model": self.endpoint.name if self.endpoint else NAME,
            "on_machine": self.endpoint is None or self.endpoint.on_machine,
            "state": "off" if self.wrong else "ready" if self.endpoint else "template",
            "reason": self.reason,
            "input_price": price and price.input / 1_000_000,
            "output_price": price and price.output / 1_000_000,
        }


def build_language_model(
    settings: Settings, database: Database, *, clock: Clock = SYSTEM_CLOCK
) -> ConfiguredModel:
    """Return the model that the settings name. Nothing is loaded or sent yet."""
    if settings.llm == NAME:
        templates = TemplateModel()
        return ConfiguredModel(settings, templates, reason=templates.reason)
    try:
        endpoint = _endpoint(settings)
    except ModelMisconfigured as error:
        reason = f"the language model is off: {error}"
        return ConfiguredModel(settings, TemplateModel(reason), reason=str(error), wrong=True)
    asked = AskedModel(
        endpoint,
        ledger=PostgresSpendingLedger(database, clock),
        day_limit=lambda entity: day_limit(settings, entity),
        clock=clock,
    )
    return ConfiguredModel(settings, WithTemplates(asked), endpoint)


async def probed(settings: Settings) -> Check:
    """Ask the model for a word, on nobody's budget."""
    name = "language model"
    if settings.llm == NAME:
        return Check(name, True, "none: templates do the work (HIGHERSELF_LLM)")
    try:
        endpoint = _endpoint(settings)
    except ModelMisconfigured as error:
        return Check(name, False, f"off: {error}", "correct that, or set HIGHERSELF_LLM=template")
    try:
        await endpoint.open()
        async with asyncio.timeout(PATIENCE):
            reply = await endpoint.post(PROBE)
    except AskFailed as error:
        wrong, _, fix = str(error).rpartition("; ")
        return Check(name, False, wrong or fix, fix if wrong else "see the message")
    except TimeoutError:
        return Check(
            name, False, f"{endpoint.name} did not answer in {PATIENCE} s", "see whether it runs"
        )
    finally:
        await endpoint.close()
    limits = f"{settings.llm_daily_usd} dollars a business and day"
    return Check(name, True, f"ready: {endpoint.name}, answers as {reply.model}; {limits}")


def day_limit(settings: Settings, entity: str) -> Allowance:
    """Return what a business may spend a day."""
    tokens = settings.llm_daily_tokens
    return Allowance(
        tokens=None if tokens is None else tokens.of(entity),
        micro_usd=settings.llm_daily_usd.of(entity),
    )


def _endpoint(settings: Settings) -> VendorEndpoint:
    urls = {
        "ANTHROPIC_BASE_URL": settings.anthropic_base_url,
        "OPENAI_BASE_URL": settings.openai_base_url,
    }
    choice = ModelChoice.read(settings.llm, urls=urls)
    vendor = choice.vendor
    if find_spec("pydantic_ai") is None or find_spec(vendor.extra) is None:
        raise ModelMisconfigured(
            f"{choice.name} needs the extra {vendor.extra!r}; install it: "
            f"pip install 'higherself-network-server[{vendor.extra}]'"
        )
    secret = settings.anthropic_api_key if vendor is ANTHROPIC else settings.openai_api_key
    if secret is None and choice.of_vendor:
        raise ModelMisconfigured(f"{choice.name} needs a key; set {vendor.key_setting}")
    key = None if secret is None else secret.get_secret_value()
    return VendorEndpoint(choice, key=key, price=_price(choice, settings))


def _price(choice: ModelChoice, settings: Settings) -> Price:
    if settings.llm_price is not None:
        return Price(input=settings.llm_price.input, output=settings.llm_price.output)
    price = known_price(choice)
    if price is None:
        raise ModelMisconfigured(
            f"the price of {choice.name} is not known, so no budget could hold; set "
            "HIGHERSELF_LLM_PRICE, for example to 3,15: dollars a million tokens of input and output"
        )
    return price
