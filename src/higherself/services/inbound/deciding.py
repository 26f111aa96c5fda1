"""What a delivery is to bring about: read again, transformed, put in order with what is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from higherself.inbound.businesses import Businesses
from higherself.inbound.functions import Readers
from higherself.inbound.model import Announcement
from higherself.inbound.ordering import Standing, Step, Told, learn
from higherself.inbound.transformation import News, transformed
from higherself.kernel.jsonvalue import JsonObject, content_hash
from higherself.services.inbound.rules import InForce

LONGEST_ID = 250

NO_CONTACT = "there is neither an e-mail address nor a telephone number in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """What is thought of one announcement before what is known of its subject is looked at.

    ``ignored``: why nothing comes of it; ``wants_person``: why a person has to see to it.
    """

    announcement: Announcement
    entity: str
    news: News | None = None
    ignored: str = ""
    wants_person: str = ""


def consider(
    source: str,
    announcement: Announcement,
    in_force: InForce,
    businesses: Businesses,
    readers: Readers,
) -> Considered:
    """Return whose an announcement is, and what it says in our words.

    Raises
        BusinessUnknown: nothing says whose it is.
    """
    entity = businesses.of(source, announcement, in_force.claimed)
    rule = in_force.of(entity).rule(source, announcement)
    if rule is None:
        why = f"nothing is declared for {announcement.event} of {source}"
        return Considered(announcement=announcement, entity=entity, ignored=why)
    if rule.said.ignore is not None:
        return Considered(announcement=announcement, entity=entity, ignored=rule.said.ignore)
    news = transformed(announcement, rule.said, readers)
    return Considered(announcement=announcement, entity=entity, news=news)


def lookup_of(
    source: str, announcement: Announcement, in_force: InForce, entity: str
) -> str | None:
    """Return what else has to be asked for before an announcement can be read, if anything."""
    rule = in_force.of(entity).rule(source, announcement)
    return None if rule is None or rule.said.ignore is not None else rule.said.lookup


@dataclass(frozen=True, slots=True)
class Decision:
    """What one announcement brings about."""

    steps: tuple[Step, ...]
    ignored: str = ""
    wants_person: str = ""


def without_subject(news: News) -> Decision:
    """Return what news of nothing that has states brings about."""
    if news.happening is None:
        return Decision((), "its rule says only what happens to things with states")
    if news.rule.contact == "required" and not news.has_contact:
        return Decision((), wants_person=_told(news))
    return Decision((Step("state", news.happening, news.happening, news.data),))


def of_subject(
    news: News, standing: Standing, at: datetime, *, is_dated: bool
) -> tuple[Standing, Decision]:
    """Return what is known of a subject after ``news``, and what these bring about."""
    rule = news.rule
    told = Told(
        state=news.state,
        at=at,
        is_dated=is_dated,
        data=news.data,
        complete=rule.contact == "optional" or news.has_contact,
        final=frozenset(rule.final),
        milestones=rule.milestones,
        opens=rule.opens,
        happening=news.happening,
    )
    after, steps = learn(standing, told)
    person = ""
    if rule.opens is not None and not after.opened:
        person = _told(news)
    if steps:
        return after, Decision(steps, wants_person=person)
    if person:
        return after, Decision((), wants_person=person)
    if news.state is None:
        return after, Decision((), "its state changes nothing")
    known = f"{standing.state} of {standing.at:%Y-%m-%d %H:%M:%S}" if standing.at else "its state"
    return after, Decision((), f"what is known is as new or newer ({known})")


def happening_id(source: str, key: str, number: int, news: News, step: Step) -> str:
    """Return what names a happening once and for all within its business.

    What has states is named by its subject and the state, so that another delivery of the same
    says nothing new; anything else by the delivery.
    """
    if news.subject is not None and (news.rule.state is not None or news.rule.once):
        text = f"{source}/{news.subject}/{step.key}"
    else:
        text = f"{source}/{key}/{number}/{step.key}"
    return text if len(text) <= LONGEST_ID else f"{text[:150]}/{content_hash(text).hex()}"


def written(step: Step, identifier: str, entity: str, at: datetime) -> JsonObject:
    """Return a step as a delivery keeps it."""
    return {
        "type": step.type,
        "id": identifier,
        "entity": entity,
        "at": at.isoformat(),
        "data": step.data,
    }


def task_for_person(source: str, delivery: str, why: str, event: str) -> Mapping[str, Any]:
    """Return the task that a person gets when something came that nobody can be found by."""
    return {
        "task_name": f"See who sent this: {source} {event}"[:200],
        "description": (
            f"A webhook of {source} ({event}) has come, and {why}. What came is kept: "
            f"`higherself webhooks show {delivery}`. Find out who it is from; when the form or the "
            f"transformation is mended, `higherself webhooks replay {delivery}`."
        ),
        "status": "To Do",
        "priority": "High",
        "category": "Follow Up",
        "source": "Integration",
        "created_by": "webhooks",
    }


def _told(news: News) -> str:
    unread = [each for each in news.problems if each.startswith("contact.")]
    return f"{NO_CONTACT} ({'; '.join(unread)})" if unread else NO_CONTACT
