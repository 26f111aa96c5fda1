"""The API, asked over a real socket: every route, every kind of problem, every refusal."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from higherself.api.guard import LARGEST_BODY
from higherself.api.knowledge import DEEPEST
from higherself.api.problems import TYPES
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.errors import DatabaseUnavailable
from higherself.kernel.errors import Conflict, Misconfigured
from higherself.testing.http import Answer, Site, running

DOCUMENTS = "/api/v1/knowledge/documents"
SEARCH = "/api/v1/knowledge/search"


@pytest.fixture(scope="module")
def site(server: EmbeddedPostgres) -> Iterator[Site]:
    with running(server) as site:
        yield site


def a_document(**changes: Any) -> dict[str, Any]:
    return {
        "external_id": uuid4().hex,
        "title": "Refund policy",
        "text": "# Refunds\n\nA sound bath that is cancelled a day ahead is refunded in full.",
        "entity": f"e{uuid4().hex[:8]}",
        "source": "handbook",
        **changes,
    }


def added(site: Site, document: dict[str, Any]) -> str:
    answer = site.ask("POST", DOCUMENTS, document)
    assert answer.status == 201, answer.text
    return str(answer.headers["Location"])


def assert_problem(answer: Answer, status: int, slug: str, *words: str) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (answer.status, problem["status"], problem["type"]) == (status, status, TYPES + slug)
    assert problem["title"]
    for word in words:
        assert word in problem["detail"]
    return problem


# Documents


def test_a_new_document_is_created_and_found_at_its_location(site: Site) -> None:
    given = a_document(tags=["policy"], metadata={"owner": "Ana"}, at="2026-05-12")
    answer = site.ask("POST", DOCUMENTS, given)
    assert answer.status == 201
    assert answer.json()["created"] == 1
    shown = site.ask("GET", answer.headers["Location"]).json()
    assert shown["external_id"] == given["external_id"]
    assert shown["tags"] == ["policy"]
    assert shown["metadata"] == {"owner": "Ana"}
    assert shown["changed_at"] == "2026-05-12T00:00:00+00:00"
    assert shown["chunks"][0]["text"].startswith("# Refunds")


def test_its_location_is_right_where_names_are_shared(site: Site) -> None:
    first = a_document()
    second = a_document(external_id=first["external_id"])
    here, there = added(site, first), added(site, second)
    assert site.ask("GET", here).json()["entity"] == first["entity"]
    assert site.ask("GET", there).json()["entity"] == second["entity"]


def test_adding_a_document_again_replaces_it(site: Site) -> None:
    given = a_document()
    location = added(site, given)
    same = site.ask("POST", DOCUMENTS, given)
    changed = site.ask("POST", DOCUMENTS, {**given, "text": "No refunds."})
    assert (same.status, same.json()["unchanged"]) == (200, 1)
    assert (changed.status, changed.json()["updated"]) == (200, 1)
    assert site.ask("GET", location).json()["version"] == 2


def test_a_list_reports_what_became_of_each(site: Site) -> None:
    documents = [a_document(), a_document(text="  "), a_document(entity="No Slug")]
    answer = site.ask("POST", DOCUMENTS, {"documents": documents})
    report = answer.json()
    assert answer.status == 200
    assert (report["documents"], report["created"], len(report["failed"])) == (3, 1, 2)
    reasons = " ".join(failure["reason"] for failure in report["failed"])
    assert "text is empty" in reasons
    assert "not a slug" in reasons


def test_a_list_of_which_nothing_is_taken_is_a_problem(site: Site) -> None:
    answer = site.ask("POST", DOCUMENTS, {"documents": [a_document(text=" ")] * 2})
    problem = assert_problem(answer, 422, "rejected", "text is empty")
    assert len(problem["failed"]) == 2


def test_documents_are_listed_newest_first_a_page_at_a_time(site: Site) -> None:
    entity = a_document()["entity"]
    names = [f"name {number}" for number in range(5)]
    for name in names:
        added(site, a_document(entity=entity, external_id=name))
    seen: list[str] = []
    cursor: str | None = ""
    for rows in (2, 2, 1):
        page = site.ask("GET", f"{DOCUMENTS}?entity={entity}&limit=2{cursor}").json()
        assert len(page["documents"]) == rows
        seen += [row["external_id"] for row in page["documents"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    assert seen == names[::-1]
    assert cursor is None
    other = site.ask("GET", f"{DOCUMENTS}?entity={entity}&source=other").json()
    assert other == {"documents": [], "next": None}


def test_a_document_is_deleted_once(site: Site) -> None:
    location = added(site, a_document())
    answer = site.ask("DELETE", location).json()
    assert answer["deleted"] == [location.rpartition("/")[2]]
    assert answer["proof"].keys() > {"document", "document_label", "chunk", "lexical_posting"}
    assert not any(answer["proof"].values())
    assert_problem(site.ask("DELETE", location), 404, "not-found")
    assert_problem(site.ask("GET", location), 404, "not-found", "no document")


def test_a_document_is_found_by_its_name_too(site: Site) -> None:
    given = a_document(external_id="the refund policy")
    added(site, given)
    shown = site.ask("GET", f"{DOCUMENTS}/the%20refund%20policy").json()
    assert shown["entity"] == given["entity"]


def test_a_document_is_looked_for_in_one_business_alone(site: Site) -> None:
    given = a_document(external_id="prices")
    other = a_document(external_id="prices")
    location = added(site, given)
    added(site, other)
    for path in (location, f"{DOCUMENTS}/prices"):
        shown = site.ask("GET", f"{path}?entity={given['entity']}").json()
        assert shown["entity"] == given["entity"]
    for method in ("GET", "DELETE"):
        answer = site.ask(method, f"{location}?entity={other['entity']}")
        assert_problem(answer, 404, "not-found", "no document")
        assert_problem(site.ask(method, f"{location}?entity=No"), 422, "rejected", "slug")
    assert site.ask("DELETE", f"{DOCUMENTS}/prices?entity={other['entity']}").status == 200
    assert site.ask("GET", location).status == 200


def test_trust_and_privacy_are_taken_in_and_answered(site: Site) -> None:
    given = a_document(trust="external", local_only=True)
    location = added(site, given)
    shown = site.ask("GET", location).json()
    assert (shown["trust"], shown["local_only"]) == ("external", True)
    answer = site.ask("POST", SEARCH, {"query": "sound bath", "entity": given["entity"]}).json()
    document = answer["hits"][0]["document"]
    assert (document["trust"], document["local_only"]) == ("external", True)
    assert site.ask("POST", DOCUMENTS, {**given, "local_only": False}).json()["updated"] == 1
    for wrong in ({"trust": "much"}, {"local_only": "yes"}):
        answer = site.ask("POST", DOCUMENTS, {**given, **wrong})
        assert_problem(answer, 422, "invalid-request", next(iter(wrong)))


# Search


def test_a_search_answers_as_the_command_line_does(site: Site) -> None:
    given = a_document()
    location = added(site, given)
    answer = site.ask("POST", SEARCH, {"query": "sound bath refunded", "entity": given["entity"]})
    found = answer.json()
    assert answer.status == 200
    assert {"query", "mode", "degraded", "reason", "spaces", "hits", "milliseconds"} <= found.keys()
    (hit,) = found["hits"]
    assert hit["rank"] == 1
    assert hit["document"]["id"] == location.rpartition("/")[2]
    assert {"id", "source", "external_id", "title", "uri"} <= hit["document"].keys()
    assert {"id", "ordinal", "heading", "text"} <= hit["chunk"].keys()
    assert hit["why"]["lexical_rank"] == hit["why"]["vector_rank"] == 1


def test_a_search_that_nobody_reranks_says_so(site: Site) -> None:
    given = a_document()
    added(site, given)
    wanted = {"query": "refunded", "entity": given["entity"], "rerank": True}
    found = site.ask("POST", SEARCH, wanted).json()
    assert (len(found["hits"]), found["degraded"], found["reranker"]) == (1, True, None)
    assert found["reason"] == "not reranked: there is no reranker: HIGHERSELF_RERANKER is not set"


@pytest.mark.parametrize(
    ("condition", "hits"),
    [
        pytest.param({"mode": "lexical"}, 1, id="by words"),
        pytest.param({"mode": "vector"}, 1, id="by meaning"),
        pytest.param({"sources": ["handbook", "other"]}, 1, id="of one of these sources"),
        pytest.param({"sources": ["other"]}, 0, id="of another source"),
        pytest.param({"tags": ["policy", "money"]}, 1, id="with all of these tags"),
        pytest.param({"tags": ["policy", "other"]}, 0, id="with a tag it lacks"),
        pytest.param({"metadata": {"for": {"role": "owner"}}}, 1, id="with this metadata"),
        pytest.param({"metadata": {"for": "owner"}}, 0, id="with other metadata"),
        pytest.param({"since": "2026-05-12", "until": "2026-05-13"}, 1, id="of that day"),
        pytest.param({"since": "2026-05-12T01:00:00+01:00"}, 1, id="since that instant"),
        pytest.param({"until": "2026-05-12"}, 0, id="before that day"),
        pytest.param({"neighbours": 10}, 1, id="with neighbours"),
    ],
)
def test_a_search_is_narrowed(site: Site, condition: dict[str, Any], hits: int) -> None:
    given = a_document(
        tags=["policy", "money"], metadata={"for": {"role": "owner", "x": 1}}, at="2026-05-12"
    )
    added(site, given)
    wanted = {"query": "refunded", "entity": given["entity"], "limit": 3, **condition}
    answer = site.ask("POST", SEARCH, wanted)
    assert len(answer.json()["hits"]) == hits, answer.text


# Requests that are not as they should be


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        pytest.param(SEARCH, {}, "query", id="missing"),
        pytest.param(SEARCH, {"query": "a", "limitt": 3}, "limitt", id="unknown"),
        pytest.param(SEARCH, {"query": "a", "limit": "3"}, "limit", id="text for a number"),
        pytest.param(SEARCH, {"query": "a", "limit": True}, "limit", id="truth for a number"),
        pytest.param(SEARCH, {"query": "a", "limit": 0}, "limit", id="too small"),
        pytest.param(SEARCH, {"query": "a", "mode": "magic"}, "mode", id="no such mode"),
        pytest.param(SEARCH, {"query": "a", "since": 3}, "since", id="number for a time"),
        pytest.param(SEARCH, {"query": "a", "since": "May"}, "since", id="no time"),
        pytest.param(
            SEARCH, {"query": "a", "until": "0001-01-01T00:00:00+14:00"}, "until", id="no calendar"
        ),
        pytest.param(SEARCH, {"query": "a", "sources": ["a\0"]}, "sources[0]", id="NUL"),
        pytest.param(SEARCH, {"query": "\ud800"}, "query", id="half a character"),
        pytest.param(SEARCH, {"query": "a", "\udfff": 1}, "body", id="half a name"),
        pytest.param(SEARCH, [1], "body", id="no object"),
        pytest.param(SEARCH, b"{", "body", id="no JSON"),
        pytest.param(DOCUMENTS, a_document(color="red"), "color", id="unknown in a document"),
        pytest.param(DOCUMENTS, {"documents": []}, "documents", id="no documents"),
        pytest.param(
            DOCUMENTS,
            {"documents": [a_document(), {"text": "a"}]},
            "documents[1].external_id",
            id="in the second document",
        ),
        pytest.param(
            DOCUMENTS,
            a_document(metadata=json.loads('{"a":' * 40 + "1" + "}" * 40)),
            "metadata",
            id="too deep",
        ),
    ],
)
def test_a_wrong_field_is_named(site: Site, path: str, body: Any, field: str) -> None:
    answer = site.ask("POST", path, body, headers={"Content-Type": "application/json"})
    problem = assert_problem(answer, 422, "invalid-request", field)
    assert problem["errors"][0]["field"] == field


def test_metadata_may_be_as_deep_as_the_limit(site: Site) -> None:
    deepest = json.loads('{"a":' * DEEPEST + "1" + "}" * DEEPEST)
    location = added(site, a_document(metadata=deepest))
    assert site.ask("GET", location).json()["metadata"] == deepest


def test_json_nested_beyond_reading_is_a_problem(site: Site) -> None:
    body = b'{"metadata":' + b"[" * 100_000
    answer = site.ask("POST", DOCUMENTS, body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "bad-request")


@pytest.mark.parametrize("query", ["?limit=x", "?limit=0", "?limit=501", "?page=2", "?source=%00"])
def test_a_wrong_parameter_is_named(site: Site, query: str) -> None:
    problem = assert_problem(site.ask("GET", DOCUMENTS + query), 422, "invalid-request")
    assert problem["errors"][0]["field"] == query[1:].partition("=")[0]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"query": "  "}, "empty"),
        ({"query": "a" * 20_001}, "20,001"),
        ({"query": "a", "entity": "No Slug"}, "slug"),
    ],
)
def test_a_search_that_makes_no_sense_is_rejected(site: Site, body: Any, word: str) -> None:
    assert_problem(site.ask("POST", SEARCH, body), 422, "rejected", word)


def test_a_cursor_that_is_none_is_rejected(site: Site) -> None:
    assert_problem(site.ask("GET", f"{DOCUMENTS}?cursor=x"), 422, "rejected", "identifier")


def test_an_identifier_with_nul_is_refused(site: Site) -> None:
    assert_problem(site.ask("GET", f"{DOCUMENTS}/%00"), 422, "invalid-request")


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1", f"{DOCUMENTS}/a/b", "/static/../app.py"])
def test_an_unknown_address_is_a_problem(site: Site, path: str) -> None:
    assert_problem(site.ask("GET", path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SEARCH, "POST"),
        ("PUT", DOCUMENTS, "GET, POST"),
        ("PATCH", f"{DOCUMENTS}/a", "DELETE, GET"),
        ("POST", "/healthz", "GET"),
        ("POST", "/", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
    site: Site, method: str, path: str, allowed: str
) -> None:
    answer = site.ask(method, path)
    assert_problem(answer, 405, "method-not-allowed", method, allowed)
    assert answer.headers["Allow"] == allowed


# Limits and refusals


def test_a_body_too_large_is_refused_and_the_client_learns_why(site: Site) -> None:
    answer = site.ask("POST", DOCUMENTS, b" " * (LARGEST_BODY + 1))
    assert_problem(answer, 413, "too-large", "32 MB")


def test_a_body_too_large_is_refused_whatever_was_announced(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.settimeout(60)
        connection.sendall(
            f"POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/json\r\n\r\n".encode()
        )
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        for _ in range(LARGEST_BODY // 0x100000 + 1):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(200).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "10.0.0.1", "[", "127.1", ""]
)
def test_a_strange_host_is_refused(site: Site, host: str) -> None:
    answer = site.ask("GET", "/healthz", headers={"Host": host})
    assert_problem(answer, 421, "wrong-host", "proxy")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:8787"])
def test_this_machine_is_answered(site: Site, host: str) -> None:
    assert site.ask("GET", "/healthz", headers={"Host": host}).status == 200


@pytest.mark.parametrize("site_", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_change_nothing(site: Site, site_: str) -> None:
    answer = site.ask("POST", SEARCH, {"query": "a"}, headers={"Sec-Fetch-Site": site_})
    assert_problem(answer, 403, "cross-site")
    same = site.ask("POST", SEARCH, {"query": "a"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert same.status == 200


def test_a_form_of_another_site_cannot_pass_for_json(site: Site) -> None:
    body = json.dumps({"query": "a"}).encode()
    answer = site.ask("POST", SEARCH, body, headers={"Content-Type": "text/plain"})
    assert_problem(answer, 422, "invalid-request")


@pytest.mark.parametrize("path", ["/healthz", "/", "/nowhere", "/static/style.css"])
def test_every_answer_has_the_security_headers(site: Site, path: str) -> None:
    headers = site.ask("GET", path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-ID"]
    assert "Server" not in headers or "uvicorn" not in headers["Server"]


def test_a_correlation_of_the_client_is_kept_if_it_is_harmless(site: Site) -> None:
    kept = site.ask("GET", "/healthz", headers={"X-Request-ID": "a-1"})
    replaced = site.ask("GET", "/healthz", headers={"X-Request-ID": "a b"})
    assert kept.headers["X-Request-ID"] == "a-1"
    assert len(replaced.headers["X-Request-ID"]) == 32


# When something fails


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (DatabaseUnavailable("the database does not answer"), 503, "unavailable"),
        (Conflict("it has moved on"), 409, "conflict"),
        (Misconfigured("the model is missing"), 500, "misconfigured"),
    ],
)
def test_an_error_family_decides_the_status(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, slug: str
) -> None:
    async def fail(*given: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(site.hs.knowledge, "search", fail)
    answer = site.ask("POST", SEARCH, {"query": "a"})
    assert_problem(answer, status, slug, str(error))
    assert (answer.headers["Retry-After"] is not None) == (status == 503)


def test_a_mistake_of_ours_shows_nothing_of_the_inside(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*given: object, **options: object) -> None:
        raise RuntimeError("the password is sesame")

    monkeypatch.setattr(site.hs.knowledge, "search", fail)
    answer = site.ask("POST", SEARCH, {"query": "a"}, headers={"X-Request-ID": "abc"})
    problem = assert_problem(answer, 500, "unexpected", "abc")
    assert problem["correlation"] == "abc"
    assert "sesame" not in answer.text
    assert "RuntimeError" not in answer.text


# Health, metrics, description


def test_alive_and_ready(site: Site) -> None:
    assert site.ask("GET", "/healthz").json() == {"ok": True}
    ready = site.ask("GET", "/readyz")
    assert ready.status == 200
    assert ready.json()["ok"] is True
    assert ready.json()["checks"][0].keys() == {"name", "ok", "detail", "fix"}


def test_not_ready_without_a_database(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr(site.hs.database, "transaction", fail)
    answer = site.ask("GET", "/readyz")
    assert (answer.status, answer.json()["ok"]) == (503, False)
    assert answer.json()["checks"][0]["fix"]
    assert site.ask("GET", "/healthz").status == 200


def test_metrics_are_text(site: Site) -> None:
    answer = site.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_the_description_names_every_route_and_has_examples(site: Site) -> None:
    described = site.ask("GET", "/openapi.json").json()
    routes = {(path, method) for path, item in described["paths"].items() for method in item}
    assert routes == {
        (SEARCH, "post"),
        (DOCUMENTS, "get"),
        (DOCUMENTS, "post"),
        (f"{DOCUMENTS}/{{document}}", "get"),
        (f"{DOCUMENTS}/{{document}}", "delete"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
        ("/webhooks/notion", "post"),
        *((f"/webhooks/{{source}}{more}", "post") for more in ("", "/{event}")),
        *((f"/api/v1/{kind}", "get") for kind in ("reviews", "escalations")),
        *((f"/api/v1/{kind}/{{ticket}}", "get") for kind in ("reviews", "escalations")),
        *((f"/api/v1/{kind}/{{ticket}}/take", "post") for kind in ("reviews", "escalations")),
        ("/api/v1/reviews/{ticket}/decision", "post"),
        ("/api/v1/escalations/{ticket}/answer", "post"),
        *(("/api/v1/instances/{instance}/approvals", method) for method in ("get", "post")),
        ("/api/v1/templates", "get"),
        ("/api/v1/templates/{name}", "get"),
        ("/api/v1/templates/{name}/setups/{entity}", "put"),
    }
    for path, method in routes - {("/metrics", "get"), ("/webhooks/notion", "post")}:
        answers = described["paths"][path][method]["responses"]
        answer = answers["202" if path.startswith("/webhooks/") else "200"]
        assert answer["content"]["application/json"]["example"]
    examples = described["paths"][DOCUMENTS]["post"]["requestBody"]["content"]["application/json"]
    for example in examples["examples"].values():
        assert site.ask("POST", DOCUMENTS, example["value"]).status in {200, 201}
