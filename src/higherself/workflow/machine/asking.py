"""How a turn asks for work: rendered input, an idempotency key, and the command. Pure.

Every function here renders before it changes anything, so what raises has done nothing.
"""

from datetime import datetime

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.definition.model import (
    Activity,
    Approval,
    Collaboration,
    SubWorkflow,
    WorkflowDefinition,
)
from higherself.workflow.definition.terms import step_terms, terms_of
from higherself.workflow.machine.commands import (
    AgentTask,
    AskApproval,
    RunActivity,
    RunCollaboration,
    StartChild,
)
from higherself.workflow.machine.snapshot import Pending
from higherself.workflow.machine.turn import Turn

UNDO = "undo"
"""The item of an agenda that stands for the latest compensation of the region."""


def ask_next(turn: Turn, region: str) -> None:
    """Ask for the first activity on the agenda of ``region``.

    Raises
        ExpressionFailed: its input could not be rendered.
    """
    position = turn.positions[region]
    name = position.agenda[0]
    if name != UNDO:
        given = _given(turn, turn.definition.activities[name], position.event)
        turn.move(region, running=_ask_activity(turn, region, name, given))
    elif (place := next(turn.undoable(region), None)) is not None:
        undo = turn.undo[place]
        turn.move(region, running=_ask_activity(turn, region, undo.activity, undo.input))
    else:
        turn.move(region, agenda=position.agenda[1:])


def ask_for_work(turn: Turn, region: str) -> str | None:
    """Ask for what the state that ``region`` is in does; return the key of that, if it does any.

    Branches are no matter of this.

    Raises
        ExpressionFailed: its input could not be rendered.
    """
    position, state, path = turn.positions[region], turn.state(region), turn.path(region)
    match state.work:
        case Activity() | Collaboration() as work:
            name = f"{path}/{'activity' if isinstance(work, Activity) else 'collaborate'}"
            return _ask_activity(turn, region, name, _given(turn, work, position.event))
        case SubWorkflow() as work:
            return _ask_child(turn, region, f"{path}/start", work)
        case Approval() as work:
            return _ask_approval(turn, region, f"{path}/approval", work)
        case _:
            return None


def ask_again(turn: Turn, key: str) -> None:
    """Ask for another attempt of something that is pending."""
    turn.commands.append(command_of(turn.definition, key, turn.pending[key], turn.now))


def _ask_activity(turn: Turn, region: str, name: str, given: JsonValue) -> str:
    activity = turn.definition.activities[name]
    key = _key(turn, name)
    if isinstance(activity, Activity):
        turn.pending[key] = Pending("activity", region, name, given, due_at=turn.now)
    else:
        turn.pending[key] = Pending("collaboration", region, name, given, due_at=turn.now)
    ask_again(turn, key)
    return key


def _ask_child(turn: Turn, region: str, name: str, work: SubWorkflow) -> str:
    event = turn.positions[region].event
    context = work.context.render(turn.scope(event), turn.now)
    key = _key(turn, name)
    turn.pending[key] = Pending("child", region, name, context)
    given = context if isinstance(context, dict) else {}
    turn.commands.append(StartChild(key, work.workflow, work.version, given))
    return key


def _ask_approval(turn: Turn, region: str, name: str, work: Approval) -> str:
    event = turn.positions[region].event
    question = work.question.render(turn.scope(event), turn.now)
    key = _key(turn, name)
    expires_at = None if work.timeout is None else turn.now + work.timeout
    turn.pending[key] = Pending("approval", region, name, question, due_at=expires_at)
    said = question if isinstance(question, str) else ""
    turn.commands.append(AskApproval(key, turn.path(region), work.roles, said, expires_at))
    if expires_at is not None:
        turn.set_timer(region, "approval", expires_at)
    return key


def _key(turn: Turn, name: str) -> str:
    return f"{turn.instance}/{turn.sequence}/{name}"


def _given(turn: Turn, activity: Activity | Collaboration, event: JsonObject) -> JsonValue:
    scope = turn.scope(event)
    given = activity.input.render(scope, turn.now)
    if isinstance(activity, Activity):
        return given
    tasks = [step.input.render(scope, turn.now) for step in activity.steps]
    undos = [
        None if step.compensate is None else step.compensate.input.render(scope, turn.now)
        for step in activity.steps
    ]
    return {"input": given, "tasks": tasks, **({"undos": undos} if any(undos) else {})}


def command_of(
    definition: WorkflowDefinition, key: str, pending: Pending, now: datetime
) -> RunActivity | RunCollaboration:
    """Return what is asked for, of an activity or a collaboration that is pending under ``key``."""
    activity = definition.activities[pending.activity]
    due_at = pending.due_at or now
    if isinstance(activity, Activity):
        return RunActivity(
            key,
            pending.activity,
            activity.skill,
            pending.input,
            pending.attempt,
            due_at,
            activity.timeout,
            definition.agent_of(pending.activity),
            activity.input.secrets,
        )
    given = pending.input if isinstance(pending.input, dict) else {}
    undos = given.get("undos") or [None] * len(activity.steps)
    tasks = tuple(
        AgentTask(step.agent, step.task, task, step_terms(step, undo))
        for step, task, undo in zip(activity.steps, given["tasks"], undos, strict=True)
    )
    return RunCollaboration(
        key,
        pending.activity,
        activity.pattern,
        tasks,
        given["input"],
        pending.attempt,
        due_at,
        activity.timeout,
        terms_of(activity),
    )
