"""The roster: the agents of the business, from files, with what a business says over them.

Those of `agents/*.yaml` come with the program. A file of a business that names one of them is laid
over it, key by key; ``like`` makes a variant of one, ``disabled: true`` takes one away, and a name
that is new is a new agent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from higherself.agents.routing import ANYTHING_ELSE
from higherself.business.behaviour.agent import DeclaredAgent
from higherself.business.behaviour.said import (
    AgentSaid,
    AgentsMistaken,
    Declared,
    Layers,
    declared,
    overlaid,
    read_written,
)
from higherself.kernel.nearest import did_you_mean
from higherself.workflow.errors import Problem

OURS = "higherself.business.agents"

Files = Iterable[tuple[str, str]]
"""Names of files, and what is in them."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Agents by name."""

    declared: Mapping[str, Declared]

    def agents(self) -> list[DeclaredAgent]:
        """Return an agent of each."""
        return [DeclaredAgent(each) for each in self.declared.values()]

    def __getitem__(self, name: str) -> Declared:
        return self.declared[name]

    def __contains__(self, name: object) -> bool:
        return name in self.declared


def our_files() -> list[tuple[str, str]]:
    """Return the files that come with the program."""
    found = sorted(files(OURS).iterdir(), key=lambda each: each.name)
    return [
        (f"agents/{each.name}", each.read_text(encoding="utf-8"))
        for each in found
        if each.name.endswith(".yaml")
    ]


def load_roster(over: Files = (), *, ours: Files | None = None) -> Roster:
    """Return the roster, with the files of a business laid over it in their order.

    Raises
        AgentsMistaken: naming every file, line and key that is wrong, and what would be right.
    """
    if ours is None and not (over := tuple(over)):
        return _ours()
    layers: dict[str, Layers] = {}
    problems: list[Problem] = []
    for file, text in ours if ours is not None else our_files():
        _lay(layers, file, text, problems)
    shipped = frozenset(layers)
    for file, text in over:
        _lay(layers, file, text, problems, known=shipped)
    layers = {name: each for name, each in layers.items() if not each.data.get("disabled")}
    capabilities = _capabilities(layers.values())
    made: dict[str, Declared] = {}
    for name, each in layers.items():
        try:
            made[name] = declared(each.data, each, capabilities=capabilities)
        except AgentsMistaken as mistaken:
            problems += mistaken.problems
    if not problems:
        made = _with_stand_ins(made, layers, problems)
    if problems:
        raise AgentsMistaken(problems)
    return Roster(made)


def declaration(name: str) -> Declared:
    """Return an agent as it comes with the program, to be changed in Python.

    Raises
        KeyError: there is none of this name.
    """
    return _ours()[name]


@cache
def _ours() -> Roster:
    return load_roster((), ours=our_files())


def _lay(
    layers: dict[str, Layers],
    file: str,
    text: str,
    problems: list[Problem],
    *,
    known: frozenset[str] = frozenset(),
) -> None:
    try:
        written = read_written(text, file=file)
    except AgentsMistaken as mistaken:
        problems += mistaken.problems
        return
    name, like = written.name, written.data.get("like")
    if name in layers:
        if name not in known and not known:
            problems.append(written.problem(("agent",), f"there are two agents {name!r}"))
            return
        below = layers[name]
        layers[name] = Layers((*below.files, written), overlaid(below.data, written.data))
    elif like is not None:
        base = layers.get(str(like))
        if base is None:
            near = did_you_mean(str(like), layers)
            problems.append(written.problem(("like",), f"there is no agent {like!r}{near}"))
            return
        variant = overlaid({**base.data, "entities": []}, written.data)
        if not variant["entities"]:
            what = "a variant is for businesses of its own; name them in `entities`"
            problems.append(written.problem(("like",), what))
            return
        layers[name] = Layers((*base.files, written), variant)
    elif known and not written.data.get("handles"):
        what = f"there is no agent {name!r} to change{did_you_mean(name, known)}"
        problems.append(written.problem(("agent",), f"{what}; a new one needs `handles`"))
    else:
        layers[name] = Layers((written,), written.data)


def _capabilities(layers: Iterable[Layers]) -> set[str]:
    found: set[str] = set()
    for each in layers:
        said: Any = each.data.get("capabilities") or ()
        found |= {name for name in said if isinstance(name, str)}
    return found


def _with_stand_ins(
    made: Mapping[str, Declared], layers: Mapping[str, Layers], problems: list[Problem]
) -> dict[str, Declared]:
    """Let those who may take over from another do what that one does, where it is opted in."""
    whole = dict(made)
    for name, agent in made.items():
        for capability in agent.said.fallbacks.capabilities:
            for place, other in enumerate(agent.said.fallbacks.agents):
                if other not in made:
                    what = f"there is no agent {other!r}{did_you_mean(other, made)}"
                    path = ("fallbacks", "agents", place)
                    problems.append(layers[name].problem(path, what))
                    continue
                whole[other] = _standing_in(whole[other], agent, capability)
        if agent.said.fallbacks.capabilities:
            everybody = {ANYTHING_ELSE: agent.said.fallbacks.agents, **whole[name].card.fallbacks}
            card = replace(whole[name].card, fallbacks=everybody)
            whole[name] = replace(whole[name], card=card)
    return whole


def _standing_in(agent: Declared, whose: Declared, capability: str) -> Declared:
    more = {
        type_: program
        for type_, program in whose.programs.items()
        if capability in (ANYTHING_ELSE, program.capability) and type_ not in agent.programs
    }
    skills = [name for program in more.values() for name in program.skills]
    card = replace(
        agent.card,
        accepts=(*agent.card.accepts, *more),
        skills=tuple(dict.fromkeys((*agent.card.skills, *skills))),
        stands_in=(*agent.card.stands_in, capability),
    )
    return replace(agent, card=card, programs={**agent.programs, **more})


def described(each: Declared) -> str:
    """Return what people want to know of an agent, in Markdown: who it is, and what it does when."""
    card, said = each.card, each.said
    lines = [
        f"## {each.title}",
        "",
        f"{card.description}. It sounds {card.voice}.",
        "",
        f"Name `{card.name}`, role `{card.role}`; capabilities {_codes(card.capabilities)}."
        + (f" It leads {_codes(said.leads)}." if said.leads else ""),
        "",
        "| When told | it does |",
        "|---|---|",
    ]
    for about, types in groupby(_shown(card.accepts), lambda type_: _about(said, type_)):
        lines.append(f"| {_codes(types)} | {about or 'what the pattern asks'} |")
    lines += ["", f"Skills: {_codes(card.skills)}."]
    if said.fallbacks.agents:
        who = _codes(said.fallbacks.agents)
        lines.append(f"\n{who} can stand in for what it fails at, if a business says so.")
    return "\n".join(lines)


def _about(said: AgentSaid, type_: str) -> str:
    handler = said.handles.get(type_)
    return "" if handler is None else handler.about


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in names)


def _shown(accepts: Sequence[str]) -> list[str]:
    asked = [each for each in accepts if each.startswith("request_agent_")]
    others = [each for each in accepts if each not in asked]
    return [*others, "request_agent_CAPABILITY"] if asked else others
