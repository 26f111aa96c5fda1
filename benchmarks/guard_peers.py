"""One guard in other evaluators, measured in a process of its own.

    python guard_peers.py simpleeval

prints how often a second (of CPU) it is evaluated with a small context and with one of 100 KB, and
the microseconds it takes to compile, as one JSON object. Each evaluator gets its guard compiled or
parsed beforehand, if it can.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

GUARD = 'amount > 1000 and "vip" in tags and attempts < 3 and status == "open"'
SMALL = {"amount": 1200, "tags": ["new", "vip"], "attempts": 1, "status": "open"}
LARGE = SMALL | {"history": [{"text": "x" * 80, "at": number} for number in range(1_000)]}
ROUND = 0.15  # seconds
ROUNDS = 7

Evaluate = Callable[[dict[str, Any]], Any]


def rate(evaluate: Callable[[], Any]) -> float:
    """Return how often ``evaluate`` runs in a second of CPU: the best of several rounds."""
    best, batch = 0.0, 1
    for _ in range(ROUNDS):
        count, began = 0, time.process_time()
        while (spent := time.process_time() - began) < ROUND:
            for _ in range(batch):
                evaluate()
            count += batch
            batch = min(batch * 2, 10_000) if spent < ROUND / 10 else batch
        best = max(best, count / spent)
    return best


def figures(make: Callable[[str], Evaluate]) -> dict[str, float]:
    """Return the figures of one evaluator."""
    evaluate = make(GUARD)
    assert evaluate(SMALL) is True
    assert evaluate(LARGE) is True
    return {
        "small": rate(lambda: evaluate(SMALL)),
        "large": rate(lambda: evaluate(LARGE)),
        "compile": 1e6 / rate(lambda: make(GUARD)),
    }


def python_eval(text: str) -> Evaluate:
    """Python itself: the limit, and what nobody may use for guards."""
    code, nothing = compile(text, "guard", "eval"), {"__builtins__": {}}
    return lambda context: eval(code, nothing, context)


def simpleeval(text: str) -> Evaluate:
    """The evaluator that is used most."""
    from simpleeval import SimpleEval  # type: ignore[import-not-found]

    evaluator = SimpleEval()
    parsed = evaluator.parse(text)

    def evaluate(context: dict[str, Any]) -> Any:
        evaluator.names = context
        return evaluator.eval(text, previously_parsed=parsed)

    return evaluate


def cel(text: str) -> Evaluate:
    """CEL in Rust."""
    from cel import compile as compile_cel

    return compile_cel(text.replace(" and ", " && ")).execute


PEERS = {"eval": python_eval, "simpleeval": simpleeval, "cel": cel}

if __name__ == "__main__":
    print(json.dumps(figures(PEERS[sys.argv[1]])))
