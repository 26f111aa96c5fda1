"""Skills as folders with a SKILL.md: written, read, and what is wrong with those of others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from higherself import SkillCall, skill
from higherself.agents.skills import Example, PackageMistaken, Skill, skills_in
from higherself.agents.skills.packaging import (
    export,
    instructions_skill,
    package_name,
    read_package,
)

HEAD = {"name": "write-well", "description": "How we write. Use it before you write to a client."}


def of(function: Callable[..., Any], **said: Any) -> Skill:
    (found,) = skills_in({"it": skill(**said)(function)})
    return found


def score(email: str, visits: int = 0) -> dict[str, int]:
    return {"score": visits}


def written(
    folder: Path, head: Any = None, body: str = "Be short.", text: str | None = None
) -> Path:
    place = folder / "write-well"
    place.mkdir(exist_ok=True)
    shown = yaml.safe_dump(HEAD if head is None else head)
    (place / "SKILL.md").write_text(f"---\n{shown}---\n{body}\n" if text is None else text)
    return place


def test_a_skill_is_written_with_its_schemas_and_read_again(tmp_path: Path) -> None:
    example = Example({"email": "a@x.org", "visits": 2}, {"score": 2}, "Twice here")
    it = of(score, name="crm.score_lead", description="Say how\n promising: a lead is.", version="2",
            effects="pure", examples=[example])  # fmt: skip
    (folder,) = export([it], tmp_path)
    assert folder == tmp_path / "crm-score-lead"
    read = read_package(folder)
    assert (read.name, read.description) == ("crm-score-lead", "Say how promising: a lead is.")
    assert read.metadata == {
        "higherself-skill": "crm.score_lead",
        "version": "2",
        "effects": "pure",
    }
    assert read.files == ("references/input.schema.json", "references/output.schema.json")
    for name, schema in (("input", it.schema), ("output", it.output_schema)):
        assert json.loads((folder / f"references/{name}.schema.json").read_text()) == schema
    for part in (
        "# crm.score_lead",
        "higherself skills run crm.score_lead",
        "Twice here",
        '"visits": 2',
    ):
        assert part in read.body
    assert export([it], tmp_path) == [folder]  # once more


def test_what_cannot_be_taken_back_is_said(tmp_path: Path) -> None:
    (folder,) = export([of(score, description="Pay.", egress=True, irreversible=True)], tmp_path)
    assert "outside the server. What it does cannot be taken back: ask" in read_package(folder).body


@given(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:-]{0,60}", fullmatch=True),
    st.text(min_size=1, max_size=1500),
)
def test_whatever_is_written_is_right(
    tmp_path_factory: pytest.TempPathFactory, name: str, description: str
) -> None:
    folder = tmp_path_factory.mktemp("skills")
    it = of(score, name=name, description=f"S {description}".encode("utf-8", "replace").decode())
    if not package_name(name):
        with pytest.raises(PackageMistaken):
            export([it], folder)
        return
    (place,) = export([it], folder)
    read = read_package(place)
    assert read.name == package_name(name)
    assert len(read.description) <= 1024


@pytest.mark.parametrize(
    ("skills", "said"),
    [
        ([of(score, name="a" * 65, description="A")], "64 characters is the most"),
        (
            [of(score, name="_", description="A")],
            "skill _: a folder's name needs one of a-z or 0-9",
        ),
        ([of(score)], "skill score has no description"),
        ([of(score, name=n, description="A") for n in ("a_b", "a.b")], "would both be a-b"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is(
    tmp_path: Path, skills: list[Skill], said: str
) -> None:
    with pytest.raises(PackageMistaken, match=said):
        export([of(score, name="first", description="A"), *skills], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_wrote_is_left_alone(tmp_path: Path) -> None:
    place = written(tmp_path)
    with pytest.raises(PackageMistaken, match="was written by somebody else"):
        export([of(score, name="write_well", description="A")], tmp_path)
    assert read_package(place).body == "Be short."


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Write-Well"}, "name: 'Write-Well' is not 1 to 64 of a-z, 0-9"),
        ({"name": "write--well"}, "name: 'write--well' is not"),
        ({"name": "-write"}, "name: '-write' is not"),
        ({"name": "a" * 65}, "name: 'a+' is not"),
        ({"name": 3}, "name: 3 is not"),
        ({"name": "write-badly"}, "'write-badly' is not that of its folder, 'write-well'"),
        ({"description": ""}, "description: say in a sentence"),
        ({"description": None}, "description: say in a sentence"),
        ({"description": "a" * 1025}, "description: it has 1025 characters; 1024 is the most"),
        ({"compatibility": "a" * 501}, "compatibility: it has 501 characters"),
        ({"license": 3}, "license: it is no text"),
        ({"metadata": {"version": 1}}, "metadata: .* put numbers in quotes"),
        ({"versions": "1"}, "versions: no such field; there are name, description"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(PackageMistaken, match=rf"write-well/SKILL\.md: .*{said}"):
        read_package(written(tmp_path, HEAD | changed))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Be short.", "does not begin with a head"),
        ("---\nname: a\n", "does not begin with a head"),
        ("---\nname: [\n---\n", "its head is no YAML"),
        ("---\n- name\n---\n", "its head is not `name: value` lines"),
        ("\xff" * 1024 * 1024, "larger than 1 MB"),
    ],
)
def test_what_is_no_skill_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PackageMistaken, match=said):
        read_package(written(tmp_path, text=text))


def test_a_folder_without_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(PackageMistaken, match=r"SKILL\.md cannot be read"):
        read_package(tmp_path)


async def test_instructions_become_a_skill_that_runs_nothing(tmp_path: Path) -> None:
    place = written(tmp_path, HEAD | {"metadata": {"version": "1.2"}})
    it = instructions_skill(read_package(place))
    assert (it.name, it.version, it.effects) == ("write-well", "1.2", "read")
    assert it.instructions == "Be short."
    call = SkillCall(key="k")
    assert await it.run({}, call) == {"instructions": "Be short.", "files": []}
