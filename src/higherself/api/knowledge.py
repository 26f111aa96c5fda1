"""The knowledge hub over HTTP. The bodies are those of the command line's ``--json``."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from higherself.api.problems import PROBLEM_RESPONSES, problem
from higherself.app.wiring import HigherSelf
from higherself.kernel.jsonvalue import NotJson, check_json, shown
from higherself.knowledge.model import IngestReport, Mode, NewDocument, Trust, Why

DEEPEST = 32
"""Levels of nesting that metadata may have."""

_DOCUMENT: dict[str, Any] = {
    "external_id": "refund-policy",
    "title": "Refund policy",
    "text": "# Refunds\n\nA class cancelled a day ahead is refunded in full.",
    "entity": "the_7_space",
    "source": "handbook",
    "uri": None,
    "tags": ["policy"],
    "metadata": {"owner": "Renata Souza"},
    "at": "2026-05-12T00:00:00+00:00",
    "trust": "own",
    "local_only": False,
}
_FOUND = {key: value for key, value in _DOCUMENT.items() if key != "text"}
_ID = "0198c0de-0000-7000-8000-000000000001"
_CHUNK = {"id": 17, "ordinal": 0, "heading": "Refunds", "text": _DOCUMENT["text"]}
_WHY = Why(lexical_rank=1, lexical_score=8.1, vector_rank=1, similarity=0.71, terms=("refund",))
_HIT = {"rank": 1, "score": 0.94, "document": {"id": _ID, **_FOUND}, "chunk": _CHUNK}
_ANSWER = {
    "query": "is a cancelled class refunded",
    "mode": "hybrid",
    "degraded": False,
    "reason": None,
    "spaces": ["local/all-minilm-l6-v2/8199be6f-1/384"],
    "hits": [{**_HIT, "why": asdict(_WHY), "before": [], "after": []}],
    "milliseconds": 21.4,
    "reranker": None,
}
_REPORT = asdict(IngestReport(documents=1, created=1, chunks=1, embedded=1, seconds=0.08))
_PROOF = {"document": 0, "document_label": 0, "chunk": 0, "lexical_posting": 0, "embedding_1": 0}
_BODIES = {
    "one": {"summary": "One document", "value": _DOCUMENT},
    "several": {"summary": "Several documents", "value": {"documents": [_DOCUMENT]}},
}


def _storable(text: str) -> str:
    try:
        check_json(text)
    except NotJson as error:
        raise ValueError(error.reason) from None
    return text


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [
            each for outer in level for each in _inside(outer) if isinstance(each, dict | list)
        ]
    if level:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    return value


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _written(value: object) -> object:
    if not isinstance(value, str | datetime | None):
        raise ValueError("it must be a date or a time, such as 2026-05-12 or 2026-05-12T09:30:00Z")
    return value


def _utc(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is outside the calendar") from None


def _described(**schema: Any) -> Any:
    """Describe what the hub itself will check, with better words than a pattern has."""
    return Field(json_schema_extra=schema)


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, Field(max_length=1_000), AfterValidator(_storable)]
Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
Slug = Annotated[Name, _described(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
Labels = Annotated[list[Label], Field(max_length=100)]
Metadata = Annotated[dict[str, Any], AfterValidator(_shallow)]
Instant = Annotated[datetime, Field(strict=False), AfterValidator(_utc), BeforeValidator(_written)]


class Strict(BaseModel):
    """Takes what is declared, as it is declared, and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid")


class SearchRequest(Strict):
    """What to look for, and where."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"query": "when do deposits become due", "limit": 3}}
    )

    query: Annotated[Text, _described(pattern=r"\S", maxLength=20_000)] = Field(
        description="Words in double quotes must occur as they stand."
    )
    limit: int = Field(default=10, ge=1, le=1_000)
    mode: Mode = "hybrid"
    entity: Slug | None = Field(default=None, description="Only this business; default: all.")
    sources: Labels = Field(default=[], description="Only these sources.")
    tags: Labels = Field(default=[], description="Only documents that have all of these.")
    metadata: Metadata = Field(default={}, description="Only documents whose metadata contain it.")
    since: Instant | None = Field(default=None, description="Changed at this time or later.")
    until: Instant | None = Field(default=None, description="Changed before this time.")
    neighbours: int = Field(default=0, ge=0, le=10, description="Chunks around each hit.")
    rerank: bool = Field(default=False, description="Let the reranker order the hits.")


class DocumentRequest(Strict):
    """A document. ``(entity, source, external_id)`` names it: adding it again replaces it."""

    model_config = ConfigDict(json_schema_extra={"example": {**_DOCUMENT}})

    external_id: Annotated[Name, _described(pattern=r"\S")]
    text: Annotated[str, _described(pattern=r"\S")] = Field(description="Markdown or plain text.")
    title: Name = ""
    entity: Slug = "default"
    source: Label = "api"
    uri: Name | None = None
    tags: Labels = []
    metadata: Metadata = {}
    at: Instant | None = Field(default=None, description="When its content last changed.")
    trust: Trust = Field(
        default="own", description="Who wrote it: you, a model for you, or somebody outside."
    )
    local_only: bool = Field(
        default=False, description="Whether no embedding provider off this machine may see it."
    )

    def document(self) -> NewDocument:
        """Return it as the hub takes it."""
        return NewDocument(**{**self.model_dump(), "tags": tuple(self.tags)})


class DocumentsRequest(Strict):
    """Several documents; one that cannot be taken in stops no other."""

    documents: list[DocumentRequest] = Field(min_length=1)


class Listing(BaseModel):
    """Which documents to list: the newest first, a page at a time."""

    model_config = ConfigDict(extra="forbid")

    entity: Slug | None = None
    source: Name | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Annotated[Name, _described(format="uuid")] | None = Field(
        default=None, description="The `next` of the page before."
    )


class Within(BaseModel):
    """Where to look for a document."""

    model_config = ConfigDict(extra="forbid")

    entity: Slug | None = Field(default=None, description="Only this business; default: all.")


Incoming = Annotated[
    Annotated[DocumentRequest, Tag("one")] | Annotated[DocumentsRequest, Tag("many")],
    Discriminator(lambda body: "many" if isinstance(body, dict) and "documents" in body else "one"),
]
Identifier = Annotated[
    str,
    Path(description="A document's identifier, or its name at its source."),
    Field(max_length=1_000),
    AfterValidator(_storable),
]


def knowledge_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes on the knowledge of ``hs``."""
    router = APIRouter(prefix="/api/v1/knowledge", tags=["knowledge"], responses=PROBLEM_RESPONSES)

    @router.post("/search", responses=_example(_ANSWER))
    async def search(wanted: SearchRequest) -> Response:
        """Find the passages that answer a question, best first, each with the reasons."""
        given = wanted.model_dump(exclude={"query"})
        return _json(await hs.knowledge.search(wanted.query, **given))

    @router.get(
        "/documents",
        responses=_example({"documents": [{"document_id": _ID, **_FOUND}], "next": _ID}),
    )
    async def list_documents(listing: Annotated[Listing, Query()]) -> Response:
        """List documents, newest first."""
        page = await hs.knowledge.page(
            entity=listing.entity,
            source=listing.source,
            after=listing.cursor,
            limit=listing.limit + 1,
        )
        rows = page[: listing.limit]
        more = len(page) > listing.limit
        return _json({"documents": rows, "next": rows[-1]["document_id"] if more else None})

    @router.post("/documents", responses={**_example(_REPORT), **_example(_REPORT, 201)})
    async def add_documents(
        request: Request, body: Annotated[Incoming, Body(openapi_examples=_BODIES)]
    ) -> Response:
        """Take in one document, or several under `documents`; each is replaced if it is known."""
        documents = [body] if isinstance(body, DocumentRequest) else body.documents
        report = await hs.knowledge.add([each.document() for each in documents])
        if len(report.failed) == report.documents:
            reasons = "; ".join(failure.reason for failure in report.failed[:5])
            return problem(request, 422, reasons, slug="rejected", failed=report.failed)
        if isinstance(body, DocumentRequest) and report.created:
            return _json(report, status=201, headers=await _location(hs, request, body))
        return _json(report)

    @router.get(
        "/documents/{document}",
        responses=_example({"document_id": _ID, **_FOUND, "chunks": [_CHUNK]}),
    )
    async def show_document(document: Identifier, where: Annotated[Within, Query()]) -> Response:
        """Show a document with its chunks."""
        return _json(await hs.knowledge.show(document, entity=where.entity))

    @router.delete("/documents/{document}", responses=_example({"deleted": [_ID], "proof": _PROOF}))
    async def delete_document(document: Identifier, where: Annotated[Within, Query()]) -> Response:
        """Delete a document with everything made of it; the proof counts what is left: nothing."""
        erased = await hs.knowledge.delete([document], entity=where.entity)
        return _json({"deleted": erased.ids, "proof": erased.proof})

    return router


async def _location(hs: HigherSelf, request: Request, document: DocumentRequest) -> dict[str, str]:
    """Return the header that says where a document that was just created is."""
    found = await hs.knowledge.find(document.entity, document.source, document.external_id)
    return {"Location": f"{request.url.path}/{found}"} if found else {}


def _example(value: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    return {status: {"content": {"application/json": {"example": value}}}}


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(shown(value, indent=None), status, headers, "application/json")
