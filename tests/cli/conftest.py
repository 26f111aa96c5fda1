"""The command line in this process, on the database of this test process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from higherself.cli.main import run


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Higherself = Callable[..., Ran]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Higherself:
    """Runs a command in an empty folder, with a home that does not exist yet."""
    folder = tmp_path / "current"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HIGHERSELF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "local")

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(code, out, err)

    return call


@pytest.fixture
def higherself(
    command: Higherself, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> Higherself:
    """Runs a command on a migrated database that is empty before and after the test."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return command
