"""The server refuses what the vendors refuse. What it answers is checked with the real SDKs."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest

from higherself.testing.embeddings import (
    FAULTS,
    EmbeddingServer,
    embedding_server,
    meaning,
)

Answer = tuple[int, Any]


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


@pytest.fixture
def server(running: EmbeddingServer) -> EmbeddingServer:
    for vendor in (running.openai, running.voyage):
        vendor.recover()
        vendor.requests.clear()
        vendor.key = None
    return running


def ask(
    server: EmbeddingServer,
    vendor: str,
    key: str | None = "key",
    route: str = "embeddings",
    **body: Any,
) -> Answer:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        connection.request("POST", f"/{vendor}/v1/{route}", json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


SMALL = "text-embedding-3-small"


@pytest.mark.parametrize(
    ("vendor", "body", "status"),
    [
        ("openai", {"model": SMALL, "input": "tea"}, 200),
        ("openai", {"model": SMALL, "input": ["tea"] * 2048}, 200),
        ("openai", {"model": SMALL, "input": ["tea"] * 2049}, 400),
        ("openai", {"model": SMALL, "input": []}, 400),
        ("openai", {"model": SMALL, "input": [""]}, 400),
        ("openai", {"model": SMALL, "input": [7]}, 400),
        ("openai", {"model": SMALL}, 400),
        ("openai", {"model": SMALL, "input": "x" * 40_000}, 400),
        ("openai", {"model": SMALL, "input": ["x" * 20_000] * 70}, 400),
        ("openai", {"model": SMALL, "input": "tea", "dimensions": 1537}, 400),
        ("openai", {"model": "text-embedding-ada-002", "input": "t", "dimensions": 1536}, 400),
        ("openai", {"model": "voyage-4", "input": "tea"}, 404),
        ("voyage", {"model": "voyage-4", "input": "tea", "input_type": "query"}, 200),
        ("voyage", {"model": "voyage-4", "input": ["tea"] * 1001}, 400),
        ("voyage", {"model": "voyage-4", "input": "tea", "input_type": "question"}, 400),
        ("voyage", {"model": "voyage-4", "input": "tea", "output_dimension": 300}, 400),
        ("voyage", {"model": "voyage-law-2", "input": "tea", "output_dimension": 1024}, 400),
        ("voyage", {"model": "voyage-4-large", "input": ["x" * 50_000] * 10}, 400),
        ("voyage", {"model": "voyage-4-lite", "input": ["x" * 50_000] * 10}, 200),
        ("voyage", {"model": SMALL, "input": "tea"}, 400),
    ],
)
def test_a_request_is_checked(
    server: EmbeddingServer, vendor: str, body: dict[str, Any], status: int
) -> None:
    got, answer = ask(server, vendor, **body)
    assert got == status
    if status != 200:
        assert answer["detail"] if vendor == "voyage" else answer["error"]["message"]


VOYAGE_RERANK = {"model": "rerank-2.5", "query": "tea"}
OTHER_RERANK = {"model": "bge-reranker-base", "query": "tea"}


@pytest.mark.parametrize(
    ("vendor", "body", "status"),
    [
        ("voyage", {**VOYAGE_RERANK, "documents": ["tea", "bath"]}, 200),
        ("voyage", {**VOYAGE_RERANK, "documents": ["tea"] * 1001}, 400),
        ("voyage", {**VOYAGE_RERANK, "documents": []}, 400),
        ("voyage", {**VOYAGE_RERANK, "documents": "tea"}, 400),
        ("voyage", {**VOYAGE_RERANK, "documents": [""]}, 400),
        ("voyage", {**VOYAGE_RERANK, "documents": [7]}, 400),
        ("voyage", {"model": "rerank-2.5", "documents": ["tea"]}, 400),
        ("voyage", {**VOYAGE_RERANK, "query": "x" * 32_004, "documents": ["tea"]}, 400),
        ("voyage", {**VOYAGE_RERANK, "documents": ["x" * 128_000]}, 400),
        ("voyage", {**VOYAGE_RERANK, "documents": ["x" * 100_000] * 25}, 400),
        ("voyage", {"model": "bge-reranker-base", "query": "q", "documents": ["tea"]}, 400),
        ("openai", {**OTHER_RERANK, "documents": ["tea", "bath"], "top_n": 2}, 200),
        ("openai", {**OTHER_RERANK, "documents": ["x" * 2_048]}, 400),
        ("openai", {"model": "rerank-2.5", "query": "q", "documents": ["tea"]}, 404),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_it_refuses_to_rerank_what_the_vendor_would(
    server: EmbeddingServer, vendor: str, body: dict[str, Any], status: int
) -> None:
    got, answer = ask(server, vendor, route="rerank", **body)
    assert got == status
    if status != 200:
        assert answer["detail"] if vendor == "voyage" else answer["error"]["message"]


def test_the_best_passage_comes_first_in_the_words_of_each_protocol(
    server: EmbeddingServer,
) -> None:
    documents = ["a late train", "two cups of tea", "tea"]
    _, of_voyage = ask(server, "voyage", route="rerank", **VOYAGE_RERANK, documents=documents)
    _, other = ask(server, "openai", route="rerank", **OTHER_RERANK, documents=documents, top_n=2)
    assert [row["index"] for row in of_voyage["data"]] == [2, 1, 0]
    assert of_voyage["usage"] == {"total_tokens": 3 + 3 + 4 + 1}
    assert [row["index"] for row in other["results"]] == [2, 1]
    assert other["results"][0]["relevance_score"] == pytest.approx(1.0)
    (request,) = server.voyage.requests
    assert (request.query, request.texts) == ("tea", tuple(documents))


def test_a_key_is_needed_and_must_be_right(server: EmbeddingServer) -> None:
    server.openai.key = "right"
    asked: dict[str, Any] = {"model": SMALL, "input": "tea"}
    statuses = [ask(server, "openai", key, **asked)[0] for key in (None, "wrong", "right")]
    assert statuses == [401, 401, 200]
    assert [each.key for each in server.openai.requests] == ["", "wrong", "right"]


def test_both_encodings_hold_the_same(server: EmbeddingServer) -> None:
    asked: dict[str, Any] = {"model": SMALL, "input": ["two cups", "of tea"], "dimensions": 64}
    _, floats = ask(server, "openai", **asked)
    _, packed = ask(server, "openai", **asked, encoding_format="base64")
    for one, two in zip(floats["data"], packed["data"], strict=True):
        unpacked = np.frombuffer(base64.b64decode(two["embedding"]), "<f4")
        np.testing.assert_array_equal(np.array(one["embedding"], "<f4"), unpacked)
        assert one["index"] == two["index"]
    assert floats["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_a_family_has_one_space_and_another_family_another() -> None:
    text = "The deposit is refunded."
    other = meaning(text, "3-small", 1024)
    assert abs(float(meaning(text, "voyage-4", 1024) @ other)) < 0.2


def test_random_faults_are_those_of_the_seed(server: EmbeddingServer) -> None:
    def drawn(seed: int) -> list[Any]:
        server.openai.fail_at_random(seed, share=0.5)
        return [server.openai.next_fault() for _ in range(200)]

    first = drawn(1)
    assert drawn(1) == first != drawn(2)
    assert 60 < first.count(None) < 140
    assert set(first) == {None, *FAULTS}


def test_a_script_is_used_up_and_then_forgotten(server: EmbeddingServer) -> None:
    server.voyage.script("server_error", None, "rate_limited_with_wait")
    server.voyage.failing = "overloaded"
    asked = {"model": "voyage-4", "input": "tea"}
    assert [ask(server, "voyage", **asked)[0] for _ in range(4)] == [500, 200, 429, 503]
    server.voyage.recover()
    assert ask(server, "voyage", **asked)[0] == 200
    assert [each.fault for each in server.voyage.requests][-2:] == ["overloaded", None]


def test_another_address_is_not_found(server: EmbeddingServer) -> None:
    assert ask(server, "anthropic", model=SMALL, input="tea")[0] == 404


def test_it_is_a_command() -> None:
    command = [sys.executable, "-m", "higherself.testing.embeddings", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
        finally:
            process.terminate()
    assert line.startswith("OPENAI_API_KEY=any OPENAI_BASE_URL=http://127.0.0.1:")
