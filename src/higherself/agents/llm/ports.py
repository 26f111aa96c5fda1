"""What agents need of a language model, and what asking one needs of the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, TypeVar
from uuid import UUID

from higherself.agents.llm.model import Answer, Ask
from higherself.agents.llm.usage import Allowance, Price, Usage
from higherself.kernel.jsonvalue import JsonObject

T = TypeVar("T")


class LanguageModel(Protocol):
    """Answers asks. What agents get; templates may stand behind it."""

    @property
    def name(self) -> str:
        """What it is called: ``anthropic:claude-sonnet-5``, ``template``."""
        ...

    async def complete(self, ask: Ask[T]) -> Answer[T]:
        """Return the answer, whose output is of the type that ``ask`` declares.

        Raises
            AskFailed: there is none; see `errors` for why, by family, and what was spent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that a reply calls. ``arguments`` is a JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one request brought. ``raw`` is for the endpoint alone, which gets it back as a turn.

    ``cut``: it ended because it reached the number of tokens it may have.
    """

    text: str
    calls: tuple[Call, ...]
    usage: Usage
    model: str
    cut: bool = False
    raw: Any = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What a tool that was called returned, or what is wrong with the call."""

    call: Call
    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What the model is told next: words of ours (marked data in them), and results of its calls."""

    text: str = ""
    results: tuple[Returned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A function that a model may call: a tool, or the one that takes the output."""

    name: str
    description: str
    schema: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """All that a request sends: the conversation so far begins and ends with what is `Told`."""

    instructions: str
    turns: tuple[Told | Reply, ...]
    tools: tuple[Offer, ...]
    output: Offer | None
    output_tokens: int

    @property
    def size(self) -> int:
        """The bytes of all that a model has to read."""
        texts = [self.instructions]
        for turn in self.turns:
            texts += [turn.text]
            match turn:
                case Told():
                    texts += [result.text for result in turn.results]
                case Reply():
                    texts += [call.arguments for call in turn.calls]
        offered = [*self.tools, *([self.output] if self.output else [])]
        texts += [f"{offer.name}{offer.description}{offer.schema}" for offer in offered]
        return sum(len(text.encode(errors="replace")) for text in texts)


class Endpoint(Protocol):
    """Sends requests to one model of one vendor. ``on_machine``: nothing leaves this machine."""

    name: str
    price: Price
    on_machine: bool

    async def open(self) -> None:
        """Get ready, once: load the SDK, say.

        Raises
            ModelMisconfigured: it is not installed, or cannot be used so.
        """
        ...

    async def post(self, exchange: Exchange) -> Reply:
        """Send one request, without trying again. It is cancelled when it takes too long.

        Raises
            AskRejected: there is something about what is asked.
            ModelUnavailable: anything else went wrong.
        """
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What may be spent by a request that is on its way; counted as spent until it is settled."""

    id: UUID
    entity: str
    day: date
    model: str
    need: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a business has spent on a day, by one model; ``reserved`` for requests not yet settled."""

    entity: str
    day: date
    model: str
    usage: Usage
    failures: int
    reserved: Allowance


class SpendingLedger(Protocol):
    """Counts what businesses spend, for all processes together."""

    async def reserve(
        self, entity: str, day: date, model: str, need: Usage, limit: Allowance
    ) -> Reservation | Allowance:
        """Set ``need`` aside, or return what is left of ``limit`` today if that is not enough.

        Of requests at the same time, no two get the same money.
        """
        ...

    async def settle(self, reservation: Reservation, used: Usage, *, failed: bool) -> None:
        """Count what a request really used, instead of what was set aside for it."""
        ...

    async def spent(self, day: date, *, entity: str | None = None) -> Sequence[Spending]:
        """Return what was spent on ``day``, by business and model."""
        ...
