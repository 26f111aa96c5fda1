"""Webhooks over HTTP, on a real database: who signs is taken once, who does not is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from higherself.db.embedded import EmbeddedPostgres
from higherself.flows.deliveries import SAMPLES, SECRET, Sample, sample, signed
from higherself.inbound.bodies import LARGEST_BODY
from higherself.inbound.businesses import Businesses
from higherself.inbound.sources import SOURCES
from higherself.testing.http import Answer, Site, running

pytestmark = pytest.mark.postgres

ONE_OF_EACH = tuple({each.source: each for each in SAMPLES}.values())
TIMED = ("stripe", "beehiiv", "generic")


@pytest.fixture(scope="module")
def site(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home: Path = tmp_path_factory.mktemp("webhooks")
    secrets: dict[str, Any] = {source.setting: SecretStr(SECRET) for source in SOURCES.values()}
    secrets.pop(SOURCES["snovio"].setting)
    with running(
        server, HIGHERSELF_HOME=home, HIGHERSELF_WEBHOOK_BUSINESSES=Businesses.read("*=gallery"), **secrets,
    ) as site:  # fmt: skip
        yield site


def sent(
    site: Site,
    of: Sample,
    body: bytes | None = None,
    *,
    path: str | None = None,
    at: datetime | None = None,
    **more: str,
) -> Answer:
    arrived = signed(of, body, now=at or datetime.now(UTC), **more)
    form = of.file.endswith(".form")
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {"Content-Type": kind, **arrived.headers}
    return site.ask("POST", path or of.path, arrived.body, headers=headers)


def counted(site: Site) -> int:
    url = site.hs.settings.database_url
    assert url is not None
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("SELECT set_config('higherself.entity', '*', false)")
        row = connection.execute("SELECT count(*) FROM higherself.webhook_delivery").fetchone()
    assert row is not None
    return int(row[0])


def test_each_is_taken_once_and_the_same_again_is_the_same(site: Site) -> None:
    for of in SAMPLES:
        if of.source == "snovio":
            continue
        arrived = signed(of, now=datetime.now(UTC))
        form = of.file.endswith(".form")
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        before = counted(site)
        ids = set()
        for _ in range(3):
            headers = {"Content-Type": kind, **arrived.headers}
            answer = site.ask("POST", of.path, arrived.body, headers=headers)
            assert answer.status == of.of.acknowledged, (str(of), answer.text)
            ids.add(answer.json()["data"]["delivery"])
        assert len(ids) == 1, str(of)
        assert counted(site) == before + 1, str(of)


def test_what_is_not_signed_by_who_has_the_secret_is_refused(site: Site) -> None:
    before = counted(site)
    for of in ONE_OF_EACH:
        if of.source != "snovio":
            assert sent(site, of, secret="another-secret-of-somebody").status == 401, str(of)
            changed = of.body.replace(b"e", b"3", 1)
            arrived = signed(of, now=datetime.now(UTC))
            if not of.of.secret_headers:
                kind = (
                    "application/x-www-form-urlencoded"
                    if of.file.endswith(".form")
                    else "application/json"
                )
                headers = {"Content-Type": kind, **arrived.headers}
                assert site.ask("POST", of.path, changed, headers=headers).status == 401
    assert counted(site) == before


def test_what_was_signed_long_ago_is_refused(site: Site) -> None:
    before = counted(site)
    for name in TIMED:
        (of,) = (each for each in ONE_OF_EACH if each.source == name)
        late = sent(site, of, at=datetime.now(UTC) - timedelta(minutes=6))
        assert late.status in (400, 401), (name, late.text)
        assert "minutes" in late.text or "old" in late.text or "time" in late.text, late.text
    assert counted(site) == before


def test_what_cannot_be_read_says_why(site: Site) -> None:
    of = sample("typeform_form_response.json")
    broken = sent(site, of, b"{")
    assert (broken.status, broken.headers["content-type"]) == (400, "application/problem+json")
    assert sent(site, of, b'{"a": "' + b"x" * LARGEST_BODY + b'"}').status == 413
    assert sent(site, of, path="/webhooks/typefrom").status == 404
    unset = sent(site, sample("snovio.json"))
    assert unset.status in (401, 403, 503)
    assert SOURCES["snovio"].setting in unset.text
