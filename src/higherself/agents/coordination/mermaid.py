"""A collaboration as a sequence diagram in Mermaid: who was asked what, and what came back. Pure."""

import re
from datetime import datetime

from higherself.agents.coordination.records import Asked, Collaboration

_HERE, _PEOPLE = "collaboration", "people"
_LONGEST = 60


def sequence_diagram(found: Collaboration) -> str:
    """Return the diagram: askings and answers in the order of their times."""
    names = list(dict.fromkeys(each.agent for each in found.asked))
    known = {name: f"a{number}" for number, name in enumerate(names)}
    lines = ["sequenceDiagram", f"    participant {_HERE} as {_text(found.name)}"]
    lines += [f"    participant {known[name]} as {_text(name)}" for name in names]
    if found.question is not None:
        lines.append(f"    actor {_PEOPLE} as {_text(_roles(found))}")
    moments: list[tuple[datetime, int, str]] = []
    for number, each in enumerate(found.asked):
        moments.append((each.asked_at, number, _asking(known[each.agent], each)))
        if each.answered_at is not None:
            moments.append((each.answered_at, number, _answering(known[each.agent], each)))
    lines += [line for _, _, line in sorted(moments)]
    if found.question is not None:
        said = _text(str(found.question.get("question") or "please decide"))
        lines.append(f"    {_HERE}->>{_PEOPLE}: {said}")
    over = f"{_HERE},{known[names[-1]]}" if names else _HERE
    ending = f"{found.status}: {found.reason}" if found.reason else found.status
    lines.append(f"    Note over {over}: {_text(ending)}")
    return "\n".join(lines) + "\n"


def _asking(agent: str, each: Asked) -> str:
    again = f", attempt {each.attempt}" if each.attempt > 1 else ""
    kind = "" if each.kind == "work" else f" ({each.kind})"
    return f"    {_HERE}->>{agent}: {_text(each.step + kind + again)}"


def _answering(agent: str, each: Asked) -> str:
    took = (each.answered_at - each.asked_at).total_seconds() if each.answered_at else 0.0
    if each.status in ("late", "cancelled"):
        return f"    {_HERE}-x{agent}: {each.status} after {took:.3g} s"
    said = f"{each.status}: {each.error}" if each.error else each.status
    arrow = "-->>" if each.status == "answered" else "--x"
    return f"    {agent}{arrow}{_HERE}: {_text(said)}, {took:.3g} s"


def _roles(found: Collaboration) -> str:
    roles = found.question.get("roles") if found.question else None
    return " or ".join(str(each) for each in roles) if isinstance(roles, list) else _PEOPLE


def _text(text: str) -> str:
    """Return ``text`` so that Mermaid takes it for nothing else."""
    flat = re.sub(r"\s+", " ", re.sub(r"[\0-\x1f\x7f]", " ", text)).strip() or "-"
    short = flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
    return "".join(
        each if each.isalnum() or each in " ._-,()" else f"#{ord(each)};" for each in short
    )
