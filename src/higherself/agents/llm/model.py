"""What is asked of a language model, and what comes back. Pure values.

Texts from elsewhere go into ``sources``, never into ``instructions`` or ``prompt``: a model is
shown them as marked data (see `marking`), and whatever they say, all that can come of an ask is
data of the declared type, and calls of the tools that it was given.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from higherself.agents.llm.errors import AskRejected
from higherself.agents.llm.usage import NOTHING, UNLIMITED, Allowance, Usage
from higherself.kernel.jsonvalue import JsonValue

if TYPE_CHECKING:
    from higherself.agents.llm.tasks import Task

T_co = TypeVar("T_co", covariant=True)

Trust = Literal["own", "generated", "external"]
"""Who wrote a text: the business, this program, or somebody else."""

OUTPUT = "final_result"
"""What a model calls to give an output of the declared type; so no tool has this name."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text that was retrieved or received, and where it is from.

    An answer refers to it by its number, its place among the sources of the ask from 1 on.
    A ``local_only`` one is never sent to a model elsewhere.
    """

    text: str
    title: str = ""
    origin: str = ""
    name: str = ""
    uri: str | None = None
    trust: Trust = "external"
    local_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What a model may have done while it works. ``run`` gets input that was checked.

    ``harmless``: it only reads, and nothing that a stranger could see comes of it. Only such tools
    run once the model was shown a text that is not the business's own. ``own``: so are its results.
    """

    name: str
    description: str
    input: type[BaseModel]
    run: Callable[[Any], Awaitable[JsonValue]]
    harmless: bool = False
    own: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == OUTPUT:
            raise AskRejected(
                f"a tool cannot be called {self.name!r}; use up to 64 letters, digits, _ and -"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one ask may go.

    ``allowance`` is for all its requests together. ``tries`` counts requests that fail in a row,
    ``corrections`` outputs that do not fit and are sent back, ``rounds`` answers that call tools.
    """

    output_tokens: int = 2_000
    input_tokens: int = 100_000
    allowance: Allowance = UNLIMITED
    time: timedelta = timedelta(seconds=120)
    one_try: timedelta = timedelta(seconds=60)
    tries: int = 3
    corrections: int = 2
    rounds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[T_co]):
    """One question. ``output`` is a pydantic model, or None (or `str`) for text.

    ``left`` is what the conversation may still spend. ``task`` says what a template is to do if no
    model can be asked. ``check`` returns what is wrong with an output that has the right type, in
    words for the model, or None. ``entity`` is the business that pays, ``agent`` who asks.
    """

    prompt: str
    instructions: str = ""
    output: type[T_co] | None = None
    sources: tuple[Source, ...] = ()
    tools: tuple[Tool, ...] = ()
    limits: Limits = field(default_factory=Limits)
    left: Allowance = UNLIMITED
    task: "Task | None" = None
    check: Callable[[Any], str | None] | None = None
    entity: str = "default"
    agent: str | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise AskRejected("prompt is empty; say what the model is to do")
        if not (self.output is None or self.output is str or self.model is not None):
            raise AskRejected(f"output is {self.output!r}; give a pydantic model, or None for text")
        names = [tool.name for tool in self.tools]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise AskRejected(f"tools has {', '.join(twice)} twice; names are unique")

    @property
    def model(self) -> type[BaseModel] | None:
        """The pydantic model that the output has to fit, or None for text."""
        if isinstance(self.output, type) and issubclass(self.output, BaseModel):
            return self.output
        return None

    @property
    def tainted(self) -> bool:
        """Whether it shows the model a text that is not the business's own."""
        return any(source.trust != "own" for source in self.sources)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asked for; ``refused`` says why it was not run, if it was not."""

    name: str
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T_co]):
    """What came of an ask: ``output`` is of the declared type, whatever the model said.

    ``degraded``: no model made it, and ``reason`` says why. ``usage`` is that of all ``attempts``.
    """

    output: T_co
    model: str
    usage: Usage = NOTHING
    degraded: bool = False
    reason: str | None = None
    attempts: int = 1
    calls: tuple[ToolCall, ...] = ()
