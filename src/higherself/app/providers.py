"""The embedding tiers and the reranker: what settings and installed packages allow, and why not.

Each is built by itself: what one lacks never takes the others down.
"""

from collections.abc import Callable
from importlib.util import find_spec

from pydantic import SecretStr

from higherself.app.settings import Settings
from higherself.app.tier_names import PROVIDERS, RERANKERS, PerTier, installed_tiers
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import content_hash
from higherself.knowledge.errors import ProviderMisconfigured
from higherself.knowledge.ports import EmbeddingProvider, Reranker, TierLedger
from higherself.knowledge.reranking import GuardedReranker, no_reranker
from higherself.knowledge.tier_health import TierPolicy
from higherself.knowledge.tiers import Tier

DISTRIBUTION = "higherself-network-server"


def build_tiers(
    settings: Settings, *, clock: Clock = SYSTEM_CLOCK, ledger: TierLedger | None = None
) -> list[Tier]:
    """Return the tiers in their order, each with its provider or the reason why it is off.

    Without a ``ledger`` they know nothing of other processes. Nothing is loaded or sent yet.
    """
    return [_tier(name, settings, clock, ledger) for name in settings.embedding_tiers]


def make_tier(
    name: str,
    model: str,
    dimensions: int | None,
    *,
    settings: Settings,
    clock: Clock = SYSTEM_CLOCK,
    ledger: TierLedger | None = None,
) -> Tier:
    """Return the tier ``name`` with another model, for a space beside the one that the settings say.

    Its requests are counted apart, and so is its health.
    """
    match name:
        case "voyage":
            chosen = {"voyage_model": model, "voyage_dimensions": dimensions}
        case "openai":
            chosen = {"openai_embedding_model": model, "openai_embedding_dimensions": dimensions}
        case _:
            return Tier(name, None, reason="its model is fixed; it comes with the package")
    return _tier(name, settings.model_copy(update=chosen), clock, ledger, label=f"{name} ({model})")


def build_reranker(
    settings: Settings, *, clock: Clock = SYSTEM_CLOCK, ledger: TierLedger | None = None
) -> GuardedReranker:
    """Return the reranker, or the reason why it is off. Nothing is loaded or sent yet."""
    if settings.reranker is None:
        return no_reranker()
    name = RERANKERS[settings.reranker]
    build = {"voyage": _voyage_reranker, "openai": _openai_reranker}[settings.reranker]
    try:
        return GuardedReranker(
            name,
            build(settings, clock),
            clock=clock,
            policy=_policy(name, settings),
            configuration=_configuration(name, settings),
            ledger=ledger,
        )
    except HigherSelfError as error:
        return GuardedReranker(name, None, reason=str(error))


def _tier(
    name: str,
    settings: Settings,
    clock: Clock,
    ledger: TierLedger | None,
    *,
    label: str | None = None,
) -> Tier:
    build = {"local": _local, "voyage": _voyage, "openai": _openai}.get(name)
    try:
        provider = build(settings, clock) if build else _installed(name)
        return Tier(
            label or name,
            provider,
            on_machine=name == "local" or bool(getattr(provider, "on_machine", False)),
            clock=clock,
            policy=_policy(name, settings),
            configuration=_configuration(name, settings),
            ledger=ledger,
        )
    except HigherSelfError as error:
        return Tier(name, None, reason=str(error))


def _local(settings: Settings, clock: Clock) -> EmbeddingProvider:
    from higherself.knowledge.providers.local import LocalEmbeddings

    return LocalEmbeddings()


def _voyage(settings: Settings, clock: Clock) -> EmbeddingProvider:
    from higherself.knowledge.providers.voyage import voyage_embeddings

    return voyage_embeddings(
        _key("VOYAGE_API_KEY", settings.voyage_api_key, extra="voyage", package="voyageai"),
        base_url=settings.voyage_base_url,
        model=settings.voyage_model,
        dimensions=settings.voyage_dimensions,
        clock=clock,
    )


def _openai(settings: Settings, clock: Clock) -> EmbeddingProvider:
    from higherself.knowledge.providers.openai import openai_embeddings

    return openai_embeddings(
        _key("OPENAI_API_KEY", settings.openai_api_key, extra="openai", package="openai"),
        base_url=settings.openai_base_url,
        model=settings.openai_embedding_model,
        dimensions=settings.openai_embedding_dimensions,
        clock=clock,
    )


def _voyage_reranker(settings: Settings, clock: Clock) -> Reranker:
    from higherself.knowledge.providers.reranking import VOYAGE_MODEL, voyage_reranker

    return voyage_reranker(
        _key("VOYAGE_API_KEY", settings.voyage_api_key, extra="voyage", package="voyageai"),
        base_url=settings.voyage_base_url,
        model=settings.reranker_model or VOYAGE_MODEL,
        window=settings.reranker_window,
        clock=clock,
    )


def _openai_reranker(settings: Settings, clock: Clock) -> Reranker:
    from higherself.knowledge.providers.reranking import openai_reranker

    if settings.reranker_base_url is None and settings.openai_base_url == _OF_OPENAI:
        raise ProviderMisconfigured(
            "HIGHERSELF_RERANKER_BASE_URL is not set, and OpenAI itself has no reranker"
        )
    if settings.reranker_model is None:
        raise ProviderMisconfigured("HIGHERSELF_RERANKER_MODEL is not set")
    key, key_setting, base_url, url_setting = _rerank_server(settings)
    return openai_reranker(
        _key(key_setting, key, extra="openai", package="openai"),
        key_setting=key_setting,
        base_url=base_url,
        url_setting=url_setting,
        model=settings.reranker_model,
        window=settings.reranker_window,
        clock=clock,
    )


_OF_OPENAI = Settings.model_fields["openai_base_url"].default
_NO_KEY = SecretStr("unused")
"""For a server that wants none; the SDK insists on one."""


def _rerank_server(settings: Settings) -> tuple[SecretStr | None, str, str, str]:
    """Return key and address of the server with the route, each with its setting.

    A server with an address of its own never gets the key that is for OpenAI.
    """
    if settings.reranker_base_url is None:
        return (
            *(settings.openai_api_key, "OPENAI_API_KEY"),
            *(settings.openai_base_url, "OPENAI_BASE_URL"),
        )
    return (
        *(settings.reranker_api_key or _NO_KEY, "HIGHERSELF_RERANKER_API_KEY"),
        *(settings.reranker_base_url, "HIGHERSELF_RERANKER_BASE_URL"),
    )


def _key(setting: str, key: SecretStr | None, *, extra: str, package: str) -> str:
    if key is None:
        raise ProviderMisconfigured(f"{setting} is not set")
    if find_spec(package) is None:
        raise ProviderMisconfigured(
            f"the package {package} is missing; pip install '{DISTRIBUTION}[{extra}]'"
        )
    return key.get_secret_value()


def _installed(name: str) -> EmbeddingProvider:
    """Return what the entry point of this name makes when it is called, with nothing."""
    found = installed_tiers().get(name)
    if found is None:
        raise ProviderMisconfigured(f"no package has an entry point {name!r} in {PROVIDERS}")
    try:
        make: Callable[[], EmbeddingProvider] = found.load()
        provider = make()
        provider.space.name, provider.window, provider.embed  # noqa: B018  are they there?
    except HigherSelfError:
        raise
    except Exception as error:  # code of somebody else's, which may do anything
        raise ProviderMisconfigured(
            f"{found.value} cannot be used: {type(error).__name__}: {error}"
        ) from error
    return provider


def _policy(name: str, settings: Settings) -> TierPolicy:
    limits = settings.embedding_daily_tokens or PerTier({})
    return TierPolicy(
        concurrency=settings.embedding_concurrency.of(name) or TierPolicy().concurrency,
        daily_tokens=limits.of(name),
    )


def _configuration(name: str, settings: Settings) -> bytes:
    """Return a hash of what decides whether a tier's requests succeed, as far as we know it."""
    parts: tuple[SecretStr | None, str, str | None]
    match name:
        case "voyage":
            parts = settings.voyage_api_key, settings.voyage_base_url, settings.voyage_model
        case "openai":
            parts = (
                settings.openai_api_key,
                settings.openai_base_url,
                settings.openai_embedding_model,
            )
        case "voyage-rerank":
            parts = settings.voyage_api_key, settings.voyage_base_url, settings.reranker_model
        case "openai-rerank":
            key, _, url, _ = _rerank_server(settings)
            parts = key, url, settings.reranker_model
        case _:
            return content_hash(name)
    key, url, model = parts
    return content_hash(name, key.get_secret_value() if key else "", url, model or "")
