"""The file uploads endpoints."""

from __future__ import annotations

import re
from datetime import timedelta

from notion_emulator.call import Call, listing, page_size, path_id
from notion_emulator.clock import minute, parsed
from notion_emulator.errors import Json, invalid, invalid_body

_MODES = ("single_part", "multi_part", "external_url")
_FILE = re.compile(
    r'Content-Disposition: form-data;[^\r\n]*name="file"(?:; filename="([^"]*)")?[^\r\n]*\r\n'
    r"(?:[\w-]+: [^\r\n]*\r\n)*\r\n(.*?)\r\n--",
    re.DOTALL | re.IGNORECASE,
)


def create(call: Call) -> Json:
    """Answer POST /file_uploads: a place to send a file to, for one hour."""
    call.may("insert_content")
    call.known("mode", "filename", "content_type", "number_of_parts", "external_url")
    mode = call.body.get("mode", "single_part")
    if mode not in _MODES:
        raise invalid_body("mode", "a known mode", mode)
    upload_id = call.store.ids.object_id()
    made: Json = {
        "object": "file_upload",
        "id": upload_id,
        "created_time": minute(call.now),
        "created_by": {"id": call.actor, "type": "bot"},
        "last_edited_time": minute(call.now),
        "expiry_time": minute(call.now + timedelta(hours=1)),
        "upload_url": f"https://api.notion.com/v1/file_uploads/{upload_id}/send",
        "in_trash": False,
        "status": "pending",
        "filename": call.body.get("filename"),
        "content_type": call.body.get("content_type"),
        "content_length": None,
    }
    call.store.uploads[upload_id] = made
    return _shown(call, made)


def one(call: Call, upload_id: str) -> Json:
    """Answer GET /file_uploads/{id}."""
    return _shown(call, _found(call, upload_id))


def several(call: Call) -> Json:
    """Answer GET /file_uploads."""
    size = page_size(call.query.get("page_size", [None])[0], "query")
    shown = [_shown(call, upload) for upload in call.store.uploads.values()]
    return listing(shown[:size], "file_upload")


def send(call: Call, upload_id: str) -> Json:
    """Answer POST /file_uploads/{id}/send: the file as multipart form data."""
    upload = _found(call, upload_id)
    if upload["status"] != "pending" or parsed(upload["expiry_time"]) <= call.now:
        raise invalid("The file upload is not pending any more.")
    match = _FILE.search(str(call.body.get("_text", "")))
    if match is None:
        raise invalid_body("file", "defined", None)
    length = len(match[2].encode("latin-1", "replace"))
    limit = call.store.users[call.actor].get("bot", {}).get("workspace_limits", {})
    if length > limit.get("max_file_upload_size_in_bytes", 5_242_880):
        raise invalid("The file is larger than the workspace allows.")
    del upload["upload_url"]
    upload |= {"status": "uploaded", "filename": upload["filename"] or match[1]}
    upload |= {"content_length": length, "last_edited_time": minute(call.now)}
    return _shown(call, upload)


def _found(call: Call, upload_id: str) -> Json:
    wanted = path_id("file_upload_id", upload_id)
    if wanted not in call.store.uploads:
        raise call.missing("file_upload", wanted)
    return call.store.uploads[wanted]


def _shown(call: Call, upload: Json) -> Json:
    shown = dict(upload)
    if shown["status"] == "pending" and parsed(shown["expiry_time"]) <= call.now:
        shown["status"] = "expired"
    return shown | {"archived": False} if call.old else shown
