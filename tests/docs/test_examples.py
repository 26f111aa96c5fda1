"""The examples run, in a home of their own, and print what the documentation says they print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_prints_what_is_documented(example: Path, tmp_path: Path) -> None:
    printed = _run(sys.executable, str(example), home=tmp_path / "home")
    assert any(f"```text\n{printed}```" in page.read_text("utf-8") for page in PAGES), (
        f"no page shows what {example.name} prints:\n{printed}"
    )


def test_what_is_backed_up_can_be_restored_elsewhere(tmp_path: Path) -> None:
    document = tmp_path / "parking.txt"
    document.write_text("The car park behind the house is free after six.")
    old, new, dump = tmp_path / "old", tmp_path / "new", str(tmp_path / "all.dump")
    _run("higherself", "knowledge", "add", str(document), home=old)
    _run(str(ROOT / "examples" / "back-up.sh"), dump, home=old)
    _run(str(ROOT / "examples" / "restore.sh"), dump, home=new)
    assert "1. Parking" in _run("higherself", "knowledge", "search", "car park", home=new)


def _run(*command: str, home: Path) -> str:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env=kept | {"HIGHERSELF_HOME": str(home), "PATH": path},
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
