"""How promising a lead is, by the rules of its business: points, each with its reason. Pure.

The rules are data (`lead_scores.yaml`); a business without rules of its own has the general ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.guard import ExpressionFailed, Guard, InvalidExpression, compile_guard

Level = Literal["cold", "warm", "hot"]


class ScorecardRejected(Rejected):
    """A scorecard is not as it has to be."""


class Rule(BaseModel):
    """Points for what fits. Of the rules of one ``group`` only the best that fits counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    when: str
    points: int
    because: str
    group: str | None = None


class Scorecard(BaseModel):
    """The rules of a business. ``hot`` and ``warm`` are from how many points on a lead is so."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    base: int = 0
    cap: int = 100
    hot: int = 80
    warm: int = 50
    rules: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Reason:
    """Points that a lead has, and what for."""

    points: int
    because: str


@dataclass(frozen=True, slots=True)
class LeadScore:
    """How promising a lead is. ``unknown`` are rules that ask for what is not known of it."""

    score: int
    level: Level
    reasons: tuple[Reason, ...]
    unknown: tuple[str, ...]


def score(lead: JsonObject, card: Scorecard, *, now: datetime) -> LeadScore:
    """Return how promising a lead is by ``card``.

    A rule that asks for what is not known of the lead gives no points, and is told of.

    >>> from datetime import UTC
    >>> rule = Rule(when="lead.budget >= 50000", points=20, because="budget")
    >>> score({"budget": 60000}, Scorecard(base=30, rules=[rule]), now=datetime(2026, 3, 1, tzinfo=UTC)).score
    50
    """
    reasons = [Reason(card.base, "to begin with")] if card.base else []
    best: dict[str, Reason] = {}
    unknown: list[str] = []
    for rule in card.rules:
        fits = _fits(rule, lead, now)
        if fits is None:
            unknown.append(rule.because)
        elif fits and rule.group is None:
            reasons.append(Reason(rule.points, rule.because))
        elif fits and rule.group is not None:
            known = best.get(rule.group)
            if known is None or rule.points > known.points:
                best[rule.group] = Reason(rule.points, rule.because)
    reasons += best.values()
    total = max(0, min(card.cap, sum(each.points for each in reasons)))
    level: Level = "hot" if total >= card.hot else "warm" if total >= card.warm else "cold"
    return LeadScore(total, level, tuple(reasons), tuple(dict.fromkeys(unknown)))


def scorecard(entity: str) -> Scorecard:
    """Return the rules of a business."""
    cards = _cards()
    return cards.get(entity, cards["default"])


def read_scorecard(said: Mapping[str, Any]) -> Scorecard:
    """Return the scorecard that ``said`` is, in the keys of `lead_scores.yaml`.

    Raises
        ScorecardRejected: naming the field.
    """
    try:
        card = Scorecard.model_validate(said)
        for place, rule in enumerate(card.rules):
            try:
                _guard(rule.when)
            except InvalidExpression as error:
                raise ScorecardRejected(f"rules.{place}.when: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ScorecardRejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return card


@cache
def _cards() -> Mapping[str, Scorecard]:
    text = resources.files("higherself.business.insight").joinpath("lead_scores.yaml").read_text()
    said: Mapping[str, Any] = yaml.safe_load(text)
    return {entity: read_scorecard(card) for entity, card in said.items()}


def _fits(rule: Rule, lead: JsonObject, now: datetime) -> bool | None:
    """Return whether ``rule`` fits; None if what it asks for is not known."""
    try:
        return _guard(rule.when)({"lead": lead}, now)
    except ExpressionFailed:
        return None


@cache
def _guard(text: str) -> Guard:
    return compile_guard(text)
