"""The skills that are installed here, by name and version."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from higherself.agents.skills.errors import SkillMistaken, SkillUnknown
from higherself.agents.skills.model import Skill
from higherself.agents.skills.versions import name_and_version, order_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,199}")


class SkillRegistry(Mapping[str, Skill]):
    """The skills that are installed here, by name: of several versions the newest.

    ``name@2`` is the version 2 of it.
    """

    def __init__(self) -> None:
        self._skills: dict[str, dict[str, Skill]] = {}
        self._origins: dict[tuple[str, str], str] = {}
        self._yielding: set[tuple[str, str]] = set()

    def add(
        self, added: Skill, *, origin: str = "", digest: str = "", yields: bool = False
    ) -> None:
        """Make a skill known; ``origin`` says where it comes from, ``digest`` which code it is.

        One that ``yields`` makes room for another of its name and version: ours for yours.

        Raises
            SkillMistaken: another of this name and version is known, or it is no name.
        """
        if not _NAME.fullmatch(added.name):
            raise SkillMistaken(
                f"{added.name!r} in {origin} is no name of a skill; use letters, digits and . _ - :, "
                "beginning with a letter: @skill(name=...)"
            )
        place = added.name, added.version
        versions = self._skills.get(added.name, {})
        known = versions.get(added.version)
        if known is not None and known.function is added.function:
            return
        if known is not None and place not in self._yielding:
            if yields:
                return
            raise SkillMistaken(
                f"there are two skills {added.name!r}: in {self._origins[place]} and in "
                f"{origin}; name one of them otherwise: @skill(name=...), or give it another version"
            )
        (self._yielding.add if yields else self._yielding.discard)(place)
        versions[added.version] = replace(added, digest=digest) if digest else added
        newest_first = sorted(versions, key=order_of, reverse=True)
        self._skills[added.name] = {version: versions[version] for version in newest_first}
        self._origins[place] = origin

    def find(self, name: str, version: str | None = None) -> Skill:
        """Return the skill of this name: the newest version, or that of ``name@version``.

        Raises
            SkillUnknown: there is none.
        """
        plain, pinned = name_and_version(name)
        versions = self._skills.get(plain)
        if versions is None:
            raise SkillUnknown(plain, self._skills)
        wanted = version or pinned
        if wanted is None:
            return next(iter(versions.values()))
        if wanted not in versions:
            raise SkillUnknown(plain, list(versions), version=wanted)
        return versions[wanted]

    def versions(self, name: str) -> tuple[Skill, ...]:
        """Return all versions of a skill, newest first.

        Raises
            SkillUnknown: there is none.
        """
        self.find(name)
        return tuple(self._skills[name_and_version(name)[0]].values())

    def search(self, text: str = "", *, tags: Collection[str] = ()) -> list[Skill]:
        """Return the newest of those that have all ``tags``, and ``text`` in name or description."""
        wanted, word = {tag.casefold() for tag in tags}, text.casefold()
        return [
            each
            for each in (self[name] for name in sorted(self))
            if wanted <= {tag.casefold() for tag in each.tags}
            and word in f"{each.name} {each.description}".casefold()
        ]

    @property
    def brought(self) -> int:
        """How many of them (versions counted apart) did not come with the program."""
        return sum(place not in self._yielding for place in self._origins)

    def every_version(self) -> list[Skill]:
        """Return all of them, by name, of each the newest first."""
        return [each for name in sorted(self) for each in self._skills[name].values()]

    def origin(self, name: str, version: str | None = None) -> str:
        """Return where a skill comes from."""
        found = self.find(name, version)
        return self._origins[found.name, found.version]

    def __getitem__(self, name: str) -> Skill:
        plain, version = name_and_version(name)
        versions = self._skills[plain]
        return next(iter(versions.values())) if version is None else versions[version]

    def __iter__(self) -> Iterator[str]:
        return iter(self._skills)

    def __len__(self) -> int:
        return len(self._skills)
