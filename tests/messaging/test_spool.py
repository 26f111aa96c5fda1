"""Messages that are kept on this machine while the database does not answer."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.messaging.bus_rig import exchange_on
from tests.messaging.proxy import Manner, Proxy, before_postgres
from tests.messaging.rig import Rig, message, until

from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured, Rejected, Unavailable
from higherself.kernel.ids import new_id
from higherself.messaging.bus import bus_of
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.model import Message, Priority
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import OPERATOR
from higherself.messaging.spool import SpoolRoad
from higherself.messaging.walking import DEADLINE, NoRoad
from higherself.messaging.wire import packed, unpacked
from higherself.testing.clock import ManualClock


def a_message(data: Any = None, **more: Any) -> Message:
    identifier = MessageId(new_id(SYSTEM_CLOCK.now()))
    return message(data, id=identifier, time=SYSTEM_CLOCK.now(), **more)


def test_what_is_packed_comes_out_the_same() -> None:
    clock = ManualClock()
    sent = a_message(
        {"name": "Ada ✓"},
        entity="gallery",
        subject="lead/7",
        partition_key="ada",
        correlation_id="order 7",
        causation_id="order 6",
        hop_count=2,
        priority=Priority.HIGH,
        expires=timedelta(hours=1),
        not_before=timedelta(minutes=1),
        extensions={"performative": "inform", "strange": 5},
    )
    read = unpacked(packed(sent, clock.now()))
    assert read.expires == clock.now() + timedelta(hours=1)
    assert read.not_before == clock.now() + timedelta(minutes=1)
    for name in Message.__slots__:
        if name not in ("expires", "not_before"):
            assert getattr(read, name) == getattr(sent, name), name


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"event": {}, "manner": {}}', '{"event": 1, "manner": {"topic": "a"}}'],
)
def test_what_was_not_packed_is_refused(text: str) -> None:
    with pytest.raises(MessageMalformed):
        unpacked(text)


async def test_it_is_kept_until_it_is_forwarded_in_order(tmp_path: Path) -> None:
    road = SpoolRoad(tmp_path / "spool", SYSTEM_CLOCK)
    taken: list[Any] = []

    async def forward(messages: Any) -> None:
        taken.extend(each.data for each in messages)

    for number in range(5):
        published = await road.send(a_message(number), a_message(-number))
        assert [each.is_new for each in published] == [True, True]
    assert await road.pending() == 5
    assert await road.drain(forward) == 5
    assert taken == [0, 0, 1, -1, 2, -2, 3, -3, 4, -4]
    assert await road.pending() == 0


async def test_the_order_holds_though_the_clock_stands_still_or_goes_back(tmp_path: Path) -> None:
    clock = ManualClock()
    road = SpoolRoad(tmp_path, clock)
    taken: list[Any] = []

    async def forward(messages: Any) -> None:
        taken.extend(each.data for each in messages)

    for number in range(20):
        await road.send(a_message(number))
        if number == 10:
            clock.move(timedelta(hours=-1))
    await road.drain(forward)
    assert taken == list(range(20))


async def test_nothing_is_deleted_that_was_not_taken(tmp_path: Path) -> None:
    road = SpoolRoad(tmp_path, SYSTEM_CLOCK)

    async def fail(messages: Any) -> None:
        raise Unavailable("not now")

    await road.send(a_message(1))
    with pytest.raises(Unavailable):
        await road.drain(fail)
    assert await road.pending() == 1


async def test_what_is_refused_for_good_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    road = SpoolRoad(tmp_path, SYSTEM_CLOCK)
    taken: list[Any] = []

    async def picky(messages: Any) -> None:
        if messages[0].data == "bad":
            raise Rejected("it is too odd")
        taken.append(messages[0].data)

    await road.send(a_message("bad"))
    await road.send(a_message("good"))
    (tmp_path / "0-strange.messages").write_text("no message\n")
    await road.drain(picky)
    assert taken == ["good"]
    assert "2 that the table refuses" in await road.check()
    kept = contents(tmp_path)
    assert any("it is too odd" in text for name, text in kept.items() if ".reason" in name)
    assert sum(".refused" in name for name in kept) == 2


def contents(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in folder.iterdir()}


async def test_what_is_no_message_is_not_kept(tmp_path: Path) -> None:
    road = SpoolRoad(tmp_path, SYSTEM_CLOCK)
    for bad in (a_message(topic="No Topic"), a_message(object())):
        with pytest.raises(Rejected):
            await road.send(bad)
    assert await road.pending() == 0


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="HIGHERSELF_SPOOL=off"):
        SpoolRoad(tmp_path / "file" / "spool", SYSTEM_CLOCK)


SENDER = """
import asyncio, sys
from pathlib import Path
from tests.messaging.test_spool import a_message
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.messaging.spool import SpoolRoad

async def main():
    road, number = SpoolRoad(Path(sys.argv[1]), SYSTEM_CLOCK), 0
    while True:
        sent = a_message(number)
        await road.send(sent)
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


def sends_until_killed(folder: Path) -> int:
    """Return how many messages were acknowledged to a process that was killed while it sent."""
    command = [sys.executable, "-c", SENDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 30:
                break
        process.send_signal(signal.SIGKILL)
        return 31 + len(process.stdout.read().split())


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged = await asyncio.to_thread(sends_until_killed, tmp_path)
    taken: list[Any] = []

    async def forward(messages: Any) -> None:
        taken.extend(each.data for each in messages)

    road = SpoolRoad(tmp_path, SYSTEM_CLOCK)
    while await road.drain(forward):
        pass
    assert acknowledged > 30
    assert taken[:acknowledged] == list(range(acknowledged))


# With PostgreSQL behind a proxy.


@pytest.fixture
async def proxy(messages_url: str) -> Any:
    async with before_postgres(messages_url) as proxy:
        yield proxy


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["reset", "jam"])
async def test_while_the_database_is_away_messages_are_kept_and_come_later_once_and_in_order(
    proxy: Proxy, rig: Rig, tmp_path: Path, how: Manner
) -> None:
    handled: list[Any] = []

    async def note(delivery: Delivery) -> None:
        handled.append(delivery.data)

    async with (
        open_database(proxy.url, connections=2) as behind,
        exchange_on(proxy.url, behind, spool=tmp_path / "spool") as exchange,
    ):
        bus = bus_of(exchange, OPERATOR)
        sent = [await bus.send("topic:work", "do", 0, partition_key="a")]
        proxy.cut(how)
        began = time.monotonic()
        sent.append(await bus.send("topic:work", "do", 1, partition_key="a"))
        assert time.monotonic() - began < DEADLINE.total_seconds() + 2
        sent += [await bus.send("topic:work", "do", n, partition_key="a") for n in range(2, 6)]
        assert [each.road for each in sent] == ["postgres"] + ["spool"] * 5
        proxy.heal()

        async def returned() -> bool:
            sent.append(await bus.send("topic:work", "do", len(sent), partition_key="a"))
            return sent[-1].road == "postgres"

        await until(returned)
    async with rig.consuming(note, topic="work", concurrency=16):
        await until(lambda: len(handled) >= len(sent))
    assert handled == list(range(len(sent)))
    rows = await rig.sql(
        "SELECT DISTINCT extensions ->> 'road' FROM message WHERE (data::text)::int = 3"
    )
    assert rows == [("spool",)]


@pytest.mark.postgres
async def test_without_a_spool_nothing_is_pretended(proxy: Proxy, database: Database) -> None:
    async with (
        open_database(proxy.url, connections=2) as behind,
        exchange_on(proxy.url, behind) as exchange,
    ):
        proxy.cut("reset")
        with pytest.raises(Unavailable):
            await bus_of(exchange, OPERATOR).send("topic:work", "do")
        proxy.heal()
    assert not isinstance(Unavailable("x"), NoRoad)


@pytest.mark.postgres
async def test_any_process_brings_what_another_has_kept(
    rig: Rig, messages_url: str, database: Database, tmp_path: Path
) -> None:
    spool = SpoolRoad(tmp_path, SYSTEM_CLOCK)
    kept = a_message(7, entity="gallery")
    await spool.send(kept)
    await spool.send(kept)
    async with exchange_on(messages_url, database, spool=tmp_path):

        async def gone() -> bool:
            return await spool.pending() == 0

        await until(gone)
    assert await rig.sql("SELECT data::text, entity FROM message") == [("7", "gallery")]
