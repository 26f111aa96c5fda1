"""The errors of the API, as values that become an error body."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer other than 200, with the code and message a client sees."""

    def __init__(
        self, status: int, code: str, message: str, *, additional: Json | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.additional = additional

    def body(self, request_id: str) -> Json:
        """Return the error body."""
        body: Json = {
            "object": "error",
            "status": self.status,
            "code": self.code,
            "message": self.message,
        }
        if self.additional is not None:
            body["additional_data"] = self.additional
        return body | {"request_id": request_id}


def invalid(message: str) -> ApiError:
    """Return a validation_error."""
    return ApiError(400, "validation_error", message)


def invalid_body(path: str, rule: str, instead: object) -> ApiError:
    """Return the error of one place in a body.

    >>> invalid_body("children", "a list", 3).message
    'body failed validation: body.children should be a list, instead was `3`.'
    """
    return invalid(
        f"body failed validation: body.{path} should be {rule}, instead was `{shown(instead)}`."
    )


def shown(value: object) -> str:
    """Return a value as messages show it: strings quoted, absent values as undefined."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if isinstance(value, int | float) else "{}" if value == {} else str(value)
