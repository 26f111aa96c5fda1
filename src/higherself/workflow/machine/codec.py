"""How the machine's values are stored and sent: see `kernel.codec`. Pure."""

from higherself.kernel.codec import from_json, kind_of, to_json

__all__ = ["from_json", "kind_of", "to_json"]
