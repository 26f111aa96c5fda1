"""What an agent is made of: a card, and a handler for each type of message that it accepts.

    class Greeter(Agent):
        card = AgentCard(name="greeter", description="Greets new leads")

        @handles("lead.captured")
        async def greet(self, task: Task, context: AgentContext) -> JsonValue:
            return {"greeting": f"Hello {task['name']}"}

or, if one function is all of it::

    @agent(name="greeter", accepts=["lead.captured"])
    async def greeter(task: Task, context: AgentContext) -> JsonValue: ...

What a handler returns answers a request. What it raises is tried again, by the agent's ``policy``;
`Rejected` is a refusal at once.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from higherself.agents.errors import AgentMistaken
from higherself.agents.model import ANSWERED, AgentCard, Task
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.model import RetryPolicy
from higherself.messaging.patterns import expression, fits

if TYPE_CHECKING:
    from higherself.agents.context import AgentContext

Handle = Callable[[Task, "AgentContext"], Awaitable[Any]]
F = TypeVar("F", bound=Callable[..., Any])

_HANDLES = "__higherself_handles__"
_AGENT = "__higherself_agent__"


def handles(*patterns: str) -> Callable[[F], F]:
    """Make a method the handler of messages of these types (``lead.captured``, ``lead.*``).

    Of several that fit, the one that names the type decides, then the pattern with the most words.
    """

    def mark(function: F) -> F:
        setattr(function, _HANDLES, patterns)
        return function

    return mark


def _marked(cls: type) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the methods of a class that are handlers, and of what."""
    for name in dir(cls):
        patterns = getattr(inspect.getattr_static(cls, name), _HANDLES, None)
        if patterns is not None:
            yield name, patterns


@lru_cache(maxsize=4096)
def _best_fitting(patterns: tuple[str, ...], type_: str) -> str | None:
    return max((each for each in patterns if fits(each, type_)), key=_words, default=None)


def _check_handler(name: str, function: Any, patterns: Sequence[str]) -> None:
    if not inspect.iscoroutinefunction(function):
        raise AgentMistaken(
            name, f"{function.__name__} is not `async def`; put what blocks into a skill"
        )
    if not patterns:
        raise AgentMistaken(name, f"{function.__name__} names no type of messages that it handles")
    for pattern in patterns:
        try:
            expression(pattern)
        except MessageMalformed as error:
            raise AgentMistaken(name, error.reason) from None


class Agent:
    """Subclass it, with a ``card`` and methods that are marked with `handles`.

    One object of it runs in each worker, and handles several messages at a time: what is to last,
    or to be the same everywhere, belongs into `AgentContext.state`, not into ``self``.
    """

    card: AgentCard
    policy: ClassVar[RetryPolicy] = RetryPolicy()
    _methods: ClassVar[Mapping[str, str]] = {}
    """The names of the methods that are handlers, by their patterns."""

    async def on_start(self) -> None:
        """Get ready, before the first message. If it raises, the agent does not run in this worker."""

    async def on_stop(self) -> None:
        """Release what was opened, after the last message."""

    async def on_answer(self, task: Task, context: "AgentContext") -> JsonValue:
        """Go on after a person answered an escalation: by default, pass the answer on."""
        answer: JsonValue = task["answer"]
        return answer

    def described(self) -> AgentCard:
        """Return the card with all that the handlers accept.

        Raises
            AgentMistaken: it accepts something that no handler handles, or it has none.
        """
        card = self.card
        known = self._known
        if not known:
            raise AgentMistaken(card.name, "it has no handler; mark a method with @handles('TYPE')")
        for each in card.accepts:
            if each not in known and not any(fits(pattern, each) for pattern in known):
                raise AgentMistaken(card.name, f"it accepts {each!r}, and no handler handles that")
        for each in card.events:
            if not any(fits(pattern, each) for pattern in known):
                raise AgentMistaken(card.name, f"it has the events {each!r}, and handles none")
        return replace(card, accepts=tuple(dict.fromkeys((*card.accepts, *known))))

    def handler_for(self, type_: str) -> Handle | None:
        """Return what handles messages of this type."""
        pattern = _best_fitting(self._known, type_)
        if pattern is not None:
            found: Handle = getattr(self, self._methods[pattern])
            return found
        return self.on_answer if type_ == ANSWERED else None

    @property
    def _known(self) -> tuple[str, ...]:
        return tuple(self._methods)

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        name = getattr(getattr(cls, "card", None), "name", cls.__name__)
        seen: dict[str, str] = {}
        for method, patterns in _marked(cls):
            _check_handler(name, getattr(cls, method), patterns)
            for pattern in patterns:
                if pattern in seen:
                    raise AgentMistaken(
                        name, f"both {seen[pattern]} and {method} handle {pattern!r}"
                    )
                seen[pattern] = method
        cls._methods = seen


class FunctionAgent(Agent):
    """An agent of one function, made by `agent`."""

    def __init__(self, card: AgentCard, function: Handle) -> None:
        self.card, self._function = card, function

    @property
    def _known(self) -> tuple[str, ...]:
        return self.card.accepts

    def handler_for(self, type_: str) -> Handle | None:
        """Return what handles messages of this type."""
        return self._function if self.card.takes(type_) else super().handler_for(type_)


def agent(
    *, name: str, accepts: Sequence[str], description: str = "", **facts: Any
) -> Callable[[F], F]:
    """Make an agent of a function; it stays the function it is. ``facts`` are those of the card.

    Raises
        AgentMistaken: it cannot be one; the text says why.
    """

    def make(function: F) -> F:
        told = description or inspect.getdoc(function) or ""
        given: dict[str, Any] = {
            key: tuple(each) if isinstance(each, list) else each for key, each in facts.items()
        }
        try:
            card = AgentCard(name=name, accepts=tuple(accepts), description=told, **given)
        except TypeError as error:
            raise AgentMistaken(name, str(error).partition(") ")[2] or str(error)) from None
        _check_handler(name, function, accepts)
        made = FunctionAgent(card, function)
        made.described()
        setattr(function, _AGENT, made)
        return function

    return make


def agents_in(namespace: Mapping[str, Any], *, module: str | None = None) -> Iterator[Agent]:
    """Yield the agents among the values of a module, each once.

    These are functions that `agent` made one of, objects of subclasses of `Agent`, and subclasses
    that have a card (of these one object is made), if they were written in ``module``.

    Raises
        AgentMistaken: one of them cannot be made.
    """
    seen: set[int] = set()
    made: set[type] = set()
    for value in namespace.values():
        found = value if isinstance(value, Agent) else getattr(value, _AGENT, None)
        if isinstance(found, Agent) and id(found) not in seen:
            seen.add(id(found))
            made.add(type(found))
            yield found
    for value in namespace.values():
        if not _is_agent_class(value) or value in made:
            continue
        if module is not None and value.__module__ != module:
            continue
        made.add(value)
        try:
            yield value()
        except TypeError as error:
            raise AgentMistaken(
                value.card.name, f"it cannot be made ({error}); put an object of it into the module"
            ) from None


@dataclass(frozen=True, slots=True)
class Installed:
    """An agent, and where it comes from."""

    agent: Agent
    card: AgentCard
    origin: str


class AgentRegistry(Mapping[str, Installed]):
    """The agents that are installed here, by name."""

    def __init__(self) -> None:
        self._agents: dict[str, Installed] = {}
        self._yielding: set[str] = set()

    def add(self, added: Agent, *, origin: str = "", yields: bool = False) -> None:
        """Make an agent known; ``origin`` says where it comes from.

        One that ``yields`` gives way to another of its name, whichever comes first.

        Raises
            AgentMistaken: it is none as it is, or another of this name is known.
        """
        card = added.described()
        if yields and card.name in self._agents:
            return
        if card.name in self._yielding:
            del self._agents[card.name]
            self._yielding.discard(card.name)
        known = self._agents.setdefault(card.name, Installed(added, card, origin))
        if yields:
            self._yielding.add(card.name)
        if known.agent is not added:
            raise AgentMistaken(
                card.name,
                f"there are two of this name: in {known.origin} and in {origin}; name one otherwise",
            )

    @property
    def cards(self) -> dict[str, AgentCard]:
        """The cards of all of them."""
        return {name: each.card for name, each in self._agents.items()}

    def __getitem__(self, name: str) -> Installed:
        return self._agents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)


def _is_agent_class(value: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Agent)
        and isinstance(getattr(value, "card", None), AgentCard)
    )


def _words(pattern: str) -> tuple[bool, int, int]:
    words = pattern.split(".")
    plain = [word for word in words if word not in ("*", ">")]
    return len(plain) == len(words), len(plain), len(words)
