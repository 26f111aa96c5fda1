"""Requests and answers over core NATS, between two processes' connections."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.messaging.rig import until

from higherself.kernel.ids import new_id
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.errors import MessageTooLarge
from higherself.messaging.nats import Nats, direct, open_nats
from higherself.messaging.nats.client import CutOff
from higherself.messaging.nats.direct import Overheard
from higherself.messaging.nats.writing import Forged, Seal, written
from higherself.messaging.roads import NobodyHears, RequestTimedOut
from higherself.testing.nats import NatsServer

SOON = timedelta(seconds=5)


@pytest.fixture
async def other(steady: NatsServer, key: bytes) -> AsyncIterator[Nats]:
    """Another process of the same installation."""
    async with open_nats(steady.settings(), key) as nats:
        yield nats


def said(data: Any = None, **more: Any) -> Envelope:
    now = datetime.now(UTC)
    identifier = MessageId(new_id(now))
    known = {"source": "urn:test", "type": "test", "correlation_id": str(identifier)}
    return Envelope(**{**known, "id": identifier, "time": now, "data": data, **more})


async def echo(envelope: Envelope) -> Envelope:
    return said(envelope.data, causation_id=str(envelope.id))


async def test_a_request_is_answered_with_all_its_attributes(nats: Nats, other: Nats) -> None:
    came = []

    async def handle(envelope: Envelope) -> Envelope:
        came.append(envelope)
        return await echo(envelope)

    asked = said({"a": "ä"}, entity="gallery", extensions={"to": "agent:nyra"})
    async with other.direct.hear("agent.nyra", handle, group="nyra", patience=SOON):
        answer = await nats.direct.request("agent.nyra", asked, timeout=SOON)
    assert came == [asked]
    assert (answer.data, answer.causation_id) == ({"a": "ä"}, str(asked.id))


async def test_nobody_hears_is_known_at_once(nats: Nats, other: Nats) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NobodyHears):
        await nats.direct.request("agent.nobody", said(), timeout=timedelta(seconds=30))
    with pytest.raises(NobodyHears):
        await nats.direct.tell("agent.nobody", said())
    async with other.direct.hear("agent.nobody", echo, group="g", patience=SOON):
        await nats.direct.request("agent.nobody", said(), timeout=SOON)
    with pytest.raises(NobodyHears):
        await nats.direct.request("agent.nobody", said(), timeout=SOON)
    assert loop.time() - began < 3


async def test_one_of_a_group_and_each_group_is_told(nats: Nats, other: Nats) -> None:
    told: list[tuple[str, Any]] = []

    def note(name: str) -> Any:
        async def handle(envelope: Envelope) -> None:
            told.append((name, envelope.data))

        return handle

    async with (
        nats.direct.hear("news", note("a"), group="a", patience=SOON),
        other.direct.hear("news", note("a"), group="a", patience=SOON),
        other.direct.hear("news", note("b"), group="b", patience=SOON),
    ):
        for number in range(20):
            await nats.direct.tell("news", said(number))
        await until(lambda: len(told) == 40)
    assert sorted(told) == [(name, number) for name in "ab" for number in range(20)]


async def test_many_at_once_get_each_its_own_answer(nats: Nats, other: Nats) -> None:
    async def slowly(envelope: Envelope) -> Envelope:
        await asyncio.sleep(0.01 * (envelope.data % 3))  # type: ignore[operator]
        return await echo(envelope)

    async def ask(number: int) -> Any:
        return (await nats.direct.request("work", said(number), timeout=SOON)).data

    async with other.direct.hear("work", slowly, group="g", patience=SOON):
        answers = await asyncio.gather(*map(ask, range(1000)))
    assert answers == list(range(1000))


async def test_who_is_not_answered_hears_so_in_time(nats: Nats, other: Nats) -> None:
    stopped = asyncio.Event()

    async def hangs(envelope: Envelope) -> Envelope:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    async def fails(envelope: Envelope) -> Envelope:
        raise ValueError("no")

    patience = timedelta(milliseconds=300)
    async with (
        other.direct.hear("hangs", hangs, group="g", patience=patience),
        other.direct.hear("fails", fails, group="g", patience=patience),
    ):
        for topic in ("hangs", "fails"):
            with pytest.raises(RequestTimedOut):
                await nats.direct.request(topic, said(), timeout=timedelta(milliseconds=150))
        async with asyncio.timeout(2):
            await stopped.wait()


async def test_a_handler_that_was_stopped_does_not_stop_the_next(nats: Nats, other: Nats) -> None:
    async def hangs_once(envelope: Envelope) -> Envelope:
        if envelope.data == "hang":
            await asyncio.Event().wait()
        return await echo(envelope)

    short = timedelta(milliseconds=200)
    async with other.direct.hear("work", hangs_once, group="g", patience=short):
        with pytest.raises(RequestTimedOut):
            await nats.direct.request("work", said("hang"), timeout=timedelta(milliseconds=500))
        answer = await nats.direct.request("work", said("go"), timeout=SOON)
    assert answer.data == "go"


async def test_what_has_begun_is_finished_when_a_hearer_stops(nats: Nats, other: Nats) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(envelope: Envelope) -> Envelope:
        begun.set()
        await go_on.wait()
        return await echo(envelope)

    async with asyncio.TaskGroup() as tasks:
        async with other.direct.hear("work", slowly, group="g", patience=SOON):
            asking = tasks.create_task(nats.direct.request("work", said(7), timeout=SOON))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        assert (await asking).data == 7


async def test_more_than_can_wait_is_turned_away(
    nats: Nats, other: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "AT_ONCE", 1)
    monkeypatch.setattr(direct, "MOST_WAITING", 1)
    go_on = asyncio.Event()

    async def slowly(envelope: Envelope) -> Envelope:
        await go_on.wait()
        return await echo(envelope)

    async with other.direct.hear("work", slowly, group="g", patience=SOON):
        asking = [
            asyncio.create_task(nats.direct.request("work", said(n), timeout=SOON))
            for n in range(10)
        ]
        done, _ = await asyncio.wait(asking, timeout=2, return_when=asyncio.FIRST_EXCEPTION)
        assert any(isinstance(each.exception(), Overheard) for each in done)
        go_on.set()
        results = await asyncio.gather(*asking, return_exceptions=True)
    answered = [each for each in results if isinstance(each, Envelope)]
    assert answered
    assert {type(each) for each in results} == {Envelope, Overheard}


async def test_a_request_without_our_signature_is_not_handled(nats: Nats, other: Nats) -> None:
    came = []

    async def handle(envelope: Envelope) -> Envelope:
        came.append(envelope)
        return await echo(envelope)

    async with other.direct.hear("work", handle, group="g", patience=SOON):
        wire, payload = nats.link.up(), written(said("evil"))
        forged = Seal(b"another key").of("request work").header(payload)
        replayed = Seal(b"another key").of("message").header(payload)
        for header in (b"", forged, replayed):
            wire.tell(nats.link.subject("direct.work").encode(), b"", header, payload)
        await wire.answers(within=1)
        await nats.direct.request("work", said("good"), timeout=SOON)
    assert [each.data for each in came] == ["good"]


async def test_an_answer_without_our_signature_is_no_answer(nats: Nats, other: Nats) -> None:
    wire = other.link.up()

    def answer(subject: bytes, answer_to: bytes, header: bytes, payload: bytes) -> None:
        wire.tell(answer_to, b"", Seal(b"another").of("answer").header(payload), payload)

    number = await wire.take(nats.link.subject("direct.work"), answer, group="evil")
    await wire.answers(within=1)
    with pytest.raises(Forged):
        await nats.direct.request("work", said(), timeout=SOON)
    await wire.leave(number)


async def test_large_ones_come_whole_and_too_large_ones_are_refused(
    nats: Nats, other: Nats
) -> None:
    async with other.direct.hear("work", echo, group="g", patience=SOON):
        large = "x" * 999_000
        answer = await nats.direct.request("work", said(large), timeout=SOON)
        assert answer.data == large
        with pytest.raises(MessageTooLarge):
            await nats.direct.request("work", said("x" * 1_100_000), timeout=SOON)


async def test_hearers_hear_again_after_the_server_was_killed(
    mortal: NatsServer, key: bytes
) -> None:
    async with (
        open_nats(mortal.settings(), key) as nats,
        open_nats(mortal.settings(), key) as other,
        other.direct.hear("work", echo, group="g", patience=SOON),
    ):
        assert (await nats.direct.request("work", said(1), timeout=SOON)).data == 1
        mortal.kill()
        with pytest.raises(CutOff):
            await nats.direct.request("work", said(2), timeout=SOON)
        await asyncio.to_thread(mortal.start)
        async with asyncio.timeout(5):
            await nats.link.when_up()
            await other.link.when_up()
        assert (await nats.direct.request("work", said(3), timeout=SOON)).data == 3


@pytest.mark.parametrize("topic", ["odd..topic", "ends.", "a-b_c.d"])
async def test_every_topic_can_be_heard(nats: Nats, topic: str) -> None:
    async with nats.direct.hear(topic, echo, group=topic, patience=SOON):
        assert (await nats.direct.request(topic, said(1), timeout=SOON)).data == 1
