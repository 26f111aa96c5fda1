"""What came of what, as a tree."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.messaging.bus_rig import SOON, bus_on
from tests.messaging.rig import Rig, until

from higherself.db.pool import Database
from higherself.messaging.errors import MessageNotFound
from higherself.messaging.explanation import Node, explain
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import Identity

pytestmark = pytest.mark.postgres


def shape(node: Node) -> Any:
    return (node.envelope.type, [shape(each) for each in node.caused])


async def test_a_conversation_is_a_tree_with_its_costs(
    messages_url: str, database: Database, rig: Rig
) -> None:
    async with bus_on(messages_url, database) as bus:
        nyra = bus.speaking_as(Identity("agent", "nyra"))

        async def score(delivery: Delivery) -> Any:
            mine = nyra.about(delivery.envelope)
            mine.spend(micro_usd=1500, tokens=300)
            await mine.publish("lead.scored", 7)
            return {"score": 7}

        async def note(delivery: Delivery) -> None:
            return None

        audit = await bus.subscribe("lead.*", note, group="audit")
        async with bus.consuming(nyra.serving("agent:nyra", score), audit):
            reply = await bus.request("agent:nyra", "lead.score", 1, timeout=SOON, durable=True)

            async def settled() -> bool:
                rows = await rig.sql(
                    "SELECT 1 FROM message WHERE status IN ('ready', 'leased', 'waiting')"
                )
                return not rows

            await until(settled)
        found = await explain(database, reply.envelope.id)
    assert found.asked == reply.envelope.id
    assert shape(found.root) == (
        "lead.score",
        [("lead.scored", [("lead.scored", [])]), ("lead.score.response", [])],
    )
    root, (event, answer) = found.root, found.root.caused
    assert (root.micro_usd, root.tokens, found.micro_usd, found.tokens) == (1500, 300, 1500, 300)
    assert (event.status, event.groups) == ("delivered", ("audit",))
    assert answer.envelope.source == "urn:higherself:agent:nyra"
    assert {each.road for each in root.all()} == {"postgres"}
    assert found.took is not None
    assert timedelta(0) < found.took < SOON
    assert not found.cut
    assert root.attempt == 1


async def test_a_tree_says_when_it_is_cut_and_when_it_goes_on(
    messages_url: str, database: Database
) -> None:
    async with bus_on(messages_url, database) as bus:
        first = await bus.send("agent:nyra", "begin")
        envelope = (await explain(database, first.id)).root.envelope
        for number in range(5):
            await bus.about(envelope).send("agent:nyra", "next", number)
        whole = await explain(database, first.id)
        part = await explain(database, first.id, most=3)
    assert (len(whole.root.caused), whole.cut, whole.took) == (5, False, None)
    assert (len(part.root.caused), part.cut) == (2, True)


async def test_what_a_cause_has_that_is_no_message_is_the_beginning(
    rig: Rig, database: Database
) -> None:
    """Another program's cause, or one that came directly and was not kept."""
    for cause in ("invoice 7", "00000000-0000-7000-8000-000000000001", "-" * 36):
        sent = await rig.send(1, causation_id=cause)
        assert (await explain(database, sent)).root.id == sent


async def test_what_is_not_there_is_told(database: Database) -> None:
    with pytest.raises(MessageNotFound, match="higherself messages list"):
        await explain(database, UUID(int=7))


async def test_another_business_sees_nothing_of_it(messages_url: str, database: Database) -> None:
    async with bus_on(messages_url, database) as bus:
        sent = await bus.send("agent:nyra", "begin", entity="gallery")
    assert (await explain(database.narrowed("gallery"), sent.id)).root.id == sent.id
    with pytest.raises(MessageNotFound):
        await explain(database.narrowed("practice"), sent.id)
