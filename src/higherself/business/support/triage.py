"""How a request for help is to be treated, by rules that say why. Pure.

Severity 1 is for one or two agents and answered within two hours; 2 for several, within one; 3 for
the whole network, within half an hour; 4 goes to a person at once, who answers within two hours.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from higherself.business.insight.sentiment import Feeling, sentiment

Category = Literal[
    "billing_order", "customer_feedback", "lead_management", "task_coordination",
    "marketing_campaign", "technical_support", "legal_compliance", "vip_service",
    "community_engagement", "content_request", "general",
]  # fmt: skip
Severity = Literal[1, 2, 3, 4]
Tier = Literal["standard", "premium", "vip"]

ROLES: Mapping[Category, str] = {
    "billing_order": "booking_manager",
    "customer_feedback": "community_curator",
    "lead_management": "lead_capture",
    "task_coordination": "task_orchestrator",
    "marketing_campaign": "marketing_strategist",
    "technical_support": "task_orchestrator",
    "legal_compliance": "task_orchestrator",
    "vip_service": "community_curator",
    "community_engagement": "community_curator",
    "content_request": "content_choreographer",
    "general": "community_curator",
}
"""Which role sees to a category first."""

ANSWER_WITHIN: Mapping[Severity, timedelta] = {
    1: timedelta(hours=2),
    2: timedelta(hours=1),
    3: timedelta(minutes=30),
    4: timedelta(hours=2),
}
REFUND_LIMIT = 500.0
SHARE_OF_LIFETIME = 0.10
"""The part of what a client has ever paid above which a refund goes to a person."""

MOST_ATTEMPTS = 3
OPEN_FOR = timedelta(hours=24)
"""After how long without an end a person sees to it."""

_CATEGORIES: Mapping[Category, re.Pattern[str]] = {
    "legal_compliance": re.compile(r"\b(lawyers?|attorneys?|sue|suing|lawsuit|legal|gdpr|complian\w+|subpoena|court|data protection)\b"),
    "billing_order": re.compile(r"\b(refund\w*|invoices?|charge[ds]?|charging|pay(?:ment|ments|ing)?|paid|money back|reimburse\w*|receipts?|orders?|ordered|deliver\w*|shipping|shipped|parcel|cancel\w*|book(?:ing|ed|ings)?|reschedul\w*|deposit)\b"),
    "technical_support": re.compile(r"\b(log ?in|logging in|password|websites?|error|bug|app|link (?:is|does)\w*|not work\w*|doesn'?t work|does not work|crash\w*|page)\b"),
    "customer_feedback": re.compile(r"\b(feedback|review|suggest\w*|complain\w*|disappoint\w*|experience|compliment)\b"),
    "lead_management": re.compile(r"\b(interested|quote|proposal|prices?|pricing|consultation|offer|availab\w*)\b"),
    "community_engagement": re.compile(r"\b(community|circle|members?|membership|group|forum)\b"),
    "marketing_campaign": re.compile(r"\b(newsletter|unsubscribe|promotion|discount|campaign|advert\w*)\b"),
    "content_request": re.compile(r"\b(article|blog|video|guide|interview|press|photos?|images?|write about)\b"),
    "task_coordination": re.compile(r"\b(deadline|project|deliverable|meeting|agenda|schedule)\b"),
}  # fmt: skip
"""In the order in which they are tried: the first that fits best wins."""

_SECURITY = re.compile(
    r"\b(hack\w*|breach\w*|stolen|leak(?:ed|ing)?|phish\w*|identity theft|my data|privacy|"
    r"someone else'?s (?:account|data|booking))\b"
)
_SEVERAL = re.compile(
    r"\b(all of us|everyone|everybody|whole group|other (?:clients|customers|guests|people) (?:too|as well|also)|"
    r"(?:several|many) (?:clients|customers|guests|of us))\b"
)
_OUTAGE = re.compile(
    r"\b(everything is down|nothing works|(?:all|both) (?:the )?systems? (?:is|are) down|outage)\b"
)
_REFUND = re.compile(r"\b(refund\w*|money back|reimburse\w*|chargeback|pay (?:me|us) back)\b")
_AMOUNT = re.compile(
    r"(?:[$€£]|\busd\s?|\beur\s?)\s?(\d{1,3}(?:,\d{3})+|\d{1,7})(\.\d{1,2})?|\b(\d{1,3}(?:,\d{3})+|\d{1,7})(\.\d{1,2})?\s?(?:dollars|usd|euros?|eur|pounds)\b"
)


@dataclass(frozen=True, slots=True)
class Refund:
    """What somebody wants back. ``amount`` None: they do not say how much."""

    asked: bool
    amount: float | None
    over_limit: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Triage:
    """How a request is to be treated, and why."""

    severity: Severity
    category: Category
    sentiment: Feeling
    tier: Tier
    role: str
    must_escalate: bool
    reasons: tuple[str, ...]
    answer_within: timedelta
    refund: Refund


def tier_of(tags: Iterable[str]) -> Tier:
    """Return the tier of a client by the tags of their contact."""
    small = {each.strip().lower() for each in tags}
    if small & {"vip", "founding member"}:
        return "vip"
    return "premium" if "premium" in small else "standard"


def category_of(text: str) -> Category:
    """Return what a text is about: the kind that most of its words fit."""
    said = _plain(text)
    counts = {name: len(pattern.findall(said)) for name, pattern in _CATEGORIES.items()}
    if counts["legal_compliance"]:
        return "legal_compliance"
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "general"


def amount_in(text: str) -> float | None:
    """Return the one amount of money in a text; None if there is none, or more than one.

    >>> amount_in("I want my $1,250.50 back")
    1250.5
    """
    found = {
        float((whole or other).replace(",", "") + (part or rest))
        for whole, part, other, rest in _AMOUNT.findall(_plain(text))
    }
    return found.pop() if len(found) == 1 else None


def refund(
    text: str,
    *,
    amount: float | None = None,
    limit: float = REFUND_LIMIT,
    lifetime_value: float | None = None,
) -> Refund:
    """Return what is to be paid back, and whether that is for a person to decide."""
    asked = amount is not None or bool(_REFUND.search(_plain(text)))
    if not asked:
        return Refund(False, None, False)
    wanted = amount if amount is not None else amount_in(text)
    if wanted is None:
        return Refund(True, None, False)
    if wanted > limit:
        return Refund(True, wanted, True, f"a refund of {wanted:g} is over the limit of {limit:g}")
    if lifetime_value is not None and wanted > SHARE_OF_LIFETIME * lifetime_value:
        why = f"a refund of {wanted:g} is over a tenth of what they ever paid, {lifetime_value:g}"
        return Refund(True, wanted, True, why)
    return Refund(True, wanted, False)


def triage(
    text: str,
    *,
    subject: str = "",
    tags: Collection[str] = (),
    refund_amount: float | None = None,
    refund_limit: float = REFUND_LIMIT,
    lifetime_value: float | None = None,
    failed_attempts: int = 0,
    open_for: timedelta = timedelta(0),
) -> Triage:
    """Return how a request is to be treated, by the rules of what must go to a person."""
    whole = f"{subject}\n{text}"
    said, found, tier = _plain(whole), sentiment(whole), tier_of(tags)
    category: Category = category_of(whole)
    back = refund(whole, amount=refund_amount, limit=refund_limit, lifetime_value=lifetime_value)
    unhappy = found.feeling in ("frustrated", "angry")
    must = [
        *_if(category == "legal_compliance" or "legal" in found.alarms, "it is about the law"),
        *_if(back.over_limit, back.why),
        *_if("public complaint" in found.alarms and found.feeling != "positive", "they may complain in public"),
        *_if("distress" in found.alarms, "they are in distress"),
        *_if(tier == "vip" and unhappy, "a VIP is unhappy"),
        *_if(bool(_SECURITY.search(said)), "it is about security or privacy"),
        *_if(bool(_SEVERAL.search(said)) and found.feeling in ("concerned", "frustrated", "angry"), "several clients are affected"),
        *_if(bool(_OUTAGE.search(said)), "several systems are down"),
        *_if(failed_attempts >= MOST_ATTEMPTS, f"{failed_attempts} answers have not helped"),
        *_if(open_for > OPEN_FOR, "it has been open for more than a day"),
    ]  # fmt: skip
    if tier == "vip" and category not in ("legal_compliance", "billing_order"):
        category = "vip_service"
    severity = _severity(bool(must), found.feeling, tier, failed_attempts)
    return Triage(
        severity=severity,
        category=category,
        sentiment=found.feeling,
        tier=tier,
        role=ROLES[category],
        must_escalate=bool(must),
        reasons=tuple(must),
        answer_within=ANSWER_WITHIN[severity],
        refund=back,
    )


def _severity(must: bool, feeling: Feeling, tier: Tier, failed: int) -> Severity:
    if must:
        return 4
    if feeling == "angry" or (feeling == "frustrated" and tier != "standard"):
        return 3
    return 2 if feeling == "frustrated" or tier == "vip" or failed else 1


def _if(holds: bool, reason: str) -> tuple[str, ...]:
    return (reason,) if holds else ()


def _plain(text: str) -> str:
    return text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
