"""Tasks for people: their templates, when they are due, how urgent they are. Pure.

The templates are data (`task_templates.yaml`). One rule says how urgent a task is, whoever asks for
it: what its template says, raised for a VIP, for what is due soon, and for what is severe.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from higherself.kernel.durations import duration_of
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.nearest import did_you_mean
from higherself.workflow.guard import ExpressionRejected, render

Priority = Literal["Low", "Medium", "High", "Urgent"]
PRIORITIES: tuple[Priority, ...] = ("Low", "Medium", "High", "Urgent")
STATUSES = ("To Do", "In Progress", "On Hold", "Done", "Cancelled")
OPEN = ("To Do", "In Progress", "On Hold")
CATEGORIES = (
    "Follow Up", "Content Creation", "Admin", "Financial", "Marketing", "Customer Service",
    "Event Preparation", "Technical",
)  # fmt: skip
SOON = timedelta(hours=24)
LONGEST_NAME = 200


class TaskTemplateUnknown(NotFound):
    """There is no template of this name."""


class TaskRejected(Rejected):
    """A task cannot be made as it is asked for."""


class TaskTemplate(BaseModel):
    """A task as it is asked for again and again. ``assignee`` says in words who it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    description: str = ""
    category: str = "Admin"
    minutes: int = Field(default=30, ge=1, le=10_000)
    priority: Priority = "Medium"
    checklist: tuple[str, ...] = ()
    assignee: str | None = None
    due_in: str = "2d"
    remind_before: str | None = None
    tags: tuple[str, ...] = ()

    @field_validator("category")
    @classmethod
    def _is_known(cls, said: str) -> str:
        if said not in CATEGORIES:
            raise ValueError(f"{said!r} is no category{did_you_mean(said, CATEGORIES)}")
        return said

    @field_validator("due_in", "remind_before")
    @classmethod
    def _is_a_duration(cls, said: str | None) -> str | None:
        if said is not None:
            duration_of(said)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWanted:
    """A task, ready to be kept."""

    name: str
    description: str
    category: str
    priority: Priority
    minutes: int
    due: datetime
    remind: datetime | None
    tags: tuple[str, ...]
    checklist: tuple[str, ...]
    assignee: str | None

    @property
    def text(self) -> str:
        """What stands in the task: who it is for, what it is about, and its checklist."""
        parts = [f"For: {self.assignee}" if self.assignee else "", self.description.strip()]
        parts.append("\n".join(f"- [ ] {each}" for each in self.checklist))
        return "\n\n".join(each for each in parts if each)


def template(name: str) -> TaskTemplate:
    """Return the template of a name.

    Raises
        TaskTemplateUnknown: there is none; the text names the nearest.
    """
    known = templates()
    if name not in known:
        raise TaskTemplateUnknown(
            f"template: there is no task template {name!r}{did_you_mean(name, known)}; or give "
            "`task_name` beside it"
        )
    return known[name]


@cache
def templates() -> Mapping[str, TaskTemplate]:
    """Return every template that comes with the program, by its name."""
    text = files("higherself.business").joinpath("task_templates.yaml").read_text("utf-8")
    return read_templates(yaml.safe_load(text))


def read_templates(said: Mapping[str, Any]) -> Mapping[str, TaskTemplate]:
    """Return the templates that ``said`` is, in the keys of `task_templates.yaml`.

    Raises
        TaskRejected: naming the template and the field.
    """
    defaults: Mapping[str, Any] = said.get("defaults", {})
    found = {}
    for name, given in (said.get("templates") or {}).items():
        try:
            found[name] = TaskTemplate.model_validate({**defaults, **given})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, ("templates", name, *first["loc"])))
            raise TaskRejected(f"{where}: {first['msg']}") from None
    return found


def wanted(
    made_of: TaskTemplate,
    facts: Mapping[str, Any],
    *,
    now: datetime,
    due: datetime | timedelta | None = None,
    priority: Priority | None = None,
    vip: bool = False,
    severity: int | None = None,
) -> TaskWanted:
    """Return the task that a template makes with some facts: ``who`` it is about, and others.

    Raises
        TaskRejected: the name asks for a fact that is missing.
    """
    at = now + due if isinstance(due, timedelta) else due or now + duration_of(made_of.due_in)
    before = None if made_of.remind_before is None else at - duration_of(made_of.remind_before)
    return TaskWanted(
        name=_filled(made_of.name, facts, now)[:LONGEST_NAME],
        description=_filled(made_of.description, facts, now),
        category=made_of.category,
        priority=priority
        or priority_of(made_of.priority, due_in=at - now, vip=vip, severity=severity),
        minutes=made_of.minutes,
        due=at,
        remind=before if before is not None and before > now else None,
        tags=made_of.tags,
        checklist=made_of.checklist,
        assignee=made_of.assignee,
    )


def priority_of(
    usual: Priority,
    *,
    due_in: timedelta | None = None,
    vip: bool = False,
    severity: int | None = None,
) -> Priority:
    """Return how urgent a task is: at least as its template says, more for whom and what presses.

    A VIP's is one step more urgent; due within four hours is High at least; severity 3 is High at
    least, 4 is Urgent (A2.6).

    >>> priority_of("Medium", vip=True), priority_of("Low", severity=4)
    ('High', 'Urgent')
    """
    step = PRIORITIES.index(usual) + (1 if vip else 0)
    if due_in is not None and due_in <= timedelta(hours=4):
        step = max(step, PRIORITIES.index("High"))
    if severity is not None and severity >= 3:
        step = max(step, PRIORITIES.index("Urgent" if severity >= 4 else "High"))
    return PRIORITIES[min(step, len(PRIORITIES) - 1)]


def ad_hoc(name: str, category: str | None = None) -> TaskTemplate:
    """Return a template for a task that is asked for by its name alone."""
    usual = TaskTemplate(name=_literal(name))
    return usual if category is None else replaced(usual, category=category)


def replaced(made_of: TaskTemplate, **changes: Any) -> TaskTemplate:
    """Return a template with some fields as they are asked for this time.

    Raises
        TaskRejected: naming the field.
    """
    given = {name: value for name, value in changes.items() if value not in (None, "", [], ())}
    if "name" in given:
        given["name"] = _literal(str(given["name"]))
    if "description" in given:
        given["description"] = _literal(str(given["description"]))
    try:
        return TaskTemplate.model_validate({**made_of.model_dump(), **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise TaskRejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def due_of(said: str | None, now: datetime) -> datetime | None:
    """Return when ``1d`` or ``2026-03-02T12:00:00Z`` is.

    Raises
        TaskRejected: it is neither.
    """
    if not said:
        return None
    try:
        if re.fullmatch(r"[0-9]+[a-z]+", said):
            return now + duration_of(said)
        at = datetime.fromisoformat(said)
    except ValueError:
        raise TaskRejected(
            f"due: {said!r} is no time; write one such as 2026-03-02T12:00:00Z, or how long from "
            "now, such as 1d"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)


def overdue(due: datetime | None, status: str | None, now: datetime) -> bool:
    """Return whether a task is late."""
    return due is not None and due <= now and status in OPEN


def _literal(text: str) -> str:
    """Return ``text`` so that nothing in it is filled in: it comes from outside."""
    return re.sub(r"\{(?=\{)", "{ ", text)  # of three braces, too, no two stay side by side


def _filled(text: str, facts: Mapping[str, Any], now: datetime) -> str:
    try:
        return " ".join(str(render(text, facts, now)).split()) if "{{" in text else text
    except ExpressionRejected as error:
        raise TaskRejected(f"template: a fact is missing: {error}") from None


def named(*candidates: Any) -> str:
    """Return by what somebody is called: the first of these that is a text."""
    for each in candidates:
        if isinstance(each, str) and each.strip():
            return each.strip()
        if isinstance(each, Mapping):
            found = named(
                each.get("full_name"), each.get("name"), each.get("first_name"), each.get("email"),
                each.get("phone"),
            )  # fmt: skip
            if found != NOBODY:
                return found
    return NOBODY


NOBODY = "somebody"
