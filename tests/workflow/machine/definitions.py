"""Random definitions, for tests that hold for all of them."""

from typing import Any

from hypothesis import strategies as st

from higherself.workflow.definition import WorkflowDefinition, load

EVENTS = ("go", "stop", "tick")
GUARDS = (None, "context.n > 2", "context.n <= 2", "has(event.result)", "context.flag")
Draw = Any


@st.composite
def definitions(draw: Draw) -> WorkflowDefinition:
    """Return a definition that loads; whether it is wise is another matter."""
    head: dict[str, Any] = {"workflow": "random", "version": 1, "context": {"n": 0, "flag": False}}
    machine = _machine(draw, depth=0)
    if draw(st.booleans()):
        head["deadline"] = "30d"
        if draw(st.booleans()):
            head["on_deadline"] = _way(draw, list(machine["states"]))
    return load({**head, **machine})


def _machine(draw: Draw, *, depth: int) -> dict[str, Any]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 4 - depth)))] + ["end"]
    states = {name: _state(draw, names, depth) for name in names[:-1]}
    last = {"final": True, **({"entry": "say_goodbye"} if draw(st.booleans()) else {})}
    return {"initial": names[0], "states": {**states, "end": last}}


def _state(draw: Draw, names: list[str], depth: int) -> dict[str, Any]:
    state = {**_work(draw, names, depth), **_waits(draw, names)}
    state["transitions"] = draw(st.lists(_ways(names), max_size=2))
    for key in ("entry", "exit"):
        if draw(st.integers(0, 3)) == 0:
            state[key] = [_activity(draw)]
    if draw(st.integers(0, 3)) == 0:
        state["max_visits"] = draw(st.integers(1, 3))
    return {key: value for key, value in state.items() if value not in ({}, [])}


def _work(draw: Draw, names: list[str], depth: int) -> dict[str, Any]:
    state: dict[str, Any] = {}
    works = ["none", "activity", "approval", "start", "collaborate", *["parallel"] * (depth < 2)]
    work = draw(st.sampled_from(works))
    if work == "activity":
        state["activity"] = _activity(draw)
        if draw(st.booleans()):
            state["compensate"] = {"skill": "undo", "input": {"was": "{{ context.n }}"}}
    elif work == "collaborate":
        state["collaborate"] = {"pattern": "chain", "steps": [{"role": "editor", "task": "write"}]}
    elif work == "start":
        state["start"] = {"workflow": "child", "context": {"n": "{{ context.n }}"}}
    elif work == "approval":
        state["approval"] = _approval(draw, names)
    elif work == "parallel":
        count = draw(st.integers(1, 3))
        branches = {f"b{number}": _machine(draw, depth=depth + 1) for number in range(count)}
        join = draw(st.sampled_from(["all", "any", count]))
        state["parallel"] = {"branches": branches, "join": join}
    return state


def _waits(draw: Draw, names: list[str]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    chance = st.integers(0, 3)
    state["on"] = {name: _way(draw, names, stay=True) for name in EVENTS if draw(chance) == 0}
    if draw(chance) == 0:
        state["after"] = {"1h": _way(draw, names, stay=True)}
    if draw(chance) == 0:
        state["cron"] = {"0 9 * * *": _way(draw, names, stay=True)}
    if draw(chance) == 0:
        state |= {"timeout": "2h"}
        if draw(st.booleans()):
            state["on_timeout"] = _way(draw, names)
    if draw(chance) == 0:
        state["on_error"] = _way(draw, names)
    return state


def _activity(draw: Draw) -> dict[str, Any]:
    return {
        "skill": draw(st.sampled_from(["work", "write", "send"])),
        "input": {"n": draw(st.sampled_from(["{{ context.n }}", "{{ context.missing }}", 3]))},
        **draw(st.sampled_from([{}, {"save": "n"}, {"save": "result.last"}])),
        "retry": {"attempts": draw(st.integers(1, 3))},
    }


def _approval(draw: Draw, names: list[str]) -> dict[str, Any]:
    outcomes = draw(st.sets(st.sampled_from(["approved", "rejected", "expired"])))
    timeout = {"timeout": "1d"} if draw(st.booleans()) else {}
    ways = {outcome: _way(draw, names) for outcome in sorted(outcomes)}
    return {"roles": ["owner"], "save": "verdict", **timeout, **ways}


@st.composite
def _ways(draw: Draw, names: list[str]) -> dict[str, Any]:
    return _way(draw, names)


def _way(draw: Draw, names: list[str], *, stay: bool = False) -> dict[str, Any]:
    way: dict[str, Any] = {"to": draw(st.sampled_from(names))}
    if (guard := draw(st.sampled_from(GUARDS))) is not None:
        way["when"] = guard
    if draw(st.booleans()):
        way["set"] = {"n": draw(st.sampled_from(["context.n + 1", 0])), "flag": "not context.flag"}
    if draw(st.integers(0, 4)) == 0:
        way["do"] = ["remember"]
    if stay and ("set" in way or "do" in way) and draw(st.booleans()):
        del way["to"]
    elif draw(st.integers(0, 4)) == 0:
        way["compensate"] = True
    return way
