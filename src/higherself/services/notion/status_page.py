"""A page in Notion about one instance: its properties, its icon, and the part of its text that is ours.

All texts of definitions, contexts and people are put in as text, never as markup. Pure.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from higherself.kernel.jsonvalue import JsonValue
from higherself.notion.content import Content, render
from higherself.notion.content.rich import text as rich
from higherself.notion.content.tree import (
    Block,
    Bullet,
    Callout,
    Code,
    Column,
    Columns,
    Heading,
    Inline,
    Marks,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Row,
    Table,
    Text,
)
from higherself.workflow.machine.snapshot import Snapshot, Status
from higherself.workflow.view.page import Line, StatusReport, Stop, Tone, Waiting, bar
from higherself.workflow.view.words import shortened, times

REGION = "status"
"""The name of our part of the page."""

ACTION, RESULT = "Action", "Action Result"
"""The properties that people steer with, and that we answer in."""

ACTIONS = ("Approve", "Reject", "Retry", "Pause", "Resume", "Cancel")

STATUSES: Mapping[Status, str] = {
    "running": "Active",
    "waiting": "Active",
    "paused": "On Hold",
    "completed": "Completed",
    "failed": "Error",
    "cancelled": "Cancelled",
}

ICONS: Mapping[Tone, str] = {
    "works": "⚙️",
    "waits": "⏳",
    "asks": "🙋",
    "paused": "⏸️",
    "failed": "🔴",
    "completed": "✅",
    "cancelled": "🚫",
}
_COLOURS: Mapping[Tone, str] = {
    "works": "blue_background",
    "waits": "yellow_background",
    "asks": "orange_background",
    "paused": "gray_background",
    "failed": "red_background",
    "completed": "green_background",
    "cancelled": "brown_background",
}
_BOLD, _CODE, _SOFT = Marks(bold=True), Marks(code=True), Marks(colour="gray")
_NOTION_ID = re.compile(r" \(Notion [0-9a-f-]{32,36}\)$")
_LONGEST_PAYLOAD = 1_900
_HISTORY_LINES = 8
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Related:
    """Where else to look: pages by their ids, addresses of the dashboard.

    ``pages`` are by declared property: ``{"Workflow": [page]}``. ``children`` and ``parent`` have a
    name and a page, if that has one.
    """

    pages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    definition: str | None = None
    parent: tuple[str, str | None] | None = None
    children: Sequence[tuple[str, str | None]] = ()
    dashboard: str | None = None


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What the page is to be like. ``properties`` are by declared name, in the form of `fields`."""

    icon: str
    properties: Mapping[str, JsonValue]
    body: str


def status_page(
    report: StatusReport, snapshot: Snapshot, *, key: str | None = None, related: Related
) -> StatusPage:
    """Return what the page of an instance is to be like."""
    return StatusPage(
        icon=ICONS[report.tone],
        properties=_properties(report, snapshot, key, related),
        body=render(Content(tuple(_blocks(report, related)))),
    )


def instance_name(instance: UUID) -> str:
    """Return the business identifier of an instance.

    >>> instance_name(UUID("0198c7a2-5b7e-7cc3-9a52-5d0f3b6e91c4"))
    'INST-3B6E91C4'
    """
    return f"INST-{instance.hex[-8:].upper()}"


def title_of(workflow: str, snapshot: Snapshot, key: str | None) -> str:
    """Return what the page is called: the workflow, and whom or what it is about."""
    subject = next((said for what in ("title", "subject") if isinstance(said := snapshot.context.get(what), str) and said.strip()), None)  # fmt: skip
    about = _person(snapshot.context, "name") or subject or key or instance_name(snapshot.instance)
    named = workflow.replace("_", " ").replace("-", " ")
    return f"{named[:1].upper()}{named[1:]} · {shortened(' '.join(about.split()), 120)}"


# --- Properties.


def _properties(
    report: StatusReport, snapshot: Snapshot, key: str | None, related: Related
) -> dict[str, JsonValue]:
    context = snapshot.context
    found: dict[str, JsonValue] = {
        "Instance Name": title_of(report.workflow, snapshot, key),
        "Instance ID": instance_name(snapshot.instance),
        "Supabase ID": str(snapshot.instance),
        "Status": STATUSES[snapshot.status],
        "Current Step": ", ".join(report.states),
        "Waits For": report.kind,
        "Start Date": _minute(report.started_at),
        "End Date": _minute(report.ended_at),
        "Last Transition Date": _minute(report.moved_at),
        "Progress": round(report.share, 2),
        "Error": report.error or None,
        "Step History": "\n".join(_short(each) for each in report.lines[:_HISTORY_LINES]),
        "Data Payload": _payload(context),
        "Priority": _choice(context.get("priority"), ("Low", "Medium", "High", "Urgent")),
        "Client Name": _person(context, "name"),
        "Client Email": _email(_person(context, "email")),
        "Client Phone": _person(context, "phone"),
        "Source Record ID": key,
        "Link": related.dashboard,
    }
    for name, pages in related.pages.items():
        found[name] = sorted(pages)
    return found


def _minute(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%MZ")


def _short(line: Line) -> str:
    who = f" ({_known_as(line.who)})" if line.who else ""
    result = f": {line.result}" if line.result else ""
    return shortened(f"{line.at:%Y-%m-%d %H:%M} {line.what}{who}{result}", 220)


def _known_as(who: str) -> str:
    """Return how people know somebody: the history has the identifier, too."""
    return _NOTION_ID.sub("", who)


def _payload(context: Mapping[str, Any]) -> str | None:
    if not context:
        return None
    said = json.dumps(context, ensure_ascii=False, default=str)
    return shortened(said, _LONGEST_PAYLOAD)


def _choice(value: Any, options: Sequence[str]) -> str | None:
    found = {option.casefold(): option for option in options}
    return found.get(value.strip().casefold()) if isinstance(value, str) else None


def _person(context: Mapping[str, Any], what: str) -> str | None:
    """Return what the context says of the one whom it is about."""
    for who in ("client", "lead", "contact", "customer"):
        about = context.get(who)
        value = about.get(what) if isinstance(about, Mapping) else context.get(f"{who}_{what}")
        if isinstance(value, str) and value.strip():
            return shortened(value.strip(), 200)
    value = context.get(what)
    return shortened(value.strip(), 200) if isinstance(value, str) and value.strip() else None


def _email(text: str | None) -> str | None:
    return text if text is not None and "@" in text and " " not in text else None


# --- Text.


def _blocks(report: StatusReport, related: Related) -> Iterator[Block]:
    yield _header(report)
    yield from _figures(report)
    yield Heading(rich("The way so far"), level=3)
    yield Paragraph(tuple(_way(report.path)))
    yield Heading(rich("Where it is"), level=3)
    yield Code(code=report.diagram.rstrip("\n"), language="mermaid")
    shown, entries = len(report.lines), report.entries
    heading = "Steps" if shown == entries else f"The last {shown} of {entries:,} steps"
    yield Heading(rich(heading), level=3)
    yield _table(report.lines)
    yield Heading(rich("See also"), level=3)
    yield from _links(report, related)


def _header(report: StatusReport) -> Callout:
    inside: list[Block] = []
    if report.question:
        inside.append(Quote(rich(report.question)))
    if report.kind is not None:
        inside.append(Paragraph(rich(f"{_capital(report.waiting)}.")))
        if report.acts:
            inside.append(Paragraph((Text("Next: "), Text(report.acts, _BOLD))))
    elif report.tone == "cancelled":
        inside.append(Paragraph(rich(f"{_capital(report.waiting)}.")))
    if report.since is not None:
        where = ", ".join(report.states)
        said: list[Inline] = [Text(f"Since {_at(report.since)} UTC in "), Text(where, _CODE)]
        inside.append(Paragraph(tuple(said) if where else rich(f"Since {_at(report.since)} UTC")))
    inside.append(Paragraph(rich(bar(report.share, 20))))
    if report.actions:
        inside.append(Paragraph(tuple(_offer(report.actions))))
    return Callout(
        (Text(report.headline, _BOLD),),
        _COLOURS[report.tone],
        icon=ICONS[report.tone],
        children=tuple(inside),
    )


def _offer(actions: Sequence[str]) -> Iterator[Inline]:
    yield Text("To steer it, set ", _SOFT)
    yield Text(ACTION, Marks(bold=True, colour="gray"))
    yield Text(f" to {_or(actions)}, or comment ", _SOFT)
    yield Text(f"/{actions[0].lower()}", _CODE)
    yield Text(".", _SOFT)


def _or(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _figures(report: StatusReport) -> Iterator[Block]:
    """Yield the figures in columns, filled from left to right."""
    figures = report.figures
    count = min(_COLUMNS, len(figures))
    if count < 2:
        return
    columns = []
    for place in range(count):
        inside: list[Block] = []
        for name, value in figures[place::count]:
            inside.append(Paragraph((Text(name, _SOFT),)))
            inside.append(Paragraph((Text(value, _BOLD),)))
        columns.append(Column(children=tuple(inside)))
    yield Columns(children=tuple(columns))


def _way(path: Sequence[Stop | None]) -> Iterator[Inline]:
    for place, stop in enumerate(path):
        if place:
            yield Text(" → ")
        if stop is None:
            yield Text("…")
            continue
        last = place == len(path) - 1 and not stop.took
        yield Text(stop.state, Marks(bold=last, code=True))
        took = f" {stop.took}" if stop.took else ""
        wrong = f" ({times(stop.errors)} wrong)" if stop.errors else ""
        if took or wrong:
            yield Text(f"{took}{wrong}", _SOFT)


def _table(lines: Sequence[Line]) -> Table:
    head = Row(cells=tuple(_bold(name) for name in ("#", "When (UTC)", "What", "Who", "Result")))
    rows = [
        Row(
            cells=(
                rich(str(line.sequence)),
                rich(f"{line.at:%Y-%m-%d %H:%M:%S}"),
                rich(line.what),
                rich(_known_as(line.who)),
                (Text(line.result, Marks(colour="red")),) if line.is_error else rich(line.result),
            )
        )
        for line in lines
    ]
    return Table(header_row=True, children=(head, *rows))


def _links(report: StatusReport, related: Related) -> Iterator[Block]:
    named = f"{report.workflow} version {report.version}"
    about = rich(f": {report.description}") if report.description else ()
    yield Bullet((Text("Workflow "), _named(named, related.definition), *about))
    if related.parent is not None:
        yield Bullet((Text("Started by "), _named(*related.parent)))
    for name, page in related.children:
        yield Bullet((Text("Has started "), _named(name, page)))
    if related.dashboard is not None:
        yield Bullet((Text("In the dashboard", link=related.dashboard),))


def _named(name: str, page: str | None) -> Inline:
    return Text(name, _BOLD) if page is None else Mention("page", page, name)


def _bold(text: str) -> Rich:
    return (Text(text, _BOLD),)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".")


def _at(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M")


__all__ = [
    "ACTION", "ACTIONS", "ICONS", "REGION", "RESULT", "STATUSES", "Related", "StatusPage", "Waiting",
    "instance_name", "status_page", "title_of",
]  # fmt: skip
