"""`higherself webhooks`: what came is seen, and handled again once what it lacked is there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from anyio.from_thread import start_blocking_portal
from tests.cli.conftest import Higherself

from higherself import HigherSelf
from higherself.app.settings import Settings
from higherself.flows.deliveries import SECRET, sample, signed
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.tasks import in_background

pytestmark = pytest.mark.postgres

NOW_AND_THEN = timedelta(milliseconds=20)


async def handled(database_url: str, home: Path, *, arrives: bool, businesses: str) -> UUID | None:
    """Have a worker handle what there is, perhaps something new, until nothing waits."""
    given = {
        "DATABASE_URL": database_url, "HIGHERSELF_HOME": str(home), "WEBHOOK_SECRET": SECRET,
        "HIGHERSELF_WEBHOOK_BUSINESSES": businesses,
    }  # fmt: skip
    async with HigherSelf.open(Settings.model_validate(given)) as hs:
        delivery = None
        if arrives:
            of = sample("generic_new_lead.json")
            arrived = signed(of, now=datetime.now(UTC))
            delivery = (await hs.webhooks.receiving.receive(of.source, arrived)).delivery
        async with in_background(hs.hosted.worker().run()):
            await hs.webhooks.deliveries.wake()
            while await hs.webhooks.deliveries.latest(status="received"):
                await SYSTEM_CLOCK.sleep(NOW_AND_THEN)
        return delivery


def test_what_failed_is_seen_and_handled_again_once_it_can_be(
    higherself: Higherself, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_blocking_portal() as portal:

        def work(*, arrives: bool, businesses: str) -> UUID | None:
            home = tmp_path / "home"
            return portal.call(
                lambda: handled(database_url, home, arrives=arrives, businesses=businesses)
            )

        delivery = work(arrives=True, businesses="")
        (failed,) = higherself("webhooks", "list", "--status", "failed", "--json").json[
            "deliveries"
        ]
        assert (failed["delivery"], failed["source"]) == (str(delivery), "generic")
        assert "HIGHERSELF_WEBHOOK_BUSINESSES" in failed["error"]
        monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
        (check,) = (
            each
            for each in higherself("doctor", "--json").json["checks"]
            if each["name"] == "webhooks generic"
        )
        assert not check["ok"]
        assert "1 failed" in check["detail"]

        replayed = higherself("webhooks", "replay", "--failed", "--json").json["replayed"]
        assert replayed == [str(delivery)]
        work(arrives=False, businesses="*=the_7_space")
        shown = higherself("webhooks", "show", delivery, "--json").json
        assert (shown["status"], shown["entity"], shown["error"]) == ("done", "the_7_space", "")
        assert [each["type"] for each in shown["announced"]["steps"]] == ["new_lead"]
        assert "sam@example.org" in higherself("webhooks", "show", delivery).out
        assert "done" in higherself("webhooks", "list").out


def test_a_delivery_that_is_not_there_and_a_wish_that_says_nothing(higherself: Higherself) -> None:
    nobody = "0197c3a0-5b7e-7000-8000-2f6f3c1d9a11"
    assert higherself("webhooks", "show", nobody).code == 3
    assert higherself("webhooks", "replay", nobody).code in (3, 4)
    refused = higherself("webhooks", "replay")
    assert (refused.code, "DELIVERY or --failed" in refused.err) == (2, True)
