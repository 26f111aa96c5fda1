"""What happens: once, whatever stops in between, whoever tells of it how often."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.services.network import until

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.kernel.tasks import in_background
from higherself.messaging.protocol import Identity
from higherself.services.consequences import RecordChange
from higherself.services.happenings import Happenings
from higherself.services.triggers import Happening, read_triggers
from higherself.workflow.definition import load_text
from higherself.workflow.engine.outgoing import correlation_of

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

BUSINESS = "the_7_space"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
TRIGGERS = read_triggers(
    {
        "duplicates": {
            "new_lead": {
                "by": "{{ event.contact.email }}",
                "families": [["typeform", "website"]],
                "event": "repeated",
            }
        },
        "triggers": [
            {
                "on": "new_lead",
                "start": {"workflow": "nurture", "context": {"contact": "{{ contact }}"}},
            },
            {"on": "order_created", "start": {"workflow": "sale", "key": "order/{{ event.id }}"}},
            {
                "on": "payment_received",
                "send": {"workflow": "sale", "key": "order/{{ event.id }}", "event": "paid"},
            },
            {"on": "booking_created", "send": {"workflow": "nurture", "event": "booked"}},
            {"on": "content_idea", "start": {"workflow": "sale", "key": "{{ happening.id }}"}},
        ],
        "records": [
            {
                "database": "contacts_profiles",
                "when": "after.status == 'Qualified Lead' and before.status != after.status",
                "happening": "booking_created",
                "data": {"contact": {"email": "{{ after.email }}"}},
            }
        ],
    }
)
NURTURE = """
workflow: nurture
version: 1
context: {repeats: 0}
initial: waiting
states:
  waiting:
    on:
      booked: {to: done}
      repeated: {set: {repeats: context.repeats + 1}}
  done: {final: true}
"""
SALE = """
workflow: sale
version: 1
initial: open
states:
  open: {on: {paid: {to: closed}}}
  closed: {final: true}
"""


@pytest.fixture
async def hs(database_url: str) -> AsyncIterator[HigherSelf]:
    settings = {"DATABASE_URL": database_url, "HIGHERSELF_EMBEDDING_TIERS": ("local",)}
    async with HigherSelf.open(Settings.model_validate(settings)) as hs:
        for text in (NURTURE, SALE):
            await hs.workflows.add(load_text(text, file="a.yaml").definition)
        await made(hs).subscription()  # events are kept for groups alone
        yield hs


@pytest.fixture
def happenings(hs: HigherSelf) -> Happenings:
    return made(hs)


def made(hs: HigherSelf, **others: Any) -> Happenings:
    given: dict[str, Any] = {
        "bus": hs.bus,
        "engine": hs.workflows,
        "contacts": hs.contacts,
    } | others
    return Happenings(hs.database, triggers=TRIGGERS, setups=hs.setups, clock=hs.clock, **given)


def lead(id: str = "typeform/1", source: str = "typeform", **contact: Any) -> Happening:
    given = {"email": "ana@example.org", "first_name": "Ana", **contact}
    return happening("new_lead", id, source=source, contact=given)


def happening(type: str, id: str, /, source: str = "api", **data: Any) -> Happening:
    return Happening(
        type=type, entity=BUSINESS, data=data, id=id, at=AT, source=source, correlation=f"c-{id}"
    )


async def everything(hs: HigherSelf) -> dict[str, Any]:
    """Return how many there are of all that a happening brings about."""
    counted = {}
    for name, statement in {
        "contacts": "SELECT count(*) FROM contacts_profiles",
        "events": "SELECT count(*) FROM message WHERE topic LIKE '%triggers'",
        "instances": "SELECT count(*) FROM workflow_instance",
        "told": "SELECT count(*) FROM workflow_history WHERE entry ->> 'cause' = 'event'",
        "open": "SELECT count(*) FROM happening WHERE status = 'open'",
        "starts": "SELECT count(*) FROM happening_start",
    }.items():
        async with hs.database.transaction() as tx:
            cursor = await tx.connection.execute(statement.encode())
            row = await cursor.fetchone()
            counted[name] = row[0] if row else None
    return counted


async def test_a_lead_is_kept_announced_and_begins_a_workflow(
    hs: HigherSelf, happenings: Happenings
) -> None:
    outcome = await happenings.happened(lead(email="Ana@Example.org ", phone="+1 917 555 0142"))
    assert (outcome.status, outcome.is_new) == ("handled", True)
    (started,) = outcome.started
    found = await hs.workflows.get(started.instance)
    context: Any = found.snapshot.context
    assert context["correlation"] == "c-typeform/1"
    assert context["contact"]["email"] == "ana@example.org"
    contact = await hs.contacts.find(BUSINESS, email="ANA@example.org")
    assert contact is not None
    assert (contact["record_id"], contact["phone"]) == (outcome.contact, "+19175550142")
    again = await happenings.happened(lead(first_name="Somebody else"))
    assert again.to_json() == outcome.to_json()
    assert await happenings.get(BUSINESS, "typeform/1") == again
    assert (await everything(hs))["instances"] == 1


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """A port whose process dies: at the ``at``th call of all, before or after it is done."""

    def __init__(self, port: Any, calls: list[int], at: int, *, after: bool) -> None:
        self._port, self._calls, self._at, self._after = port, calls, at, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in ("start", "send", "save", "keyed"):
            return found

        async def call(*given: Any, **named: Any) -> Any:
            self._calls.append(1)
            if len(self._calls) == self._at and not self._after:
                raise Killed
            result = await found(*given, **named)
            if len(self._calls) == self._at:
                raise Killed
            return result

        return call


async def test_whoever_is_killed_between_two_steps_loses_and_doubles_nothing(
    hs: HigherSelf,
) -> None:
    """Every call to a port is once the last one, before it is done and after."""
    story: list[Callable[[str], Happening]] = [
        lambda n: lead(f"lead/{n}", email=f"ana{n}@example.org"),
        lambda n: lead(f"lead/{n}/again", "website", email=f"ana{n}@example.org"),
        lambda n: happening("booking_created", f"b/{n}", contact={"email": f"ana{n}@example.org"}),
        lambda n: happening("order_created", f"o/{n}", id=n),
        lambda n: happening("payment_received", f"p/{n}", id=n),
    ]

    async def told(number: str, dying: list[Happenings], calm: Happenings) -> dict[str, Any]:
        before = await everything(hs)
        for each in story:
            for one in dying:
                with suppress(Killed):
                    await one.happened(each(number))
            outcome = await calm.happened(each(number))
            assert outcome.status in ("handled", "duplicate")
        after = await everything(hs)
        return {name: after[name] - before[name] for name in after}

    calm = made(hs)
    usual = await told("calm", [], calm)
    assert usual == {
        "contacts": 1, "events": 5, "instances": 2, "told": 3, "open": 0, "starts": 2
    }  # fmt: skip
    for at in range(1, 4):
        for after in (False, True):
            deaths: list[Happenings] = []
            for place in (at, at + 1):
                calls: list[int] = []
                ports = {"engine": hs.workflows, "contacts": hs.contacts}
                wrapped = {n: Dying(p, calls, place, after=after) for n, p in ports.items()}
                deaths.append(made(hs, **wrapped))
            assert await told(f"{at}{after}", deaths, calm) == usual


async def test_what_a_process_left_behind_goes_on_by_itself(hs: HigherSelf) -> None:
    dying = made(hs, engine=Dying(hs.workflows, [], 1, after=False))
    with pytest.raises(Killed):
        await dying.happened(lead())
    assert (await everything(hs))["open"] == 1
    assert await dying.go_on() == 0, "somebody may be at it"
    async with hs.database.transaction() as tx:
        late = b"UPDATE happening SET received_at = received_at - interval '1 minute'"
        await tx.connection.execute(late)
    assert await made(hs).go_on() == 1
    found = await everything(hs)
    assert (found["open"], found["instances"], found["events"]) == (0, 1, 1)


async def test_the_same_lead_from_a_source_that_fits_is_a_duplicate(
    hs: HigherSelf, happenings: Happenings
) -> None:
    first = await happenings.happened(lead())
    second = await happenings.happened(lead("website/9", "website", email="ANA@example.org"))
    assert (second.status, second.duplicate_of, second.started) == ("duplicate", "typeform/1", ())
    (sent,) = second.sent
    assert sent.instance == first.started[0].instance
    found = await hs.workflows.get(sent.instance)
    assert found.snapshot.context["repeats"] == 1
    other = await happenings.happened(lead("shop/1", "woocommerce"))
    assert other.status == "handled", "a shop's customer is no repeated form"
    async with hs.database.transaction() as tx:
        late = b"UPDATE happening SET received_at = received_at - interval '25 hours'"
        await tx.connection.execute(late)
    assert (await happenings.happened(lead("website/10", "website"))).status == "handled"


async def test_told_of_at_once_by_many_it_happens_once(
    hs: HigherSelf, happenings: Happenings
) -> None:
    same = await asyncio.gather(*(happenings.happened(lead()) for _ in range(4)))
    assert sum(each.is_new for each in same) >= 1
    assert len({each.started for each in same}) == 1
    others = [lead(f"website/{n}", "website") for n in range(4)]
    outcomes = await asyncio.gather(*(happenings.happened(each) for each in others))
    assert {each.status for each in outcomes} == {"duplicate"}
    bo = [lead(f"bo/{n}", email="bo@example.org") for n in range(4)]
    outcomes = await asyncio.gather(*(happenings.happened(each) for each in bo))
    assert sorted(each.status for each in outcomes) == ["duplicate"] * 3 + ["handled"]
    found = await everything(hs)
    assert (found["contacts"], found["instances"], found["open"]) == (2, 2, 0)
    assert found["told"] == 7


async def test_the_correlation_goes_from_what_happened_to_the_bus_and_the_instance(
    hs: HigherSelf, happenings: Happenings
) -> None:
    outcome = await happenings.happened(lead())
    async with hs.database.transaction() as tx:
        cursor = await tx.connection.execute(
            b"SELECT DISTINCT correlation_id FROM message WHERE entity = 'the_7_space'"
        )
        assert await cursor.fetchall() == [("c-typeform/1",)]
    found = await hs.workflows.get(outcome.started[0].instance)
    assert correlation_of(found.snapshot) == "c-typeform/1"


async def test_what_comes_before_what_it_is_about_waits_for_it(
    hs: HigherSelf, happenings: Happenings
) -> None:
    early = await happenings.happened(happening("payment_received", "p1", id="77"))
    assert early.status == "open"
    await happenings.happened(happening("order_created", "o1", id="77"))
    told = await happenings.happened(happening("payment_received", "p1", id="77"))
    assert (told.status, [each.event for each in told.sent]) == ("handled", ["paid"])
    (instance,) = (await hs.workflows.page()).instances
    assert instance.state == "closed"


async def test_what_agents_and_people_bring_about_leads_to_workflows_too(
    hs: HigherSelf, happenings: Happenings
) -> None:
    first = await happenings.happened(lead())
    served = await happenings.subscription()
    async with hs.bus.consuming(served):
        nyra = hs.bus.speaking_as(Identity("agent", "nyra"), entity=BUSINESS)
        await nyra.publish("content_idea", {"topic": "tea"}, correlation="talk-1")
        await nyra.publish("content_idea", {"topic": "tea bowls"}, correlation="talk-1")
        change = RecordChange(
            database="contacts_profiles",
            record=first.contact,  # type: ignore[arg-type]
            entity=BUSINESS,
            before={"status": "Active Lead"},
            after={"status": "Qualified Lead", "email": "ana@example.org"},
        )
        async with hs.database.transaction() as tx:
            await happenings.record_changed(tx, change)

        async def ended() -> bool:
            rows = await happenings.latest()
            return len(rows) == 4 and all(row["status"] == "handled" for row in rows)

        await until(ended)
    ideas = await happenings.latest(entity=BUSINESS, type="content_idea")
    outcomes = [await happenings.get(BUSINESS, each["id"]) for each in ideas]
    (started,) = [each for outcome in outcomes for each in outcome.started]
    found = await hs.workflows.get(started.instance)
    assert found.snapshot.context["correlation"] == "talk-1"
    sales = [e for e in (await hs.workflows.page()).instances if e.workflow == "sale"]
    assert len(sales) == 1, "a conversation starts a workflow once"
    nurture = await hs.workflows.get(first.started[0].instance)
    assert nurture.instance.state == "done"


async def test_the_upkeep_ends_when_it_is_cancelled(happenings: Happenings) -> None:
    async with in_background(happenings.work()):
        await until(lambda: True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "id: "),
        ({"id": "x" * 301}, "id: "),
        ({"at": AT.replace(tzinfo=None)}, "at: .* time zone"),
        ({"type": ""}, "type"),
        ({"entity": "No Such Name!"}, "No Such Name"),
        ({"data": {"amount": float("nan")}}, "data.amount"),
    ],
)
async def test_what_is_not_as_it_has_to_be_is_refused_by_name(
    happenings: Happenings, wrong: dict[str, Any], said: str
) -> None:
    given: dict[str, Any] = {
        "type": "new_lead", "entity": BUSINESS, "data": {}, "id": "1", "at": AT,
        "source": "api", "correlation": "c",
    }  # fmt: skip
    with pytest.raises(Exception, match=said):
        await happenings.happened(Happening(**{**given, **wrong}))


async def test_a_lead_without_an_address_is_still_announced(happenings: Happenings) -> None:
    outcome = await happenings.happened(happening("new_lead", "1", contact={"name": "Ana"}))
    assert (outcome.status, outcome.contact) == ("handled", None)
    assert outcome.event is not None
