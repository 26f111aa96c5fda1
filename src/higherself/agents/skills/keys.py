"""Which runs have the same result: the key of the cache. Pure."""

from collections.abc import Mapping

from higherself.agents.skills.model import Skill
from higherself.kernel.jsonvalue import JsonValue, NotJson, canonical, check_json, content_hash


def key_of(skill: Skill, entity: str, given: Mapping[str, JsonValue]) -> bytes | None:
    """Return what a result is kept under; None if ``given`` is no JSON.

    The same for two inputs if, and only if, they are equal as JSON (1 and 1.0 are not: a skill can
    tell them apart), and skill, version, code and business are the same.
    """
    try:
        text = canonical(check_json(given))
    except NotJson:
        return None
    return content_hash(skill.name, skill.version, skill.digest, entity, text)
