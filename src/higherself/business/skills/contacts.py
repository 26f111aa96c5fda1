"""Skills for contacts: kept in one row for a person, found, completed and scored."""

from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.data.rows import Record
from higherself.business.data.rows import people as people_of
from higherself.business.insight import leads
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected
from higherself.services.contacts import ContactUnclear, normal_email

FREE_MAIL = frozenset(
    [
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com",
        "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net", "web.de", "proton.me",
        "protonmail.com", "mail.com",
    ]
)  # fmt: skip
"""Where an address says nothing about a company."""


OUTBOUND = "outbound"
"""The resource of a `SkillCall` that knows who wants nothing sent."""


class Suppresses(Protocol):
    """Keeps who wants nothing sent (`outbound.ledger.Ledger`)."""

    async def suppress(
        self, entity: str, address: str, wish: Literal["nothing", "no_marketing"], *, origin: str
    ) -> None:
        """Note what somebody asked for."""
        ...


class Contact(BaseModel):
    """A contact as it is kept. ``may_be_contacted`` is false for those who asked for that."""

    record_id: str
    contact_id: str | None = None
    full_name: str | None = None
    first_name: str = ""
    email: str | None = None
    phone: str | None = None
    status: str | None = None
    contact_type: str | None = None
    lead_source: str | None = None
    company: str | None = None
    job_title: str | None = None
    city: str | None = None
    country: str | None = None
    tags: list[str] = []
    external_ids: dict[str, str] = {}
    may_be_contacted: bool = True
    since: str | None = None


class FoundContact(BaseModel):
    """Who was found, if anybody was."""

    found: bool
    contact: Contact | None = None


@skill(
    description="Keep what is known of a person in their one row, found by e-mail address or phone.",
    idempotent=True,
    tags=("records", "contacts"),
)
async def save_contact(
    contact: Annotated[
        Record,
        Field(description="email, phone, first_name, last_name or name, company, tags, ..."),
    ],
    call: SkillCall,
    status: Annotated[
        Literal["Active Lead", "Qualified Lead", "Active Client", "Former Client", "Inactive",
                "Do Not Contact"] | None,
        Field(description="Their new status; nobody who is not to be contacted gets another"),
    ] = None,
    contact_type: Annotated[
        Literal["Lead", "Client", "Partner", "Vendor", "Staff", "Other"] | None,
        Field(description="What they are to the business"),
    ] = None,
    tags: Annotated[list[str], Field(description="Tags to add")] = [],  # noqa: B006
    replace: Annotated[
        list[str], Field(description="Fields that replace what is there; others fill gaps")
    ] = [],  # noqa: B006
) -> Contact:  # fmt: skip
    """Return the contact; an empty value changes nothing, and what people have edited stays."""
    given = {**contact}
    replaced = set(replace)
    for name, value in (("status", status), ("contact_type", contact_type)):
        if value is not None:
            given[name] = value
            replaced.add(name)
    if tags:
        known = given.get("tags")
        given["tags"] = [*(known if isinstance(known, list) else []), *tags]
    people = people_of(call)
    now = SYSTEM_CLOCK.now()
    row = await people.save(call.entity, given, replace=replaced, first={"date_added": now})
    return Contact.model_validate(people.shown(row))


@skill(
    description="Find a contact of the business by e-mail address or phone.",
    effects="read",
    tags=("records", "contacts"),
)
async def find_contact(
    call: SkillCall, email: str | None = None, phone: str | None = None
) -> FoundContact:
    """Return the contact, if there is one."""
    people = people_of(call)
    row = await people.find(call.entity, email=email, phone=phone)
    if row is None:
        return FoundContact(found=False)
    return FoundContact(found=True, contact=Contact.model_validate(people.shown(row)))


class NotToBeContacted(Rejected):
    """Somebody asked not to be contacted."""

    def __init__(self, who: str) -> None:
        super().__init__(f"{who} asked not to be contacted; nothing is sent to them")
        self.who = who


class Ended(BaseModel):
    """An address at which nobody gets marketing any more."""

    address: str


@skill(
    description="Send no more marketing to an address; letters about what they do with us still go.",
    idempotent=True,
    tags=("contacts",),
)
async def end_marketing(
    email: Annotated[str, Field(min_length=3, max_length=320)],
    call: SkillCall,
    reason: Annotated[str, Field(max_length=200)] = "they asked for it",
) -> Ended:
    """Return the address as it is kept.

    Raises
        ContactUnclear: it is no e-mail address.
    """
    address = normal_email(email)
    if address is None:
        raise ContactUnclear(f"email: {email!r} is no address; write one like ana@example.org")
    ledger: Suppresses = call.resource(OUTBOUND).ledger
    await ledger.suppress(call.entity, address, "no_marketing", origin=reason)
    return Ended(address=address)


class EnrichedContact(Contact):
    """A contact with how promising they are, and what their address says."""

    score: int
    level: Literal["cold", "warm", "hot"]
    reasons: list[dict[str, Any]]
    unknown: list[str]
    interest: str | None = None
    returning: bool
    domain: str | None = None
    website: str | None = None


@skill(
    description="Complete what is known of a contact and say how promising they are (the business's rules).",
    idempotent=True,
    tags=("records", "contacts", "insight"),
)
async def enrich_contact(
    call: SkillCall,
    email: str | None = None,
    phone: str | None = None,
    lead: Annotated[Record, Field(description="What they said: interests, budget, ...")] = {},  # noqa: B006
    source: Annotated[str | None, Field(description="Where they come from")] = None,
    rules: Annotated[Record | None, Field(description="A scorecard, instead of the business's")] = None,
    contactable: Annotated[bool, Field(description="Refuse who asked not to be contacted")] = False,
) -> EnrichedContact:  # fmt: skip
    """Return the contact with its score; somebody who is not known yet is kept.

    Raises
        NotToBeContacted: they asked for that, and ``contactable`` was asked for.
    """
    people = people_of(call)
    row = await people.find(call.entity, email=email, phone=phone)
    known = row is not None and row["status"] in (
        "Active Client",
        "Former Client",
        "Qualified Lead",
    )
    if row is None:
        row = await people.save(
            call.entity, {"email": email, "phone": phone}, first={"date_added": SYSTEM_CLOCK.now()}
        )
    shown = people.shown(row)
    if contactable and not shown["may_be_contacted"]:
        raise NotToBeContacted(str(shown.get("email") or shown.get("phone")))
    domain = _domain(shown.get("email"))
    facts = {
        **{name: value for name, value in shown.items() if value not in (None, "", [])},
        **_said(lead),
    }
    if source and "source" not in facts:
        facts["source"] = _source(source)
    card = leads.scorecard(call.entity) if rules is None else leads.read_scorecard(rules)
    found = leads.score(facts, card, now=SYSTEM_CLOCK.now())
    return EnrichedContact(
        **Contact.model_validate(shown).model_dump(),
        score=found.score,
        level=found.level,
        reasons=[{"points": each.points, "because": each.because} for each in found.reasons],
        unknown=list(found.unknown),
        interest=_interest(lead),
        returning=known,
        domain=domain,
        website=f"https://{domain}" if domain else None,
    )


def _said(lead: Record) -> Record:
    """Return what somebody said, with answers to forms beside the rest, and interests in small letters."""
    inner = lead.get("lead") if isinstance(lead.get("lead"), dict) else {}
    answers = lead.get("answers") if isinstance(lead.get("answers"), dict) else {}
    flat: Record = {**(answers or {}), **lead, **(inner or {})}
    interests = flat.get("interests")
    if isinstance(interests, str):
        interests = [each.strip() for each in interests.split(",")]
    if isinstance(interests, list):
        words = [str(each).lower() for each in interests]
        flat["interests"] = sorted({*words, *(part for each in words for part in each.split())})
    for name in ("budget", "employees"):
        if isinstance(flat.get(name), str):
            digits = "".join(each for each in flat[name] if each.isdigit())
            flat.pop(name)
            if digits:
                flat[name] = int(digits)
    return {name: value for name, value in flat.items() if value not in (None, "")}


def _interest(lead: Record) -> str | None:
    """Return what somebody has said they are interested in: the first of it."""
    inner = lead.get("lead")
    for said in (lead, inner if isinstance(inner, dict) else {}):
        found = said.get("interests") or said.get("interest") or said.get("topic")
        first = found[0] if isinstance(found, list) and found else found
        if isinstance(first, str) and first.strip():
            return first.strip()[:200]
    return None


def _source(source: str) -> str:
    word = source.partition(":")[0].lower()
    forms = ("typeform", "website", "website_form", "api", "generic", "userfeedback")
    return "website" if word in forms else word


def _domain(email: Any) -> str | None:
    domain = email.rpartition("@")[2].lower() if isinstance(email, str) and "@" in email else ""
    return domain if domain and domain not in FREE_MAIL else None
