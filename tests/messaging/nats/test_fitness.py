"""A NATS server that does not keep what it acknowledges is refused, with what to set."""

import asyncio
from typing import Any

import pytest

from higherself.kernel.errors import Misconfigured, Unavailable
from higherself.messaging.nats import NatsSettings, fitness, open_nats
from higherself.messaging.nats.link import asked
from higherself.testing.nats import SYNCED, NatsServer, nats_server

KEY = b"k" * 32


async def refusal(settings: NatsSettings) -> str:
    with pytest.raises(Misconfigured) as refused:
        async with open_nats(settings, KEY):
            pass
    return str(refused.value)


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        pytest.param("", "no JetStream", id="no JetStream"),
        pytest.param(
            "jetstream {{ store_dir: {store} }}", "sync_interval: always", id="it syncs later"
        ),
        pytest.param(
            SYNCED + "\nmax_payload: 65536", "max_payload: 1048576", id="messages are too small"
        ),
        pytest.param(
            SYNCED + "\nauthorization {{ user: me, password: right }}", "NATS_CREDS", id="no user"
        ),
    ],
)
async def test_a_server_that_is_set_up_otherwise_is_refused(configuration: str, says: str) -> None:
    with nats_server(configuration) as server:
        assert says in await refusal(server.settings())


async def test_what_cannot_be_seen_is_refused(steady: NatsServer) -> None:
    told = await refusal(steady.settings(monitoring="http://127.0.0.1:1"))
    assert "NATS_MONITORING_URL" in told
    assert "127.0.0.1:1" in told


async def test_the_monitoring_of_another_server_counts_for_nothing(
    steady: NatsServer, mortal: NatsServer
) -> None:
    assert "cannot be seen" in await refusal(steady.settings(monitoring=mortal.monitoring))


async def test_copies_on_a_server_that_is_alone_are_refused(steady: NatsServer) -> None:
    assert "NATS_REPLICAS=1" in await refusal(steady.settings(replicas=3))


async def test_a_stream_that_drops_is_corrected_and_one_in_memory_refused(
    steady: NatsServer, key: bytes
) -> None:
    async with open_nats(steady.settings(), key) as nats:
        link = nats.link
        config: Any = (await link.api(f"STREAM.INFO.{link.stream}"))["config"]
        dropping = await link.api(f"STREAM.UPDATE.{link.stream}", **{**config, "discard": "old"})
        assert dropping["config"]["discard"] == "old"  # type: ignore[index]
    async with open_nats(steady.settings(), key) as nats:
        link = nats.link
        config = (await link.api(f"STREAM.INFO.{link.stream}"))["config"]
        assert config["discard"] == "new"
        await link.api(f"STREAM.DELETE.{link.stream}")
        made = await link.api(f"STREAM.CREATE.{link.stream}", **{**config, "storage": "memory"})
        assert "error" not in made
    with pytest.raises(Misconfigured, match="or delete the stream"):
        async with open_nats(steady.settings(), key):
            pass


async def test_a_user_and_password_in_the_url_are_used_and_not_shown() -> None:
    with nats_server(SYNCED + "\nauthorization {{ user: me, password: s3cr3t }}") as server:
        settings = server.settings(url=f"nats://me:s3cr3t@127.0.0.1:{server.port}")
        async with open_nats(settings, KEY) as nats:
            told = await nats.durable.check()
            assert "0 messages wait" in told
            assert "s3cr3t" not in told


async def test_a_server_that_is_away_at_first_is_used_when_it_comes(mortal: NatsServer) -> None:
    mortal.stop()
    async with open_nats(mortal.settings(), KEY) as nats:
        with pytest.raises(Unavailable):
            await nats.durable.check()
        await asyncio.to_thread(mortal.start)
        async with asyncio.timeout(5):
            wire = await nats.link.when_up()
        assert "error" not in await asked(wire, f"STREAM.INFO.{nats.link.stream}")


@pytest.mark.parametrize(
    ("version", "is_fit"),
    [
        ("2.9.10", False),
        ("2.11.4", False),
        ("2.12.0", True),
        ("2.15.1", True),
        ("3.0.0-rc", True),
        ("", False),
        ("dev", False),
    ],
)
def test_old_servers_are_refused(version: str, is_fit: bool) -> None:
    info = {"version": version, "max_payload": 1_048_576}
    if is_fit:
        fitness.require_server(info)
    else:
        with pytest.raises(Misconfigured, match=r"2\.12 is the oldest"):
            fitness.require_server(info)


def test_three_copies_need_no_sync_and_one_in_a_cluster_is_refused() -> None:
    assert not fitness.needs_to_sync({"config": {"num_replicas": 3}}, {"cluster": "c"})
    assert fitness.needs_to_sync({"config": {"num_replicas": 1}}, {})
    with pytest.raises(Misconfigured, match="NATS_REPLICAS=3"):
        fitness.needs_to_sync({"config": {"num_replicas": 1}}, {"cluster": "c"})
