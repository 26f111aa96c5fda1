"""What people are asked, over HTTP: reviews and escalations."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict, Field

from higherself.api.knowledge import Slug, Strict, Text
from higherself.api.problems import PROBLEM_RESPONSES
from higherself.app.wiring import HigherSelf
from higherself.services.human_task import Deciding

_BRIEF: dict[str, Any] = {
    "ticket": "REV-ABCD2345",
    "kind": "review",
    "entity": "the_7_space",
    "title": "Community sound bath",
    "status": "decided",
    "severity": 2,
    "roles": ["marketing", "owner"],
    "source": "content_creation_distribution",
    "assignee": None,
    "instance": "01a208aa-870d-78c2-b78f-619362785d0c",
    "created_at": "2026-05-12T09:30:00+00:00",
    "due_at": "2026-05-14T09:30:00+00:00",
    "decision": "approved",
    "by": "ada",
    "decided_at": "2026-05-12T10:00:00+00:00",
}
_WHOLE = {
    **_BRIEF,
    "text": "The community sound bath is on the first Sunday of the month.",
    "details": {"content_type": "blog_post"},
    "answer": None,
    "notes": "",
    "correlation": "lead-1",
    "heard_at": "2026-05-12T10:00:01+00:00",
    "heard": "heard",
}

_ASKED = {
    **_BRIEF,
    "ticket": "ESC-ABCD2345",
    "kind": "escalation",
    "title": "A question about a refund",
    "roles": [],
    "source": "customer_support",
    "decision": "answered",
}
_ANSWERED = {**_WHOLE, **_ASKED, "text": "a person is to answer", "answer": "Your place is kept."}
_WITH_HISTORY = {
    **_ANSWERED,
    "history": [
        {"at": "2026-05-12T09:29:58+00:00", "who": "workflow", "what": "searching → escalating"}
    ],
}

Every = Annotated[bool, Query(alias="all", description="Also what is over.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Ticket = Annotated[Text, Path(description="The ticket, such as REV-ABCD2345.", max_length=40)]
By = Annotated[Text, Field(min_length=1, max_length=200, description="Who decides.")]
HasRoles = Annotated[list[Text], Field(max_length=50, description="The roles they have.")]
Notes = Annotated[Text, Field(max_length=10_000, description="Why, or what should change.")]


class ReviewDecision(Strict):
    """What a person says of a text. ``text``: as it may go out, if they changed it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"decision": "approved", "by": "ana", "roles": ["marketing"]}]
        }
    )

    decision: Literal["approved", "changes_requested", "rejected"]
    by: By
    roles: HasRoles = Field(default=[])
    text: Annotated[Text | None, Field(max_length=200_000)] = None
    notes: Notes = ""


class EscalationAnswer(Strict):
    """What a person answers. ``refund`` pays ``amount`` back; ``closed`` ends it without an answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"answer": "Your place is kept.", "by": "ana"}]}
    )

    decision: Literal["answered", "refund", "closed"] = "answered"
    answer: Annotated[Text | None, Field(max_length=100_000)] = None
    amount: Annotated[float | None, Field(gt=0)] = None
    by: By
    roles: HasRoles = Field(default=[])
    notes: Notes = ""


class Taking(Strict):
    """Who sees to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"assignee": "ana"}]})

    assignee: Annotated[Text, Field(min_length=1, max_length=200)]


def human_task_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes by which people decide what ``hs`` asks them."""
    router = APIRouter(prefix="/api/v1", tags=["people"], responses=PROBLEM_RESPONSES)
    _add_reviews(router, hs)
    _add_escalations(router, hs)
    return router


def _add_reviews(router: APIRouter, hs: HigherSelf) -> None:
    @router.get("/reviews", responses=_example({"reviews": [_BRIEF]}))
    async def list_reviews(
        entity: Slug | None = None, every: Every = False, limit: Limit = 50
    ) -> dict[str, Any]:
        """List texts that wait for a person, by when they are due; with `all`, also what is decided."""
        found = await hs.human_tasks.list(
            "review",
            statuses=None if every else ("open", "in_progress"),
            entity=entity,
            limit=limit,
        )
        return {"reviews": [each.to_json(whole=False) for each in found]}

    @router.get("/reviews/{ticket}", responses=_example(_WHOLE))
    async def show_review(ticket: Ticket) -> dict[str, Any]:
        """Show a review with its text."""
        return dict((await hs.human_tasks.show(ticket)).to_json())

    @router.post("/reviews/{ticket}/take", responses=_example(_WHOLE))
    async def take_review(ticket: Ticket, said: Taking) -> dict[str, Any]:
        """Note who sees to it."""
        return dict((await hs.human_tasks.take(ticket, said.assignee)).to_json())

    @router.post("/reviews/{ticket}/decision", responses=_example(_WHOLE))
    async def decide(ticket: Ticket, said: ReviewDecision) -> dict[str, Any]:
        """Decide a review; who waits for it goes on. A second decision is refused (409)."""
        deciding = Deciding(
            decision=said.decision,
            by=said.by,
            roles=said.roles,
            answer=said.text,
            notes=said.notes,
        )
        return dict((await hs.human_tasks.decide(ticket, deciding)).to_json())


def _add_escalations(router: APIRouter, hs: HigherSelf) -> None:
    @router.get("/escalations", responses=_example({"escalations": [_ASKED]}))
    async def list_escalations(
        entity: Slug | None = None, every: Every = False, limit: Limit = 50
    ) -> dict[str, Any]:
        """List what waits for an answer, whoever asks; with `all`, also what is answered."""
        return {"escalations": await hs.escalations.list(every=every, entity=entity, limit=limit)}

    @router.get("/escalations/{ticket}", responses=_example(_WITH_HISTORY))
    async def show_escalation(ticket: Ticket) -> dict[str, Any]:
        """Show one with everything that led to it."""
        return await hs.escalations.show(ticket)

    @router.post("/escalations/{ticket}/take", responses=_example(_ANSWERED))
    async def take_escalation(ticket: Ticket, said: Taking) -> dict[str, Any]:
        """Note who sees to it."""
        return await hs.escalations.take(ticket, said.assignee)

    @router.post("/escalations/{ticket}/answer", responses=_example(_ANSWERED))
    async def answer(ticket: Ticket, said: EscalationAnswer) -> dict[str, Any]:
        """Answer an escalation; who waits for it goes on. A second answer is refused (409)."""
        deciding = Deciding(
            decision=said.decision,
            by=said.by,
            roles=said.roles,
            answer=said.answer,
            notes=said.notes,
            more=None if said.amount is None else {"amount": said.amount},
        )
        return await hs.escalations.answer(ticket, deciding)


def _example(body: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": body}}}}
