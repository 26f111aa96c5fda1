"""What can go wrong with skills, by family."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from higherself.kernel.errors import Misconfigured, NotFound, Rejected, Unavailable


class SkillMistaken(Misconfigured):
    """A function cannot be a skill as it is written."""


class PackageMistaken(Misconfigured):
    """A folder is no Agent Skill as the format has it; the text says what to change."""


class SkillUnknown(NotFound):
    """There is no skill of this name here, or none of this version."""

    def __init__(self, name: str, known: Collection[str], *, version: str | None = None) -> None:
        if version is None:
            near = get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            super().__init__(f"there is no skill {name!r} here{hint}")
        else:
            there = ", ".join(known)
            super().__init__(f"there is no version {version!r} of skill {name!r}; there is {there}")
        self.name, self.version = name, version


class InputRejected(Rejected):
    """What a skill was given does not fit its parameters."""

    def __init__(self, skill: str, problems: Sequence[str]) -> None:
        super().__init__(f"skill {skill} was given what it cannot take: {'; '.join(problems)}")
        self.skill, self.problems = skill, tuple(problems)


class OutputRejected(Rejected):
    """A skill returned something else than it says it returns; what it did is done."""

    def __init__(self, skill: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"skill {skill} returned what it says it does not: {'; '.join(problems)}; "
            "correct the skill or its return annotation"
        )
        self.skill, self.problems = skill, tuple(problems)


class SkillForbidden(Rejected):
    """A skill was asked for by an agent, or in a state, that it is not for."""

    def __init__(self, skill: str, reason: str) -> None:
        super().__init__(f"skill {skill} may not be used here: {reason}")
        self.skill = skill


class SkillsTooDeep(Rejected):
    """Skills call each other without end."""

    def __init__(self, chain: Sequence[str], reason: str) -> None:
        told = " -> ".join([*chain[:3], "...", *chain[-2:]] if len(chain) > 6 else chain)
        super().__init__(f"skills call each other too deep ({reason}): {told}")
        self.chain = tuple(chain)


class SkillTimedOut(Unavailable):
    """A skill that may be run again took too long."""

    def __init__(self, skill: str, seconds: float) -> None:
        super().__init__(f"skill {skill} was not done in {seconds:g} s")
        self.skill = skill


class OutcomeUnknown(Rejected):
    """A skill was cut off that must not be run twice: nobody knows whether it did its work.

    Rejected, so that nothing repeats it blindly: a person looks first.
    """

    def __init__(self, skill: str, reason: str) -> None:
        super().__init__(
            f"skill {skill} {reason}, and may have done its work or not; it cannot be taken back "
            "or repeated safely: look what it did before you run it again"
        )
        self.skill = skill


class NotStarted(Unavailable):
    """Raised by a skill that failed before it did anything elsewhere: it may always be run again."""


class SkillFailed(Unavailable):
    """A skill ended with an error of its own; the text has it."""

    def __init__(self, skill: str, error: BaseException) -> None:
        said = str(error)
        name = type(error).__name__
        super().__init__(f"skill {skill} failed: {name}{f': {said}' if said else ''}")
        self.skill = skill
