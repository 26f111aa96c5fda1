"""A task of the Agent2Agent protocol as we keep it, and how it is told. Pure values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from a2a.types.a2a_pb2 import (
    Artifact,
    Message,
    Part,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import MessageToDict, ParseDict

from higherself.kernel.jsonvalue import JsonValue, shown

State = Literal["submitted", "working", "completed", "failed", "canceled", "rejected"]
OPEN: frozenset[State] = frozenset(("submitted", "working"))

STATES: Mapping[State, TaskState] = {
    "submitted": TaskState.TASK_STATE_SUBMITTED,
    "working": TaskState.TASK_STATE_WORKING,
    "completed": TaskState.TASK_STATE_COMPLETED,
    "failed": TaskState.TASK_STATE_FAILED,
    "canceled": TaskState.TASK_STATE_CANCELED,
    "rejected": TaskState.TASK_STATE_REJECTED,
}

Update = TaskStatusUpdateEvent | TaskArtifactUpdateEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A task as it is stored. ``told`` is what is said of its state, ``result`` what came of it."""

    id: UUID
    entity: str
    context: str
    message: Mapping[str, Any]
    digest: bytes
    state: State
    told: str | None
    result: JsonValue
    version: int
    began_at: datetime | None
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether there is more to come."""
        return self.state in OPEN

    def task(self) -> Task:
        """Return it as the protocol has it."""
        message = ParseDict(dict(self.message), Message())
        message.task_id, message.context_id = str(self.id), self.context
        return Task(
            id=str(self.id),
            context_id=self.context,
            status=self.status(),
            artifacts=[self.artifact()] if self.state == "completed" else [],
            history=[message],
        )

    def status(self) -> TaskStatus:
        """Return its state, since when, and what is said of it."""
        status = TaskStatus(state=STATES[self.state])
        status.timestamp.FromDatetime(self.updated_at)
        if self.told is not None:
            status.message.CopyFrom(
                Message(
                    message_id=f"{self.id}-{self.version}",
                    task_id=str(self.id),
                    context_id=self.context,
                    role=Role.ROLE_AGENT,
                    parts=[Part(text=self.told)],
                )
            )
        return status

    def artifact(self) -> Artifact:
        """Return what came of it: a text as a text, anything else as data."""
        part = Part(media_type="application/json")
        if isinstance(self.result, str):
            part = Part(text=self.result, media_type="text/plain")
        else:
            ParseDict({"data": self.result}, part)
        return Artifact(artifact_id=f"{self.id}-result", name="result", parts=[part])

    def updates_since(self, seen: "Kept") -> list[Update]:
        """Return what somebody hears who follows it and last saw ``seen``.

        All who follow it hear the same, in the same order, however often they look.
        """
        if self.began_at is None or seen.began_at is not None or self.state == "working":
            return self._updates()
        began = replace(self, state="working", told=None, updated_at=self.began_at)
        return [*began._updates(), *self._updates()]

    def _updates(self) -> list[Update]:
        told = TaskStatusUpdateEvent(
            task_id=str(self.id), context_id=self.context, status=self.status()
        )
        if self.state != "completed":
            return [told]
        made = TaskArtifactUpdateEvent(
            task_id=str(self.id),
            context_id=self.context,
            artifact=self.artifact(),
            last_chunk=True,
        )
        return [made, told]


def written(message: Message) -> dict[str, Any]:
    """Return a message as it is stored."""
    plain: dict[str, Any] = MessageToDict(message)
    return plain


def digest_of(message: Mapping[str, Any]) -> bytes:
    """Return what tells one message from another that has its identifier."""
    said = {key: value for key, value in message.items() if key not in ("contextId", "taskId")}
    return hashlib.sha256(shown(dict(sorted(said.items())), indent=None).encode()).digest()
