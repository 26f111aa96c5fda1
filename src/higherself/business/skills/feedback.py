"""Skills for feedback: kept as a row with how it sounds, and summed up."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.events import feedback as opinions
from higherself.business.events.places import MOST_PEOPLE
from higherself.business.insight.sentiment import sentiment
from higherself.kernel.clock import SYSTEM_CLOCK

RECORDS, FEEDBACK = "records", "feedback_surveys"

FEELINGS = {
    "positive": "Positive", "neutral": "Neutral", "concerned": "Mixed",
    "frustrated": "Negative", "angry": "Negative",
}  # fmt: skip


class Feedback(BaseModel):
    """What people said: ratings from 1 to 5, how they sound, what a person should read."""

    answers: int
    rated: int
    average: float | None
    satisfied: float | None
    feelings: dict[str, int]
    concerns: list[str]


@skill(
    description="Sum up feedback: ratings, how it sounds, and what a person should read.",
    effects="pure",
    tags=("feedback", "insight"),
)
def sum_up_feedback(
    answers: Annotated[list[dict[str, Any]], Field(max_length=MOST_PEOPLE)],
) -> Feedback:
    """Return what the answers came to."""
    found = opinions.opinion(answers)
    return Feedback(
        answers=found.answers,
        rated=found.rated,
        average=found.average,
        satisfied=found.satisfied,
        feelings=dict(found.feelings),
        concerns=list(found.concerns),
    )


class FeedbackKept(BaseModel):
    """A row of feedback. ``alarms``: what a person has to see, such as a threat to go to law."""

    record: str
    rating: float | None
    sentiment: str
    alarms: list[str]


@skill(
    description="Keep what somebody said about a service or an event, with how it sounds.",
    effects="write",
    idempotent=True,
    tags=("feedback",),
)
async def save_feedback(
    feedback: Annotated[dict[str, Any], Field(description="{rating: 1 to 5, text, id}")],
    call: SkillCall,
    about: str = "",
    contact: Annotated[
        dict[str, Any] | None, Field(description="Whoever said it, with record_id")
    ] = None,
    source: Literal[
        "Typeform", "Email", "Website", "In-person", "Phone", "Social Media", "Review Site", "Other"
    ] = "Other",
) -> FeedbackKept:
    """Save the row; the same feedback (by its id) is kept once."""
    text = str(feedback.get("text") or "").strip()
    rating = opinions.rating_of(feedback)
    felt = sentiment(text) if text else None
    said = FEELINGS[felt.feeling] if felt else None
    bad = said == "Negative" or (rating is not None and rating <= 2)
    values: dict[str, Any] = {
        "title": f"{about or 'Feedback'}: {rating:g} of 5" if rating else about or "Feedback",
        "source": source,
        "feedback_type": "Complaint" if bad else "Survey Response",
        "feedback_content": text or None,
        "rating": rating,
        "sentiment": said,
        "status": "New",
        "date_received": SYSTEM_CLOCK.now(),
        "external_reference_id": feedback.get("id") and str(feedback["id"]),
        "contact": [contact["record_id"]] if contact and contact.get("record_id") else None,
    }
    row = await call.resource(RECORDS).of(FEEDBACK).save(
        call.entity,
        {column: value for column, value in values.items() if value is not None},
        key=str(feedback.get("id") or call.key),
    )  # fmt: skip
    return FeedbackKept(
        record=str(row["record_id"]),
        rating=rating,
        sentiment=said or "",
        alarms=list(felt.alarms) if felt else [],
    )
