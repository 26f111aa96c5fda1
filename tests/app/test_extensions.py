"""What folders and packages bring, and what is said of those that are broken."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from higherself.agents.skills import SkillCall
from higherself.app.extensions import ExtensionBroken, Extensions, load_extensions
from higherself.app.settings import load_secrets
from higherself.kernel.errors import Misconfigured, NotFound

SKILLS = """
from __future__ import annotations

from higherself import SkillCall, skill

@skill(description="Append a line to a file", irreversible=True)
async def record(path: str, line: str, call: SkillCall) -> dict:
    return {}

@skill
def double(number: int) -> int:
    return 2 * number
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "extensions"
    (place / "workflows").mkdir(parents=True)
    return place


def skills_of(found: Extensions) -> set[str]:
    """Those that did not come with the program."""
    origins = {name: found.skills.origin(name) for name in found.skills}
    brought = {name for name, each in origins.items() if not each.startswith("higherself.")}
    assert len(brought) == found.skills.brought
    return brought


def test_our_own_workflows_come_with_us() -> None:
    files = [each.file for each in load_extensions([]).workflows]
    assert "booking.yaml" in files
    assert files == sorted(files)


def test_a_folder_brings_skills_and_workflows(folder: Path) -> None:
    (folder / "crm.py").write_text(SKILLS)
    (folder / "workflows" / "a.yaml").write_text("workflow: a")
    (folder / "workflows" / "b.json").write_text("{}")
    (folder / "notes.txt").write_text("not ours")
    (folder / "workflows" / "notes.md").write_text("not ours")
    found = load_extensions([folder])
    assert skills_of(found) == {"record", "double"}
    assert found.skills["record"].irreversible
    assert found.skills.origin("record") == str(folder / "crm.py")
    theirs = [(Path(each.file).name, each.text) for each in found.workflows][-2:]
    assert theirs == [("a.yaml", "workflow: a"), ("b.json", "{}")]


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "skills.py").write_text(
            f"from higherself import skill\n@skill(name='{name}')\ndef f(): return '{name}'\n"
        )
    found = load_extensions([tmp_path / "one", tmp_path / "two"])
    assert {name: found.skills[name].function() for name in skills_of(found)} == {
        "one": "one", "two": "two",
    }  # fmt: skip


def test_a_skill_that_is_imported_elsewhere_counts_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lent_skills.py").write_text(SKILLS)
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "a.py").write_text("from lent_skills import double")
    (folder / "b.py").write_text("from lent_skills import double as twice")
    assert skills_of(load_extensions([folder])) == {"double"}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExtensionBroken, match=r"HIGHERSELF_EXTENSIONS: there is no folder .*/none"):
        load_extensions([tmp_path / "none"])


BROKEN = {
    "import": ("\nimport no_such_module_here\n", "line 2: ModuleNotFoundError: .*no_such_module"),
    "syntax": ("\n\ndef f(:\n", "line 3: SyntaxError: "),
    "raises": ("def f():\n    raise ValueError('why')\nf()\n", "line 2: ValueError: why"),
    "inside": ("import json\njson.loads('{')\n", "line 2: JSONDecodeError: Expecting"),
    "exits": ("import sys\nsys.exit(1)\n", "line 2: SystemExit: 1"),
    "mistaken": (
        "from higherself import skill\n@skill\ndef f(*a): ...\n",
        "line 2: skill f: its parameter .a cannot be given by name",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_with_its_line(folder: Path, name: str) -> None:
    text, said = BROKEN[name]
    path = folder / f"{name}.py"
    path.write_text(text)
    before = set(sys.modules)
    with pytest.raises(ExtensionBroken, match=f"{path} cannot be imported: {said}") as raised:
        load_extensions([folder])
    assert isinstance(raised.value, Misconfigured)
    assert not {each for each in set(sys.modules) - before if each.startswith("higherself_ext")}


def test_two_skills_of_one_name_are_told_with_both_files(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.py").write_text("from higherself import skill\n@skill\ndef f(): ...\n")
    with pytest.raises(ExtensionBroken, match=r"two skills 'f': in .*/a\.py and in .*/b\.py"):
        load_extensions([folder])


def test_a_workflow_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "workflows" / "a.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ExtensionBroken, match=r"a\.yaml cannot be read: .*utf-8"):
        load_extensions([folder])


# Packages


def install(place: Path, *lines: str) -> None:
    """Make a package of the entry points be installed in ``place``."""
    info = place / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\n")
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "site"
    (place / "theirs_of_tests" / "workflows").mkdir(parents=True)
    (place / "theirs_of_tests" / "__init__.py").write_text("from theirs_of_tests.crm import *\n")
    (place / "theirs_of_tests" / "crm.py").write_text(SKILLS)
    (place / "theirs_of_tests" / "workflows" / "__init__.py").write_text("")
    (place / "theirs_of_tests" / "workflows" / "a.yaml").write_text("workflow: a")
    monkeypatch.syspath_prepend(place)
    yield place
    for name in [each for each in sys.modules if each.startswith("theirs_of_tests")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("value", "skills"),
    [
        ("theirs_of_tests", {"record", "double"}),  # also what it imports from its own modules
        ("theirs_of_tests.crm", {"record", "double"}),
        ("theirs_of_tests.crm:double", {"double"}),
        ("theirs_of_tests.crm:SEVERAL", {"record"}),
        ("theirs_of_tests.inner", {"halve"}),  # has none itself, but its modules have
    ],
)
def test_a_package_brings_a_module_or_a_skill(package: Path, value: str, skills: set[str]) -> None:
    (package / "theirs_of_tests" / "crm.py").write_text(f"{SKILLS}\nSEVERAL = [record]\n")
    inner = package / "theirs_of_tests" / "inner"
    inner.mkdir()
    (inner / "__init__.py").touch()
    (inner / "half.py").write_text("from higherself import skill\n@skill\ndef halve(): ...\n")
    install(package, "[higherself.skills]", f"crm = {value}")
    assert skills_of(load_extensions([])) == skills


def test_a_package_with_a_broken_module_is_named(package: Path) -> None:
    inner = package / "theirs_of_tests" / "inner"
    inner.mkdir()
    (inner / "__init__.py").touch()
    (inner / "half.py").write_text("import no_such_module_here")
    install(package, "[higherself.skills]", "crm = theirs_of_tests.inner")
    said = r"inner.*: theirs_of_tests\.inner\.half cannot be imported: ModuleNotFoundError"
    with pytest.raises(ExtensionBroken, match=said):
        load_extensions([])


def test_a_package_brings_workflows(package: Path) -> None:
    install(package, "[higherself.workflows]", "crm = theirs_of_tests.workflows")
    assert load_extensions([]).workflows[-1].text == "workflow: a"


@pytest.mark.parametrize(
    ("group", "value", "said"),
    [
        ("skills", "no_such_package_here", "cannot be loaded: ModuleNotFoundError"),
        ("skills", "theirs_of_tests.crm:nothing", "cannot be loaded: AttributeError"),
        ("skills", "theirs_of_tests.workflows", "neither a skill nor a module that has any"),
        ("skills", "theirs_of_tests.crm:SkillCall", "neither a skill nor a module"),
        ("workflows", "theirs_of_tests.crm", "neither a package nor the path of a folder"),
    ],
)
def test_a_broken_entry_point_is_named(package: Path, group: str, value: str, said: str) -> None:
    install(package, f"[higherself.{group}]", f"crm = {value}")
    named = rf"entry point crm = {value} \(higherself\.{group} of theirs\)"
    with pytest.raises(ExtensionBroken, match=f"{named} .*{said}"):
        load_extensions([])


# Ours, versions, instructions


def test_our_own_skills_come_with_us_and_make_room_for_yours(folder: Path) -> None:
    ours = load_extensions([])
    assert {"score_lead", "compose_email", "normalise_phone"} <= set(ours.skills)
    assert ours.skills.brought == 0
    (folder / "mine.py").write_text(
        "from higherself import skill\n@skill\ndef score_lead(): return 1\n"
    )
    found = load_extensions([folder]).skills
    assert found["score_lead"].function() == 1
    assert found.origin("score_lead") == str(folder / "mine.py")


def test_versions_of_a_skill_stand_side_by_side(folder: Path) -> None:
    for version in ("2", "10"):
        (folder / f"v{version}.py").write_text(
            f"from higherself import skill\n@skill(version='{version}')\n"
            f"def count(): return {version}\n"
        )
    found = load_extensions([folder]).skills
    assert (found["count"].version, found["count@2"].version) == ("10", "2")


def test_what_a_skill_is_made_of_tells_it_apart(folder: Path) -> None:
    (folder / "a.py").write_text(SKILLS)
    before = load_extensions([folder]).skills["double"].digest
    (folder / "a.py").write_text(f"{SKILLS}# changed")
    assert load_extensions([folder]).skills["double"].digest not in ("", before)


async def test_a_folder_brings_instructions(folder: Path) -> None:
    place = folder / "skills" / "write-well"
    (place / "references").mkdir(parents=True)
    (place / "SKILL.md").write_text(
        "---\nname: write-well\ndescription: How we write. Use before writing.\n---\n\nBe short.\n"
    )
    (place / "references" / "words.md").write_text("deposit, not prepayment")
    (folder / "skills" / "more.py").write_text(
        "from higherself import skill\n@skill\ndef more(): ..."
    )
    found = load_extensions([folder])
    assert skills_of(found) == {"write-well", "more"}
    skill, call = found.skills["write-well"], SkillCall(key="k")
    assert await skill.run({}, call) == {
        "instructions": "Be short.", "files": ["references/words.md"],
    }  # fmt: skip
    read = await skill.run({"file": "references/words.md"}, call)
    assert read == {"file": "references/words.md", "text": "deposit, not prepayment"}
    with pytest.raises(NotFound, match=r"no file '\.\./more\.py'; there is references/words\.md"):
        await skill.run({"file": "../more.py"}, call)


def test_instructions_that_are_wrong_are_named(folder: Path) -> None:
    place = folder / "skills" / "Wrong"
    place.mkdir(parents=True)
    (place / "SKILL.md").write_text("no head")
    with pytest.raises(ExtensionBroken, match=r"Wrong/SKILL\.md does not begin with a head"):
        load_extensions([folder])


# Secrets


def test_secrets_come_from_the_environment_and_from_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HIGHERSELF_SECRET_CRM=file\nHIGHERSELF_SECRET_MAIL=file\n")
    given = {"HIGHERSELF_SECRET_CRM": "environment", "HIGHERSELF_SECRET_NONE": "", "OTHER": "x"}
    assert load_secrets(given, folder=tmp_path) == {"CRM": "environment", "MAIL": "file"}


# Agents

AGENTS = """
from higherself import Agent, AgentCard, AgentContext, Task, agent, handles

class Nyra(Agent):
    card = AgentCard(name="nyra")

    @handles("lead.captured")
    async def captured(self, task: Task, context: AgentContext) -> None: ...

@agent(name="solari", accepts=["booking.*"])
async def solari(task: Task, context: AgentContext) -> None: ...
"""


def test_a_folder_brings_agents(folder: Path) -> None:
    (folder / "crew.py").write_text(AGENTS)
    found = load_extensions([folder]).agents
    ours = load_extensions([]).agents
    assert {name: each.card.accepts for name, each in found.items() if not each.origin.startswith("agents/")} == {
        "nyra": ("lead.captured",), "solari": ("booking.*",),
    }  # fmt: skip
    assert found.keys() == ours.keys(), "they take the places of ours"
    assert found["nyra"].origin == str(folder / "crew.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AGENTS.replace("lead.captured", "lead..x"), r"crew\.py .*is not words with dots"),
        (AGENTS.replace('name="nyra"', 'name="solari"'), r"crew\.py.* two of this name"),
        (AGENTS.replace('card = AgentCard(name="nyra")', 'card = AgentCard(name="nyra", accepts=("x",))'),
         r"crew\.py.* accepts 'x', and no handler"),
        (AGENTS.replace("    async def captured", "    def captured"), "is not `async def`"),
    ],
)  # fmt: skip
def test_an_agent_that_cannot_be_is_told_with_its_file(folder: Path, text: str, said: str) -> None:
    (folder / "crew.py").write_text(text)
    with pytest.raises(ExtensionBroken, match=said):
        load_extensions([folder])


@pytest.mark.parametrize(
    ("value", "agents"),
    [("theirs_of_tests.crew", {"nyra", "solari"}), ("theirs_of_tests.crew:solari", {"solari"})],
)
def test_a_package_brings_agents(package: Path, value: str, agents: set[str]) -> None:
    (package / "theirs_of_tests" / "crew.py").write_text(AGENTS)
    install(package, "[higherself.agents]", f"crew = {value}")
    found = load_extensions([]).agents
    assert {name for name, each in found.items() if not each.origin.startswith("agents/")} == agents


def test_an_entry_point_without_agents_is_named(package: Path) -> None:
    install(package, "[higherself.agents]", "crm = theirs_of_tests.crm")
    with pytest.raises(ExtensionBroken, match="neither an agent nor a module that has any"):
        load_extensions([])
