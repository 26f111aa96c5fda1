"""Why a delivery of another system is not taken."""

from collections.abc import Collection

from higherself.kernel.errors import Misconfigured, NotFound, Rejected
from higherself.kernel.nearest import did_you_mean


class UnknownSource(NotFound):
    """No system of this name announces anything here."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(f"no webhooks are taken from {name[:50]!r}{did_you_mean(name, known)}")
        self.name = name


class SourceNotConfigured(Misconfigured):
    """No secret is set for a source, so nothing of it can be believed."""

    def __init__(self, source: str, setting: str) -> None:
        super().__init__(
            f"webhooks of {source} are not set up: set {setting} to the secret that it signs with"
        )
        self.source, self.setting = source, setting


class BadSignature(Rejected):
    """A delivery was not signed with a secret of ours, or not lately: it is not the source's."""


class StaleDelivery(BadSignature):
    """The signature may be right, but it is of another time: somebody may be repeating it."""


class Malformed(Rejected):
    """A delivery is the source's, but cannot be read."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class WrongContent(Rejected):
    """A body has another content type than the source sends."""


class DeliveryUnknown(NotFound):
    """There is no delivery of this identifier."""

    def __init__(self, identifier: object) -> None:
        super().__init__(
            f"there is no delivery {identifier}; `higherself webhooks list` has the latest"
        )


class TransformationMistaken(Rejected):
    """A declared transformation cannot be used; the text names the place and the fix."""
