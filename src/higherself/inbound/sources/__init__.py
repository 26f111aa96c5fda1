"""The systems that announce things here: how each signs, and how each says it."""

from higherself.inbound.errors import UnknownSource
from higherself.inbound.model import Source
from higherself.inbound.sources.acuity import ACUITY
from higherself.inbound.sources.amelia import AMELIA
from higherself.inbound.sources.beehiiv import BEEHIIV
from higherself.inbound.sources.circle import CIRCLE
from higherself.inbound.sources.generic import GENERIC
from higherself.inbound.sources.shared import SNOVIO, TUTORLM, USERFEEDBACK
from higherself.inbound.sources.stripe import STRIPE
from higherself.inbound.sources.typeform import TYPEFORM
from higherself.inbound.sources.woocommerce import WOOCOMMERCE

SOURCES: dict[str, Source] = {
    each.name: each
    for each in (
        TYPEFORM,
        WOOCOMMERCE,
        AMELIA,
        ACUITY,
        CIRCLE,
        BEEHIIV,
        STRIPE,
        USERFEEDBACK,
        TUTORLM,
        SNOVIO,
        GENERIC,
    )
}

_OTHER_NAMES = {
    "circleso": "circle",
    "standard": "generic",
    "standard-webhooks": "generic",
    "standardwebhooks": "generic",
    "snov.io": "snovio",
}


def source_named(name: str) -> Source:
    """Return the source of this name, however it is written.

    Raises
        UnknownSource: there is none.
    """
    lower = name.lower()
    found = SOURCES.get(_OTHER_NAMES.get(lower, lower))
    if found is None:
        raise UnknownSource(name, SOURCES)
    return found
