"""How agents work together: seven patterns, each a pure reducer over what happens.

    plan = plan_of({"pattern": "chain", "steps": [{"role": "editor", "task": "draft"}]})
    state, commands = reduce(plan, NEW, Started(), now)

A shell (`services.collaboration`) does what the commands say, and hands back what comes of it.
"""

from higherself.agents.coordination.commands import (
    Ask,
    CancelTask,
    CancelTimer,
    Command,
    End,
    Escalate,
    Reject,
    SetTimer,
)
from higherself.agents.coordination.events import (
    Answered,
    Bid,
    Cancelled,
    Event,
    Failed,
    HandedOff,
    PersonAnswered,
    Refused,
    Started,
    TimerDue,
    Unreachable,
)
from higherself.agents.coordination.model import (
    PATTERNS,
    Compensation,
    People,
    Plan,
    Preference,
    Step,
    Target,
)
from higherself.agents.coordination.reading import PlanRejected, plan_of
from higherself.agents.coordination.reducing import reduce
from higherself.agents.coordination.state import ENDED, NEW, State, Task

__all__ = [
    "ENDED",
    "NEW",
    "PATTERNS",
    "Answered",
    "Ask",
    "Bid",
    "CancelTask",
    "CancelTimer",
    "Cancelled",
    "Command",
    "Compensation",
    "End",
    "Escalate",
    "Event",
    "Failed",
    "HandedOff",
    "People",
    "PersonAnswered",
    "Plan",
    "PlanRejected",
    "Preference",
    "Refused",
    "Reject",
    "SetTimer",
    "Started",
    "State",
    "Step",
    "Target",
    "Task",
    "TimerDue",
    "Unreachable",
    "plan_of",
    "reduce",
]
