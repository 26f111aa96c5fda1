"""Reading states, the ways between them, and what has states inside. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

from higherself.workflow.definition.model import (
    NO_INPUT,
    OUTCOMES,
    After,
    Approval,
    Assignments,
    Branch,
    Join,
    Parallel,
    Scheduled,
    State,
    Transition,
    Transitions,
    Work,
)
from higherself.workflow.definition.nodes import Scalar
from higherself.workflow.definition.parts import (
    activities,
    activity,
    agent,
    collaboration,
    sub_workflow,
)
from higherself.workflow.definition.paths import below, context_path_of
from higherself.workflow.definition.reading import Keys, Spot, flag, one_of, text, whole
from higherself.workflow.definition.schedule import cron_of, duration_of, text_of
from higherself.workflow.definition.words import (
    assigned,
    context_path,
    duration,
    event_of,
    guard,
    name_of,
    template,
    text_template,
)
from higherself.workflow.errors import did_you_mean

MOST_VISITS = 1_000_000
ASSUMED_WAIT = timedelta(days=1)
"""What a wait is taken to be that each instance reckons for itself, where there is none."""

SHORT_BRANCH = ("run", "done")
"""The states of a branch that is written as one piece of work."""

Names = Collection[str]
"""The states that a transition can go to."""

ReadWays = Callable[[Spot], Transitions]


def machine(keys: Keys) -> Branch:
    """Return the machine that ``keys`` describe by ``initial`` and ``states``."""
    spot = keys.spot_of("states")
    names = spot.names() if spot is not None else ()
    if spot is None:
        keys.spot.note("the key 'states' is missing")
    states = keys.read("states", partial(_states, names=names), {})
    example = f"initial: {next(iter(names), 'captured')}"
    initial = keys.need("initial", one_of(names, "state"), "", example=example)
    return Branch(initial, states)


def _states(spot: Spot, *, names: Names) -> Mapping[str, State]:
    found = spot.table("states", lambda key, inner: state(inner, name_of(key), names))
    if not spot.names():
        spot.note("there is no state")
    return found


# --- Transitions.


def transitions(spot: Spot, *, names: Names, stay: bool = False) -> Transitions:
    """Return one transition or a list of them, to states of these ``names``.

    ``stay`` says that a transition may go nowhere, and only do something.
    """
    return spot.each(partial(_transition, names=names, stay=stay))


def _transition(spot: Spot, *, names: Names, stay: bool) -> Transition:
    with spot.keys("a transition") as keys:
        if not stay and "to" not in keys:
            spot.note(f"the key 'to' is missing: where does it go?{did_you_mean('', names)}")
        transition = Transition(
            to=keys.read("to", one_of(names, "state"), None),
            when=keys.read("when", guard, None),
            assignments=keys.read("set", _assignments, ()),
            do=keys.read("do", activities, ()),
            compensate=keys.read("compensate", flag, False),
        )
    if stay and not keys.given("to", "set", "do"):
        spot.note("a transition goes somewhere (`to`) or does something (`set`, `do`)")
    if transition.compensate and "to" not in keys:
        spot.note("`compensate` undoes what was done and leaves the state: say where `to`")
    return transition


def _assignments(spot: Spot) -> Assignments:
    read = spot.table("set", lambda key, inner: (context_path_of(key), assigned(inner)))
    return tuple(read.values())


# --- States.


def state(spot: Spot, key: str, names: Names) -> State:
    """Return the state ``key``."""
    ways = partial(transitions, names=names)
    live = partial(transitions, names=names, stay=True)
    with spot.keys("a state") as keys:
        made = State(
            name=key,
            description=keys.read("description", text, ""),
            final=keys.read("final", flag, False),
            agent=keys.read("agent", agent, None),
            work=_work(keys, names),
            compensate=keys.read("compensate", activity, None),
            entry=keys.read("entry", activities, ()),
            exit=keys.read("exit", activities, ()),
            transitions=keys.read("transitions", ways, ()),
            on=keys.read("on", partial(_on, read=live), {}),
            after=keys.read("after", partial(_after, read=live), ()),
            cron=keys.read("cron", partial(_cron, read=live), ()),
            timeout=keys.read("timeout", duration, None),
            on_timeout=keys.read("on_timeout", ways, ()),
            on_error=keys.read("on_error", ways, ()),
            max_visits=keys.read("max_visits", whole(1, MOST_VISITS), None),
        )
    _check_state(keys, made)
    return made


_WORKS: Mapping[str, Callable[[Spot], Work]] = {
    "activity": activity,
    "collaborate": collaboration,
    "start": sub_workflow,
}
_KINDS_OF_WORK = (*_WORKS, "approval", "parallel")


def _work(keys: Keys, names: Names) -> Work | None:
    given = keys.given(*_KINDS_OF_WORK)
    if len(given) > 1:
        keys.spot.note(f"a state does one thing, not {' and '.join(given)}; make it two states")
    works: list[Work | None] = [keys.read(kind, read, None) for kind, read in _WORKS.items()]
    works.append(keys.read("approval", partial(_approval, names=names), None))
    works.append(keys.read("parallel", _parallel, None))
    return next((work for work in works if work is not None), None)


def _check_state(keys: Keys, made: State) -> None:
    if made.final:
        more = [key for key in keys.asked if key in keys]
        more = [key for key in more if key not in ("final", "description", "entry")]
        if more:
            keys.spot.note(f"a final state is the end: it has no {' and no '.join(more)}")
    if made.compensate is not None and not keys.given("activity", "collaborate", "start"):
        keys.spot.note("`compensate` undoes what the state did, but it does nothing")
    has_timeout = "timeout" in keys or getattr(made.work, "timeout", None) is not None
    if made.on_timeout and not has_timeout:
        keys.spot.note("`on_timeout` waits for a `timeout`, of the state or of its activity")


def _on(spot: Spot, *, read: ReadWays) -> Mapping[str, Transitions]:
    def one(key: str, inner: Spot) -> Transitions:
        event_of(key)
        return read(inner)

    return spot.table("on", one)


def _after(spot: Spot, *, read: ReadWays) -> tuple[After, ...]:
    lengths = set()

    def one(key: str, inner: Spot) -> After:
        if "{{" in key:
            wait = template(Spot(Scalar(key, inner.place), inner.path, inner.notes))
            return After(ASSUMED_WAIT, read(inner.moved(below(spot.path, key))), wait)
        length = duration_of(key)
        if length in lengths:
            raise ValueError(f"{key} is here already, in another unit; keep one of them")
        lengths.add(length)
        return After(length, read(inner.moved(below(spot.path, text_of(length)))))

    found = spot.table("after", one).values()
    return tuple(sorted(found, key=lambda each: each.duration))


def _cron(spot: Spot, *, read: ReadWays) -> tuple[Scheduled, ...]:
    def one(key: str, inner: Spot) -> Scheduled:
        cron = cron_of(key)
        return Scheduled(cron, read(inner.moved(below(spot.path, cron.text))))

    return tuple(spot.table("cron", one).values())


# --- What has transitions or states inside.


def _approval(spot: Spot, *, names: Names) -> Approval:
    ways = partial(transitions, names=names)
    with spot.keys("an approval") as keys:
        return Approval(
            roles=keys.need("roles", _roles, (), example="roles: [owner]"),
            question=keys.read("question", text_template, NO_INPUT),
            timeout=keys.read("timeout", duration, None),
            save=keys.read("save", context_path, None),
            outcomes={outcome: keys.read(outcome, ways, ()) for outcome in OUTCOMES},
        )


def _roles(spot: Spot) -> tuple[str, ...]:
    roles = spot.each(text)
    if spot.is_list and not roles:
        raise spot.wrong("nobody could decide; name at least one role, for example [owner]")
    return roles


def _parallel(spot: Spot) -> Parallel:
    with spot.keys("parallel") as keys:
        branches = keys.need("branches", _branches, {}, example="branches: {a: {...}, b: {...}}")
        join: Join = keys.read("join", _join, "all")
    if isinstance(join, int) and branches and join > len(branches):
        few = len(branches)
        keys.spot.note(f"join waits for {join} branches, but there are {few}; it is never met")
    return Parallel(branches, join)


def _join(spot: Spot) -> Join:
    match spot.scalar:
        case "all":
            return "all"
        case "any":
            return "any"
        case int(count) if not isinstance(count, bool) and count >= 1:
            return count
        case _:
            raise spot.wrong("join is all, any, or how many branches have to end, for example 2")


def _branches(spot: Spot) -> Mapping[str, Branch]:
    def one(key: str, inner: Spot) -> Branch:
        name_of(key)
        return _branch(inner)

    if not spot.names():
        spot.note("there is no branch")
    return spot.table("branches", one)


def _branch(spot: Spot) -> Branch:
    """Return a branch: a machine, or one piece of work at whose end it has ended."""
    with spot.keys("a branch") as keys:
        if keys.given("initial", "states"):
            branch = machine(keys)
            if not any(state.final for state in branch.states.values()):
                spot.note("a branch ends in a final state, and this one has none")
            return branch
        keys.ignore()
    run, done = SHORT_BRANCH
    only = state(spot, run, names=())
    if only.work is None:
        spot.note("a branch has `initial` and `states`, or is one piece of work, an `activity` say")
    ended = Transition(to=done)
    return Branch(run, {run: replace(only, transitions=(ended,)), done: State(done, final=True)})
