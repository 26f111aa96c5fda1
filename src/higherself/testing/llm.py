"""A server that speaks the protocols of Anthropic and OpenAI for language models, with faults.

For tests, which let pydantic-ai and the vendors' real SDKs talk to it, and for trying things out::

    python -m higherself.testing.llm --port 8898

Under ``/anthropic`` it is Anthropic's Messages API, under ``/openai/v1`` OpenAI's Responses and Chat
Completions. What it says is scripted, or that of a behaviour: `plausible`, or the worst-case
`Obedient` model, which does whatever any text tells it to do.
"""

import argparse
import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, get_args

from higherself.testing.listening import (
    PAGE,
    UNANSWERED,
    Answer,
    HttpServer,
    Request,
    listening,
)
from higherself.testing.obedience import Heard as Heard
from higherself.testing.obedience import Obedient as Obedient
from higherself.testing.obedience import Said as Said
from higherself.testing.obedience import plausible as plausible
from higherself.testing.protocol import tokens_of

Fault = Literal[
    "unauthorized",  # 401
    "quota",  # 429 that no waiting helps against (OpenAI)
    "refused",  # 400
    "unknown_model",  # 404
    "rate_limited",  # 429
    "rate_limited_with_wait",  # 429 with Retry-After
    "server_error",  # 500
    "overloaded",  # 529
    "html_error",  # 502 with a page of HTML
    "html",  # 200 with a page of HTML
    "garbage",  # 200 with JSON of another shape
    "not_json",  # 200 with half of a JSON text
    "hang",  # no answer, ever
    "slow",  # the right answer, late
    "dropped",  # the connection is closed without an answer
    "cut",  # the connection is closed in the middle of the answer
    "cut_output",  # the answer ends because it has reached the number of tokens
    "wrong_schema",  # an output without the fields that are asked for
    "unmeasured",  # the right answer, without usage
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
Behaviour = Callable[[Heard], Said]

_REFUSALS: dict[str, tuple[int, str, str]] = {
    "unauthorized": (401, "The key sk-secret-key is wrong.", "authentication_error"),
    "quota": (429, "You exceeded your current quota.", "insufficient_quota"),
    "refused": (400, "The request makes no sense.", "invalid_request_error"),
    "unknown_model": (404, "There is no such model.", "not_found_error"),
    "rate_limited": (429, "Rate limit reached.", "rate_limit_error"),
    "rate_limited_with_wait": (429, "Rate limit reached.", "rate_limit_error"),
    "server_error": (500, "The server had an error.", "api_error"),
    "overloaded": (529, "Overloaded.", "overloaded_error"),
}


@dataclass(slots=True)
class Received:
    """A request that came in, as it was, and what became of it."""

    route: str
    key: str
    body: Mapping[str, Any]
    heard: Heard
    fault: Fault | None = None
    status: int = 0


@dataclass(slots=True)
class ModelServer(HttpServer):
    """Both vendors on one port of the loopback interface. Everything may be changed while it runs.

    ``failing`` is the fault of every request; before that, what was scripted is used up: a fault, or
    what is said. ``wait`` is what Retry-After asks for, ``late`` how late a slow answer is.
    """

    port: int
    behave: Behaviour = plausible
    failing: Fault | None = None
    wait: timedelta = timedelta(seconds=1)
    late: timedelta = timedelta(milliseconds=300)
    requests: list[Received] = field(default_factory=list)
    _script: deque[Fault | Said | None] = field(default_factory=deque)

    @property
    def anthropic_url(self) -> str:
        """For ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/anthropic"

    @property
    def openai_url(self) -> str:
        """For OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/openai/v1"

    def script(self, *items: Fault | Said | None) -> None:
        """Have the next requests fail or be answered so; None: as the behaviour answers."""
        self._script.extend(items)

    def recover(self) -> None:
        """Have every request be answered by the behaviour from now on."""
        self._script.clear()
        self.failing = None

    def answer(self, request: Request) -> Answer:
        """Return what the vendor that is asked would answer, or the fault that is due."""
        protocol = _PROTOCOLS.get(request.path.partition("?")[0])
        if protocol is None:
            return Answer(404, b'{"error": {"message": "Not Found"}}')
        item = self._script.popleft() if self._script else self.failing
        fault = item if isinstance(item, str) else None
        received = _received(protocol, request, fault)
        self.requests.append(received)
        status, body, headers = self._answered(protocol, received, item)
        received.status = 0 if fault in UNANSWERED else status
        return Answer(status, body, headers, fault, self.late)

    def _answered(
        self, protocol: "Protocol", received: Received, item: Fault | Said | None
    ) -> tuple[int, bytes, dict[str, str]]:
        if isinstance(item, str) and item in _REFUSALS:
            status, message, code = _REFUSALS[item]
            waits = item == "rate_limited_with_wait"
            headers = {"Retry-After": f"{self.wait.total_seconds():g}"} if waits else {}
            error = {"type": code, "code": code, "message": message}
            # Some servers repeat the key, which must be shown nowhere.
            error["message"] += f" ({received.key})" if status == 401 else ""
            return status, json.dumps({"type": "error", "error": error}).encode(), headers
        said = item if isinstance(item, Said) else self.behave(received.heard)
        match item:
            case "html_error":
                return 502, PAGE, {}
            case "html":
                return 200, PAGE, {}
            case "garbage":
                return 200, b'{"hello": ["world"]}', {}
            case "wrong_schema":
                wrong = {
                    name: {"unexpected": 1} for name, _ in [(received.heard.output, 0)] if name
                }
                said = Said(calls=tuple(wrong.items()))
            case "cut_output":
                said = replace(said, cut=True)
            case _:
                pass
        body = protocol.write(received.heard, said)
        if item == "unmeasured":
            body.pop("usage", None)
        encoded = json.dumps(body).encode()
        return 200, encoded[: len(encoded) // 2] if item == "not_json" else encoded, {}


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a vendor's requests are read and its answers written."""

    route: str
    read: Callable[[Mapping[str, Any]], Heard]
    write: Callable[[Heard, Said], dict[str, Any]]


def _received(protocol: Protocol, request: Request, fault: Fault | None) -> Received:
    body = json.loads(request.body)
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    key = request.headers.get("x-api-key", bearer)
    return Received(protocol.route, key, body, protocol.read(body), fault)


def _texts(content: Any) -> Iterator[str]:
    """Yield every text in the content of a message, in whatever shape a vendor has it."""
    match content:
        case str():
            yield content
        case list():
            for part in content:
                yield from _texts(part)
        case {"text": str(text)}:
            yield text
        case {"content": inner} | {"output": inner}:
            yield from _texts(inner)
        case _:
            return


def _heard(
    model: str, instructions: str, texts: Iterator[str], results: int, tools: Mapping[str, Any]
) -> Heard:
    output = "final_result" if "final_result" in tools else None
    return Heard(
        model=model,
        instructions=instructions,
        texts=tuple(texts),
        results=results,
        tools={name: schema for name, schema in tools.items() if name != output},
        output=output,
        output_schema=tools.get("final_result", {}),
    )


def _read_messages(body: Mapping[str, Any]) -> Heard:
    parts = [part for each in body["messages"] for part in _parts(each["content"])]
    results = [part for part in parts if part.get("type") == "tool_result"]
    said = (
        text
        for each in body["messages"]
        if each["role"] != "assistant"
        for text in _texts(each["content"])
    )
    return _heard(
        body["model"],
        "\n".join(_texts(body.get("system", ""))),
        said,
        len(results),
        {tool["name"]: tool["input_schema"] for tool in body.get("tools", [])},
    )


def _parts(content: Any) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _write_messages(heard: Heard, said: Said) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
    content += [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}
        for number, (name, given) in enumerate(said.calls)
    ]
    stop = "max_tokens" if said.cut else "tool_use" if said.calls else "end_turn"
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": heard.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": _input(heard), "output_tokens": _output(said)},
    }


def _read_chat(body: Mapping[str, Any]) -> Heard:
    roles = {"system", "developer"}
    said = (
        text
        for each in body["messages"]
        if each["role"] not in {*roles, "assistant"}
        for text in _texts(each["content"])
    )
    ruled = (
        text
        for each in body["messages"]
        if each["role"] in roles
        for text in _texts(each["content"])
    )
    return _heard(
        body["model"],
        "\n".join(ruled),
        said,
        sum(each["role"] == "tool" for each in body["messages"]),
        {
            tool["function"]["name"]: tool["function"]["parameters"]
            for tool in body.get("tools", [])
        },
    )


def _write_chat(heard: Heard, said: Said) -> dict[str, Any]:
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": _written(given)},
        }
        for number, (name, given) in enumerate(said.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if calls:
        message["tool_calls"] = calls
    finish = "length" if said.cut else "tool_calls" if calls else "stop"
    used, made = _input(heard), _output(said)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": heard.model,
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made},
    }


def _read_responses(body: Mapping[str, Any]) -> Heard:
    given = (
        body["input"]
        if isinstance(body["input"], list)
        else [{"role": "user", "content": body["input"]}]
    )
    roles = {"assistant", "system", "developer"}
    said = (
        text
        for each in given
        if each.get("role") not in roles and each.get("type") != "function_call"
        for text in _texts(each)
    )
    ruled = (
        text for each in given if each.get("role") in roles - {"assistant"} for text in _texts(each)
    )
    return _heard(
        body["model"],
        "\n".join([body.get("instructions") or "", *ruled]),
        said,
        sum(each.get("type") == "function_call_output" for each in given),
        {tool["name"]: tool["parameters"] for tool in body.get("tools", [])},
    )


def _write_responses(heard: Heard, said: Said) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if said.text:
        text = {"type": "output_text", "text": said.text, "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        output.append({**message, "content": [text]})
    output += [
        {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": f"call_{number}",
            "name": name,
            "arguments": _written(given),
            "status": "completed",
        }
        for number, (name, given) in enumerate(said.calls)
    ]
    used, made = _input(heard), _output(said)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if said.cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if said.cut else None,
        "model": heard.model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": used,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used + made,
        },
    }


def _written(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def _input(heard: Heard) -> int:
    return sum(map(tokens_of, [heard.instructions, *heard.texts]))


def _output(said: Said) -> int:
    return tokens_of(said.text + json.dumps(said.calls))


_PROTOCOLS = {
    "/anthropic/v1/messages": Protocol("messages", _read_messages, _write_messages),
    "/openai/v1/chat/completions": Protocol("chat", _read_chat, _write_chat),
    "/openai/v1/responses": Protocol("responses", _read_responses, _write_responses),
}


@contextmanager
def model_server(port: int = 0) -> Iterator[ModelServer]:
    """Yield a server in a thread of its own, on a free port unless one is given."""
    with listening(ModelServer, port, name="model-server") as server:
        yield server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C, and say which settings lead here."""
    parser = argparse.ArgumentParser(prog="python -m higherself.testing.llm")
    parser.add_argument("--port", type=int, default=8898)
    parser.add_argument("--failing", choices=FAULTS, help="the fault of every request")
    parser.add_argument("--obedient", action="store_true", help="obey whatever any text says")
    given = parser.parse_args(arguments)
    with model_server(given.port) as server, suppress(KeyboardInterrupt):
        server.failing = given.failing
        if given.obedient:
            server.behave = Obedient()
        sys.stdout.write(
            f"HIGHERSELF_LLM=anthropic:claude-sonnet-5 ANTHROPIC_API_KEY=any "
            f"ANTHROPIC_BASE_URL={server.anthropic_url}\n"
            f"HIGHERSELF_LLM=openai:gpt-5-mini OPENAI_API_KEY=any "
            f"OPENAI_BASE_URL={server.openai_url}\n"
        )
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
