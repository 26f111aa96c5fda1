"""What the command line costs before it does anything: CPU seconds, the best of ten runs."""

import os
import subprocess
import sys
from pathlib import Path

from measure import Line, finish, parser

RUNS = 10


def cpu_of(command: list[str]) -> float | None:
    """Return the least CPU seconds of the command, or None if it fails."""
    least = None
    for _ in range(RUNS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            return None
        cpu = used.ru_utime + used.ru_stime
        least = cpu if least is None else min(least, cpu)
    return least


def main() -> None:
    """Measure what the options ask for."""
    chosen = parser(__doc__).parse_args()
    program = str(Path(sys.executable).with_name("higherself"))
    empty = cpu_of([sys.executable, "-c", "pass"])
    assert empty is not None
    lines = []
    for option in ("--version", "--help"):
        ours = cpu_of([program, option])
        if ours is None:
            line = Line(
                f"higherself {option}", "does not run", beside="python -c pass", theirs=empty
            )
        else:
            line = Line(
                f"higherself {option}", ours, "CPU-s", "python -c pass", empty, ours / empty
            )
        lines.append(line)
    finish(lines, chosen.json)


if __name__ == "__main__":
    main()
