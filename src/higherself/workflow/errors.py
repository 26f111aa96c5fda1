"""What can go wrong with workflows, by family."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from higherself.kernel.errors import Conflict, Rejected
from higherself.kernel.nearest import did_you_mean as did_you_mean


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. Lines and columns are counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a definition: where, under which key, and what.

    There is no place in a definition that was not read from a text. ``path`` is that of the key,
    such as ``states.captured.activity.timeout``; it is empty for the definition as a whole.
    """

    place: Place | None
    path: str
    what: str

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.place, self.path, self.what) if part)


class InvalidDefinition(Rejected):
    """A workflow definition cannot be used; every problem that was found is listed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DefinitionChanged(Conflict):
    """A definition came under a name and version that another one already has."""

    def __init__(self, workflow: str, version: int) -> None:
        super().__init__(
            f"workflow {workflow} version {version} is already there with another content, and a "
            f"definition never changes; give the new one `version: {version + 1}`"
        )
        self.workflow, self.version = workflow, version


class WrongDefinition(Conflict):
    """An instance was to be moved on by a definition that is not its own."""

    def __init__(self, *, pinned: str, given: str) -> None:
        super().__init__(
            f"the instance belongs to {pinned}, not to {given}; load the definition it is pinned "
            "to, or move it with `workflow migrate`"
        )
        self.pinned, self.given = pinned, given


class EventRefused(Rejected):
    """An event cannot be taken in; the instance is as it was."""

    def __init__(self, event: str, reason: str) -> None:
        super().__init__(f"event {event!r} was refused: {reason}")
        self.event, self.reason = event, reason


class ContextRejected(Rejected):
    """A value does not fit into the context of an instance."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"context.{path} {reason}" if path else f"the context {reason}")
        self.path, self.reason = path, reason


class InstanceFinished(Conflict):
    """The instance has ended; nothing can happen to it any more."""

    def __init__(self, instance: str, status: str) -> None:
        super().__init__(
            f"instance {instance} is {status} and takes nothing more; start a new one, or send "
            "this to another"
        )
        self.instance, self.status = instance, status


class NothingToDecide(Conflict):
    """No such approval is waiting: somebody was faster, it expired, or it was never asked for."""

    def __init__(self, instance: str, state: str) -> None:
        super().__init__(
            f"instance {instance} has no such approval to give in state {state}: it was given "
            "already, has expired, or was never asked for; look at `workflow history`"
        )
        self.instance, self.state = instance, state


class NotEntitled(Rejected):
    """Who decided has none of the roles that an approval asks for."""

    def __init__(self, who: str, roles: Iterable[str], asked: Sequence[str]) -> None:
        having = ", ".join(sorted(roles)) or "no role"
        super().__init__(
            f"{who} has {having}; this approval is for {' or '.join(asked)}: ask one of them"
        )
        self.who, self.asked = who, tuple(asked)


class ControlRefused(Conflict):
    """An instance cannot be steered this way where it stands."""

    def __init__(self, instance: str, reason: str) -> None:
        super().__init__(f"instance {instance} {reason}")
        self.instance, self.reason = instance, reason


class MigrationRefused(Conflict):
    """An instance cannot be moved to another version from where it stands; it lists why."""

    def __init__(self, instance: str, old: int, new: int, misfits: Sequence[str]) -> None:
        said = "".join(f"\n- {misfit}" for misfit in misfits)
        super().__init__(
            f"instance {instance} cannot be moved from version {old} to {new} where it stands; in "
            f"version {new}:{said}\nwait until it is past this, or give the new version what it "
            "lacks"
        )
        self.instance, self.misfits = instance, tuple(misfits)
