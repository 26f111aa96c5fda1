"""Who is asked to run a skill of a shipped workflow may run it."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.business.workflows.shipped import DEFINITIONS, parts

from higherself.business.roster import load_roster

CARDS = [each.card for each in load_roster().declared.values()]


def skills_of(value: Any) -> Iterator[str]:
    """Yield the skills that a state runs, in whatever part of it."""
    if isinstance(value, Mapping):
        if isinstance(value.get("skill"), str):
            yield value["skill"]
        for key, each in value.items():
            if key not in ("input", "parallel", "steps"):
                yield from skills_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from skills_of(each)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_an_agent_that_a_state_asks_for_may_use_its_skills(name: str) -> None:
    wrong = []
    for path, state in parts(name, "agent"):
        asked = state["agent"]
        if not isinstance(asked, Mapping):
            continue
        who = [
            card
            for card in CARDS
            if asked.get("name", card.name) == card.name
            and asked.get("role", card.role) == card.role
            and asked.get("capability") in (None, *card.capabilities)
        ]
        if not who:
            wrong.append(f"{path}: nobody is {asked}")
        for skill in skills_of(state):
            wrong += [
                f"{path}: {card.name} may not use {skill}"
                for card in who
                if not any(fnmatchcase(skill, allowed) for allowed in card.skills)
            ]
    assert wrong == []
