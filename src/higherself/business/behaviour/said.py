"""What a file may say of an agent, read and checked: every mistake with its line, its key and a fix. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from higherself.agents.errors import AgentMistaken
from higherself.agents.model import AgentCard
from higherself.business.behaviour import asking
from higherself.business.behaviour.program import (
    NAMED,
    VERBS,
    Program,
    Step,
    Verb,
    Wrong,
    compiled,
    compiled_step,
    readable,
)
from higherself.kernel.errors import Misconfigured
from higherself.kernel.nearest import did_you_mean
from higherself.workflow.definition.from_yaml import YamlNodes
from higherself.workflow.definition.nodes import Entries, Items, Node, value_of
from higherself.workflow.errors import InvalidDefinition, Place, Problem

COMMON = ("when", "save", "optional", "each")
MAY_SAY: Mapping[Verb, tuple[str, ...]] = {
    "search": ("limit", "tags"),
    "skill": ("input",),
    "ask": ("with", "texts", "tools"),
    "remember": ("title", "name", "tags", "metadata"),
    "delegate": ("to", "type", "data", "key"),
    "publish": ("data", "subject"),
    "escalate": ("severity", "details", "attempts", "key"),
    "refuse": (),
    "set": (),
}
"""The keys that a step may have beside its verb and the common ones."""

MUST_SAY: Mapping[Verb, tuple[str, ...]] = {
    "remember": ("title",), "delegate": ("to",), "ask": ("with",), "set": ("save",),
}  # fmt: skip

SNAKE = r"^[a-z][a-z0-9_]*$"
TYPE = re.compile(r"[a-z][a-z0-9_]*(?:\.(?:[a-z0-9_]+|\*|>))*(?:_\{capability\})?")
CAPABILITY = "_{capability}"
"""At the end of a type: one for each capability that anybody has."""

Snake = Annotated[str, Field(pattern=SNAKE, max_length=80)]


class AgentsMistaken(Misconfigured):
    """Agents cannot be made as their files say; every problem is listed, with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FallbacksSaid(_Said):
    """Who could take over what the agent fails at, and for which capabilities they may: none, unless said."""

    agents: tuple[Snake, ...] = ()
    capabilities: tuple[str, ...] = ()


class HandlerSaid(_Said):
    """What is done about one type of message."""

    about: str = ""
    capability: Snake | None = None
    needs: tuple[str | tuple[str, ...], ...] = ()
    begins: Snake | None = None
    steps: tuple[dict[str, Any], ...] = ()
    answer: Any = None


class AgentSaid(_Said):
    """An agent. ``like`` names another of which this is a variant, ``disabled`` takes it away."""

    agent: str
    like: str | None = None
    disabled: bool = False
    title: str = ""
    role: str = ""
    registry_id: str = ""
    class_of_work: str = ""
    description: str = ""
    voice: str = ""
    version: str = "1"
    capabilities: tuple[Snake, ...] = ()
    entities: tuple[str, ...] = ()
    concurrency: int = Field(default=4, ge=1, le=1000)
    skills: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    leads: tuple[Snake, ...] = ()
    fallbacks: FallbacksSaid = FallbacksSaid()
    systems: tuple[str, ...] = ()
    databases: tuple[Snake, ...] = ()
    handles: dict[str, HandlerSaid | None] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declared:
    """An agent as files declare it: its card, what it does, and what people want to know of it."""

    card: AgentCard
    programs: Mapping[str, Program]
    said: AgentSaid
    origin: str = ""

    @property
    def title(self) -> str:
        """Its name as people write it."""
        return self.said.title or self.card.name.replace("_", " ").title()


@dataclass(slots=True)
class Written:
    """What a file says, with the places of everything in it."""

    file: str
    node: Entries
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The agent that it is about."""
        return str(self.data.get("agent", ""))

    def problem(self, path: Sequence[str | int], what: str) -> Problem:
        """Return a problem with the place that ``path`` leads to, as far as it does."""
        return Problem(_place(self.node, path)[0], ".".join(map(str, path)), what)


@dataclass(frozen=True, slots=True)
class Layers:
    """What files say of one agent, the later ones over the earlier ones."""

    files: tuple[Written, ...]
    data: Mapping[str, Any]

    def problem(self, path: Sequence[str | int], what: str) -> Problem:
        """Return a problem with its place in the last file that says the most of ``path``."""
        places = [_place(each.node, path) for each in self.files]
        place = max(reversed(places), key=lambda found: found[1])[0]
        return Problem(place, ".".join(map(str, path)), what)

    @property
    def file(self) -> str:
        """Where it is from."""
        return " + ".join(each.file for each in self.files)


def read_written(text: str, *, file: str) -> Written:
    """Return what a YAML text says of an agent.

    Raises
        AgentsMistaken: it is no YAML, or no object with the key ``agent``.
    """
    nodes = YamlNodes(text, file)
    try:
        node = nodes.build()
    except InvalidDefinition as invalid:
        raise AgentsMistaken(invalid.problems) from None
    if nodes.problems:
        raise AgentsMistaken(nodes.problems)
    if not isinstance(node, Entries) or "agent" not in node.nodes:
        what = "the key `agent` is missing; name the agent that this file is about"
        raise AgentsMistaken([Problem(node.place, "agent", what)])
    data: Any = value_of(node)
    return Written(file, node, data)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said with something said over it: key by key, and of ``handles`` type by type.

    >>> overlaid({"voice": "warm", "handles": {"a": {"steps": []}}}, {"voice": "brisk"})
    {'voice': 'brisk', 'handles': {'a': {'steps': []}}}
    """
    merged = {**below, **above}
    for key in ("handles", "fallbacks"):
        if isinstance(below.get(key), Mapping) and isinstance(above.get(key), Mapping):
            merged[key] = {**below[key], **above[key]}
    return merged


def declared(
    data: Mapping[str, Any], written: Layers, *, capabilities: Iterable[str] = ()
) -> Declared:
    """Return the agent that ``data`` declare; ``written`` are the files that problems are found in.

    ``capabilities`` are all that anybody has, for types that name one.

    Raises
        AgentsMistaken: it cannot be one.
    """
    try:
        said = AgentSaid.model_validate(data)
    except ValidationError as error:
        problems = [_of_pydantic(written, each) for each in error.errors(include_input=False)]
        raise AgentsMistaken(problems) from None
    problems = []
    programs: dict[str, Program] = {}
    for type_, handler in said.handles.items():
        if handler is None:
            continue  # an overlay takes it away
        for each, meant in _meant(type_, handler, capabilities):
            program = _program(type_, meant, written, problems)
            if program is not None:
                programs[each] = replace(program, type=each)
    problems += _unnamed(said, programs, written)
    if problems:
        raise AgentsMistaken(problems)
    return Declared(_card(said, programs, written), programs, said, written.file)


def _meant(
    type_: str, handler: HandlerSaid, capabilities: Iterable[str]
) -> Iterable[tuple[str, HandlerSaid]]:
    """Yield the types that are meant, and what is done about each."""
    if not type_.endswith(CAPABILITY):
        yield type_, handler
        return
    for each in sorted(set(capabilities)):
        meant = _with_capability(handler.model_dump(), each)
        yield f"{type_.removesuffix(CAPABILITY)}_{each}", HandlerSaid.model_validate(meant)


def _with_capability(said: Any, capability: str) -> Any:
    match said:
        case str():
            return said.replace("{capability}", capability)
        case Mapping():
            return {name: _with_capability(each, capability) for name, each in said.items()}
        case list() | tuple():
            return [_with_capability(each, capability) for each in said]
        case _:
            return said


def _card(said: AgentSaid, programs: Mapping[str, Program], written: Layers) -> AgentCard:
    try:
        return AgentCard(
            name=said.agent,
            role=said.role,
            capabilities=said.capabilities,
            accepts=tuple(programs),
            entities=said.entities,
            concurrency=said.concurrency,
            version=said.version,
            description=said.description,
            skills=said.skills or ("none",),
            events=tuple(each for each in said.events if each in programs),
            prefixes=said.prefixes,
            leads=said.leads,
            fallbacks=dict.fromkeys(said.fallbacks.capabilities, said.fallbacks.agents),
            voice=said.voice,
        )
    except AgentMistaken as mistaken:
        raise AgentsMistaken([written.problem(("agent",), mistaken.reason)]) from None


def _unnamed(
    said: AgentSaid, programs: Mapping[str, Program], written: Layers
) -> Iterable[Problem]:
    """Yield what is named and not there: skills that a step uses, events, capabilities."""
    for type_, program in programs.items():
        for name in program.skills:
            if not any(_fits(each, name) for each in said.skills):
                what = f"it uses the skill {name!r}, which `skills` does not allow; add it there"
                yield written.problem(("handles", type_, "steps"), what)
        capability = program.capability
        if capability is not None and capability not in said.capabilities:
            near = did_you_mean(capability, said.capabilities)
            what = f"{capability!r} is not among `capabilities`{near}"
            yield written.problem(("handles", type_, "capability"), what)
    for place, type_ in enumerate(said.events):
        if type_ not in programs and said.handles.get(type_, said) is not None:
            what = f"{type_!r} is handled by nothing; add it to `handles`"
            yield written.problem(("events", place), what + did_you_mean(type_, programs))
    for place, capability in enumerate(said.fallbacks.capabilities):
        if capability not in (*said.capabilities, "*"):
            near = did_you_mean(capability, said.capabilities)
            what = f"{capability!r} is not among `capabilities`{near}"
            yield written.problem(("fallbacks", "capabilities", place), what)


def _fits(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) is not None


def _program(
    type_: str, handler: HandlerSaid, written: Layers, problems: list[Problem]
) -> Program | None:
    under: tuple[str | int, ...] = ("handles", type_)
    if not TYPE.fullmatch(type_):
        problems.append(written.problem(under, f"{type_!r} is no type of messages, like new_lead"))
        return None
    steps: list[Step] = []
    made: list[str] = []
    for place, said in enumerate(handler.steps):
        found = _step(said, made)
        if isinstance(found, Step):
            steps.append(found)
        else:
            problems += [
                written.problem((*under, "steps", place, *each.path), each.what) for each in found
            ]
        if isinstance(said.get("save"), str):
            made.append(said["save"])
    wrong: list[Wrong] = []
    answer = compiled(handler.answer, readable(made), wrong, ())
    problems += [written.problem((*under, "answer", *each.path), each.what) for each in wrong]
    needs = tuple((each,) if isinstance(each, str) else each for each in handler.needs)
    return Program(
        type=type_,
        steps=tuple(steps),
        answer=answer,
        needs=needs,
        capability=handler.capability,
        begins=handler.begins,
        about=handler.about,
    )


def _step(said: Mapping[str, Any], made: Sequence[str]) -> Step | list[Wrong]:
    verbs = [verb for verb in VERBS if verb in said]
    if len(verbs) != 1:
        what = f"a step has one of {', '.join(VERBS)}; this one has {', '.join(verbs) or 'none'}"
        return [Wrong((), what)]
    verb = verbs[0]
    may = (verb, *COMMON, *MAY_SAY[verb])
    wrong = [
        Wrong((key,), f"a step `{verb}` has no {key!r}{did_you_mean(key, may)}")
        for key in said
        if key not in may
    ]
    wrong += [
        Wrong((), f"a step `{verb}` needs `{key}`; add it")
        for key in MUST_SAY.get(verb, ())
        if key not in said
    ]
    save = said.get("save")
    if save is not None and not (isinstance(save, str) and re.fullmatch(SNAKE, save)):
        wrong.append(Wrong(("save",), f"{save!r} is no name; write one like `contact`"))
    if not isinstance(said.get("optional", False), bool):
        wrong.append(Wrong(("optional",), "say true or false"))
    name = said[verb] if verb in NAMED else ""
    if verb in NAMED and not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_.@-]*", name)):
        wrong.append(
            Wrong((verb,), f"{name!r} is no name that can stand here; no data may choose it")
        )
    given: Any = {key: said[key] for key in MAY_SAY[verb] if key in said and key != "tools"}
    if verb not in NAMED:
        given = said[verb] if verb == "set" else {**given, verb: said[verb]}
    if verb == "ask" and not wrong:
        wrong += [Wrong(path, what) for path, what in asking.problems(str(name), said)]
    if verb == "skill" and not isinstance(said.get("input", {}), Mapping):
        wrong.append(Wrong(("input",), "the input of a skill is an object: its parameters by name"))
    if wrong:
        return wrong
    return compiled_step(
        verb,
        str(name),
        given,
        when=said.get("when"),
        save=save,
        optional=said.get("optional", False),
        options={"tools": list(said["tools"])} if "tools" in said else {},
        made=made,
        each=said.get("each"),
    )


def _of_pydantic(written: Layers, error: Any) -> Problem:
    path = [step for step in error["loc"] if step != "tuple[str, ...]"]
    what = error["msg"]
    if error["type"] == "extra_forbidden":
        where: Mapping[str, Any] = AgentSaid.model_fields
        if len(path) > 1:
            where = (
                FallbacksSaid.model_fields if path[0] == "fallbacks" else HandlerSaid.model_fields
            )
        what = f"there is no key {path[-1]!r}{did_you_mean(str(path[-1]), list(where))}"
    return written.problem(path, what)


def _place(node: Node, path: Sequence[str | int]) -> tuple[Place | None, int]:
    """Return where ``path`` leads, or as far as it goes, and how far that is."""
    place, depth = node.place, 0
    for depth, step in enumerate(path):
        if isinstance(node, Entries) and str(step) in node.nodes:
            place, node = node.places[str(step)], node.nodes[str(step)]
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.nodes):
            node = node.nodes[step]
            place = node.place
        else:
            return place, depth
    return place, depth + 1
