"""Approvals over HTTP, asked over a real socket: who may decide does so once, others are told who may."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.api.test_api import assert_problem

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.http import Site, running

pytestmark = pytest.mark.postgres

WORKFLOW = """
workflow: hanging
version: 1
initial: review
states:
  review:
    approval:
      roles: [owner, curator]
      timeout: 2d
      approved: {to: shown}
      rejected: {to: dropped}
  shown: {final: true}
  dropped: {final: true}
"""


@pytest.fixture(scope="module")
def site(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home: Path = tmp_path_factory.mktemp("approvals")
    (home / "workflows").mkdir()
    (home / "workflows" / "hanging.yaml").write_text(WORKFLOW)
    with running(server, HIGHERSELF_HOME=home, HIGHERSELF_EXTENSIONS=(str(home),)) as site:
        yield site


def waiting(site: Site) -> UUID:
    """Return an instance that waits for a person."""

    async def start(settings: Settings) -> UUID:
        async with HigherSelf.open(settings) as hs:
            await hs.hosted.install()
            started = await hs.workflows.start("hanging", entity="gallery")
        assert started.waits_for == "approval"
        return started.instance

    return asyncio.run(start(site.hs.settings))


def test_who_has_a_role_decides_once_and_others_are_told_who_may(site: Site) -> None:
    place = f"/api/v1/instances/{waiting(site)}/approvals"
    shown = site.ask("GET", place).json()
    (asked,) = shown["approvals"]
    assert (asked["state"], asked["roles"]) == ("review", ["owner", "curator"])
    assert "waits for the approval of owner or curator" in shown["reason"]
    for roles, has in (([], "bo has no role"), (["clerk"], "bo has clerk")):
        said = {"decision": "approved", "by": "bo", "roles": roles}
        refused = site.ask("POST", place, said)
        assert refused.status == 422
        assert f"{has}; this approval is for owner or curator" in refused.json()["detail"]
    by_name = {"decision": "approved", "by": "owner"}
    assert site.ask("POST", place, by_name).status == 422, "who says a name has not the role"
    assert site.ask("GET", place).json()["approvals"] == [asked], "and nothing has changed"
    yes = {"decision": "approved", "by": "ana", "roles": ["curator"], "approval": asked["approval"]}
    done = site.ask("POST", place, yes)
    assert (done.status, done.json()["state"], done.json()["status"]) == (200, "shown", "completed")
    late = site.ask("POST", place, {**yes, "decision": "rejected"})
    assert late.status == 409
    after = site.ask("GET", place).json()
    assert (after["state"], after["approvals"]) == ("shown", [])


def test_what_is_wrong_is_named(site: Site) -> None:
    place = f"/api/v1/instances/{uuid4()}/approvals"
    yes = {"decision": "approved", "by": "ana", "roles": ["owner"]}
    assert site.ask("GET", place).status == site.ask("POST", place, yes).status == 404
    for wrong, field in (
        ({**yes, "decision": "maybe"}, "decision"),
        ({**yes, "by": ""}, "by"),
        ({**yes, "role": "owner"}, "role"),
    ):
        problem = assert_problem(site.ask("POST", place, wrong), 422, "invalid-request")
        assert field in problem["detail"]
