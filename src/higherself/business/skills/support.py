"""Skills for requests for help: how one is to be treated, and what may be paid back."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from higherself.agents.skills import skill
from higherself.business.support import triage as rules
from higherself.kernel.durations import text_of


class RefundAsked(BaseModel):
    """What somebody wants back; ``amount`` null: they do not say how much."""

    asked: bool
    amount: float | None
    over_limit: bool


class Triaged(BaseModel):
    """How a request is to be treated. ``reasons``: why a person has to see it."""

    severity: int
    category: str
    sentiment: str
    tier: str
    role: str
    must_escalate: bool
    reasons: list[str]
    answer_within: str
    refund: RefundAsked


@skill(
    description="Say how severe a request for help is, about what, and whether a person must see it.",
    effects="pure",
    tags=("support",),
)
def triage_request(
    text: Annotated[str, Field(max_length=100_000)],
    subject: str = "",
    contact: Annotated[
        dict[str, Any] | None, Field(description="Who asks, with `tags` and `lifetime_value`")
    ] = None,
    channel: Annotated[str | None, Field(description="email, chat, phone")] = None,
    refund_amount: Annotated[float | None, Field(ge=0)] = None,
    refund_limit: Annotated[float, Field(ge=0)] = rules.REFUND_LIMIT,
    failed_attempts: Annotated[int, Field(ge=0)] = 0,
    open_hours: Annotated[float, Field(ge=0)] = 0,
) -> Triaged:
    """Return severity, category, mood, tier, who sees to it, and in what time."""
    known = contact or {}
    tags = known.get("tags")
    value = known.get("lifetime_value")
    found = rules.triage(
        text,
        subject=subject,
        tags=[str(each) for each in tags] if isinstance(tags, list) else (),
        refund_amount=refund_amount,
        refund_limit=refund_limit,
        lifetime_value=float(value) if isinstance(value, int | float) else None,
        failed_attempts=failed_attempts,
        open_for=timedelta(hours=open_hours),
    )
    return Triaged(
        severity=found.severity,
        category=found.category,
        sentiment=found.sentiment,
        tier=found.tier,
        role=found.role,
        must_escalate=found.must_escalate,
        reasons=list(found.reasons),
        answer_within=text_of(found.answer_within),
        refund=RefundAsked(
            asked=found.refund.asked,
            amount=found.refund.amount,
            over_limit=found.refund.over_limit,
        ),
    )


class RefundRule(BaseModel):
    """Whether a refund may be made without anybody, or who decides it."""

    allowed: bool
    needs_approval: bool
    role: Literal["owner"] | None
    reason: str


@skill(
    description="Say whether a refund is within the limit, or who has to decide it.",
    effects="pure",
    tags=("support",),
)
def check_refund(
    amount: Annotated[float, Field(gt=0)],
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD",
    limit: Annotated[float, Field(ge=0)] = rules.REFUND_LIMIT,
    lifetime_value: Annotated[
        float | None, Field(ge=0, description="What they have ever paid")
    ] = None,
) -> RefundRule:
    """Return the rule that applies."""
    found = rules.refund("", amount=amount, limit=limit, lifetime_value=lifetime_value)
    if found.over_limit:
        return RefundRule(allowed=False, needs_approval=True, role="owner", reason=found.why)
    said = f"{amount:g} {currency} is within the limit of {limit:g}"
    return RefundRule(allowed=True, needs_approval=False, role=None, reason=said)
