"""The page on adding a provider is true: its package, built as it stands there, brings a tier."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from higherself.app.providers import build_tiers
from higherself.app.settings import load_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "add-an-embedding-provider.md"


async def test_the_package_on_the_page_brings_a_tier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    project = tomllib.loads(toml)["project"]
    info = tmp_path / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\n")
    groups = project["entry-points"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")

    settings, _ = load_settings({"HIGHERSELF_EMBEDDING_TIERS": "letters,local"}, folder=tmp_path)
    letters, local = build_tiers(settings)
    assert letters.live, letters.reason
    assert (letters.name, letters.on_machine) == ("letters", False)
    listen, silent, banana = await letters.embed(["listen", "silent", "banana"])
    np.testing.assert_allclose(listen, silent)
    assert listen @ banana < 0.5
    assert letters.described()["tokens"] == 18
    for tier in (letters, local):
        await tier.close()


def test_it_is_thirty_lines() -> None:
    code = (ROOT / "examples" / "own_provider.py").read_text("utf-8")
    _, _, rest = code.partition("class LetterEmbeddings:\n")
    lines = rest.partition("\n\n\n")[0].splitlines()
    assert len(lines) < 30
