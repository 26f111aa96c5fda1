"""The directory: who is meant by a capability, a role, a name or a type. It answers the bus."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from higherself.agents.errors import AgentUnknown, Unroutable
from higherself.agents.model import AgentCard, Known
from higherself.agents.ports import Router
from higherself.agents.roster import Roster
from higherself.agents.routing import (
    NOTHING_AGREED,
    Candidate,
    Need,
    Routing,
    Selector,
    Suggestion,
    Table,
    route,
)
from higherself.agents.routings import RoutingLog
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.messaging.envelope import Attribute
from higherself.messaging.protocol import Found, UnknownRecipient

KNOWN_FOR = 1.0
"""Seconds for which what is known of the agents is good enough to route by."""


class Directory:
    """Knows the agents of all workers, and those that are ``installed`` here.

    ``table`` is what is agreed beside the cards, ``router`` a language model that is asked when
    nothing else decides.
    """

    def __init__(
        self,
        roster: Roster,
        log: RoutingLog,
        clock: Clock,
        *,
        installed: Mapping[str, AgentCard] | None = None,
        table: Table = NOTHING_AGREED,
        router: Router | None = None,
    ) -> None:
        self.roster, self.log = roster, log
        self._clock, self._table, self.router = clock, table, router
        self._installed = installed or {}
        self._known: dict[str, Known] = {}
        self._candidates: list[Candidate] = []
        self._known_at: float | None = None
        self._looking = asyncio.Lock()

    async def agents(self) -> list[Known]:
        """Return every agent that is installed here or was ever run, as it is now."""
        known = {each.card.name: each for each in await self.roster.agents()}
        now = self._clock.now()
        for name, card in self._installed.items():
            if name not in known:
                known[name] = Known(card, now)
            elif not known[name].present:
                known[name] = replace(known[name], card=card)
        self._known = {name: known[name] for name in sorted(known)}
        self._candidates = [each.candidate() for each in self._known.values()]
        self._known_at = self._clock.monotonic()
        return list(self._known.values())

    async def agent(self, name: str) -> Known:
        """Return one agent as it is now.

        Raises
            AgentUnknown: there is none of this name.
        """
        await self.agents()
        if name not in self._known:
            raise AgentUnknown(name, self._known)
        return self._known[name]

    async def candidates(self) -> Sequence[Candidate]:
        """Return all agents as routing sees them, as they were a moment ago."""
        await self._lately()
        return self._candidates

    async def hands_on(self, name: str) -> bool:
        """Whether an agent has ever handed a conversation on, as far as was known a moment ago."""
        try:
            known = await self._lately()
        except HigherSelfError:  # what comes directly is to be handled without the database, too
            known = self._known
        return name in known and known[name].hands_on

    async def route(self, need: Need) -> Routing:
        """Return who gets the work, and why; the decision is logged.

        Raises
            DatabaseUnavailable: it is not known who there is.
        """
        known = await self._lately()
        candidates = self._candidates
        routing = route(need, candidates, table=self._table)
        if routing.agent is None and self.router is not None and _open(need):
            suggested = await self._suggested(self.router, need, known)
            routing = route(need, candidates, table=replace(self._table, router=suggested))
        self.log.note(need, routing)
        return routing

    async def find(
        self,
        entity: str | None,
        *,
        name: str | None = None,
        role: str | None = None,
        capability: str | None = None,
    ) -> Found:
        """Return the agent to send to; see `AddressBook`.

        A message to a name goes to its inbox even if no worker runs the agent now: it waits there.
        So does one for a capability, but an agent that is there is preferred.

        Raises
            UnknownRecipient: there is none.
        """
        if name is not None:
            return await self._named(name, entity)
        need = Need(Selector(role=role, capability=capability), entity=entity, waits=True)
        routing = await self.route(need)
        if routing.agent is None:
            to = f"role:{role}" if role is not None else f"capability:{capability}"
            raise UnknownRecipient(to, routing.reason)
        return Found(routing.agent, why(routing))

    async def present(
        self, entity: str | None, *, role: str | None = None, capability: str | None = None
    ) -> Sequence[str]:
        """Return the names of all agents that are ready now and serve the business."""
        known = await self.agents()
        return [
            each.card.name
            for each in known
            if each.ready
            and (not each.card.entities or entity in each.card.entities)
            and role in (None, each.card.role)
            and (capability is None or capability in each.card.capabilities)
        ]

    async def prune(self) -> None:
        """Delete what is old."""
        await self.roster.prune()
        await self.log.prune()

    async def _named(self, name: str, entity: str | None) -> Found:
        known = await self._lately()
        if name not in known:
            known = {each.card.name: each for each in await self.agents()}
        if name not in known:
            raise UnknownRecipient(f"agent:{name}", str(AgentUnknown(name, known)))
        card = known[name].card
        if card.entities and entity not in card.entities:
            serves = ", ".join(card.entities)
            raise UnknownRecipient(
                f"agent:{name}",
                f"it does not serve {entity or 'what belongs to no business'}; it serves {serves}",
            )
        return Found(name)

    async def _lately(self) -> dict[str, Known]:
        async with self._looking:  # of many who need it, one looks
            at = self._known_at
            if at is None or self._clock.monotonic() - at > KNOWN_FOR:
                await self.agents()
        return self._known

    async def _suggested(
        self, router: Router, need: Need, known: Mapping[str, Known]
    ) -> Suggestion | str:
        serving = [
            each.card
            for each in known.values()
            if not each.card.entities or need.business in each.card.entities
        ]
        try:
            found = await router.suggest(need, serving)
        except HigherSelfError as error:
            telemetry.warning("agents.router.failed", reason=str(error))
            return f"the language model could not be asked: {error}"
        return found or "the language model knows nobody for it"


def why(routing: Routing) -> dict[str, Attribute]:
    """Return how it was decided, as attributes that go along with the message."""
    scores = ", ".join(
        f"{each.agent} {each.score:g}" if each.score is not None else f"{each.agent} -"
        for each in routing.scores[:10]
    )
    return {"routedby": routing.way, "routedwhy": routing.reason[:500], "routedamong": scores[:500]}


def require(routing: Routing, type_: str) -> str:
    """Return whom the work goes to.

    Raises
        Unroutable: nobody; the text has the reasons.
    """
    if routing.agent is None:
        raise Unroutable(type_, routing.reason)
    return routing.agent


def _open(need: Need) -> bool:
    return need.type is not None and not need.selector and not need.failed
