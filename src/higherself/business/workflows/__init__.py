"""The workflows of the businesses, as YAML: fourteen operational ones, lead nurturing and booking."""

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name of every file and its text."""
    for path in sorted(FOLDER.glob("*.yaml")):
        yield path.name, path.read_text(encoding="utf-8")
