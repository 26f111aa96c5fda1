"""The bus over PostgreSQL and memory: sending, asking, publishing, being told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.messaging.bus_rig import SOON, bus_on
from tests.messaging.rig import Rig, take_effect, until

from higherself.db.pool import Database
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import NotJson
from higherself.messaging.bus import Bus, RequestFailed, RequestRefused
from higherself.messaging.envelope import Envelope
from higherself.messaging.errors import (
    GroupFull,
    MessageMalformed,
    MessageTooLarge,
    TopicFull,
)
from higherself.messaging.model import RetryPolicy
from higherself.messaging.patterns import copy_of
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import Budget, BudgetSpent, Found, Identity, UnknownRecipient
from higherself.messaging.roads import RequestTimedOut
from higherself.messaging.subscribing import signing_key

pytestmark = pytest.mark.postgres

NYRA = Identity("agent", "nyra")


@pytest.fixture
async def bus(messages_url: str, database: Database) -> AsyncIterator[Bus]:
    async with bus_on(messages_url, database) as bus:
        yield bus


class Handled:
    """Notes what is handled."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    async def __call__(self, delivery: Delivery) -> Any:
        self.deliveries.append(delivery)
        return {"seen": delivery.data}

    @property
    def data(self) -> list[Any]:
        return [each.data for each in self.deliveries]


async def test_what_is_sent_to_an_agent_reaches_its_inbox(bus: Bus) -> None:
    handled = Handled()
    receipt = await bus.send("agent:nyra", "lead.captured", {"name": "Ada"})
    assert (receipt.road, receipt.is_new, receipt.agent) == ("postgres", True, "nyra")
    async with bus.consuming(bus.speaking_as(NYRA).serving("agent:nyra", handled)):
        await until(lambda: handled.data == [{"name": "Ada"}])
    envelope = handled.deliveries[0].envelope
    assert envelope.id == receipt.id
    assert envelope.source == "urn:higherself:operator:local"
    assert envelope.extensions["to"] == "agent:nyra"
    assert envelope.extensions["performative"] == "inform"


@pytest.mark.parametrize("durable", [False, True])
async def test_a_request_is_answered(bus: Bus, durable: bool) -> None:
    served = bus.speaking_as(NYRA).serving("agent:nyra", Handled())
    async with bus.consuming(served):
        reply = await bus.request("agent:nyra", "lead.score", 7, timeout=SOON, durable=durable)
    assert reply.data == {"seen": 7}
    assert reply.road == ("postgres" if durable else "memory")
    assert reply.envelope.source == "urn:higherself:agent:nyra"
    assert reply.envelope.extensions["performative"] == "response"
    assert reply.envelope.hop_count == 1


async def test_groups_are_told_of_the_events_that_fit(bus: Bus) -> None:
    leads, everything = Handled(), Handled()
    one = await bus.subscribe("lead.*", leads, group="scoring")
    other = await bus.subscribe(">", everything, group="audit")
    published = await bus.publish("lead.captured", 1)
    await bus.publish("lead.slot.freed", 2)
    async with bus.consuming(one, other), bus.consuming(one):
        await until(lambda: leads.data == [1] and sorted(everything.data) == [1, 2])
        await bus.publish("lead.captured", 3)
        await until(lambda: leads.data == [1, 3] and sorted(everything.data) == [1, 2, 3])
    assert leads.deliveries[0].envelope.causation_id == str(published.id)


async def test_a_group_that_nobody_works_for_finds_its_copies_later(bus: Bus) -> None:
    handled = Handled()
    served = await bus.subscribe("lead.>", handled, group="later")
    for number in range(20):
        await bus.publish("lead.captured", number, partition_key="ada")
    async with bus.consuming(served):
        await until(lambda: len(handled.data) == 20)
    assert handled.data == list(range(20)), "in order"


async def test_an_event_is_kept_with_how_many_it_was_told_to(bus: Bus, rig: Rig) -> None:
    await bus.subscribe("lead.*", Handled(), group="one")
    await bus.subscribe("lead.captured", Handled(), group="one")
    await bus.subscribe("lead.*", Handled(), group="two")
    told = await bus.publish("lead.captured", 1, idempotency_key="lead 7")
    again = await bus.publish("lead.captured", 1, idempotency_key="lead 7")
    untold = await bus.publish("nobody.cares")
    assert (again.id, again.is_new) == (told.id, False)
    rows = await rig.sql("SELECT topic, status, reason, told FROM message ORDER BY sequence")
    assert rows == [
        ("event", "delivered", "told to 2 groups", ["one", "two"]),
        ("group.one", "ready", None, None),
        ("group.two", "ready", None, None),
        ("event", "delivered", "told to 0 groups", []),
    ]
    assert untold.is_new


async def test_the_database_names_copies_as_we_do(bus: Bus, rig: Rig) -> None:
    await bus.subscribe(">", Handled(), group="audit")
    event = await bus.publish("lead.captured")
    (row,) = await rig.sql("SELECT message_id FROM message WHERE topic = 'group.audit'")
    assert row[0] == copy_of(event.id, "audit")


async def test_a_group_may_be_told_of_one_business_alone(bus: Bus, rig: Rig) -> None:
    await bus.subscribe(">", Handled(), group="ours", entity="gallery")
    await bus.subscribe(">", Handled(), group="all")
    await bus.publish("seen", entity="gallery")
    async with rig.database.transaction(entity="practice") as tx:
        await bus.within(tx).publish("seen", entity="practice")
    rows = await rig.sql(
        "SELECT topic, entity FROM message WHERE starts_with(topic, 'group.') ORDER BY 1, 2"
    )
    assert rows == [("group.all", "gallery"), ("group.all", "practice"), ("group.ours", "gallery")]


async def test_who_unsubscribes_is_told_no_more(bus: Bus, rig: Rig) -> None:
    await bus.subscribe("lead.*", Handled(), group="one")
    await bus.subscribe("mail.*", Handled(), group="one")
    assert await bus.unsubscribe("one", "lead.*") == 1
    assert [each.pattern for each in await bus.subscriptions()] == ["mail.*"]
    await bus.publish("lead.captured")
    assert await rig.sql("SELECT 1 FROM message WHERE topic = 'group.one'") == []


async def test_subscribing_while_events_are_published_misses_none_after_it(bus: Bus) -> None:
    """Events that are published once `subscribe` has returned are all told; none is told twice."""
    handled = Handled()
    stop, sent = asyncio.Event(), 0

    async def publish() -> None:
        nonlocal sent
        while not stop.is_set():
            sent += 1
            await bus.publish("tick", sent)

    async with asyncio.TaskGroup() as group:
        group.create_task(publish())
        await until(lambda: sent > 5)
        served = await bus.subscribe("tick", handled, group="clock")
        before = sent
        await until(lambda: sent > before + 20)
        stop.set()
    async with bus.consuming(served):
        await until(lambda: bool(handled.data) and max(handled.data) == sent)
    assert set(range(before + 1, sent + 1)) <= set(handled.data)
    assert len(handled.data) == len(set(handled.data))


async def test_what_is_sent_in_a_transaction_vanishes_with_it(bus: Bus, rig: Rig) -> None:
    await bus.subscribe(">", Handled(), group="audit")

    async def changes_its_mind() -> None:
        async with rig.database.transaction() as tx:
            await bus.within(tx).publish("lead.captured")
            await bus.within(tx).send("agent:nyra", "hello")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await changes_its_mind()
    assert await rig.sql("SELECT count(*) FROM message") == [(0,)]
    async with rig.database.transaction() as tx:
        await bus.within(tx).publish("lead.captured")
    assert await rig.sql("SELECT count(*) FROM message") == [(2,)]


@pytest.mark.parametrize("durable", [False, True])
async def test_who_refuses_or_fails_says_why(bus: Bus, durable: bool) -> None:
    async def answer(delivery: Delivery) -> Any:
        if delivery.data == "bad":
            raise Rejected("the field `name` is missing")
        raise ValueError("the moon is wrong")

    policy = RetryPolicy(max_attempts=2, base=timedelta(milliseconds=1))
    served = bus.speaking_as(NYRA).serving("agent:nyra", answer, policy=policy)
    async with bus.consuming(served):
        with pytest.raises(RequestRefused, match="agent:nyra refuses: the field `name` is missing"):
            await bus.request("agent:nyra", "ask", "bad", timeout=SOON, durable=durable)
        with pytest.raises(RequestFailed, match="the moon is wrong"):
            await bus.request("agent:nyra", "ask", "fine", timeout=SOON, durable=durable)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_handler_that_hangs_costs_no_more_than_the_timeout(bus: Bus, durable: bool) -> None:
    ended = asyncio.Event()

    async def hang(delivery: Delivery) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with bus.consuming(bus.serving("agent:nyra", hang), lease=timedelta(milliseconds=600)):
        with pytest.raises(RequestTimedOut, match=r"did not answer a request 'ask' within 0.3 s"):
            await bus.request("agent:nyra", "ask", timeout=timedelta(seconds=0.3), durable=durable)
        await until(ended.is_set)


async def test_a_request_to_nobody_times_out_and_is_not_handled_later(bus: Bus, rig: Rig) -> None:
    handled = Handled()
    with pytest.raises(RequestTimedOut):
        await bus.request("agent:nobody", "ask", timeout=timedelta(seconds=0.2))

    async def ended() -> bool:
        rows = await rig.sql("SELECT status FROM message")
        return [row[0] for row in rows] == ["cancelled"]

    await until(ended)
    async with bus.consuming(bus.serving("agent:nobody", handled)):
        await bus.send("agent:nobody", "later", 1)
        await until(lambda: handled.data == [1])


async def test_a_request_waits_for_who_comes_in_time(bus: Bus) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(bus.request("agent:nyra", "ask", 5, timeout=SOON))
        await asyncio.sleep(0.05)
        async with bus.consuming(bus.serving("agent:nyra", Handled())):
            reply = await asked
    assert (reply.data, reply.road) == ({"seen": 5}, "postgres")


async def test_an_answer_that_nobody_awaits_ends_as_such(bus: Bus, rig: Rig) -> None:
    gone = await bus.send("topic:reply.00", "ask.response", expires=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    await rig.tidy()
    stored = await rig.show(gone.id)
    assert (stored.status, stored.reason) == ("expired", "nobody waited for this answer any more")


async def test_a_reply_to_nobody_is_none(bus: Bus) -> None:
    assert await bus.reply(await an_envelope_from(bus), "hello") is None


async def an_envelope_from(bus: Bus) -> Envelope:
    handled = Handled()
    await bus.send("agent:origin", "begin", entity=None)
    async with bus.consuming(bus.serving("agent:origin", handled)):
        await until(lambda: bool(handled.deliveries))
    return handled.deliveries[0].envelope


async def test_the_same_answer_counts_once(bus: Bus, rig: Rig) -> None:
    """A handler that is run again after a crash answers again."""
    question = replace(await an_envelope_from(bus), extensions={"replyto": "agent.asker"})
    first = await bus.reply(question, 1)
    second = await bus.reply(question, 1)
    assert first is not None
    assert second is not None
    assert (second.id, second.is_new) == (first.id, False)


async def test_what_is_caused_belongs_to_the_conversation(bus: Bus) -> None:
    cause = await an_envelope_from(bus)
    handled = Handled()
    about = bus.speaking_as(NYRA).about(cause)
    await about.send("agent:solari", "next")
    async with bus.consuming(bus.serving("agent:solari", handled)):
        await until(lambda: bool(handled.deliveries))
    envelope = handled.deliveries[0].envelope
    assert envelope.correlation_id == cause.correlation_id
    assert envelope.causation_id == str(cause.id)
    assert envelope.hop_count == cause.hop_count + 1
    assert envelope.source == "urn:higherself:agent:nyra"
    traces = [str(each.extensions["traceparent"]) for each in (cause, envelope)]
    assert traces[0][3:35] == traces[1][3:35]
    assert traces[0][36:52] != traces[1][36:52]


async def test_two_agents_that_answer_each_other_for_ever_stop(bus: Bus, rig: Rig) -> None:
    def to(other: str) -> Any:
        async def handler(delivery: Delivery) -> Any:
            await bus.about(delivery.envelope).send(f"agent:{other}", "ping")

        return handler

    policy = RetryPolicy(max_attempts=1)
    served = [
        bus.serving("agent:ping", to("pong"), policy=policy),
        bus.serving("agent:pong", to("ping"), policy=policy),
    ]
    await bus.send("agent:ping", "ping")

    async def stopped() -> bool:
        return bool(await rig.sql("SELECT 1 FROM message WHERE status = 'dead'"))

    async with bus.consuming(*served):
        await until(stopped)
    rows = await rig.sql("SELECT count(*), max(hop_count), max(reason) FROM message")
    assert rows[0][:2] == (17, 16)
    assert "two handlers answer each other" in rows[0][2]


async def test_a_budget_goes_along_and_ends_the_conversation(bus: Bus, rig: Rig) -> None:
    async def work(delivery: Delivery) -> Any:
        mine = bus.about(delivery.envelope)
        mine.spend(micro_usd=400, tokens=10)
        await mine.send("agent:nyra", "more")

    await bus.send("agent:nyra", "begin", budget=Budget(micro_usd=1000))
    async with bus.consuming(bus.serving("agent:nyra", work, policy=RetryPolicy(max_attempts=1))):

        async def spent() -> bool:
            return bool(await rig.sql("SELECT 1 FROM message WHERE status = 'dead'"))

        await until(spent)
    rows = await rig.sql(
        "SELECT extensions ->> 'budgetmicrousd', extensions ->> 'spentmicrousd', reason"
        " FROM message ORDER BY sequence"
    )
    assert [row[:2] for row in rows] == [("1000", None), ("600", "400"), ("200", "400")]
    assert "no US dollars are left" in rows[-1][2]


async def test_a_portion_of_a_budget_is_taken_from_the_rest(bus: Bus) -> None:
    handled = Handled()
    await bus.send("agent:nyra", "begin", budget=Budget(tokens=100))
    async with bus.consuming(bus.serving("agent:nyra", handled)):
        await until(lambda: bool(handled.deliveries))
    mine = bus.about(handled.deliveries[0].envelope)
    await mine.send("agent:solari", "part", budget=Budget(tokens=70))
    await mine.send("agent:solari", "part", budget=Budget(tokens=70))
    assert mine.purse.left == Budget(tokens=0)
    with pytest.raises(BudgetSpent):
        await mine.send("agent:solari", "part")


async def test_nothing_of_one_business_goes_to_another(bus: Bus) -> None:
    handled = Handled()
    await bus.send("agent:nyra", "begin", entity="gallery")
    async with bus.consuming(bus.serving("agent:nyra", handled)):
        await until(lambda: bool(handled.deliveries))
    about = bus.about(handled.deliveries[0].envelope)
    assert about.entity == "gallery"
    with pytest.raises(MessageMalformed, match="nothing of it may go to 'practice'"):
        await about.send("agent:nyra", "leak", entity="practice")


async def test_what_is_told_directly_is_kept_if_nobody_hears(bus: Bus) -> None:
    handled = Handled()
    kept = await bus.send("agent:nyra", "hello", 1, durable=False)
    served = bus.serving("agent:nyra", handled)
    async with bus.consuming(served):
        await until(lambda: handled.data == [1])
        told = await bus.send("agent:nyra", "hello", 2, durable=False)
        await until(lambda: handled.data == [1, 2])
    assert (kept.road, told.road) == ("postgres", "memory")


async def test_an_event_told_directly_is_kept_for_those_who_do_not_hear(bus: Bus) -> None:
    here, away = Handled(), Handled()
    one = await bus.subscribe("tick", here, group="here")
    other = await bus.subscribe("tick", away, group="away")
    async with bus.consuming(one):
        await bus.publish("tick", 1, durable=False)
        await until(lambda: here.data == [1])
    async with bus.consuming(other):
        await until(lambda: away.data == [1])
    assert here.data == [1]


async def test_effects_count_once_on_whatever_roads_a_message_comes(bus: Bus, rig: Rig) -> None:
    async def effect(delivery: Delivery) -> Any:
        async with delivery.once() as tx:
            await take_effect(tx, delivery.data)

    served = bus.serving("topic:work", effect)
    receipt = await bus.send("topic:work", "do", "it", idempotency_key="once")
    async with bus.consuming(served):
        await rig.ended(receipt.id)
        await bus.send("topic:work", "do", "it", idempotency_key="once", durable=False)
        await bus.request("topic:work", "do", "other", timeout=SOON)
    assert await rig.effects() == ["it", "other"]


async def test_a_broadcast_reaches_everybody_who_is_present(
    messages_url: str, database: Database
) -> None:
    async with bus_on(messages_url, database, book=Book()) as bus:
        receipts = await bus.broadcast("meeting", 9, idempotency_key="monday")
        assert [each.agent for each in receipts] == ["nyra", "solari"]
        again = await bus.broadcast("meeting", 9, idempotency_key="monday")
        assert [each.is_new for each in again] == [False, False]


class Book:
    """Two agents; one can enrich leads."""

    async def find(
        self,
        entity: str | None,
        *,
        name: str | None = None,
        role: str | None = None,
        capability: str | None = None,
    ) -> Found:
        if name is not None:
            return Found(name)
        if capability == "lead_enrichment":
            return Found("nyra", {"routescore": 7})
        raise UnknownRecipient(f"capability:{capability}", "no agent can do that")

    async def present(
        self, entity: str | None, *, role: str | None = None, capability: str | None = None
    ) -> list[str]:
        return ["nyra", "solari"]


async def test_a_capability_is_sent_to_the_agent_that_is_found_and_why_goes_along(
    messages_url: str, database: Database
) -> None:
    handled = Handled()
    async with bus_on(messages_url, database, book=Book()) as bus:
        receipt = await bus.send("capability:lead_enrichment", "enrich")
        async with bus.consuming(bus.serving("agent:nyra", handled)):
            await until(lambda: bool(handled.deliveries))
    assert receipt.agent == "nyra"
    assert handled.deliveries[0].envelope.extensions["routescore"] == 7


DEEP: Any = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("to", "type_", "more", "error", "text"),
    [
        ("nyra", "x", {}, MessageMalformed, "is no address"),
        ("agent:nyra", "x", {"entity": "No Slug"}, Rejected, "is not a slug"),
        ("capability:fly", "x", {}, UnknownRecipient, "no agents are installed"),
        ("role:pilot", "x", {}, UnknownRecipient, "role:pilot"),
        ("agent:nyra", "", {}, MessageMalformed, "type"),
        ("agent:nyra", "x" * 201, {}, MessageMalformed, "type"),
        ("agent:nyra", "a\nb", {}, MessageMalformed, "type"),
        ("agent:nyra", "x", {"subject": ""}, MessageMalformed, "subject"),
        ("agent:nyra", "x", {"partition_key": "\0"}, MessageMalformed, "partition_key"),
        ("agent:nyra", "x", {"data": "x" * 1_000_001}, MessageTooLarge, "1,000,000 is the limit"),
        ("agent:nyra", "x", {"data": object()}, NotJson, "object"),
        ("agent:nyra", "x", {"data": {"a": float("nan")}}, NotJson, "a"),
        ("agent:nyra", "x", {"data": DEEP}, MessageMalformed, "nested too deeply"),
        ("agent:nyra", "x", {"extensions": {"to": "agent:x"}}, MessageMalformed, "sets it itself"),
        ("agent:nyra", "x", {"extensions": {"source": "x"}}, MessageMalformed, "of its own"),
        ("agent:nyra", "x", {"extensions": {"Bad": "x"}}, MessageMalformed, "lower-case"),
        (
            "agent:nyra",
            "x",
            {"reply_to": "role:a"},
            MessageMalformed,
            "neither an agent nor a topic",
        ),
    ],
)
@pytest.mark.parametrize("durable", [False, True])
async def test_what_cannot_be_sent_is_refused_with_its_reason(
    bus: Bus,
    rig: Rig,
    to: str,
    type_: str,
    more: dict[str, Any],
    error: type[Exception],
    text: str,
    durable: bool,
) -> None:
    with pytest.raises(error, match=text):
        await bus.send(to, type_, durable=durable, **more)
    assert await rig.sql("SELECT count(*) FROM message") == [(0,)]


async def test_what_has_expired_is_not_handled(bus: Bus, rig: Rig) -> None:
    handled = Handled()
    late = await bus.send("agent:nyra", "late", 1, expires=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    async with bus.consuming(bus.serving("agent:nyra", handled)):
        (stored,) = await rig.ended(late.id)
    assert (stored.status, handled.data) == ("expired", [])


async def test_a_handler_gets_a_copy_that_is_its_own(bus: Bus) -> None:
    async def change(delivery: Delivery) -> Any:
        data: Any = delivery.data
        data["names"].append("Bob")
        return data

    data = {"names": ["Ada"]}
    async with bus.consuming(bus.serving("agent:nyra", change)):
        reply = await bus.request("agent:nyra", "ask", data, timeout=SOON)
    assert reply.road == "memory"
    assert data == {"names": ["Ada"]}
    assert reply.data == {"names": ["Ada", "Bob"]}


async def test_the_key_that_signs_is_made_once(database: Database) -> None:
    keys = await asyncio.gather(*(signing_key(database) for _ in range(3)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32


async def test_a_group_that_is_far_behind_pushes_back(
    messages_url: str, database: Database, rig: Rig
) -> None:
    """An event that it would have to be told of is refused whole; others, and other groups, go on."""
    async with bus_on(messages_url, database, most_due=10) as bus:
        await bus.subscribe("lead.*", Handled(), group="slow")
        await bus.subscribe("lead.*", Handled(), group="quick")
        for number in range(10):
            await bus.publish("lead.scored", number)
        with pytest.raises(TopicFull, match=r"'quick' has 10 events.*unsubscribe quick"):
            await bus.publish("lead.scored", 10)
        await bus.publish("booking.made", 1)
        await bus.unsubscribe("quick")
        await rig.sql("DELETE FROM message WHERE topic = 'group.quick'")
        async with bus_on(messages_url, database, most_due=10) as later:
            with pytest.raises(GroupFull, match="'slow' has 10 events"):
                await later.publish("lead.scored", 11)
            await later.unsubscribe("slow")
        async with bus_on(messages_url, database, most_due=10) as later:
            await later.publish("lead.scored", 12)
    told = await rig.sql("SELECT count(*) FROM message WHERE topic = 'group.slow'")
    assert told == [(10,)]
