"""What an error looks like over HTTP: RFC 9457 problem details, each with a stable type."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from higherself.kernel.errors import FAMILIES, HigherSelfError
from higherself.kernel.jsonvalue import shown

TYPES = "https://higherself.network/problems/"
MEDIA_TYPE = "application/problem+json"

_FAMILY_TITLES = {
    "Misconfigured": "The server is not set up right",
    "NotFound": "There is no such thing",
    "Conflict": "What is stored has moved on",
    "Rejected": "The input cannot be accepted",
    "Unavailable": "Something the server depends on does not answer",
}
_STATUS_PROBLEMS = {
    400: ("bad-request", "The request cannot be read"),
    403: ("cross-site", "Requests from other sites are refused"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "This method does not work here"),
    413: ("too-large", "The request is too large"),
    422: ("rejected", "The input cannot be accepted"),
    421: ("wrong-host", "This server does not answer for that host"),
    500: ("unexpected", "Something went wrong on our side"),
    501: ("not-installed", "This part of the server is not installed"),
    503: ("unavailable", "Something the server depends on does not answer"),
}


class Problem(BaseModel):
    """An error as RFC 9457 describes it. ``errors`` names the fields that are wrong."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=[f"{TYPES}not-found"])
    title: str = Field(examples=[_FAMILY_TITLES["NotFound"]])
    status: int = Field(examples=[404])
    detail: str


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, as RFC 9457 describes it",
        "content": {
            MEDIA_TYPE: {
                "schema": Problem.model_json_schema(),
                "example": {
                    "type": f"{TYPES}invalid-request",
                    "title": "The request is not as it should be",
                    "status": 422,
                    "detail": "limit: Input should be a valid integer",
                    "errors": [{"field": "limit", "reason": "Input should be a valid integer"}],
                },
            }
        },
    }
}
"""For the OpenAPI document: every operation may answer with a problem."""


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    slug: str | None = None,
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return the answer for an error: a problem document, or a page where a person is reading.

    A page is shown if the application has one (``app.state.problem_page``) and the client prefers
    HTML, as browsers do.
    """
    known = _STATUS_PROBLEMS.get(status) or (f"http-{status}", HTTPStatus(status).phrase)
    content = {
        "type": TYPES + (slug or known[0]),
        "title": title or known[1],
        "status": status,
        "detail": detail,
        **more,
    }
    page = getattr(request.app.state, "problem_page", None)
    if page is not None and _wants_page(request):
        shown_page: Response = page(request, content)
        shown_page.headers.update(headers or {})
        return shown_page
    body = shown(content, indent=None).encode(errors="backslashreplace")
    return Response(body, status, headers, MEDIA_TYPE)


def add_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    app.add_exception_handler(HigherSelfError, _known_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)


def _wants_page(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and request.query_params.get("format") != "json"


def _known_error(request: Request, error: Exception) -> Response:
    family = next((each for each in FAMILIES if isinstance(error, each)), HigherSelfError)
    name, status = family.__name__, family.http_status
    return problem(
        request,
        status,
        str(error),
        slug="".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-"),
        title=_FAMILY_TITLES.get(name),
        headers={"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None,
    )


def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for nothing else
    wrong = [{"field": _field(each), "reason": _reason(each)} for each in error.errors()]
    return problem(
        request,
        422,
        "; ".join(f"{each['field']}: {each['reason']}" for each in wrong[:5]),
        slug="invalid-request",
        title="The request is not as it should be",
        errors=wrong,
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for nothing else
    detail, headers = error.detail, dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "nothing is at this address; see openapi.json for what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request, headers.get("Allow", ""))
        detail = f"{request.method} does not work here; use {headers['Allow']}"
    return problem(request, error.status_code, detail, headers=headers)


def _allowed(request: Request, of_one_route: str) -> str:
    """Return every method of this address; the router names those of one of its routes."""
    path = getattr(request.scope.get("route"), "path", "")
    described = request.app.openapi()["paths"].get(path, {})
    return ", ".join(sorted(map(str.upper, described)) or sorted(of_one_route.split(", ")))


def _field(error: Mapping[str, Any]) -> str:
    """Return where a wrong value stands, as a person would write it: ``documents[3].text``."""
    where, *path = error["loc"]
    if error["type"] == "json_invalid":
        return str(where)
    if where == "body" and path and path[0] in {"one", "many"}:
        path = path[1:]  # which of the two shapes a body has is no part of it
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or str(where)


def _reason(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "unknown field"
        case "missing":
            return "missing"
        case "json_invalid":
            return f"not JSON ({error['ctx']['error']})"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")
