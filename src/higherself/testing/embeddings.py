"""A server that speaks the protocols of OpenAI and Voyage, with faults on demand.

For tests, which let the vendors' real SDKs talk to it, and for trying things out by hand::

    python -m higherself.testing.embeddings --port 8899

Under ``/openai/v1`` it is OpenAI, under ``/voyage/v1`` Voyage. It checks what they check (key,
model, dimensions, number and length of the texts), and answers with vectors that mean something:
texts that share words are near each other, and each family of models has a space of its own. Both
have a ``/rerank`` beside ``/embeddings``; OpenAI's is that of the servers that speak its protocol.
"""

import argparse
import base64
import json
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import numpy as np

from higherself.knowledge.ports import Vectors
from higherself.testing.listening import (
    PAGE,
    UNANSWERED,
    Answer,
    HttpServer,
    Request,
    listening,
)
from higherself.testing.meaning import meaning as meaning  # also for who asks here
from higherself.testing.protocol import FAULTS as FAULTS
from higherself.testing.protocol import Fault as Fault
from higherself.testing.protocol import Refused
from higherself.testing.protocol import tokens_of as tokens_of
from higherself.testing.reranking import OPENAI_RERANKERS, VOYAGE_RERANKERS, Window, scored


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is served: its family, and the dimensions it gives, the default first."""

    family: str
    dimensions: Sequence[int]
    window: int
    tokens: int


def _down_from(dimensions: int) -> Sequence[int]:
    return range(dimensions, 0, -1)


_FLEXIBLE = (1024, 256, 512, 2048)
OPENAI_MODELS = {
    "text-embedding-3-small": Model("3-small", _down_from(1536), 8_191, 300_000),
    "text-embedding-3-large": Model("3-large", _down_from(3072), 8_191, 300_000),
    "text-embedding-ada-002": Model("ada-002", (1536,), 8_191, 300_000),
}
VOYAGE_MODELS = {
    "voyage-4-large": Model("voyage-4", _FLEXIBLE, 32_000, 120_000),
    "voyage-4": Model("voyage-4", _FLEXIBLE, 32_000, 320_000),
    "voyage-4-lite": Model("voyage-4", _FLEXIBLE, 32_000, 1_000_000),
    "voyage-3.5": Model("voyage-3.5", _FLEXIBLE, 32_000, 320_000),
    "voyage-law-2": Model("voyage-law-2", (1024,), 16_000, 120_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request that came in, and what became of it. Only one for scores has a ``query``."""

    key: str
    model: str | None = None
    texts: tuple[str, ...] = ()
    query: str | None = None
    input_type: str | None = None
    dimensions: int | None = None
    status: int = 0
    fault: Fault | None = None


@dataclass(slots=True)
class Vendor:
    """One of the two protocols. Everything may be changed while it runs.

    ``failing`` is the fault of every request; before that, those of `script` are used up.
    ``key`` is the only right one, if it is set. A text that contains ``poison`` is refused.
    """

    name: Literal["openai", "voyage"]
    models: dict[str, Model]
    rerankers: dict[str, Window]
    most_texts: int
    key: str | None = None
    failing: Fault | None = None
    poison: str | None = None
    wait: timedelta = timedelta(seconds=1)
    late: timedelta = timedelta(milliseconds=300)
    requests: list[Received] = field(default_factory=list)
    _script: deque[Fault | None] = field(default_factory=deque)
    _draw: Callable[[], Fault | None] | None = None

    def script(self, *faults: Fault | None) -> None:
        """Have the next requests fail so, one after the other; None: this one succeeds."""
        self._script.extend(faults)

    def fail_at_random(self, seed: int, *, share: float, faults: Sequence[Fault] = FAULTS) -> None:
        """Have about ``share`` of all requests fail, in a sequence that ``seed`` determines."""
        rng = random.Random(seed)  # noqa: S311  faults are no secrets
        self._draw = lambda: rng.choice(faults) if rng.random() < share else None

    def recover(self) -> None:
        """Have every request succeed from now on."""
        self._script.clear()
        self.failing = self._draw = None

    @property
    def texts(self) -> list[str]:
        """Every text of every request that was answered, in order."""
        return [text for each in self.requests if each.status == 200 for text in each.texts]

    def next_fault(self) -> Fault | None:
        """Return how the request that just came in fails."""
        if self._script:
            return self._script.popleft()
        return self.failing or (self._draw() if self._draw else None)

    def error(self, status: int, message: str, code: str | None = None) -> bytes:
        """Return the body of an error."""
        if self.name == "voyage":
            return json.dumps({"detail": message}).encode()
        kind = "invalid_request_error" if status < 429 else "server_error"
        told = {"message": message, "type": kind, "param": None, "code": code}
        return json.dumps({"error": told}).encode()


class EmbeddingServer(HttpServer):
    """Both vendors on one port of the loopback interface."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.openai = Vendor("openai", dict(OPENAI_MODELS), dict(OPENAI_RERANKERS), 2_048)
        self.voyage = Vendor("voyage", dict(VOYAGE_MODELS), dict(VOYAGE_RERANKERS), 1_000)

    @property
    def openai_url(self) -> str:
        """For OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/openai/v1"

    @property
    def voyage_url(self) -> str:
        """For VOYAGE_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/voyage/v1"

    def answer(self, request: Request) -> Answer:
        """Return what the vendor that is asked would answer, or the fault that is due."""
        under, _, route = request.path.rpartition("/")
        vendor = {"/openai/v1": self.openai, "/voyage/v1": self.voyage}.get(under)
        if vendor is None or route not in ("embeddings", "rerank"):
            return Answer(404, b'{"detail": "Not Found"}')
        fault = vendor.next_fault()
        make = _embeddings if route == "embeddings" else _scores
        status, headers, body = _answered(vendor, fault, request, make)
        return Answer(status, body, headers, fault, vendor.late)


def _answered(
    vendor: Vendor,
    fault: Fault | None,
    request: Request,
    make: Callable[[Vendor, Mapping[str, Any], Fault | None], bytes],
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer, and note the request."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    asked: dict[str, Any] = {}
    try:
        if not key or key != (vendor.key or key):
            raise Refused(401, f"Incorrect API key provided: {key}")
        asked = json.loads(request.body)
        if fault in _REFUSALS:
            raise Refused(*_REFUSALS[fault])
        status, answer = 200, make(vendor, asked, fault)
    except Refused as refusal:
        status = refusal.status
        answer = vendor.error(status, refusal.message, refusal.code)
    if fault in ("html", "html_error"):
        status, answer = 200 if fault == "html" else 502, PAGE
    texts = asked.get("input", asked.get("documents", ()))
    vendor.requests.append(
        Received(
            key=key,
            model=asked.get("model"),
            texts=(texts,) if isinstance(texts, str) else tuple(texts),
            query=asked.get("query"),
            input_type=asked.get("input_type"),
            dimensions=asked.get("dimensions", asked.get("output_dimension")),
            status=0 if fault in UNANSWERED else status,
            fault=fault,
        )
    )
    asks_to_wait = fault == "rate_limited_with_wait"
    wait = {"Retry-After": f"{vendor.wait.total_seconds():g}"} if asks_to_wait else {}
    return status, wait, answer


_REFUSALS: dict[Fault | None, tuple[int, str, str | None]] = {
    "unauthorized": (401, "Provided API key is invalid.", None),
    "forbidden": (403, "You are not allowed to do this.", None),
    "quota": (429, "You exceeded your current quota.", "insufficient_quota"),
    "rate_limited": (429, "Rate limit reached.", "rate_limit_exceeded"),
    "rate_limited_with_wait": (429, "Rate limit reached.", "rate_limit_exceeded"),
    "server_error": (500, "The server had an error.", None),
    "overloaded": (503, "The server is overloaded.", None),
}


def _scores(vendor: Vendor, asked: Mapping[str, Any], fault: Fault | None) -> bytes:
    """Return the same for scores."""
    answer = scored(
        asked, fault, vendor.rerankers, of_voyage=vendor.name == "voyage", poison=vendor.poison
    )
    return json.dumps(answer).encode()


def _embeddings(vendor: Vendor, asked: Mapping[str, Any], fault: Fault | None) -> bytes:
    """Return the body of a good answer, or of one that is bad in the way of ``fault``."""
    texts, model, dimensions = _checked(vendor, asked)
    if fault == "wrong_dimensions":
        dimensions //= 2
    vectors = np.array([meaning(text, model.family, dimensions) for text in texts])
    if fault == "nan":
        vectors[0, 0] = np.nan
    if fault == "zeros":
        vectors[0] = 0
    rows = [
        {"object": "embedding", "embedding": _encoded(vector, asked), "index": index}
        for index, vector in enumerate(vectors)
    ]
    if fault == "too_few":
        rows.pop()
    if fault == "shuffled":
        rows.reverse()
    tokens = sum(map(tokens_of, texts))
    usage = {"total_tokens": tokens}
    if vendor.name == "openai":
        usage["prompt_tokens"] = tokens
    answer = {"object": "list", "data": rows, "model": asked["model"], "usage": usage}
    return json.dumps(answer).encode()


def _checked(vendor: Vendor, asked: Mapping[str, Any]) -> tuple[list[str], Model, int]:
    """Return the texts, the model and the dimensions, or refuse the request as the vendor would."""
    model = vendor.models.get(asked.get("model", ""))
    if model is None:
        status = 404 if vendor.name == "openai" else 400
        raise Refused(status, f"Model {asked.get('model')} is not supported.", "model_not_found")
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refused(400, "'input' must be a string or a list of strings.")
    if not 1 <= len(texts) <= vendor.most_texts:
        raise Refused(400, f"'input' has {len(texts)} texts; {vendor.most_texts} are allowed.")
    for text in texts:
        if not text or (vendor.poison is not None and vendor.poison in text):
            raise Refused(400, "'input' cannot be embedded.")
        if tokens_of(text) > model.window:
            raise Refused(400, f"A text exceeds the context length of {model.window} tokens.")
    if sum(map(tokens_of, texts)) > model.tokens:
        raise Refused(400, f"The request exceeds {model.tokens} tokens.")
    if asked.get("input_type") not in (None, "query", "document"):
        raise Refused(400, "'input_type' must be query or document.")
    name = "dimensions" if vendor.name == "openai" else "output_dimension"
    dimensions = asked.get(name) or model.dimensions[0]
    if dimensions not in model.dimensions or (len(model.dimensions) == 1 and asked.get(name)):
        raise Refused(400, f"The model does not have {dimensions} dimensions.")
    return texts, model, dimensions


def _encoded(vector: Vectors, asked: Mapping[str, Any]) -> str | list[float]:
    if asked.get("encoding_format") == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]


@contextmanager
def embedding_server(port: int = 0) -> Iterator[EmbeddingServer]:
    """Yield a server in a thread of its own, on a free port unless one is given."""
    with listening(EmbeddingServer, port, name="embedding-server") as server:
        yield server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C, and say which settings lead here."""
    parser = argparse.ArgumentParser(prog="python -m higherself.testing.embeddings")
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--failing", choices=FAULTS, help="the fault of every request")
    parser.add_argument("--share", type=float, default=0.0, help="of requests that fail at random")
    parser.add_argument("--seed", type=int, default=0, help="of the random faults")
    given = parser.parse_args(arguments)
    with embedding_server(given.port) as server, suppress(KeyboardInterrupt):
        for vendor in (server.openai, server.voyage):
            vendor.failing = given.failing
            if given.share:
                vendor.fail_at_random(given.seed, share=given.share)
        sys.stdout.write(
            f"OPENAI_API_KEY=any OPENAI_BASE_URL={server.openai_url}\n"
            f"VOYAGE_API_KEY=any VOYAGE_BASE_URL={server.voyage_url}\n"
        )
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
