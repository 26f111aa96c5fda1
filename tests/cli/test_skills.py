"""Skills from the outside: listed, shown, run, kept, handed on."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Higherself

SKILLS = """
from higherself import Agent, AgentCard, Cache, SkillCall, handles, skill

class Nyra(Agent):
    card = AgentCard(name="nyra", skills=("secret",))

    @handles("com.test.asked")
    async def asked(self, task, context):
        return None

@skill(name="crm.score", description="Score a lead.", effects="pure", tags=["crm"],
       cache=Cache("1h", where="postgres"))
def score(visits: int) -> dict[str, int]:
    return {"score": 10 * visits}

@skill(name="crm.score", description="Score a lead.", effects="pure", version="2", tags=["crm"])
def score2(visits: int) -> dict[str, int]:
    return {"score": 20 * visits}

@skill(description="For nyra alone.", agents=["nyra"])
def secret(call: SkillCall) -> str:
    return f"{call.agent} {call.entity} {call.key}"

@skill(description="Says one thing, does another.")
def lie() -> int:
    return "three"

@skill(description="Fails.", irreversible=True)
def fail() -> None:
    raise KeyError("lead")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "extensions"
    place.mkdir()
    (place / "crm.py").write_text(SKILLS)
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(place))
    return place


def given(**values: Any) -> tuple[str, str]:
    return "--input", json.dumps(values)


def test_skills_are_listed_without_a_database(command: Higherself, folder: Path) -> None:
    listed = command("skills", "list", "--tag", "crm", "--json").json["skills"]
    assert [(each["name"], each["version"]) for each in listed] == [("crm.score", "2")]
    assert listed[0]["origin"] == str(folder / "crm.py")
    assert listed[0]["input_schema"]["required"] == ["visits"]
    every = command("skills", "list", "--search", "score a", "--all", "--json").json["skills"]
    assert [each["version"] for each in every if each["name"] == "crm.score"] == ["2", "1"]
    lines = command("skills", "list").out.splitlines()
    assert "crm.score\t2\tpure\tcrm\tScore a lead." in lines
    assert any(line.startswith("score_lead\t") for line in lines)  # ours


def test_a_skill_is_run_by_version(command: Higherself, folder: Path, database_url: str,
                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("DATABASE_URL", database_url)
    run = ("skills", "run")
    assert command(*run, "crm.score", *given(visits=2)).out == '{\n  "score": 40\n}\n'
    ran = command(*run, "crm.score@1", *given(visits=2), "--json").json
    assert ran["result"] == {"score": 20}
    assert (ran["skill"], ran["version"], ran["entity"], ran["cached"]) == (
        "crm.score", "1", "default", False,
    )  # fmt: skip


@pytest.mark.postgres
def test_results_are_kept_counted_and_cleared(higherself: Higherself, folder: Path) -> None:
    def run(*more: str) -> bool:
        ran = higherself("skills", "run", "crm.score@1", *given(visits=2), "--json", *more)
        assert ran.json["result"] == {"score": 20}
        return bool(ran.json["cached"])

    assert [run(), run(), run("--no-cache"), run("--entity", "spa")] == [False, True, False, False]
    shown = higherself("skills", "show", "crm.score", "--version", "1", "--json").json
    assert shown["versions"] == ["2", "1"]
    counts = {name: shown["last_days"][name] for name in ("runs", "hits", "failures", "hit_rate")}
    assert counts == {"runs": 3, "hits": 1, "failures": 0, "hit_rate": 0.25}
    assert [(each["entity"], each["results"]) for each in shown["kept"]] == [
        ("default", 1),
        ("spa", 1),
    ]
    kept = higherself("skills", "cache", "--json").json
    assert len(kept["results"]) == 2
    assert "crm.score 1 of 4 (25.0%)" in higherself("skills", "cache").err
    cleared = higherself(
        "skills", "cache", "crm.score", "--entity", "spa", "--clear", "--json"
    ).json
    assert cleared["cleared"] == 1
    assert run()
    assert higherself("skills", "cache", "--clear", "--json").json["cleared"] == 1
    assert not run()
    text = higherself("skills", "show", "crm.score@1").out
    assert "hit_rate" in text


@pytest.mark.postgres
def test_who_may_and_what_goes_wrong(higherself: Higherself, folder: Path) -> None:
    def run(name: str, *more: str) -> tuple[int, str]:
        ran = higherself("skills", "run", name, *more)
        return ran.code, ran.out or ran.err

    assert run("secret", "--entity", "spa", "--key", "k") == (0, "None spa k\n")
    assert run("secret", "--as-agent", "nyra", "--key", "k") == (0, "nyra default k\n")
    assert "no agent solaris is installed here" in run("secret", "--as-agent", "solaris")[1]
    for arguments, expected, part in [
        (("secret", "--as-agent", "solari"), 5, "for the agent nyra, not for solari"),
        (("crm.score", "--as-agent", "nyra"), 5, "nyra may not use the skill 'crm.score'"),
        (("crm.scor",), 3, "did you mean 'crm.score'"),
        (("crm.score@3",), 3, "no version '3' of skill 'crm.score'; there is 2, 1"),
        (("crm.score",), 5, "visits: Field required"),
        (("crm.score", "--input", "[]"), 5, "--input is no JSON object"),
        (("crm.score", "--input", '{"visits": "often"}'), 5, "visits: Input should be a valid int"),
        (("lie",), 5, "returned what it says it does not: the result: "),
        (("fail",), 6, "skill fail failed: KeyError: 'lead'"),
        (("secret", "--entity", "No Slug"), 5, "is not a slug"),
    ]:
        code, said = run(*arguments)
        assert (code, part in said) == (expected, True), said


def test_skills_are_handed_on_and_checked(
    command: Higherself, folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "agent-skills"
    exported = command("skills", "export", place, "crm.score", "secret", "--json").json["folders"]
    assert exported == [str(place / "crm-score"), str(place / "secret")]
    checked = command("skills", "validate", place, "--json")
    assert checked.code == 0
    assert checked.json["ok"]
    assert len(checked.json["packages"]) == 2
    (place / "secret" / "SKILL.md").write_text("nothing")
    checked = command("skills", "validate", place / "secret", place / "crm-score")
    assert checked.code == 5
    assert checked.out.startswith(f"NO  {place / 'secret'}: ")
    assert "does not begin with a head" in checked.out
    assert command("skills", "export", place, "secret").code == 2


def test_all_of_ours_can_be_handed_on(command: Higherself, tmp_path: Path) -> None:
    everything = command("skills", "export", tmp_path / "all", "--json").json["folders"]
    assert len(everything) >= 15
    assert command("skills", "validate", tmp_path / "all").code == 0
