"""The viewer's requests: pages to read, forms of a person, and a stream that tells of changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from notion_emulator import comment_calls, markdown_calls, page_calls, present, values
from notion_emulator.call import Call
from notion_emulator.clock import RealClock
from notion_emulator.errors import ApiError, Json
from notion_emulator.ids import dashed
from notion_emulator.props import find
from notion_emulator.query import scalar
from notion_emulator.settings import VERSIONS
from notion_emulator.store import Connection, Node
from notion_emulator.ui import pages
from notion_emulator.ui.html import joined, tag
from notion_emulator.ui.shell import ROOT, document, name_of

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"  # fmt: skip
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}  # fmt: skip
_STATIC = {"style.css": "text/css", "live.js": "text/javascript"}
_LOOK_EVERY = timedelta(milliseconds=400)
_LOOKS = 60  # then the browser connects again; a server that stops is not held up


async def answer(app: Emulated, request: Request, raw: bytes) -> Response:
    """Answer a request of the viewer."""
    place = request.url.path.removeprefix(ROOT).strip("/")
    try:
        response = _answer(app, request, place, raw)
    except ApiError as error:
        shown = joined([tag("h1", "That does not go"), tag("p", error.message)])
        response = HTMLResponse(document(person_call(app), "Error", shown), error.status)
    response.headers.update(_HEADERS)
    return response


def person_call(app: Emulated, body: Json | None = None) -> Call:
    """Return a call of the first person of the workspace, who sees everything."""
    person = next((u["id"] for u in app.store.users.values() if u["type"] == "person"), "")
    actor = Connection("human", person, "", "Person", roots={"*"})
    return Call(app.store, app.clock, app.settings, actor, VERSIONS[-1], {}, body or {})


def _answer(app: Emulated, request: Request, place: str, raw: bytes) -> Response:
    if place.startswith("static/"):
        return _static(place.removeprefix("static/"))
    name, _, action = place.partition("/")
    view = request.query_params.get("view")
    if request.method == "POST":
        return _changed(app, request, name, action, raw)
    if action == "live" or name == "live":
        told = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        changes = _changes(app, name if action else "", view, told)
        return StreamingResponse(changes, media_type="text/event-stream")
    main, at, heading, editing = _shown(app, name, view)
    asked = {"seen": _digest(main)} | ({"view": view} if view else {})
    live = f"{ROOT}/{f'{name}/' if name else ''}live?{urlencode(asked)}"
    call = person_call(app)
    whole = joined([tag("div", main, id="content"), editing])
    wide = at is None or at.kind == "database"
    return HTMLResponse(document(call, heading, whole, at=at, live=live, wide=wide))


def _shown(app: Emulated, name: str, view: str | None) -> tuple[Markup, Node | None, str, Markup | None]:  # fmt: skip
    """Return the content, what it is of, its name, and the box to edit it.

    Raises
        ApiError: there is no such page.
    """
    call = person_call(app)
    match name:
        case "":
            return pages.home(call), None, "Home", None
        case "events":
            return pages.events(call), None, "Events", None
        case "requests":
            return pages.requests(list(app.log)), None, "Requests", None
        case _:
            return _shown_node(app, call, name, view)


def _shown_node(app: Emulated, call: Call, name: str, view: str | None) -> tuple[Markup, Node | None, str, Markup | None]:  # fmt: skip
    node = app.store.nodes.get(dashed(name) or "")
    if node is not None and node.kind == "data_source":
        node = app.store.nodes.get(node.parent[1])
    if node is not None and node.kind == "block":
        node = app.store.page_of(node)
    if node is None:
        raise ApiError(404, "object_not_found", f"There is no page {name}.")
    if node.kind == "database":
        return pages.database(call, node, view), node, name_of(call, node), None
    return pages.page(call, node), node, name_of(call, node), pages.editing(call, node)


def _static(name: str) -> Response:
    if name not in _STATIC:
        raise ApiError(404, "object_not_found", f"There is no file {name}.")
    content = (Path(__file__).parent / "static" / name).read_bytes()
    return Response(content, media_type=_STATIC[name])


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


async def _changes(app: Emulated, name: str, view: str | None, told: str) -> AsyncIterator[str]:
    """Yield the content again whenever it is another."""
    clock = RealClock()
    seen = None
    for _ in range(_LOOKS):
        now = (id(app.store), app.revision, len(app.store.events), len(app.log))
        if now != seen:
            seen = now
            try:
                content = str(_shown(app, name, view)[0])
            except ApiError as error:
                content = str(tag("p", error.message, class_="notice"))
            digest = _digest(content)
            if digest != told:
                yield f"event: content\nid: {digest}\ndata: {json.dumps(content)}\n\n"
            told = digest
        await clock.sleep(_LOOK_EVERY)


def _changed(app: Emulated, request: Request, name: str, action: str, raw: bytes) -> Response:
    """Do what a form says, as a person, and show the page again.

    Raises
        ApiError: the form comes from another site, or says what cannot be.
    """
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise ApiError(403, "restricted_resource", "This form was sent by another site.")
    form = {k: v[0] for k, v in parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True).items()}  # fmt: skip
    node = app.store.nodes.get(dashed(name) or "")
    if node is None or node.kind != "page":
        raise ApiError(404, "object_not_found", f"There is no page {name}.")
    if action == "comment":
        rich = [{"text": {"content": form.get("comment", "")[:2000]}}]
        body: Json = {"parent": {"page_id": node.id}, "rich_text": rich}
        comment_calls.create(person_call(app, body))
    elif action == "edit":
        _edit(app, node, form)
    else:
        raise ApiError(404, "object_not_found", "There is nothing of this name to do.")
    return RedirectResponse(f"{ROOT}/{node.id}", 303)


def _edit(app: Emulated, node: Node, form: dict[str, str]) -> None:
    call = person_call(app)
    sent = _sent(call, node, form)
    if sent:
        page_calls.update(person_call(app, {"properties": sent}), node.id)
    text = form.get("markdown", "").replace("\r\n", "\n").strip("\n")
    before = markdown_calls.read(call, node.id)["markdown"]
    if "markdown" in form and text != before:
        body = {"type": "replace_content", "replace_content": {"new_str": text}}
        markdown_calls.update(person_call(app, body), node.id)


def _sent(call: Call, node: Node, form: dict[str, str]) -> Json:
    """Return the properties that the form changes."""
    schema = present.schema_of(call, node)
    sent: Json = {}
    title = next(p for p in schema.values() if p["type"] == "title")
    if "title" in form and form["title"] != name_of(call, node):
        sent[title["id"]] = {"title": [{"text": {"content": form["title"][:2000]}}]}
    for key, text in form.items():
        prop = find(schema, key.removeprefix("p:")) if key.startswith("p:") else None
        if prop is None:
            continue
        found = scalar({"type": prop["type"], prop["type"]: values.value_of(call, node, prop)})
        if text != ("yes" if found is True else "" if found in (None, False) else str(found)):
            sent[prop["id"]] = {prop["type"]: _typed(prop["type"], text)}
    return sent


def _typed(kind: str, text: str) -> object:
    match kind:
        case "checkbox":
            return text == "yes"
        case "rich_text":
            return [{"text": {"content": text[:2000]}}]
        case "number":
            return _number(text)
        case "select" | "status":
            return {"name": text} if text else None
        case "date":
            return {"start": text} if text else None
        case _:
            return text or None


def _number(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise ApiError(400, "validation_error", f"{text} is not a number.") from None
