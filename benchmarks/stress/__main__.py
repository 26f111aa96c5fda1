"""Stress: agents, embedding, transitions, webhooks and a soak, each watched second by second.

python benchmarks/stress [agents|embedding|transitions|webhooks|soak ...] [--small] [--minutes 10]

Prints a table; charts and a page with all of them are in the folder that it names.
"""

import asyncio
import html
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import embedding  # noqa: E402
import soak  # noqa: E402
import transitions  # noqa: E402
import webhooks  # noqa: E402
from measure import Line, Server, finish, parser, say, table, throwaway_server  # noqa: E402
from watching import Watch  # noqa: E402

import agents  # noqa: E402  what is beside this, after the path to it

Part = Callable[[Server, Watch, int], Awaitable[list[Line]]]

PARTS: dict[str, tuple[Part, str, int, int]] = {
    "agents": (agents.run, "messages", agents.MESSAGES, 2_000),
    "embedding": (embedding.run, "chunks", embedding.CHUNKS, 1_000),
    "transitions": (transitions.run, "transitions", transitions.TRANSITIONS, 5_000),
    "webhooks": (webhooks.run, "requests", webhooks.WEBHOOKS, 500),
    "soak": (soak.run, "requests", 60, 1),
}
"""What runs, what it counts, and how much of it: in full, and in small."""

CHARTS = (HERE.parent / ".venv" / "bin" / "python", HERE / "charts.py")


def main() -> None:
    """Run what was asked for."""
    options = parser(__doc__)
    options.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    options.add_argument("--small", action="store_true", help="a twentieth of everything")
    options.add_argument("--minutes", type=int, help="of the soak; default: 60")
    options.add_argument("--folder", type=Path, default=HERE.parent / "results" / "stress")
    chosen = options.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        options.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    folder = chosen.folder / time.strftime("%Y-%m-%dT%H-%M-%S")
    lines: list[Line] = []
    with throwaway_server() as server:
        for name in chosen.parts or PARTS:
            part, unit, full, small = PARTS[name]
            size = small if chosen.small else full
            if name == "soak" and chosen.minutes:
                size = chosen.minutes
            say(f"{name}: {size:,} {'minutes' if name == 'soak' else unit}")
            watch = Watch(name, server, unit)
            lines += asyncio.run(part(server, watch, size))
            watch.write(folder)
    missing = "" if CHARTS[0].exists() else "there is no benchmarks/.venv"
    if not missing:
        drawn = subprocess.run([*CHARTS, folder], capture_output=True, text=True, check=False)
        missing = drawn.stderr.strip()[-200:] if drawn.returncode else ""
    if missing:
        say(f"no charts (make benchmarks/.venv/.complete): {missing}")
    page = folder / "index.html"
    page.write_text(_page(folder, lines))
    finish(lines, chosen.json)
    say(f"charts: {page}")


def _page(folder: Path, lines: list[Line]) -> str:
    drawn = (path.read_text().partition("<svg") for path in sorted(folder.glob("*.svg")))
    pictures = "".join(f"<figure>{begins}{rest}</figure>" for _, begins, rest in drawn)
    return (
        "<!doctype html><meta charset=utf-8><title>Stress</title><meta name=viewport"
        " content='width=device-width'><style>body{font:16px/1.5 system-ui;max-width:60rem;"
        "margin:2rem auto;padding:0 1rem}figure{margin:2rem 0}svg{max-width:100%;height:auto}"
        "pre{overflow:auto}</style><h1>Under stress</h1>"
        f"<pre>{html.escape(table(lines))}</pre>{pictures}"
    )


if __name__ == "__main__":
    main()
