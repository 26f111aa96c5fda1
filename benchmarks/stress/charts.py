"""Draw what was watched: throughput, latency and memory of each run, as SVG. Runs in benchmarks/.venv."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

INK, QUIET, FIRST, SECOND = "#1f2937", "#9ca3af", "#4f46e5", "#0d9488"


def draw(path: Path) -> Path:
    """Draw one run's samples beside its file; return the picture."""
    run = json.loads(path.read_text())
    samples = run["samples"]
    at = [s["at"] for s in samples]
    plt.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
         "axes.edgecolor": QUIET, "text.color": INK, "axes.labelcolor": INK,
         "xtick.color": INK, "ytick.color": INK, "svg.hashsalt": "higherself"}
    )  # fmt: skip
    figure, (rate, latency, memory) = plt.subplots(3, 1, figsize=(8, 6.2), sharex=True)
    rate.fill_between(at, [s["rate"] for s in samples], color=FIRST, alpha=0.15, linewidth=0)
    rate.plot(at, [s["rate"] for s in samples], color=FIRST, linewidth=1.4)
    rate.set_ylabel(f"{run['unit']} a second")
    rate.set_title(run["name"], loc="left", fontsize=12, fontweight="bold")
    for name, colour in (("p50", SECOND), ("p95", FIRST)):
        points = [(s["at"], s[name]) for s in samples if s[name] is not None]
        if points:
            latency.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, label=name)
    latency.set_ylabel("milliseconds")
    for name, colour in (("program", FIRST), ("postgres", SECOND)):
        held = [s["megabytes"].get(name, 0) for s in samples]
        memory.plot(at, held, color=colour, linewidth=1.4, label=name)
    memory.set_ylabel("MB")
    memory.set_xlabel("seconds")
    for axes in (rate, latency, memory):
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=QUIET, alpha=0.3, linewidth=0.6)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, loc="upper right", ncols=2)
    figure.tight_layout()
    drawn = path.with_suffix(".svg")
    figure.savefig(drawn, metadata={"Date": None})
    plt.close(figure)
    return drawn


if __name__ == "__main__":
    for each in sorted(Path(sys.argv[1]).glob("*.json")):
        print(draw(each))
