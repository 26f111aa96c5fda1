"""Plans as data: the keys of `collaborate:` in a workflow, with everything that varies filled in. Pure."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, cast

from higherself.agents.coordination.model import (
    DEADLINE,
    PATTERNS,
    WINDOW,
    Compensation,
    Join,
    OnFailure,
    Pattern,
    People,
    Plan,
    Preference,
    Step,
    Target,
)
from higherself.kernel.durations import duration_of
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, check_json

MOST_STEPS = 100
MOST_ATTEMPTS = 100
ON_FAILURE = ("fail", "ignore", "retry", "substitute")

_TARGET = ("name", "role", "capability", "entity")


class PlanRejected(Rejected):
    """A plan cannot be carried out as it is written; ``path`` says where."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the plan of a collaboration: {path}: {reason}")
        self.path, self.reason = path, reason


def plan_of(data: Mapping[str, Any], *, name: str = "") -> Plan:
    """Return the plan that ``data`` is; ``name`` is what its figures are kept under.

    Raises
        PlanRejected: naming the key that is missing, unknown or wrong.
    """
    read = _Keys(data, "")
    pattern = read.one_of("pattern", PATTERNS)
    steps = _steps(read.get("steps"))
    people = _people(read.object("people"))
    usual = DEADLINE if people is None else DEADLINE + people.timeout
    plan = Plan(
        pattern=cast("Pattern", pattern),
        steps=steps,
        name=name or read.text("name") or pattern,
        input=read.object("input"),
        deadline=read.duration("timeout") or usual,
        join=_join(read, len(steps)),
        at_once=read.whole("at_once", 1, MOST_STEPS),
        window=read.duration("window") or WINDOW,
        least=read.whole("least", 0, 10_000) or 0,
        prefer=_preference(read.object("prefer")),
        hops=5 if (hops := read.whole("hops", 1, 14)) is None else hops,
        people=people,
    )
    read.done()
    for key, patterns in ONLY_IN.items():
        if key in data and pattern not in patterns:
            raise PlanRejected(key, f"{pattern} has none; it is for {' and '.join(patterns)}")
    if pattern == "request" and len(steps) > 1:
        raise PlanRejected("steps", f"a request has one step, not {len(steps)}")
    return plan


ONLY_IN: Mapping[str, tuple[str, ...]] = {
    "join": ("concurrent",),
    "at_once": ("concurrent",),
    "window": ("delegate", "publish"),
    "least": ("delegate", "publish"),
    "prefer": ("delegate",),
    "hops": ("handoff",),
    "people": ("escalation",),
}
"""Keys that not every pattern has."""


class _Keys:
    """The keys of an object; what nobody asked for by the end is unknown."""

    def __init__(self, data: Mapping[str, Any], path: str) -> None:
        if not isinstance(data, Mapping):
            raise PlanRejected(path or "the plan", "this is to be an object with keys")
        self._data, self._path = data, path
        self._asked: list[str] = []

    def path(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def get(self, key: str) -> Any:
        self._asked.append(key)
        return self._data.get(key)

    def done(self) -> None:
        for key in self._data:
            if key not in self._asked:
                near = get_close_matches(str(key), self._asked, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise PlanRejected(self.path(str(key)), f"there is no such key{hint}")

    def wrong(self, key: str, what: str) -> PlanRejected:
        return PlanRejected(self.path(key), f"{what}, not {self._data.get(key)!r}")

    def text(self, key: str) -> str | None:
        value = self.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.wrong(key, "this is to be a text")
        return value

    def need(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise PlanRejected(self.path(key), "it is missing")
        return value

    def one_of(self, key: str, known: Collection[str]) -> str:
        value = self.need(key)
        if value not in known:
            raise self.wrong(key, f"this is one of {', '.join(known)}")
        return value

    def object(self, key: str) -> dict[str, Any]:
        value = self.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wrong(key, "this is to be an object")
        check_json(value, self.path(key))
        return dict(value)

    def whole(self, key: str, least: int, most: int) -> int | None:
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(key, f"this is a whole number from {least} to {most}")
        return value

    def duration(self, key: str) -> timedelta | None:
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, timedelta) and value > timedelta(0):
            return value
        if not isinstance(value, str):
            raise self.wrong(key, "this is a duration such as 30s")
        try:
            return duration_of(value)
        except ValueError as error:
            raise PlanRejected(self.path(key), str(error)) from None

    def target(self) -> Target | None:
        found = Target(*(self.text(each) for each in _TARGET))
        return None if found == Target() else found


def _steps(given: Any) -> tuple[Step, ...]:
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, list | tuple) or not 0 < len(listed) <= MOST_STEPS:
        raise PlanRejected("steps", f"there are 1 to {MOST_STEPS} of them, in a list")
    found: dict[str, Step] = {}
    for index, each in enumerate(listed):
        step = _step(_Keys(each, f"steps[{index}]"), found)
        if step.id in found:
            raise PlanRejected(f"steps[{index}].id", f"another step is {step.id!r} already")
        found[step.id] = step
    return tuple(found.values())


def _step(read: _Keys, before: Collection[str]) -> Step:
    target, task = read.target(), read.need("task")
    if target is None:
        raise PlanRejected(read.path("name"), "say which agent: by name, role or capability")
    on_failure = read.get("on_failure")
    if on_failure is not None and on_failure not in ON_FAILURE:
        raise read.wrong("on_failure", f"this is one of {', '.join(ON_FAILURE)}")
    step = Step(
        id=_id(read, task, before),
        agent=target,
        task=task,
        input=read.object("input"),
        timeout=read.duration("timeout"),
        on_failure=cast("OnFailure | None", on_failure),
        attempts=read.whole("attempts", 1, MOST_ATTEMPTS) or 1,
        backoff=read.duration("backoff") or timedelta(seconds=1),
        substitute=_substitutes(read),
        compensate=_compensation(read),
        hedge=read.duration("hedge"),
    )
    read.done()
    if step.on_failure == "substitute" and not step.substitute:
        raise PlanRejected(read.path("substitute"), "say who is asked instead")
    return step


def _id(read: _Keys, task: str, before: Collection[str]) -> str:
    """Return what a step is called: as it says, or as its task, with a number if need be."""
    said = read.text("id")
    if said is not None:
        if "/" in said or ":" in said:
            raise read.wrong("id", "a name without / and : is needed")
        return said
    named = task.replace("/", "_").replace(":", "_")
    number = 2
    while (id := named if named not in before else f"{named}_{number}") in before:
        number += 1
    return id


def _substitutes(read: _Keys) -> tuple[Target, ...]:
    given = read.get("substitute")
    if given is None:
        return ()
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, list | tuple):
        raise read.wrong("substitute", "this is a list of agents")
    found = []
    for index, each in enumerate(listed):
        keys = _Keys(each, read.path(f"substitute[{index}]"))
        target = keys.target()
        keys.done()
        if target is None:
            raise PlanRejected(keys.path("name"), "say which agent: by name, role or capability")
        found.append(target)
    return tuple(found)


def _compensation(read: _Keys) -> Compensation | None:
    given = read.get("compensate")
    if given is None:
        return None
    if isinstance(given, str):
        return Compensation(given)
    keys = _Keys(given, read.path("compensate"))
    found = Compensation(
        keys.need("task"), keys.target(), keys.object("input"), keys.duration("timeout")
    )
    keys.done()
    return found


def _join(read: _Keys, steps: int) -> Join:
    join = read.get("join")
    match join:
        case None | "all":
            return "all"
        case "first":
            return "first"
        case int(count) if not isinstance(count, bool) and 1 <= count <= steps:
            return count
        case _:
            raise read.wrong("join", f"this is all, first, or a number from 1 to {steps}")


def _preference(given: JsonObject) -> Preference:
    weights = {}
    for key, value in given.items():
        if key not in ("price", "time", "confidence"):
            raise PlanRejected(f"prefer.{key}", "it is price, time or confidence")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1000:
            raise PlanRejected(f"prefer.{key}", f"this is a weight from 0 to 1000, not {value!r}")
        weights[key] = float(value)
    return Preference(**weights)


def _people(given: JsonObject) -> People | None:
    if not given:
        return None
    keys = _Keys(given, "people")
    roles = keys.get("roles")
    listed = [roles] if isinstance(roles, str) else roles
    if (
        not isinstance(listed, list | tuple)
        or not listed
        or not all(isinstance(each, str) and each for each in listed)
    ):
        raise PlanRejected("people.roles", "name at least one role, for example [owner]")
    usual = People(tuple(listed))
    found = People(
        tuple(listed), keys.text("question") or "", keys.duration("timeout") or usual.timeout
    )
    keys.done()
    return found
