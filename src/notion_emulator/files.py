"""Attached files as answered, at addresses that are signed anew each time and expire; and their bytes."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from notion_emulator.call import NO_BASE, Call
from notion_emulator.errors import Json
from notion_emulator.ids import dashed

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

PATH = "/__emu/files/"
_HOST = "https://prod-files-secure.s3.us-west-2.amazonaws.com/"


def signed(call: Call, part: Any) -> Any:
    """Return part of an answer with uploads as files. What holds none is returned as it is."""
    if isinstance(part, list):
        return [signed(call, item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "file_upload" and isinstance(part.get("file_upload"), dict):
        rest = {k: v for k, v in part.items() if k not in ("type", "file_upload")}
        upload = call.store.uploads.get(dashed(part["file_upload"].get("id")) or "", {})
        name = {"name": rest.get("name") or upload.get("filename") or ""} if "name" in rest else {}
        return rest | name | {"type": "file", "file": _address(call, upload)}
    return {k: signed(call, v) if isinstance(v, dict | list) else v for k, v in part.items()}


def _address(call: Call, upload: Json) -> Json:
    lives = call.settings.signed_url_s
    until = call.now + timedelta(seconds=lives)
    path = f"{call.store.workspace_id}/{upload.get('id')}/{quote(upload.get('filename') or 'file')}"
    nonce = call.store.ids.digest().hex()[:16]
    date = f"{call.now:%Y%m%dT%H%M%SZ}"
    signature = _signature(call.store.workspace_id, unquote(path), date, str(lives), nonce)
    asked = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={lives}&X-Amz-Security-Token={nonce}&X-Amz-Signature={signature}"  # fmt: skip
    expiry = until.strftime("%Y-%m-%dT%H:%M:%S.") + f"{until.microsecond // 1000:03}Z"
    host = _HOST if call.base == NO_BASE else f"{call.base}{PATH}"
    return {"url": f"{host}{path}?{asked}", "expiry_time": expiry}


def _signature(secret: str, *parts: str) -> str:
    return hmac.new(secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def answer(app: Emulated, request: Request) -> Response:
    """Answer a request for a file: its bytes, or 403 if the address is forged or out of time."""
    path = str(request.scope["path"]).removeprefix(PATH)
    asked = {k.removeprefix("X-Amz-"): v for k, v in request.query_params.items()}
    date, lives, nonce = (asked.get(k, "") for k in ("Date", "Expires", "Security-Token"))
    expected = _signature(app.store.workspace_id, path, date, lives, nonce)
    if not hmac.compare_digest(expected, asked.get("Signature", "")):
        return _refused("SignatureDoesNotMatch", "The request signature does not match.")
    begins = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    now = app.clock.now() + timedelta(seconds=app.settings.clock_skew_s)
    if now >= begins + timedelta(seconds=int(lives)):
        return _refused("AccessDenied", "Request has expired")
    upload_id = path.split("/")[1]
    parts = app.store.blobs.get(upload_id, {})
    kind = app.store.uploads.get(upload_id, {}).get("content_type") or "application/octet-stream"
    return Response(b"".join(parts[n] for n in sorted(parts)), 200, {"content-type": kind})


def _refused(code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'  # fmt: skip
    return Response(body, 403, {"content-type": "application/xml"})
