"""Opening the server from Python: with workflows, and faster without them."""

import subprocess
import sys
from pathlib import Path

import pytest

from higherself import HigherSelf
from higherself.app.settings import Settings


def test_the_knowledge_hub_does_not_load_the_engine() -> None:
    script = (
        "import sys\n"
        "import higherself.app.wiring\n"
        "heavy = {'jsonschema_rs', 'notion_client', 'higherself.workflow', 'higherself.agents', 'fastapi'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    (tmp_path / "crm.py").write_text("from higherself import skill\n@skill\ndef enrich(): ...\n")
    return Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "HIGHERSELF_EMBEDDING_TIERS": ("local",),
            "HIGHERSELF_EXTENSIONS": (str(tmp_path),),
        }
    )


@pytest.mark.postgres
async def test_workflows_are_there_unless_they_are_not_wanted(settings: Settings) -> None:
    async with HigherSelf.open(settings) as hs:
        assert "enrich" in hs.hosted.extensions.skills
        assert (await hs.hosted.install()).problems == {}
        assert "booking" in await hs.workflows.workflows()
        assert (await hs.hosted.install()).added == [], "what is known is not added again"
    async with HigherSelf.open(settings, workflows=False) as hs:
        assert hs.knowledge is not None
        with pytest.raises(AssertionError, match="workflows=False"):
            _ = hs.workflows


@pytest.mark.postgres
async def test_a_broken_extension_keeps_nobody_from_the_knowledge(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_here\n")
    async with HigherSelf.open(settings, workflows=False):
        pass
    with pytest.raises(Exception, match=r"broken\.py cannot be imported"):
        async with HigherSelf.open(settings):
            pass
