"""The bus: requests with their answers a second, and how long one takes; payloads of 1 KB, both ways.

Within one process (`bus_memory.py`), beside the in-process runtime of AutoGen and the in-memory broker
of FastStream, if `benchmarks/.venv` has them, and beside the bare event loop, which hands the same
envelope through a queue as JSON and checks nothing. In turns, the best of some rounds.
"""

import json
import subprocess
import sys
from pathlib import Path

from measure import Line, at_least, at_most, finish, parser, say

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
PEERS = ("autogen-core", "faststream")
ROUNDS, SECONDS = 3, 2.0
OUTSTANDING = 64

Figures = dict[str, float]


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--part", choices=["memory"], default="memory")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--seconds", type=float, default=SECONDS)
    chosen = options.parse_args()
    finish(memory(chosen.rounds, chosen.seconds), chosen.json)


def memory(rounds: int, seconds: float) -> list[Line]:
    """Let each runtime do the same, in turns."""
    many: dict[str, Figures] = {}
    one: dict[str, Figures] = {}
    for _ in range(rounds):
        for name in ("higherself", "bare loop", *PEERS):
            for outstanding, best in ((OUTSTANDING, many), (1, one)):
                found = measured(name, outstanding, seconds)
                if found is not None:
                    before = best.get(name, found)
                    best[name] = {
                        "rate": max(found["rate"], before["rate"]),
                        "p50": min(found["p50"], before["p50"]),
                        "p95": min(found["p95"], before["p95"]),
                        "cpu": min(found["cpu"], before["cpu"]),
                    }
    lines = compared(f"memory: hops, {OUTSTANDING} outstanding", "rate", "/s", many, 15_000)
    lines += compared("memory: one hop, p50", "p50", " us", one, 80)
    lines += compared("memory: one hop, p95", "p95", " us", one, None)
    return lines + compared("memory: CPU a hop", "cpu", " us", many, None)


def compared(
    figure: str, what: str, unit: str, best: dict[str, Figures], bound: float | None
) -> list[Line]:
    """Return a line for each peer; the first has the target."""
    scale = 1000.0 if what in ("p50", "p95") else 1.0
    mine = scale * best["higherself"][what]
    target: dict[str, object] = {}
    if bound is not None:
        target = (at_least if what == "rate" else at_most)(mine, bound, unit)
    lines = []
    for name in ("bare loop", *PEERS):
        if name not in best:
            lines.append(Line(figure, "not installed", beside=name))
            continue
        theirs = scale * best[name][what]
        ratio = mine / theirs if what == "rate" else theirs / mine
        lines.append(Line(figure, mine, unit.strip(), name, theirs, ratio, **target))  # type: ignore[arg-type]
        target = {}
    return lines


def measured(name: str, outstanding: int, seconds: float) -> Figures | None:
    """Run one case in a process of its own; None if that is not possible."""
    say(f"{name}: {outstanding} outstanding")
    python = PEER_PYTHON if name in PEERS else Path(sys.executable)
    command = [str(python), str(HERE / "bus_memory.py"), name, str(outstanding), str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"{name}: {str(getattr(error, 'stderr', error))[-300:]}")
        return None
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
