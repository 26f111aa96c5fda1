"""What the conformance suite of MCP expects a server to have, put on top of our own.

The suite asks for tools, resources and prompts of certain names (``test_simple_text``, ...), which
no product has. `with_fixtures` adds them to a server that was built as always: what is judged is
the way from the socket to a handler, and back.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    GetPromptRequestParams,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    RequestParams,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    TextContent,
)

from higherself.kernel.clock import SYSTEM_CLOCK

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
SHORTLY = timedelta(milliseconds=50)
MISSING_CAPABILITY = -32021
_FRESH: Result = {"resultType": "complete", "ttlMs": 1000, "cacheScope": "public"}


def with_fixtures(server: Server[Any]) -> None:
    """Add everything the conformance suite asks for to ``server``; its own tools stay."""
    fixtures = _Fixtures()
    listed = server.get_request_handler("tools/list")
    called = server.get_request_handler("tools/call")
    assert listed is not None
    assert called is not None

    async def list_tools(context: Context, params: PaginatedRequestParams) -> Any:
        own = await listed.handler(context, params)
        assert isinstance(own, ListToolsResult)
        added = [{"name": name, "description": name, "inputSchema": _NOTHING} for name in _TOOLS]
        return {
            **own.model_dump(by_alias=True, exclude_none=True),
            "tools": [*_dumped(own), *added],
        }

    async def call_tool(context: Context, params: CallToolRequestParams) -> Any:
        tool = _TOOLS.get(params.name)
        return await (called.handler if tool is None else _bound(tool, fixtures))(context, params)

    add = server.add_request_handler
    add("tools/list", PaginatedRequestParams, list_tools)
    add("tools/call", CallToolRequestParams, call_tool)
    add("resources/list", PaginatedRequestParams, _list_resources)
    add("resources/templates/list", PaginatedRequestParams, _list_templates)
    add("resources/read", ReadResourceRequestParams, _read_resource)
    add("resources/subscribe", SubscribeRequestParams, _nothing)
    add("resources/unsubscribe", SubscribeRequestParams, _nothing)
    add("prompts/list", PaginatedRequestParams, _list_prompts)
    add("prompts/get", GetPromptRequestParams, _get_prompt)
    add("completion/complete", CompleteRequestParams, _complete)
    add("logging/setLevel", SetLevelRequestParams, _nothing_at_all)
    add("subscriptions/listen", SubscriptionsListenRequestParams, ListenHandler(fixtures.bus))
    security = RequestStateSecurity.ephemeral()
    server.middleware.append(RequestStateBoundary(security, default_audience=server.name))


@dataclass(frozen=True, slots=True)
class _Fixtures:
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)


Tool = Callable[[_Fixtures, Context, CallToolRequestParams], Awaitable[Result]]
_NOTHING: Result = {"type": "object", "properties": {}}
_TOOLS: dict[str, Tool] = {}


def _tool(function: Tool) -> Tool:
    _TOOLS[function.__name__] = function
    return function


def _bound(tool: Tool, fixtures: _Fixtures) -> Callable[[Context, Any], Awaitable[Result]]:
    async def call(context: Context, params: Any) -> Result:
        return _complete_or_not(await tool(fixtures, context, params))

    return call


def _complete_or_not(result: Result) -> Result:
    return {"resultType": "complete", **result}


def _dumped(listed: Any) -> list[Result]:
    return [each.model_dump(by_alias=True, exclude_none=True) for each in listed.tools]


def _text(text: str) -> Result:
    return {"content": [{"type": "text", "text": text}], "isError": False}


def _embedded(uri: str, media: str, text: str) -> Result:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": media, "text": text}}


@_tool
async def test_simple_text(f: _Fixtures, context: Context, params: Any) -> Result:
    return _text("This is a simple text response for testing.")


@_tool
async def test_image_content(f: _Fixtures, context: Context, params: Any) -> Result:
    return {"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]}


@_tool
async def test_audio_content(f: _Fixtures, context: Context, params: Any) -> Result:
    return {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}


@_tool
async def test_embedded_resource(f: _Fixtures, context: Context, params: Any) -> Result:
    text = "This is an embedded resource content."
    return {"content": [_embedded("test://embedded-resource", "text/plain", text)]}


@_tool
async def test_multiple_content_types(f: _Fixtures, context: Context, params: Any) -> Result:
    text: Result = {"type": "text", "text": "Multiple content types test:"}
    image: Result = {"type": "image", "data": PNG, "mimeType": "image/png"}
    data = json.dumps({"test": "data", "value": 123})
    embedded = _embedded("test://mixed-content-resource", "application/json", data)
    return {"content": [text, image, embedded]}


@_tool
async def test_error_handling(f: _Fixtures, context: Context, params: Any) -> Result:
    return {**_text("This tool intentionally returns an error for testing"), "isError": True}


@_tool
async def test_tool_with_logging(f: _Fixtures, context: Context, params: Any) -> Result:
    for told in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.session.send_log_message("info", told, related_request_id=context.request_id)
        await SYSTEM_CLOCK.sleep(SHORTLY)
    return _text("It has logged")


_TOOLS["test_logging_tool"] = test_tool_with_logging


@_tool
async def test_tool_with_progress(f: _Fixtures, context: Context, params: Any) -> Result:
    for progress in (0, 50, 100):
        await context.session.report_progress(progress, 100, f"Completed step {progress} of 100")
        await SYSTEM_CLOCK.sleep(SHORTLY)
    return _text("It has progressed")


@_tool
async def test_sampling(f: _Fixtures, context: Context, params: CallToolRequestParams) -> Result:
    prompt = str((params.arguments or {}).get("prompt", ""))
    asked = [SamplingMessage(role="user", content=TextContent(type="text", text=prompt))]
    answer = await context.session.create_message(asked, max_tokens=100)
    return _text(f"LLM response: {getattr(answer.content, 'text', '')}")


async def _elicited(context: Context, message: str, properties: Result, required: list[str]) -> Any:
    schema = {"type": "object", "properties": properties, "required": required}
    return await context.session.elicit_form(message, schema, context.request_id)


@_tool
async def test_elicitation(f: _Fixtures, context: Context, params: CallToolRequestParams) -> Result:
    message = str((params.arguments or {}).get("message", ""))
    answer = await _elicited(context, message, {"response": {"type": "string"}}, ["response"])
    return _text(f"User response: action={answer.action}, content={json.dumps(answer.content)}")


@_tool
async def test_elicitation_sep1034_defaults(f: _Fixtures, context: Context, params: Any) -> Result:
    properties: Result = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    }
    answer = await _elicited(context, "Who are you?", properties, [])
    return _text(f"Elicitation completed: action={answer.action}")


@_tool
async def test_elicitation_sep1330_enums(f: _Fixtures, context: Context, params: Any) -> Result:
    titled = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in _ORDINALS]
    plain = ["option1", "option2", "option3"]
    properties: Result = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": plain, "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    answer = await _elicited(context, "Which of them?", properties, [])
    return _text(f"Elicitation completed: action={answer.action}")


_ORDINALS = ((1, "First"), (2, "Second"), (3, "Third"))


@_tool
async def test_missing_capability(f: _Fixtures, context: Context, params: Any) -> Result:
    if "sampling" not in _capabilities(context):
        needed: Result = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_CAPABILITY, "the client cannot sample", needed)
    return _text("The client can sample")


@_tool
async def test_streaming_elicitation(f: _Fixtures, context: Context, params: Any) -> Result:
    await context.session.report_progress(1, 2)
    return _needed({"user_name": _NAME})


@_tool
async def test_trigger_tool_change(f: _Fixtures, context: Context, params: Any) -> Result:
    await f.bus.publish(ToolsListChanged())
    return _text("The tools have changed")


@_tool
async def test_trigger_prompt_change(f: _Fixtures, context: Context, params: Any) -> Result:
    await f.bus.publish(PromptsListChanged())
    return _text("The prompts have changed")


def _elicit(message: str, name: str, kind: str = "string") -> Result:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    }


def _sample(text: str) -> Result:
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {
        "method": "sampling/createMessage",
        "params": {"messages": [message], "maxTokens": 100},
    }


_NAME = _elicit("What is your name?", "name")
_OK = _elicit("Please confirm", "ok", "boolean")
_ROOTS: Result = {"method": "roots/list", "params": {}}


def _needed(requests: Result, state: str | None = None) -> Result:
    needed: Result = {"resultType": "input_required", "inputRequests": requests}
    return needed if state is None else {**needed, "requestState": state}


def _answers(params: Any) -> Mapping[str, Any]:
    given = params.input_responses or {}
    return {
        name: each.model_dump(by_alias=True) if hasattr(each, "model_dump") else each
        for name, each in given.items()
    }


def _said(answers: Mapping[str, Any], question: str, name: str) -> Any:
    return ((answers.get(question) or {}).get("content") or {}).get(name)


@_tool
async def test_input_required_result_elicitation(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    name = _said(_answers(params), "user_name", "name")
    return _text(f"Hello, {name}!") if isinstance(name, str) else _needed({"user_name": _NAME})


@_tool
async def test_input_required_result_sampling(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    answer = _said(_answers(params), "capital_question", "text")
    asked = {"capital_question": _sample("What is the capital of France?")}
    return _text(str(answer)) if answer is not None else _needed(asked)


@_tool
async def test_input_required_result_list_roots(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    roots = _answers(params).get("client_roots")
    return _needed({"client_roots": _ROOTS}) if roots is None else _text(f"roots: {roots['roots']}")


@_tool
async def test_input_required_result_request_state(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    if params.request_state == "first" and "confirm" in _answers(params):
        return _text("state-ok")
    return _needed({"confirm": _OK}, "first")


_TOOLS["test_input_required_result_tampered_state"] = test_input_required_result_request_state


@_tool
async def test_input_required_result_multiple_inputs(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    asked = {"user_name": _NAME, "greeting": _sample("Greet"), "client_roots": _ROOTS}
    if params.request_state == "first" and asked.keys() <= _answers(params).keys():
        return _text("It has all three")
    return _needed(asked, "first")


@_tool
async def test_input_required_result_multi_round(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    answers = _answers(params)
    if params.request_state == "second" and "step2" in answers:
        return _text("It has both")
    if params.request_state == "first" and "step1" in answers:
        color = _elicit("Step 2: What is your favorite color?", "color")
        return _needed({"step2": color}, "second")
    return _needed({"step1": _elicit("Step 1: What is your name?", "name")}, "first")


@_tool
async def test_input_required_result_capabilities(
    f: _Fixtures, context: Context, params: Any
) -> Result:
    able = _capabilities(context)
    asked = {"elicitation": _NAME, "sampling": _sample("Say something"), "roots": _ROOTS}
    return _needed({name: each for name, each in asked.items() if name in able})


def _capabilities(context: Context) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = context.meta or {}
    found = meta.get(CLIENT_CAPABILITIES_META_KEY) or {}
    return found if isinstance(found, Mapping) else found.model_dump(exclude_none=True)


_RESOURCES: dict[str, Result] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Somebody watches this."},
}


async def _nothing(context: Context, params: RequestParams) -> Result:
    return {"resultType": "complete"}


async def _nothing_at_all(context: Context, params: RequestParams) -> Result:
    return {}


async def _list_resources(context: Context, params: PaginatedRequestParams) -> Result:
    listed = [
        {"uri": uri, "name": uri.removeprefix("test://"), "mimeType": each["mimeType"]}
        for uri, each in _RESOURCES.items()
    ]
    return {"resources": listed, **_FRESH}


async def _list_templates(context: Context, params: PaginatedRequestParams) -> Result:
    template = {"uriTemplate": "test://template/{id}/data", "name": "template"}
    return {"resourceTemplates": [template], **_FRESH}


async def _read_resource(context: Context, params: ReadResourceRequestParams) -> Result:
    uri = str(params.uri)
    found = _RESOURCES.get(uri)
    if found is None and uri.startswith("test://template/") and uri.endswith("/data"):
        given = uri.split("/")[-2]
        data = {"id": given, "templateTest": True, "data": f"Data for ID: {given}"}
        found = {"mimeType": "application/json", "text": json.dumps(data)}
    if found is None:
        raise MCPError(INVALID_PARAMS, "Resource not found", {"uri": uri})
    return {"contents": [{"uri": uri, **found}], **_FRESH}


_PROMPTS: dict[str, list[str]] = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


async def _list_prompts(context: Context, params: PaginatedRequestParams) -> Result:
    listed = [
        {
            "name": name,
            "description": name,
            "arguments": [{"name": each, "required": True} for each in arguments],
        }
        for name, arguments in _PROMPTS.items()
    ]
    return {"prompts": listed, **_FRESH}


async def _get_prompt(context: Context, params: GetPromptRequestParams) -> Result:
    given = params.arguments or {}
    contents: list[Result]
    match params.name:
        case "test_simple_prompt":
            contents = [{"type": "text", "text": "This is a simple prompt for testing."}]
        case "test_prompt_with_arguments":
            told = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
            contents = [{"type": "text", "text": told}]
        case "test_prompt_with_embedded_resource":
            text = "Embedded resource content for testing."
            contents = [
                _embedded(given["resourceUri"], "text/plain", text),
                {"type": "text", "text": "Please process the embedded resource above."},
            ]
        case "test_prompt_with_image":
            contents = [
                {"type": "image", "data": PNG, "mimeType": "image/png"},
                {"type": "text", "text": "Please analyze the image above."},
            ]
        case "test_input_required_result_prompt":
            said = _said(_answers(params), "user_context", "context")
            if said is None:
                asked = _elicit("What context should the prompt use?", "context")
                return _needed({"user_context": asked})
            contents = [{"type": "text", "text": str(said)}]
        case _:
            raise MCPError(INVALID_PARAMS, f"there is no prompt {params.name!r}")
    return _complete_or_not({"messages": [{"role": "user", "content": each} for each in contents]})


async def _complete(context: Context, params: CompleteRequestParams) -> Result:
    values = ["park", "party"]
    return _complete_or_not({"completion": {"values": values, "total": 2}})
