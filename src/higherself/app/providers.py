"""The embedding tiers: which providers the settings and the installed packages allow, and why not.

Each tier is built by itself: what one lacks never takes the others down.
"""

from dataclasses import dataclass
from typing import Any

from higherself.app.settings import Settings
from higherself.knowledge.ports import EmbeddingProvider


@dataclass(frozen=True, slots=True)
class Tier:
    """A place in the order in which providers are tried. ``reason`` says why it is off."""

    name: str
    provider: EmbeddingProvider | None
    reason: str | None = None

    def close(self) -> None:
        """Release what the provider holds."""
        if self.provider is not None:
            self.provider.close()

    def described(self) -> dict[str, Any]:
        """Return what there is to show."""
        space = self.provider.space if self.provider else None
        return {
            "tier": self.name,
            "state": "ready" if self.provider else "off",
            "reason": self.reason,
            "space": space.name if space else None,
            "model": space.model if space else None,
            "dimensions": space.dimensions if space else None,
        }


def build_tiers(settings: Settings) -> list[Tier]:
    """Return the tiers in their order, each with its provider or the reason why it is off."""
    return [_tier(name, settings) for name in settings.embedding_tiers]


def _tier(name: str, settings: Settings) -> Tier:
    match name:
        case "local":
            from higherself.knowledge.providers.local import LocalEmbeddings

            return Tier(name, LocalEmbeddings())
        case "voyage":
            set_key, key = settings.voyage_api_key, "VOYAGE_API_KEY"
        case _:
            set_key, key = settings.openai_api_key, "OPENAI_API_KEY"
    if set_key is None:
        return Tier(name, None, f"{key} is not set")
    return Tier(name, None, "this release embeds with the local model only")
