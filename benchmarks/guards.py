"""Guards: evaluations a second on one core, beside other evaluators, and what compiling costs.

simpleeval runs if `benchmarks/.venv` has it, CEL and Python's own eval in this environment. All get
the same guard, compiled beforehand, with a small context and with one of 100 KB.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from guard_peers import GUARD, SMALL, figures, rate
from measure import Line, at_least, finish, parser, say

from higherself.workflow.guard import compile_guard

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TARGET = 500_000

EXAMPLES = {
    "context.contact.score >= 70": {"context": {"contact": {"score": 71}}},
    "event.sentiment != 'negative'": {"event": {"sentiment": "fine"}},
    "has(context.email) and context.email != ''": {"context": {"email": "a@b.c"}},
    "now() - context.asked_at > 3d": {"context": {"asked_at": "2026-11-01T09:00:00Z"}},
    "any_of(context.lines, item.price > 100)": {
        "context": {"lines": [{"price": price} for price in range(10)]}
    },
}
"""Guards as workflows have them; without a target."""


def peer(name: str, python: Path) -> dict[str, float] | None:
    """Return the figures of a peer, or None if it is not installed."""
    say(name)
    command = [str(python), str(HERE / "guard_peers.py"), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def lines() -> list[Line]:
    """Measure; ours in two halves around the peers, so that both meet the same load."""
    before = _ours()
    peers = {
        "simpleeval": peer("simpleeval", PEER_PYTHON),
        "CEL (Rust)": peer("cel", Path(sys.executable)),
        "eval": peer("eval", Path(sys.executable)),
    }
    after = _ours()
    ours = {name: max(before[name], after[name]) for name in ("small", "large")}
    ours["compile"] = min(before["compile"], after["compile"])
    made = [
        Line("guard, small context", ours["small"], "/s", **at_least(ours["small"], TARGET)),
        Line("guard, 100 KB context", ours["large"], "/s", **at_least(ours["large"], TARGET)),
    ]
    for name, theirs in peers.items():
        if theirs is None:
            made.append(Line("guard", "not installed", beside=name))
            continue
        for size in ("small", "large"):
            ratio = ours[size] / theirs[size]
            made.append(Line(f"guard, {size} context", ours[size], "/s", name, theirs[size], ratio))
        made.append(
            Line(
                "compile",
                ours["compile"],
                "us",
                name,
                theirs["compile"],
                theirs["compile"] / ours["compile"],
            )
        )
    return made + _examples()


def _ours() -> dict[str, float]:
    say("ours")

    def make(text: str):  # type: ignore[no-untyped-def]
        guard = compile_guard(text)
        return lambda context: guard(context, NOW)

    return figures(make)


def _examples() -> list[Line]:
    made = []
    for text, scope in EXAMPLES.items():
        guard = compile_guard(text)
        made.append(Line(text, rate(lambda: guard(scope, NOW)), "/s"))  # noqa: B023
    guard = compile_guard(GUARD)
    made.append(
        Line("explained, part by part", 1e6 / rate(lambda: guard.explain(SMALL, NOW)), "us")
    )
    return made


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    finish(lines(), options.json)
