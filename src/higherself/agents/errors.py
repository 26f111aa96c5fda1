"""What can go wrong with agents, by family."""

from collections.abc import Collection

from higherself.kernel.errors import Conflict, Misconfigured, NotFound, Rejected, Unavailable
from higherself.kernel.nearest import did_you_mean


class AgentMistaken(Misconfigured):
    """An agent cannot be one as it is written."""

    def __init__(self, agent: str, reason: str) -> None:
        super().__init__(f"agent {agent[:60]!r}: {reason}")
        self.agent, self.reason = agent, reason


class AgentUnknown(NotFound):
    """There is no agent of this name."""

    def __init__(self, agent: str, known: Collection[str]) -> None:
        super().__init__(
            f"there is no agent {agent!r}{did_you_mean(agent, known)}; list them with "
            "`higherself agents list`"
        )
        self.agent = agent


class TypeRefused(Rejected):
    """An agent was sent a message of a type that it does not accept."""

    def __init__(self, agent: str, type_: str, accepts: Collection[str]) -> None:
        takes = ", ".join(sorted(accepts)) or "nothing"
        super().__init__(f"agent {agent} does not accept {type_!r}; it accepts {takes}")
        self.agent, self.type, self.accepts = agent, type_, tuple(sorted(accepts))


class BusinessRefused(Rejected):
    """An agent was sent a message of a business that it does not serve."""

    def __init__(self, agent: str, entity: str | None, entities: Collection[str]) -> None:
        super().__init__(
            f"agent {agent} does not serve {entity or 'what belongs to no business'}; it serves "
            f"{', '.join(sorted(entities))}"
        )
        self.agent, self.entity = agent, entity


class TaskIncomplete(Rejected):
    """What an agent was sent lacks a field that it needs."""

    def __init__(self, type_: str, field: str) -> None:
        super().__init__(f"a message {type_!r} needs the field {field!r} in its data")
        self.type, self.field = type_, field


class Unroutable(Rejected):
    """No agent was found for a message, in any of the ways there are; the text has the reasons."""

    def __init__(self, type_: str, reason: str) -> None:
        super().__init__(reason)
        self.type = type_


class StateMoved(Conflict):
    """An agent's state was written by somebody else since it was read; nothing was stored."""

    def __init__(self, agent: str, subject: str, expected: int, found: int) -> None:
        super().__init__(
            f"the state of {agent} about {subject!r} has version {found}, not {expected}: it was "
            "written meanwhile; read it again, then decide again"
        )
        self.agent, self.subject, self.expected, self.found = agent, subject, expected, found


class NotOwner(Conflict):
    """An agent was about to hand over a conversation that another one has."""

    def __init__(self, agent: str, conversation: str, owner: str) -> None:
        super().__init__(
            f"agent {agent} cannot hand over the conversation {conversation}: {owner} has it by now"
        )
        self.agent, self.conversation, self.owner = agent, conversation, owner


class EscalationUnknown(NotFound):
    """There is no escalation of this ticket."""

    def __init__(self, ticket: str) -> None:
        super().__init__(
            f"there is no escalation {ticket!r}; list them with `higherself agents escalations`"
        )
        self.ticket = ticket


class EscalationOver(Conflict):
    """An escalation was answered or closed already."""

    def __init__(self, ticket: str, status: str) -> None:
        super().__init__(
            f"escalation {ticket} is {status}; look at it with "
            f"`higherself agents escalations {ticket}`"
        )
        self.ticket, self.status = ticket, status


class NotHere(Unavailable):
    """An agent asked for something that is not installed where it runs."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not available to agents in this process")
        self.what = what


class SkillNotAllowed(Rejected):
    """An agent was about to use a skill that is not among those it may use."""

    def __init__(self, agent: str, skill: str, allowed: Collection[str]) -> None:
        super().__init__(
            f"agent {agent} may not use the skill {skill!r}; its card allows "
            f"{', '.join(sorted(allowed))}"
        )
        self.agent, self.skill = agent, skill
