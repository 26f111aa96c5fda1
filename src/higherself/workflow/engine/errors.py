"""What can go wrong with instances, beyond what the machine refuses."""

from higherself.kernel.errors import NotFound, Unavailable
from higherself.workflow.errors import did_you_mean


class WorkflowNotFound(NotFound):
    """There is no workflow of this name or version."""

    def __init__(self, workflow: str, version: int | None, known: list[str]) -> None:
        named = workflow if version is None else f"{workflow} version {version}"
        hint = (
            f"; `higherself workflow show {workflow} --json` lists its versions"
            if workflow in known
            else did_you_mean(workflow, known)
        )
        super().__init__(f"there is no workflow {named}{hint}")
        self.workflow, self.version = workflow, version


class InstanceNotFound(NotFound):
    """There is no instance of this identifier."""

    def __init__(self, instance: str) -> None:
        super().__init__(
            f"there is no instance {instance}; `higherself workflow instances` lists them"
        )
        self.instance = instance


class EntryNotFound(NotFound):
    """An instance has no such entry in its history."""

    def __init__(self, instance: str, sequence: int) -> None:
        super().__init__(
            f"instance {instance} has no entry {sequence}; `higherself workflow history` lists them"
        )
        self.instance, self.sequence = instance, sequence


class InstanceBusy(Unavailable):
    """An instance moved on again and again while a step of it was made; nothing was stored."""

    def __init__(self, instance: str) -> None:
        super().__init__(f"instance {instance} is too busy just now; try again")
        self.instance = instance


class CannotRun(Exception):
    """What an instance asks for cannot be done here just now; nothing was done of it.

    ``reason`` is what its instance waits for.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
