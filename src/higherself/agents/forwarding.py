"""Passing a message on to another agent as it is: in the name of who sent it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import cast, get_args

from higherself.db.pool import Transaction
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.bus import OURS, Bus, Receipt
from higherself.messaging.envelope import Attribute, Envelope
from higherself.messaging.protocol import (
    PERFORMATIVE,
    REPLY_TO,
    REQUEST,
    TO,
    TRACE,
    Identity,
    Kind,
    Performative,
)

FAILED_AGENTS = "failedagents"
"""The extension that names the agents which have failed at a message, the first one first."""

PATIENCE = timedelta(seconds=60)
"""How long an answer is waited for where it is not said how long."""

CAPABILITY = "capability"
"""The extension that names the capability for which a message was sent, once it is passed on."""


async def forward(
    bus: Bus,
    tx: Transaction,
    envelope: Envelope,
    to: str,
    *,
    type_: str | None = None,
    extensions: Mapping[str, Attribute] | None = None,
) -> Receipt:
    """Send the message of ``envelope`` to the agent ``to`` instead, in a transaction, once.

    It keeps sender, data, order, expiry and whoever waits for the answer. The sender is known from
    the message that was authenticated when it came.

    Raises
        ...: see `Bus.send`.
    """
    known = {name: value for name, value in envelope.extensions.items() if name not in OURS}
    known.pop(TRACE, None)
    if (capability := capability_of(envelope)) is not None:
        known[CAPABILITY] = capability
    back, said = envelope.extensions.get(REPLY_TO), envelope.extensions.get(PERFORMATIVE)
    request = envelope.extensions.get(REQUEST, str(envelope.id))
    speaking = bus.speaking_as(sender_of(envelope)).about(envelope)
    return await speaking.within(tx).send(
        f"agent:{to}",
        type_ or envelope.type,
        envelope.data,
        subject=envelope.subject,
        partition_key=envelope.partition_key,
        expires=envelope.expires_at,
        reply_to=f"topic:{back}" if isinstance(back, str) else None,
        request=str(request) if back else None,
        performative=cast(Performative, said or "inform"),
        idempotency_key=f"{envelope.id} for {to}",
        extensions={**known, **(extensions or {})},
    )


async def ask_instead(
    bus: Bus,
    envelope: Envelope,
    to: str,
    *,
    extensions: Mapping[str, Attribute] | None = None,
) -> JsonValue:
    """Ask the agent ``to`` instead, for who waits for the answer on a direct road; return it.

    Raises
        ...: see `Bus.request`.
    """
    left = PATIENCE
    if envelope.expires_at is not None:
        left = max(timedelta(0), envelope.expires_at - bus.exchange.clock.now())
    reply = (
        await bus.speaking_as(sender_of(envelope))
        .about(envelope)
        .request(
            f"agent:{to}",
            envelope.type,
            envelope.data,
            timeout=left,
            subject=envelope.subject,
            extensions=extensions,
        )
    )
    return reply.data


def sender_of(envelope: Envelope) -> Identity:
    """Return who sent a message, or that it came from elsewhere."""
    match envelope.source.split(":", 3):
        case ["urn", "higherself", kind, name] if kind in get_args(Kind):
            return Identity(cast(Kind, kind), name)
    return Identity("service", "router")


def capability_of(envelope: Envelope) -> str | None:
    """Return the capability for which a message was sent, if it was for one."""
    kept = envelope.extensions.get(CAPABILITY)
    if isinstance(kept, str):
        return kept
    to = envelope.extensions.get(TO)
    kind, _, name = to.partition(":") if isinstance(to, str) else ("", "", "")
    return name if kind == "capability" else None


def failed_agents(envelope: Envelope) -> tuple[str, ...]:
    """Return the agents that have failed at a message."""
    told = envelope.extensions.get(FAILED_AGENTS)
    return tuple(told.split(",")) if isinstance(told, str) and told else ()
