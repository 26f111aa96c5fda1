"""Faults by the hundred: does the workflow engine lose, repeat or leave anything when things die?

Every scenario has processes and a PostgreSQL of its own; see `tests.workflow.engine.faults`.
"""

import asyncio
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from measure import Line, Server, at_most, finish, p, p50, parser, say, throwaway_server
from tests.workflow.engine.faults.scenario import KINDS, Found, run

from higherself.db.migrate import migrate
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.testing.postgres import in_database

RECOVERY = 10.0
COUNTED = {
    "lost": "instances lost",
    "stuck": "instances stuck",
    "stale": "stale writes accepted",
    "doubled": "effects not exactly once",
    "gaps": "histories with a gap",
    "miscounted": "instances that miscounted events",
    "left": "messages left",
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--each", type=int, default=100, help="scenarios of each kind")
    options.add_argument("--seed", type=int, default=0, help="of the first one")
    options.add_argument(
        "--kind", choices=KINDS, action="append", help="only this; may be repeated"
    )
    given = options.parse_args()
    lines: list[Line] = []
    for kind in given.kind or KINDS:
        lines += lines_of(kind, play(kind, range(given.seed, given.seed + given.each)))
    finish(lines, given.json)


def play(kind: str, seeds: range) -> list[Found]:
    """Play scenarios, on a server for each ten of them."""
    played: list[Found] = []
    for first in range(seeds.start, seeds.stop, 10):
        with throwaway_server() as server:
            some = range(first, min(first + 10, seeds.stop))
            played += [play_one(kind, seed, server) for seed in some]
    return played


def play_one(kind: str, seed: int, server: Server) -> Found:
    name = server.fresh_database("faults", ours=True)
    url = in_database(server.url, name)
    asyncio.run(migrate(url, clock=SYSTEM_CLOCK))
    try:
        found = asyncio.run(run(kind, seed, url, home=server.home))
    except Exception:  # noqa: BLE001  whatever it is, the scenario has failed
        found = Found(kind, seed)
        found.wrong(f"it could not be played\n{traceback.format_exc()}")
    slowest = max(found.recovery, default=0.0)
    say(f"{kind}, seed {seed}: {found.seconds:.1f} s, {len(found.problems)} problems, "
        f"{len(found.recovery)} hit, the last went on after {slowest:.2f} s")  # fmt: skip
    for problem in found.problems[:20]:
        say(f"  {problem}")
    server.drop(name)
    return found


def lines_of(kind: str, played: list[Found]) -> list[Line]:
    """Return the figures of a kind."""
    total = {name: sum(getattr(each, name) for each in played) for name in COUNTED}
    failed = sum(bool(each.problems) for each in played)
    instances = sum(each.instances for each in played)
    attempts = sum(each.attempts for each in played)
    note = f"{instances} instances, {attempts} attempts of activities"
    lines = [
        Line(f"{kind}: scenarios", len(played), note=note),
        Line(f"{kind}: scenarios with any problem", failed, **at_most(failed, 0)),  # type: ignore[arg-type]
    ]
    for name, text in COUNTED.items():
        lines.append(Line(f"{kind}: {text}", total[name], **at_most(total[name], 0)))  # type: ignore[arg-type]
    refused, suppressed = (sum(getattr(each, name) for each in played) for name in ("refused", "suppressed"))  # fmt: skip
    lines.append(Line(f"{kind}: late results refused", refused))
    lines.append(Line(f"{kind}: second effects suppressed by their key", suppressed))
    recovery = [seconds for each in played for seconds in each.recovery]
    if not recovery:
        return lines
    note = f"{len(recovery)} instances were hit; the longest took {max(recovery):.2f} s"
    lines.append(Line(f"{kind}: until an instance goes on, p50", p50(recovery), "s"))
    slow = p(recovery, 95)
    lines.append(
        Line(f"{kind}: until an instance goes on, p95", slow, "s", note=note,
             **at_most(slow, RECOVERY, " s"))  # type: ignore[arg-type]
    )  # fmt: skip
    return lines


if __name__ == "__main__":
    main()
