"""What the durable road takes is kept; what it cannot take it refuses, in time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.messaging.rig import identified, message, until

from higherself.kernel.errors import Unavailable
from higherself.messaging.errors import MessageMalformed, MessageTooLarge
from higherself.messaging.model import Message, Published
from higherself.messaging.nats import Nats, open_nats
from higherself.messaging.nats.client import CutOff
from higherself.messaging.nats.durable import NatsRoad, StreamFull
from higherself.messaging.nats.reading import Reading
from higherself.messaging.nats.writing import Seal, unpacked
from higherself.testing.nats import NatsServer


def numbered(count: int, **more: Any) -> list[Message]:
    return [identified(message(number, **more)) for number in range(count)]


async def kept(nats: Nats) -> list[Any]:
    """Return the data of what the stream keeps, in its order."""
    count = await nats.durable.pending()
    reading = await Reading.begin(nats.link.up(), nats.link.stream)
    found: list[Any] = []
    while len(found) < count:
        found += [unpacked(each.payload).data for each in await reading.some()]
    await reading.end()
    return found


async def test_what_is_sent_is_kept_once(nats: Nats) -> None:
    (one,) = numbered(1)
    assert one.id is not None
    assert await nats.durable.send(one) == [Published(one.id, is_new=True)]
    assert await nats.durable.send(one) == [Published(one.id, is_new=False)]
    assert await nats.durable.pending() == 1
    assert "1 messages wait" in await nats.durable.check()


async def test_what_is_sent_together_keeps_the_order_of_each_key(nats: Nats) -> None:
    sent = numbered(100, partition_key="a") + numbered(100, partition_key="b") + numbered(200)
    published = await nats.durable.send(*sent)
    assert [each.id for each in published] == [each.id for each in sent]
    wire = nats.link.up()
    reading = await Reading.begin(wire, nats.link.stream)
    found: list[Message] = []
    while len(found) < len(sent):
        found += [unpacked(each.payload) for each in await reading.some()]
    for key in "ab":
        assert [each.data for each in found if each.partition_key == key] == list(range(100))
    assert {each.id for each in found} == {each.id for each in sent}
    await reading.end()


async def test_a_full_stream_refuses_and_takes_again(steady: NatsServer, key: bytes) -> None:
    async with open_nats(steady.settings(most_messages=10), key) as nats:
        await nats.durable.send(*numbered(10))
        with pytest.raises(StreamFull, match="maximum messages exceeded"):
            await nats.durable.send(*numbered(1))
        assert await nats.durable.pending() == 10, "nothing was dropped"
        await nats.link.api(f"STREAM.PURGE.{nats.link.stream}", keep=9)
        await nats.durable.send(*numbered(1))


async def test_a_stream_full_of_bytes_refuses(steady: NatsServer, key: bytes) -> None:
    async with open_nats(steady.settings(most_bytes=100_000), key) as nats:
        many = [identified(message("x" * 1000)) for _ in range(200)]
        with pytest.raises(StreamFull, match="maximum bytes exceeded"):
            await nats.durable.send(*many)
        assert sorted(set(await kept(nats))) == ["x" * 1000]


async def test_what_is_wrong_is_refused_before_anything_is_sent(nats: Nats) -> None:
    good, bad = identified(message("good")), identified(message("bad", topic="Not a topic"))
    with pytest.raises(MessageMalformed):
        await nats.durable.send(good, bad)
    with pytest.raises(MessageTooLarge, match="1,000,000"):
        await nats.durable.send(good, identified(message("x" * 1_000_001)))
    long = {f"x{number}": "y" * 500 for number in range(110)}
    with pytest.raises(MessageTooLarge):
        await nats.durable.send(identified(message("x" * 999_000, extensions=long)))
    assert await nats.durable.pending() == 0


async def test_the_largest_message_goes_through(nats: Nats) -> None:
    await nats.durable.send(identified(message("x" * 999_990, partition_key="k" * 200)))
    assert [len(each) for each in await kept(nats)] == [999_990]


async def test_a_server_that_does_not_answer_is_noticed_within_the_deadline(
    mortal: NatsServer, key: bytes
) -> None:
    loop = asyncio.get_running_loop()
    async with open_nats(mortal.settings(), key) as nats:
        road = NatsRoad(nats.link, Seal(key), nats.clock, within=0.3)
        await road.send(*numbered(1))
        mortal.pause()
        began = loop.time()
        with pytest.raises(CutOff, match=r"within 0\.3 s"):
            await road.send(*numbered(1))
        assert loop.time() - began < 1
        mortal.resume()
        (one,) = numbered(1)

        async def taken() -> bool:
            try:
                await road.send(one)
            except Unavailable:
                return False
            return True

        await until(taken)


async def test_a_server_that_is_gone_is_known_at_once(mortal: NatsServer, key: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with open_nats(mortal.settings(), key) as nats:
        await nats.durable.send(*numbered(1))
        mortal.kill()
        began = loop.time()
        for _ in range(20):
            with pytest.raises(CutOff):
                await nats.durable.send(*numbered(1))
        assert loop.time() - began < 1


async def test_two_installations_do_not_see_each_other(steady: NatsServer, key: bytes) -> None:
    async with (
        open_nats(steady.settings(), key) as one,
        open_nats(steady.settings(), key[1:]) as two,
    ):
        await one.durable.send(replace(identified(message(1))))
        assert (await one.durable.pending(), await two.durable.pending()) == (1, 0)


async def test_a_stream_that_was_deleted_is_made_again(nats: Nats) -> None:
    await nats.link.api(f"STREAM.DELETE.{nats.link.stream}")
    (one,) = numbered(1)
    with pytest.raises(CutOff):
        await nats.durable.send(one)

    async def taken() -> bool:
        try:
            await nats.durable.send(one)
        except Unavailable:
            return False
        return True

    await until(taken)
    assert await nats.durable.pending() == 1
