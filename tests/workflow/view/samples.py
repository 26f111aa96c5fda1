"""Definitions and runs to draw: the sixteen of the business, odd ones, and half-done runs."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tests.workflow.machine.definitions import definitions
from tests.workflow.world import World, run_through

from higherself.workflow.definition import (
    Branch,
    Parallel,
    State,
    Transition,
    WorkflowDefinition,
    load_text,
)
from higherself.workflow.view.run import Run, run_of

FOLDER = resources.files("higherself.business") / "workflows"
NAMES = sorted(
    each.name.removesuffix(".yaml") for each in FOLDER.iterdir() if each.name.endswith(".yaml")
)


@cache
def business(name: str) -> WorkflowDefinition:
    """Return a workflow of the business."""
    return load_text((FOLDER / f"{name}.yaml").read_text(), file=f"{name}.yaml").definition


@cache
def lead_nurturing() -> WorkflowDefinition:
    """Return the example of the documentation; the workflow of the business is longer."""
    file = Path(__file__).with_name("lead_nurturing.yaml")
    return load_text(file.read_text(), file=file.name).definition


ODD = [
    "end", "End", "graph", "subgraph", "class", "default", "style", "linkStyle", "click", "call",
    "o", "x", "TB", "state", "section", "title", "direction", 'say "no"', "a;b", "a:b", "::", "#35;",
    "#quot;", "<script>alert(1)</script>", "<b>", "&amp;", "a|b", "{x}", "{{x}}", "[x]", "(x)", "((",
    "-->", "---", "==>", "a--b", "%% no", "%%{init: {}}%%", "`code`", "*bold*", "__init__", "_x_",
    "1. one", "- item", "+ item", "# head", "> quote", "日本語", "żółw", "مرحبا", "🙂", "e\u0301",
    "a\nb", "a\tb", "\u2028", "\x00", "a\\b", "'", "@", "$x$", "$$x$$", "~x~", "fa:fa-x", "style: #1;",
    "classDef x fill:#f00;", "accTitle: x", "ﬂ°°35¶ß", "x" * 200, "", " ",
]  # fmt: skip
odd_texts = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=30),
    st.lists(st.sampled_from(ODD), min_size=2, max_size=3).map(" ".join),
)


@st.composite
def odd_definitions(draw: Any) -> WorkflowDefinition:
    """Return a definition whose names no loader would take."""
    return _renamed(draw(definitions()), draw)


def _renamed(definition: WorkflowDefinition, draw: Any) -> WorkflowDefinition:
    states, initial = _machine(definition.states, definition.initial, draw)
    names = dict(zip(definition.states, states, strict=True))
    ways = tuple(
        replace(each, to=names.get(each.to or "", each.to)) for each in definition.on_deadline
    )
    return replace(
        definition, name=draw(odd_texts), description=draw(odd_texts), states=states,
        initial=initial, on_deadline=ways,
    )  # fmt: skip


def _machine(machine: Any, initial: str, draw: Any) -> tuple[dict[str, State], str]:
    texts = st.lists(odd_texts, min_size=len(machine), max_size=len(machine), unique=True)
    names = dict(zip(machine, draw(texts), strict=True))
    return {names[name]: _state(each, names, draw) for name, each in machine.items()}, names[
        initial
    ]


def _state(state: State, names: dict[str, str], draw: Any) -> State:
    def ways(transitions: tuple[Transition, ...]) -> tuple[Transition, ...]:
        return tuple(replace(each, to=names[each.to] if each.to else None) for each in transitions)

    work: Any = state.work
    if isinstance(work, Parallel):
        branches = {}
        for name, branch in work.branches.items():
            states, initial = _machine(branch.states, branch.initial, draw)
            branches[name] = Branch(initial, states)
        work = replace(work, branches=branches)
    elif hasattr(work, "outcomes"):
        work = replace(work, outcomes={name: ways(each) for name, each in work.outcomes.items()})
    elif hasattr(work, "skill"):
        work = replace(work, skill=draw(odd_texts))
    return replace(
        state, name=names[state.name], work=work, description=draw(odd_texts),
        transitions=ways(state.transitions),
        on={draw(odd_texts): ways(each) for each in state.on.values()},
        after=tuple(replace(each, transitions=ways(each.transitions)) for each in state.after),
        cron=tuple(replace(each, transitions=ways(each.transitions)) for each in state.cron),
        on_timeout=ways(state.on_timeout), on_error=ways(state.on_error),
    )  # fmt: skip


def run_in(world: World) -> Run:
    """Return the run of the instance in ``world``."""
    return run_of(world.definition, world.snapshot, world.history)


def passing(world: World, **duration: float) -> World:
    """Let time pass without anything becoming due."""
    world.now += timedelta(**duration)
    return world


def half_done_lead() -> World:
    """A lead who was nurtured for a while, until an activity failed for good."""
    world = World(lead_nurturing()).start(email="ada@example.org")
    passing(world, seconds=2).break_down("the service is down")
    passing(world, seconds=4).complete({"score": 41})
    world.pass_time(timedelta(days=3))
    passing(world, minutes=12).complete({"sent": True})
    passing(world, hours=30)
    world.receive("email.replied", sentiment="negative", text="not now")
    passing(world, hours=5)
    world.decide("approved")
    return passing(world, minutes=1)


def failed_booking() -> World:
    """A booking whose payment could not be confirmed: it stands still."""
    client = {"email": "ada@example.org"}
    world = World(business("wellness_booking")).start(client=client, service="Reiki")
    passing(world, minutes=1).complete()
    passing(world, days=2)
    world.receive("consultation_scheduled", at="2026-03-09")
    passing(world, days=7)
    world.receive("consultation_completed", quote={"amount": 120})
    passing(world, minutes=1).complete()
    passing(world, days=1)
    world.receive("client_accepted_quote")
    passing(world, minutes=1).complete()
    passing(world, hours=3)
    world.receive("payment_received", payment={"id": "p1"})
    for _ in range(3):
        passing(world, seconds=8)
        world.break_down("the bank does not answer")
    return world


def half_done_campaign() -> World:
    """A campaign whose content was rejected once; one of its two channels is set up."""
    world = World(business("marketing_campaign")).start(campaign="Spring")
    passing(world, days=1).receive("plan_approved", plan={}, ends_at="2026-06-01")
    run_through(passing(world, minutes=2))
    passing(world, hours=3).decide("rejected")
    run_through(passing(world, minutes=4))
    passing(world, hours=20).decide("approved")
    first = next(iter(world.running.values())).activity
    passing(world, minutes=1).complete(activity=first)
    return world


def many_leads() -> list[Run]:
    """Forty leads, of whom every fourth is a good one at once."""
    runs = []
    for number in range(40):
        world = World(lead_nurturing()).start(email="ada@example.org")
        if number % 5 == 0:
            passing(world, seconds=1).break_down("the service is down")
        passing(world, seconds=2 + number % 3).complete({"score": 90 if number % 4 == 0 else 30})
        for _ in range(number % 3 if world.state == "nurturing" else 0):
            world.pass_time(timedelta(days=3))
            passing(world, minutes=10 + number).complete({"sent": True})
        if world.state == "nurturing":
            passing(world, hours=5 + number)
            world.receive("email.replied", sentiment=("negative", "glad")[number % 2], text="...")
        if world.state == "review":
            passing(world, hours=1 + number % 7).decide(("rejected", "approved")[number % 3 > 0])
        if world.state == "qualified":
            passing(world, hours=2 + number % 9)
            world.child_ends("booked" if number % 8 else "lost")
        runs.append(run_in(world))
    return runs
