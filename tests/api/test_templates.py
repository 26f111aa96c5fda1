"""Templates over HTTP, asked over a real socket."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.api.test_api import assert_problem

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.http import Site, running

TEMPLATES = "/api/v1/templates"


@pytest.fixture(scope="module")
def site(server: EmbeddedPostgres) -> Iterator[Site]:
    with running(server) as site:
        asyncio.run(_installed(site.hs.settings))
        yield site


async def _installed(settings: Settings) -> None:
    async with HigherSelf.open(settings) as hs:
        await hs.hosted.install()


def test_a_template_is_set_up_and_what_is_wrong_is_named(site: Site) -> None:
    entity = f"e{uuid4().hex[:8]}"
    listed = site.ask("GET", TEMPLATES).json()["templates"]
    assert "lead_nurturing" in [each["name"] for each in listed]
    place = f"{TEMPLATES}/lead_nurturing/setups/{entity}"
    problem = assert_problem(site.ask("PUT", place, {"settings": {}}), 422, "rejected")
    assert "booking_link: it has to be set" in problem["detail"]
    link = {"booking_link": "https://t7s.example"}
    done = site.ask("PUT", place, {"settings": link, "by": "ada"})
    assert (done.status, done.json()["settings"], done.json()["origin"]) == (200, link, "api")
    off = site.ask("PUT", place, {"enabled": False}).json()
    assert (off["enabled"], off["settings"]) == (False, link)
    shown = site.ask("GET", f"{TEMPLATES}/lead_nurturing").json()
    assert [each["entity"] for each in shown["setups"] if each["entity"] == entity] == [entity]
    assert "booking_link" in [each["name"] for each in shown["settings"] if each["required"]]


def test_what_is_not_there_or_no_template_is_told(site: Site) -> None:
    assert site.ask("GET", f"{TEMPLATES}/lead_nurtring").status == 404
    assert site.ask("PUT", f"{TEMPLATES}/booking/setups/a", {"settings": {}}).status == 422
    assert site.ask("PUT", f"{TEMPLATES}/art_sale/setups/a", {"setings": {}}).status == 422
    deep: object = {}
    for _ in range(60):
        deep = {"x": deep}
    assert site.ask("PUT", f"{TEMPLATES}/art_sale/setups/a", {"settings": deep}).status == 422
