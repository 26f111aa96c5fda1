"""Skills by name and version, and the order of versions."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself import skill
from higherself.agents.skills import Skill, SkillMistaken, SkillRegistry, SkillUnknown, skills_in
from higherself.agents.skills.versions import name_and_version, order_of

numbers = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
before = st.sampled_from(["", "", "-rc1", "-rc10", "-a.2", "-a.10", "-b"])
versions = st.builds(str.__add__, numbers, before)


def of(name: str, version: str = "1", **said: Any) -> Skill:
    (found,) = skills_in({"it": skill(name=name, version=version, **said)(lambda: version)})
    return found


def with_versions(*several: str) -> SkillRegistry:
    skills = SkillRegistry()
    for version in several:
        skills.add(of("count", version), origin=f"v{version}.py")
    return skills


@given(st.lists(versions, max_size=6))
def test_the_order_of_versions_is_total_and_does_not_depend_on_where_one_begins(
    several: list[str],
) -> None:
    ordered = sorted(several, key=order_of)
    backwards = several[::-1]
    assert sorted(backwards, key=order_of) == ordered
    assert all(order_of(a) < order_of(b) or a == b for a, b in pairwise(ordered))


@given(numbers, numbers)
def test_numbers_are_compared_as_numbers_and_what_is_before_a_version_is_older(
    one: str, other: str
) -> None:
    def plain(version: str) -> list[int]:
        parts = [int(each) for each in version.split(".")]
        return [*parts, *[0] * (4 - len(parts))]

    if plain(one) < plain(other):
        assert order_of(one) < order_of(other)
    assert order_of(f"{one}-rc1") < order_of(one)


@given(st.sets(versions, min_size=1, max_size=6))
def test_the_newest_is_found_by_default_and_each_by_its_version(several: set[str]) -> None:
    skills = with_versions(*several)
    newest = max(several, key=order_of)
    assert skills.find("count").version == skills["count"].version == newest
    assert [each.version for each in skills.versions("count")] == sorted(
        several, key=order_of, reverse=True
    )
    for version in several:
        assert skills.find(f"count@{version}") is skills.find("count", version)
        assert f"count@{version}" in skills
        assert skills.find(f"count@{version}").version == version
    assert len(skills) == 1
    assert len(skills.every_version()) == skills.brought == len(several)


def test_an_unknown_version_is_told_with_those_there_are() -> None:
    skills = with_versions("1", "2.0-rc1", "2")
    with pytest.raises(
        SkillUnknown, match=r"no version '3' of skill 'count'; there is 2, 2\.0-rc1, 1"
    ):
        skills.find("count@3")
    assert "count@3" not in skills
    assert "other" not in skills
    with pytest.raises(SkillUnknown, match="did you mean 'count'"):
        skills.versions("coutn@1")


def test_two_of_one_name_and_version_are_refused_with_both_places() -> None:
    skills = with_versions("1", "2")
    with pytest.raises(SkillMistaken, match=r"in v2\.py and in b\.py; .*another version"):
        skills.add(of("count", "2"), origin="b.py")
    assert skills.origin("count", "1") == "v1.py"


@pytest.mark.parametrize("name", ["a b", "count@2", "1st", "", "a" * 201, "é"])
def test_what_is_no_name_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(SkillMistaken, match=r"in a\.py is no name of a skill"):
        SkillRegistry().add(
            of(name) if name else Skill(**{**vars_of(of("x")), "name": ""}), origin="a.py"
        )


def vars_of(skill: Skill) -> dict[str, Any]:
    return {name: getattr(skill, name) for name in Skill.__dataclass_fields__}


def test_what_comes_with_the_program_makes_room_whoever_comes_first() -> None:
    for order in (1, -1):
        skills = SkillRegistry()
        ours, yours = of("count", description="ours"), of("count", description="yours")
        for each, yields in [(ours, True), (yours, False)][::order]:
            skills.add(each, origin="ours" if yields else "yours", yields=yields)
        assert (skills["count"].description, skills.origin("count")) == ("yours", "yours")
        assert skills.brought == 1


def test_skills_are_found_by_tags_and_words() -> None:
    skills = SkillRegistry()
    skills.add(of("crm.find", tags=["CRM", "read"], description="Find a lead"))
    skills.add(of("crm.add", tags=["crm"], description="Add a lead"))
    skills.add(of("mail", tags=["mail"]))

    def named(text: str = "", *tags: str) -> list[str]:
        return [each.name for each in skills.search(text, tags=tags)]

    assert named() == ["crm.add", "crm.find", "mail"]
    assert named("LEAD") == ["crm.add", "crm.find"]
    assert named("find", "crm") == ["crm.find"]
    assert named("", "crm", "READ") == ["crm.find"]
    assert named("", "none") == []


def test_a_digest_is_kept_without_changing_the_skill_of_others() -> None:
    skills, one = SkillRegistry(), of("count")
    skills.add(one, digest="abc")
    assert (skills["count"].digest, one.digest) == ("abc", "")
    skills.add(one, digest="def")  # the same function again
    assert skills["count"].digest == "abc"


def test_a_name_with_a_version_is_taken_apart() -> None:
    assert name_and_version("a.b@1.2") == ("a.b", "1.2")
    assert name_and_version("a") == ("a", None)
