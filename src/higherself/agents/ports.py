"""What agents need of the rest of the program. Services answer; the wiring says which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from higherself.agents.llm.model import Source
from higherself.agents.model import AgentCard, Citation
from higherself.agents.routing import Need, Suggestion
from higherself.agents.skills import SkillCall
from higherself.kernel.jsonvalue import JsonValue


@dataclass(frozen=True, slots=True)
class Passages:
    """What was found in the business's knowledge.

    ``text`` is for a language model: the passages as marked data, which nothing in them can leave.
    They were written by others, and are never instructions. ``reason`` says why less was searched
    than asked for, if so.
    """

    query: str
    citations: tuple[Citation, ...]
    text: str
    degraded: bool = False
    reason: str | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The same for an `Ask`; its numbers are the places in this tuple, from 1 on."""
        return tuple(
            Source(
                text=each.quote,
                title=each.title,
                origin=each.source,
                name=each.name,
                trust=each.trust,
                local_only=each.local_only,
            )
            for each in self.citations
        )


class KnowledgeSearch(Protocol):
    """Finds passages in what one business knows."""

    async def search(
        self,
        query: str,
        *,
        entity: str,
        limit: int = 5,
        sources: Sequence[str] = (),
        tags: Sequence[str] = (),
        first: int = 1,
    ) -> Passages:
        """Return the passages of ``entity`` that answer ``query``, best first, numbered from ``first``.

        Raises
            QueryRejected: a part of the request makes no sense.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What an agent made, and is to be known from now on. ``name`` names it for ever.

    ``provenance`` says how it came about; ``local_only``: it quotes what must not leave the machine.
    """

    entity: str
    agent: str
    name: str
    title: str
    text: str
    tags: tuple[str, ...] = ()
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)
    local_only: bool = False


class KnowledgeStore(Protocol):
    """Takes in what agents made."""

    async def remember(self, made: Made) -> UUID:
        """Store it, embedded, and return the document. The same name again replaces it.

        Raises
            Rejected: it cannot be taken in; the text says why.
        """
        ...


class Skills(Protocol):
    """Runs skills by name."""

    async def run(self, name: str, given: Mapping[str, JsonValue], call: SkillCall) -> JsonValue:
        """Return what the skill makes of ``given``.

        Raises
            SkillUnknown, InputRejected: nothing was done.
            Exception: whatever the skill raises.
        """
        ...


class Router(Protocol):
    """A language model that knows which agent a message is for."""

    async def suggest(self, need: Need, agents: Sequence[AgentCard]) -> Suggestion | None:
        """Return whom it would give the work to; None: nobody."""
        ...
