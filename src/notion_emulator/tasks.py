"""Work that was accepted for later: ``allow_async``, and GET /async_tasks/{id}.

A task is carried out when the clock says so, not when it is asked about. How long it waits and
runs, and how it ends, are switches, taken when it is accepted: ``async_outcome`` is
``succeeded``, ``failed`` (not done), ``failed_after`` (done, and called failed) or ``retrying``
(a second run succeeds).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notion_emulator import markdown_calls, markdown_parse, page_calls
from notion_emulator.call import Call, path_id
from notion_emulator.errors import ApiError, Json

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

Endpoint = Callable[..., Json]
_NAMES: dict[Endpoint, str] = {
    page_calls.create: "create_page",
    markdown_calls.update: "update_page_markdown",
}
_DOERS = {name: endpoint for endpoint, name in _NAMES.items()}


def wanted(call: Call, endpoint: Endpoint) -> bool:
    """Tell whether a request asks to be done later, and may."""
    return (
        call.body.get("allow_async") is True
        and endpoint in _NAMES
        and (endpoint is markdown_calls.update or isinstance(call.body.get("markdown"), str))
    )


def accept(call: Call, endpoint: Endpoint, groups: tuple[str, ...]) -> Json:
    """Check a request as far as it can be now, and answer with the task it has become.

    Raises
        ApiError: it would be refused at once.
    """
    _check(call, endpoint, groups)
    settings = call.settings
    number = call.store.ids.digest()[:16].hex()
    task: Json = {
        "id": f"task_{number}",
        "token": call.connection.token,
        "created": call.now.isoformat(),
        "name": _NAMES[endpoint],
        "version": call.version,
        "groups": list(groups),
        "body": {k: v for k, v in call.body.items() if k != "allow_async"},
        "outcome": settings.async_outcome,
        "starts": (call.now + timedelta(seconds=settings.async_queue_s)).isoformat(),
        "ends": (
            call.now + timedelta(seconds=settings.async_queue_s + settings.async_run_s)
        ).isoformat(),
    }
    if settings.async_outcome == "retrying":
        task["retries"] = task["ends"]
        task["ends"] = (
            datetime.fromisoformat(task["ends"]) + timedelta(seconds=settings.async_run_s)
        ).isoformat()
    call.store.tasks[task["id"]] = task
    return _shown(call, task)


def _check(call: Call, endpoint: Endpoint, groups: tuple[str, ...]) -> None:
    if endpoint is markdown_calls.update:
        call.may("update_content")
        call.editable(call.find(path_id("page_id", groups[0]), "page"))
        return
    call.may("insert_content")
    parent = call.body.get("parent")
    for key in ("page_id", "data_source_id", "database_id"):
        if isinstance(parent, dict) and key in parent:
            call.editable(call.find(path_id(key, parent[key]), key.removesuffix("_id")))
    markdown_parse.parse(call.body["markdown"])


def one(call: Call, task_id: str) -> Json:
    """Answer GET /async_tasks/{id}; a task is known to who asked for it, until it expires."""
    task = call.store.tasks.get(task_id)
    if task is None or task["token"] != call.connection.token:
        raise call.missing("async_task", task_id)
    if call.now - datetime.fromisoformat(task["ends"]) >= timedelta(
        seconds=call.settings.async_expiry_s
    ):
        raise call.missing("async_task", task_id)
    return _shown(call, task)


def work(app: Emulated) -> None:
    """Carry out what has come to its end."""
    now = app.clock.now() + timedelta(seconds=app.settings.clock_skew_s)
    for task in app.store.tasks.values():
        if (
            "result" not in task
            and "error" not in task
            and datetime.fromisoformat(task["ends"]) <= now
        ):
            _do(app, task)


def next_due(app: Emulated) -> datetime | None:
    """Return when the next task ends."""
    skew = timedelta(seconds=app.settings.clock_skew_s)
    ends = [
        datetime.fromisoformat(t["ends"]) - skew
        for t in app.store.tasks.values()
        if "result" not in t and "error" not in t
    ]
    return min(ends, default=None)


def _do(app: Emulated, task: Json) -> None:
    failed = ApiError(503, "service_unavailable", "The task failed. Please try again.").body("")
    del failed["request_id"]
    connection = app.store.connections.get(task["token"])
    if task["outcome"] == "failed" or connection is None:
        task["error"] = failed
        return
    call = Call(app.store, app.clock, app.settings, connection, task["version"], {}, task["body"])
    try:
        result = _DOERS[task["name"]](call, *task["groups"])
    except ApiError as error:
        task["error"] = {k: v for k, v in error.body("").items() if k != "request_id"}
        return
    app.revision += 1
    if task["outcome"] == "failed_after":
        task["error"] = failed
    else:
        task["result"] = result


def _shown(call: Call, task: Json) -> Json:
    shown: Json = {
        "object": "async_task",
        "id": task["id"],
        "status_url": f"https://api.notion.com/v1/async_tasks/{task['id']}",
        "created_time": datetime.fromisoformat(task["created"])
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "operation": {"surface": "rest", "name": task["name"]},
    }
    if "result" in task:
        return shown | {"status": "succeeded", "result": task["result"]}
    if "error" in task:
        return shown | {"status": "failed", "error": task["error"]}
    status = "queued" if call.now < datetime.fromisoformat(task["starts"]) else "running"
    if "retries" in task and call.now >= datetime.fromisoformat(task["retries"]):
        status = "retrying"
    return shown | {"status": status, "poll_after_seconds": 2}
