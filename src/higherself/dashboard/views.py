"""The pages of the dashboard. Each has a JSON twin: add ``format=json``."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from higherself import __version__
from higherself.app.health import Check, ready
from higherself.app.wiring import HigherSelf
from higherself.dashboard.passages import excerpt, matching, rendered
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.jsonvalue import shown
from higherself.knowledge.errors import DocumentNotFound, QueryRejected
from higherself.knowledge.model import Mode

HERE = Path(__file__).parent
STATIC = {path.name: path for path in (HERE / "static").iterdir()}
PATIENCE_SECONDS = 5
LONGEST_QUESTION = 1_000
LISTED = 20
PART_BYTES = 24_000
"""Of a document on one page."""

FRESH_SECONDS = 30
"""How old the list of businesses to choose from may be."""

MODES: dict[Mode, str] = {
    "hybrid": "meaning and words",
    "vector": "meaning only",
    "lexical": "words only",
}


def add_dashboard(app: FastAPI, hs: HigherSelf) -> None:
    """Add the pages to ``app``; its errors are shown as pages, too, to those who read pages."""
    pages = Pages(hs)
    for path, page in (
        ("/", pages.home),
        ("/knowledge", pages.knowledge),
        ("/knowledge/{document}", pages.document),
        ("/static/{name}", pages.static),
    ):
        app.add_api_route(path, page, methods=["GET", "HEAD"], include_in_schema=False)
    app.state.problem_page = pages.problem


class Pages:
    """The pages on one running server."""

    def __init__(self, hs: HigherSelf) -> None:
        self._hs = hs
        self._names: dict[str, str] = {}
        self._names_until = 0.0
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"version": __version__, "modes": MODES}
        self._templates.filters |= {
            "excerpt": excerpt,
            "matching": matching,
            "plain": _plain,
            "rendered": rendered,
            "sentence": _sentence,
        }

    async def home(self, request: Request) -> Response:
        """Show whether everything is well, and what the hub holds."""
        checks = await self._checks()
        ok = all(check.ok for check in checks)
        found = {
            "ok": ok,
            "checks": checks,
            "knowledge": await self._hs.knowledge.stats() if ok else None,
            "spaces": await self._hs.knowledge.spaces() if ok else [],
        }
        return self._page(request, "home.html", found, found, status=200 if ok else 503)

    async def knowledge(self, request: Request) -> Response:
        """Search; without a question, list the newest documents."""
        asked = request.query_params
        question, entity = asked.get("q", "").strip(), asked.get("entity", "") or None
        mode = _mode(asked.get("mode", "hybrid"))
        if len(question) > LONGEST_QUESTION:
            raise QueryRejected(f"a question may have {LONGEST_QUESTION:,} characters")
        given = {"q": question, "mode": mode, "entity": entity or ""}
        businesses = await self._business_names()
        if question:
            answer = await self._hs.knowledge.search(question, mode=mode, entity=entity)
            context = {"answer": answer, "given": given, "businesses": businesses}
            return self._page(request, "search.html", answer, context)
        after = asked.get("after") or None
        rows = await self._hs.knowledge.page(entity=entity, after=after, limit=LISTED + 1)
        rest = rows[LISTED - 1]["document_id"] if len(rows) > LISTED else None
        listed = {"documents": rows[:LISTED], "next": rest}
        context = {**listed, "given": given, "businesses": businesses, "after": after}
        return self._page(request, "documents.html", listed, context)

    async def document(self, request: Request) -> Response:
        """Show a document with its passages, a part at a time if it is long."""
        name = request.path_params["document"]
        if "\0" in name:
            raise DocumentNotFound(name)
        found = await self._hs.knowledge.show(name)
        parts = _parts(found["chunks"])
        wanted = _number(request.query_params.get("chunk"))
        part = next((n for n, part in enumerate(parts) if wanted in part), 0)
        context = {
            "document": found,
            "businesses": await self._business_names(),
            "chunks": [chunk for chunk in found["chunks"] if chunk["ordinal"] in parts[part]],
            "wanted": wanted,
            "question": request.query_params.get("q", "")[:LONGEST_QUESTION],
            "before": parts[part - 1].start if part else None,
            "after": parts[part + 1].start if part + 1 < len(parts) else None,
        }
        return self._page(request, "document.html", found, context)

    async def static(self, request: Request) -> Response:
        """Send a file of ours; its address has the version in it, so it may be kept."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404)
        return FileResponse(STATIC[name], headers={"Cache-Control": "public, max-age=86400"})

    def problem(self, request: Request, problem: Mapping[str, Any]) -> Response:
        """Show what went wrong."""
        return self._page(request, "problem.html", problem, problem, status=problem["status"])

    def _page(
        self,
        request: Request,
        template: str,
        value: Any,
        context: Mapping[str, Any],
        *,
        status: int = 200,
    ) -> Response:
        if request.query_params.get("format") == "json":
            return Response(shown(value), status, media_type="application/json")
        html = self._templates.get_template(template).render(
            root=_root(request),
            twin=request.url.include_query_params(format="json").query,
            **context,
        )
        return Response(html, status, media_type="text/html")

    async def _checks(self) -> list[Check]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await ready(self._hs)
        except TimeoutError:
            late = f"did not answer within {PATIENCE_SECONDS} seconds"
            return [Check("database", False, late, "see `higherself doctor`")]

    async def _business_names(self) -> dict[str, str]:
        now = SYSTEM_CLOCK.monotonic()
        if now >= self._names_until:
            rows = (await self._hs.knowledge.stats())["entities"]
            self._names = {row["slug"]: row["name"] for row in rows}
            self._names_until = now + FRESH_SECONDS
        return self._names


def _root(request: Request) -> str:
    """Return the way from this page to the top, so that links work under any prefix."""
    path = request.scope.get("raw_path", b"").decode("latin-1") or request.scope["path"]
    inside = path.removeprefix(request.scope.get("root_path", ""))
    return "../" * (inside.count("/") - 1) or "./"


def _mode(text: str) -> Mode:
    for mode in MODES:
        if text == mode:
            return mode
    raise QueryRejected(f"there is no mode {text!r}; there are: {', '.join(MODES)}")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 9 else None


def _parts(chunks: list[dict[str, Any]]) -> list[range]:
    """Return which passages stand on each page of a long document."""
    parts, first, size = [], 0, 0
    for chunk in chunks:
        size += len(chunk["text"].encode())
        if size > PART_BYTES and chunk["ordinal"] > first:
            parts.append(range(first, chunk["ordinal"]))
            first, size = chunk["ordinal"], len(chunk["text"].encode())
    return [*parts, range(first, len(chunks) + 1)]


def _plain(value: Any, longest: int = 200) -> str:
    text = value if isinstance(value, str) else shown(value, indent=None)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
