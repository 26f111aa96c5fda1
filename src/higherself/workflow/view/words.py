"""The words on a picture: what a state does, how long something took, how often. Pure."""

from datetime import timedelta

from higherself.workflow.definition.model import (
    Activity,
    AgentSelector,
    Approval,
    Collaboration,
    Parallel,
    State,
    SubWorkflow,
)
from higherself.workflow.view.graph import Edge, Way

_UNITS = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def lasting(duration: timedelta) -> str:
    """Return ``duration`` in one or two units, rounded to what a reader wants to know.

    >>> lasting(timedelta(days=2, hours=3, minutes=20)), lasting(timedelta(seconds=4.25))
    ('2d 3h', '4.2s')
    >>> lasting(timedelta(milliseconds=12)), lasting(timedelta(0)), lasting(timedelta(hours=1))
    ('12ms', '0s', '1h')
    """
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms" if seconds > 0 else "0s"
    if seconds < 9.95:
        return f"{seconds:.1f}s".replace(".0s", "s")
    left = round(seconds)
    for place, (unit, size) in enumerate(_UNITS):
        if left >= size:
            if place + 1 == len(_UNITS):
                return f"{left}s"
            lower, lower_size = _UNITS[place + 1]
            whole, rest = divmod(round(left / lower_size), size // lower_size)
            return f"{whole}{unit} {rest}{lower}" if rest else f"{whole}{unit}"
    raise AssertionError(seconds)


def times(count: int) -> str:
    """Return how often.

    >>> times(3), times(12_345)
    ('3\N{MULTIPLICATION SIGN}', '12,345\N{MULTIPLICATION SIGN}')
    """
    return f"{count:,}\N{MULTIPLICATION SIGN}"


def percent(share: float) -> str:
    """Return a share in per cent.

    >>> percent(0.416), percent(0.0004), percent(0)
    ('42%', '<1%', '0%')
    """
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share * 100:.0f}%"


def work_of(state: State) -> str:
    """Return what ``state`` does, in a few words."""
    match state.work:
        case Activity():
            return state.work.skill
        case Collaboration():
            count = len(state.work.steps)
            return f"{state.work.pattern} of {count} agent{'s' if count > 1 else ''}"
        case SubWorkflow():
            return f"starts {state.work.workflow}"
        case Approval():
            return f"approval of {' or '.join(state.work.roles)}"
        case Parallel():
            every, needed = len(state.work.branches), state.work.needed
            return (
                f"all of {every} branches" if needed == every else f"{needed} of {every} branches"
            )
        case None:
            return ", ".join(dict.fromkeys(each.skill for each in state.entry))


def agent_of(agent: AgentSelector | None) -> str:
    """Return who does it."""
    if agent is None:
        return ""
    return " ".join(each for each in (agent.name, agent.role, agent.capability) if each)


def says(way: Way) -> str:
    """Return what it takes for ``way`` to be tried."""
    if way.otherwise:
        return f"{way.says}, otherwise" if way.says else "otherwise"
    return way.says


def texts_of(edge: Edge, *, guards: bool) -> list[tuple[str, str]]:
    """Return what is written at ``edge``: for each of its ways the cause, and the guard."""
    texts = [(says(way), way.guard if guards else "") for way in edge.ways]
    if len(texts) > 1:
        done = [way.kind == "automatic" for way in edge.ways]
        texts = [
            ("when done", "") if is_done and not any(text) else text
            for text, is_done in zip(texts, done, strict=True)
        ]
    return list(dict.fromkeys(text for text in texts if any(text)))


def tells(state: State) -> str:
    """Return everything about ``state`` that is too long for its box."""
    lines = [state.name]
    if state.description:
        lines.append(" ".join(state.description.split()))
    if work := work_of(state):
        lines.append(work)
    if agent := agent_of(state.agent):
        lines.append(f"agent: {agent}")
    lines += [f"stays on {name}" for name, each in _staying(state)]
    if state.max_visits is not None:
        lines.append(f"at most {state.max_visits:,} visits")
    return "\n".join(lines)


def _staying(state: State) -> list[tuple[str, object]]:
    found = [(name, each) for name, ways in state.on.items() for each in ways if each.to is None]
    found += [
        (scheduled.cron.text, each)
        for scheduled in state.cron
        for each in scheduled.transitions
        if each.to is None
    ]
    return list(dict(found).items())


def shortened(text: str, length: int) -> str:
    """Return ``text``, or as much of it as fits, and an ellipsis.

    >>> shortened("a_rather_long_name", 9)
    'a_rather\N{HORIZONTAL ELLIPSIS}'
    """
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def wrapped(text: str, width: int, *, lines: int) -> list[str]:
    """Return ``text`` in at most so many lines of about ``width`` characters."""
    found: list[str] = []
    for word in text.split():
        for piece in (word[at : at + width] for at in range(0, len(word), width)):
            if found and len(found[-1]) + 1 + len(piece) <= width:
                found[-1] += f" {piece}"
            else:
                found.append(piece)
    if len(found) > lines:
        found = [*found[: lines - 1], shortened(" ".join(found[lines - 1 :]), width)]
    return found
