"""The real mermaid in one Node.js process that parses what it is given.

It is installed as `mermaid/package-lock.json` has it.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.npm import NODE, installed

HERE = Path(__file__).parent / "mermaid"


class RealMermaid:
    """Parses Mermaid texts, one after the other."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def parse(self, text: str) -> dict[str, Any]:
        """Return what mermaid makes of ``text``; fail with its own words if it makes nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the Node.js process has ended"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, f"{answer['error']}\n\n{text}"
        return answer


@contextmanager
def real_mermaid() -> Iterator[RealMermaid]:
    """Yield the real mermaid; skip the test if it is not here and the npm registry out of reach."""
    folder = installed("mermaid", HERE, beside=("parse.mjs",))
    process = subprocess.Popen(
        [NODE, folder / "parse.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        encoding="utf-8", cwd=folder,
    )  # fmt: skip
    try:
        yield RealMermaid(process)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]
        process.wait(timeout=30)
