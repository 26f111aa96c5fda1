"""NATS as the settings have it: the doctor's word on it, and a whole server that uses it."""

import sys
from pathlib import Path

import pytest
from tests.messaging.rig import nats_for_tests, until

from higherself.app.nats import examined, nats_settings
from higherself.app.settings import Settings, described, load_settings
from higherself.app.wiring import HigherSelf
from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured
from higherself.kernel.tasks import in_background
from higherself.messaging.nats import NatsSettings, open_nats

pytestmark = pytest.mark.postgres


def settings_for(home: Path, **more: str) -> Settings:
    server = nats_for_tests()
    known = {"NATS_URL": server.url, "NATS_MONITORING_URL": server.monitoring}
    return load_settings({"HIGHERSELF_HOME": str(home), **known, **more}, folder=home)[0]


async def test_the_doctor_asks_it(tmp_path: Path, database: Database) -> None:
    (check,) = await examined(settings_for(tmp_path), database, SYSTEM_CLOCK)
    assert check.ok
    assert "0 messages wait" in check.detail
    wrong = settings_for(tmp_path, NATS_MONITORING_URL="http://127.0.0.1:1")
    (check,) = await examined(wrong, database, SYSTEM_CLOCK)
    assert not check.ok
    assert "NATS_MONITORING_URL" in f"{check.detail} {check.fix}"
    away = settings_for(tmp_path, NATS_URL="nats://127.0.0.1:1")
    (check,) = await examined(away, database, SYSTEM_CLOCK)
    assert not check.ok
    unset = load_settings({"HIGHERSELF_HOME": str(tmp_path)}, folder=tmp_path)[0]
    assert await examined(unset, database, SYSTEM_CLOCK) == []


async def test_a_server_with_nats_drains_it(tmp_path: Path, database_url: str) -> None:
    settings = settings_for(tmp_path, DATABASE_URL=database_url)
    async with HigherSelf.open(settings) as hs, in_background(hs.drain_nats()):
        roads = {(each.road, each.kind) for each in await hs.bus.exchange.health()}
        assert {("nats", "durable"), ("nats", "direct")} <= roads
        road = hs.bus.exchange.durable.named("nats")
        assert road is not None
        receipt = await hs.bus.send("topic:nobody.reads", "test", 1)

        async def is_stored() -> bool:
            async with hs.database.transaction() as tx:
                cursor = await tx.connection.execute(
                    "SELECT count(*) FROM message WHERE message_id = %s", [receipt.id]
                )
                return await cursor.fetchone() == (1,)

        await until(is_stored)


def test_secrets_in_the_url_are_not_shown(tmp_path: Path) -> None:
    url = "nats://me:s3cr3t@a:4222,nats://me:s3cr3t@b:4222"
    settings = load_settings(
        {"HIGHERSELF_HOME": str(tmp_path), "NATS_URL": url, "NATS_CREDS": "/etc/nats.creds"},
        folder=tmp_path,
    )[0]
    shown = {row["name"]: row["value"] for row in described(settings, {})}
    assert "s3cr3t" not in shown["NATS_URL"]
    reached = nats_settings(settings)
    assert reached is not None
    assert "s3cr3t" not in reached.shown
    assert "s3cr3t" not in repr(reached)
    assert reached.monitors == ["http://a:8222", "http://b:8222"]
    assert reached.credentials == "/etc/nats.creds"


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("higherself.messaging.nats.")]:
        if name.rpartition(".")[2] not in ("opening", "settings"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats", None)
    monkeypatch.setitem(sys.modules, "nats.errors", None)
    with pytest.raises(Misconfigured, match=r"higherself-network-server\[nats\]"):
        async with open_nats(NatsSettings(url="nats://127.0.0.1:1"), b"key"):
            pass
