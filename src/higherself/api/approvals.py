"""Approvals over HTTP: what an instance waits for a person to decide, who may, and the decision."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import ConfigDict, Field

from higherself.api.knowledge import Strict, Text
from higherself.api.problems import PROBLEM_RESPONSES
from higherself.app.wiring import HigherSelf
from higherself.workflow.definition.model import Approval, state_path

_INSTANCE: dict[str, Any] = {
    "instance": "01a208aa-870d-78c2-b78f-619362785d0c",
    "workflow": "retreat_booking",
    "version": 3,
    "entity": "the_7_space",
    "key": None,
    "status": "waiting",
    "state": "review",
    "sequence": 7,
    "reason": "waits for the approval of owner or curator until 2026-05-14 09:30:00 UTC",
    "waits_for": "approval",
    "parent": None,
    "started_at": "2026-05-12T09:00:00+00:00",
    "updated_at": "2026-05-12T09:30:00+00:00",
    "finished_at": None,
}
_WAITING = {
    "approval": "01a208aa-870d-78c2-b78f-619362785d0c/1/review/approval",
    "state": "review",
    "roles": ["owner", "curator"],
    "due_at": "2026-05-14T09:30:00+00:00",
}
_DECIDED = {
    **_INSTANCE,
    "status": "completed",
    "state": "shown",
    "reason": "completed in shown",
    "waits_for": None,
    "finished_at": "2026-05-12T10:00:00+00:00",
}

Instance = Annotated[UUID, Path(description="The instance, by its identifier.")]


class ApprovalDecision(Strict):
    """What a person decides. ``approval``: which, as the list names it; needed if several wait."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"decision": "approved", "by": "ana", "roles": ["curator"]}]
        }
    )

    decision: Literal["approved", "rejected"]
    by: Annotated[Text, Field(min_length=1, max_length=200, description="Who decides.")]
    roles: Annotated[list[Text], Field(max_length=50, description="The roles they have.")] = []  # noqa: RUF012  # pydantic copies it
    comment: Annotated[Text, Field(max_length=10_000, description="Goes into the history.")] = ""
    approval: Annotated[Text | None, Field(max_length=500)] = None


def approval_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes by which people decide what instances of ``hs`` wait for."""
    router = APIRouter(
        prefix="/api/v1/instances/{instance}/approvals",
        tags=["people"],
        responses=PROBLEM_RESPONSES,
    )

    @router.get("", responses=_example({**_INSTANCE, "approvals": [_WAITING]}))
    async def list_approvals(instance: Instance) -> dict[str, Any]:
        """Show where an instance is, what it waits for people to decide, and who may."""
        found = await hs.workflows.get(instance)
        definition = await hs.workflows.pinned(found.snapshot)
        waiting = []
        for key, each in sorted(found.snapshot.pending.items()):
            if each.kind != "approval":
                continue
            state = found.snapshot.positions[each.region].state
            work = definition.state(each.region, state).work
            waiting.append(
                {
                    "approval": key,
                    "state": state_path(each.region, state),
                    "roles": list(work.roles) if isinstance(work, Approval) else [],
                    "due_at": each.due_at,
                }
            )
        return {**found.instance.to_json(), "approvals": waiting}

    @router.post("", responses=_example(_DECIDED))
    async def decide(instance: Instance, said: ApprovalDecision) -> dict[str, Any]:
        """Decide an approval. Who has none of its roles is told whom to ask (422), who is late so too (409)."""
        decided = await hs.workflows.approve(
            instance,
            by=said.by,
            roles=said.roles,
            outcome=said.decision,
            comment=said.comment,
            approval=said.approval,
        )
        return decided.to_json()

    return router


def _example(body: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": body}}}}
