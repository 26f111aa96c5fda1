"""The file uploads endpoints, and what becomes of an upload: sent, attached, or out of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from notion_emulator import formdata, journal
from notion_emulator.call import Call, bad_cursor, listing, page_size, path_id
from notion_emulator.clock import minute, parsed
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

_MODES = ("single_part", "multi_part", "external_url")
_STATES = ("pending", "uploaded", "expired", "failed")
_SINGLE = 20 * 1024 * 1024
_MOST_PARTS = 10_000


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
    if mode == "multi_part":
        made["number_of_parts"] = {"total": _parts(call), "sent": 0}
    if mode == "external_url":
        _import(call, made)
    call.store.uploads[upload_id] = made
    _note(call, "created", upload_id)
    return _shown(call, made)


def _parts(call: Call) -> int:
    total = call.body.get("number_of_parts", 1)
    if not isinstance(total, int) or not 1 <= total <= _MOST_PARTS:
        raise invalid_body("number_of_parts", f"from `1` to `{_MOST_PARTS}`", total)
    if not call.body.get("filename"):
        raise invalid_body("filename", "defined", None)
    return total


def _import(call: Call, made: Json) -> None:
    """Plan the import of a file from elsewhere; nothing is fetched, a switch says how it ends."""
    url = call.body.get("external_url")
    if not isinstance(url, str) or not url.startswith("https://"):
        raise invalid_body("external_url", "an https address", url)
    del made["upload_url"]
    done = call.now + timedelta(seconds=call.settings.import_s)
    made["_import"] = {"at": done.isoformat(), "well": call.settings.import_succeeds}


def one(call: Call, upload_id: str) -> Json:
    """Answer GET /file_uploads/{id}."""
    return _shown(call, _found(call, upload_id))


def several(call: Call) -> Json:
    """Answer GET /file_uploads, of all states or of one."""
    size = page_size(call.query.get("page_size", [None])[0], "query")
    state = call.query.get("status", [None])[0]
    if state not in (None, *_STATES):
        raise invalid(f"query failed validation: query.status should be one of {', '.join(_STATES)}.")  # fmt: skip
    shown = [_shown(call, upload) for upload in call.store.uploads.values()]
    shown = [u for u in shown if state in (None, u["status"])]
    cursor = call.query.get("start_cursor", [None])[0]
    ids = [u["id"] for u in shown]
    if cursor and cursor not in ids:
        raise bad_cursor(cursor)
    start = ids.index(cursor) if cursor else 0
    following = ids[start + size] if start + size < len(ids) else None
    return listing(shown[start : start + size], "file_upload", following)


def send(call: Call, upload_id: str) -> Json:
    """Answer POST /file_uploads/{id}/send: the file, or a part of it, as multipart form data."""
    upload = _found(call, upload_id)
    if _state(call, upload) != "pending" or "_import" in upload:
        raise invalid("The file upload is not pending any more.")
    sent = formdata.fields(str(call.body.get("_text", "")).encode("latin-1"))
    if "file" not in sent:
        raise invalid_body("file", "defined", None)
    file = sent["file"]
    number = _part_number(upload, sent)
    parts = call.store.blobs.setdefault(upload["id"], {})
    length = len(file.data) + sum(len(data) for n, data in parts.items() if n != number)
    limit = call.store.users[call.actor].get("bot", {}).get("workspace_limits", {})
    if length > limit.get("max_file_upload_size_in_bytes", 5_242_880):
        raise invalid("The file is larger than the workspace allows.")
    if "number_of_parts" not in upload and length > _SINGLE:
        raise invalid("A file of more than 20 MB is sent in several parts.")
    parts[number] = file.data
    upload |= {"filename": upload["filename"] or file.filename, "last_edited_time": minute(call.now)}  # fmt: skip
    upload |= {"content_length": length, "content_type": upload["content_type"] or file.content_type}  # fmt: skip
    if "number_of_parts" in upload:
        upload["number_of_parts"]["sent"] = len(parts)
        upload["complete_url"] = f"https://api.notion.com/v1/file_uploads/{upload['id']}/complete"
    else:
        _finish(call, upload)
    return _shown(call, upload)


def _part_number(upload: Json, sent: dict[str, formdata.Field]) -> int:
    if "number_of_parts" not in upload:
        return 1
    given = sent["part_number"].data.decode("ascii", "replace") if "part_number" in sent else ""
    total = upload["number_of_parts"]["total"]
    if not given.isdigit() or not 1 <= int(given) <= total:
        raise invalid_body("part_number", f"from `1` to `{total}`", given or None)
    return int(given)


def _finish(call: Call, upload: Json) -> None:
    upload["status"] = "uploaded"
    for gone in ("upload_url", "complete_url"):
        upload.pop(gone, None)
    _note(call, "completed", upload["id"])


def complete(call: Call, upload_id: str) -> Json:
    """Answer POST /file_uploads/{id}/complete: all parts are sent."""
    upload = _found(call, upload_id)
    parts = upload.get("number_of_parts")
    if _state(call, upload) != "pending" or parts is None or parts["sent"] < parts["total"]:
        raise invalid("The file upload cannot be completed: not all of its parts were sent.")
    _finish(call, upload)
    return _shown(call, upload)


def attached(call: Call) -> list[Json]:
    """Return the uploads that a body attaches.

    Raises
        ApiError: one is not there, not sent yet, or out of time.
    """
    found = []
    for upload_id in _named(call.body):
        upload = call.store.uploads.get(dashed(upload_id) or "")
        if upload is None:
            raise call.missing("file_upload", str(upload_id))
        state = _state(call, upload)
        if state != "uploaded":
            raise invalid(f"The file upload {upload_id} cannot be attached: its status is {state}.")
        found.append(upload)
    return found


def _named(part: Any) -> Iterator[Any]:
    if isinstance(part, list):
        for item in part:
            yield from _named(item)
    elif isinstance(part, dict):
        inner = part.get("file_upload")
        if isinstance(inner, dict) and "id" in inner and part.get("type") in (None, "file_upload"):
            yield inner["id"]
        for item in part.values():
            if isinstance(item, dict | list):
                yield from _named(item)


def settle(uploads: list[Json]) -> None:
    """Note that uploads are attached: they do not expire any more."""
    for upload in uploads:
        upload["expiry_time"] = None


def sweep(app: Emulated) -> None:
    """End what is out of time, and imports whose time has come; what happened is noted."""
    now = app.clock.now()
    for upload in app.store.uploads.values():
        if upload["status"] not in ("pending", "uploaded"):
            continue
        by = upload["created_by"]["id"]
        plan = upload.get("_import")
        if upload["status"] == "pending" and plan and datetime.fromisoformat(plan["at"]) <= now:
            _imported(app, upload, plan, by)
        elif upload["expiry_time"] is not None and parsed(upload["expiry_time"]) <= now:
            upload["status"] = "expired"
            app.store.record("file_upload.expired", upload["id"], by, now, by=by)


def _imported(app: Emulated, upload: Json, plan: Json, by: str) -> None:
    now = app.clock.now()
    result: Json = {"type": "success", "imported_time": minute(now), "success": {}}
    kind = "completed"
    if not plan["well"]:
        error = {"type": "download_error", "code": "download_failed", "message": "The file could not be fetched.", "parameter": "external_url", "status_code": 404}  # fmt: skip
        result, kind = {"type": "error", "imported_time": minute(now), "error": error}, "upload_failed"  # fmt: skip
    upload |= {"status": "uploaded" if plan["well"] else "failed", "file_import_result": result}
    facts = {"result": result} if kind == "upload_failed" else {}
    app.store.record(f"file_upload.{kind}", upload["id"], by, now, by=by, **facts)


def _note(call: Call, kind: str, upload_id: str) -> None:
    journal.note(call, f"file_upload.{kind}", upload_id, by=call.actor)


def _found(call: Call, upload_id: str) -> Json:
    wanted = path_id("file_upload_id", upload_id)
    if wanted not in call.store.uploads:
        raise call.missing("file_upload", wanted)
    return call.store.uploads[wanted]


def _state(call: Call, upload: Json) -> str:
    expiry = upload["expiry_time"]
    late = expiry is not None and parsed(expiry) <= call.now
    return "expired" if late and upload["status"] in ("pending", "uploaded") else str(upload["status"])  # fmt: skip


def _shown(call: Call, upload: Json) -> Json:
    shown = {k: v for k, v in upload.items() if not k.startswith("_")} | {"status": _state(call, upload)}  # fmt: skip
    return shown | {"archived": False} if call.old else shown
