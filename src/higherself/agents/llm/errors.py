"""What can go wrong when a language model is asked, by family.

Every one of them says in ``usage`` what was spent all the same.
"""

from datetime import timedelta

from higherself.agents.llm.usage import NOTHING, Usage
from higherself.kernel.errors import Misconfigured, Rejected, Unavailable


class AskFailed(Exception):
    """There is no answer: what the errors below have in common."""

    usage: Usage = NOTHING


class ModelMisconfigured(Misconfigured, AskFailed):
    """The model cannot be used as it is set up; a person has to change that."""


class NoTemplate(Misconfigured, AskFailed):
    """No language model is configured, and no template does what is asked."""


class ModelUnavailable(Unavailable, AskFailed):
    """The vendor did not give an answer.

    ``permanent``: trying again does not help until a person changes something. ``spent``: it may
    have worked on the request, and count it.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        permanent: bool = False,
        timed_out: bool = False,
        spent: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.permanent = permanent
        self.timed_out = timed_out
        self.spent = spent


class ModelPaused(ModelUnavailable):
    """The vendor failed, and is left alone for a while; nothing was sent."""


class AskRejected(Rejected, AskFailed):
    """What is asked cannot be asked so: too long, wrongly put together, or refused by the vendor."""


class OutputInvalid(Rejected, AskFailed):
    """The model was told what is wrong with its output, and did not give the declared type."""

    def __init__(self, model: str, attempts: int, problems: str) -> None:
        super().__init__(
            f"{model} gave no valid output in {attempts} attempts; the last one: {problems}"
        )
        self.attempts, self.problems = attempts, problems


class AllowanceUsedUp(Rejected, AskFailed):
    """An ask, or what all messages of a conversation may spend, has no room for a further request."""


class DayBudgetUsedUp(Unavailable, AskFailed):
    """A business has spent what it may spend today; nothing was sent."""

    def __init__(self, entity: str, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.entity, self.retry_after = entity, retry_after
