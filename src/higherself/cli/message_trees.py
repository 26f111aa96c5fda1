"""A conversation as a tree for a terminal, and as one JSON object."""

from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from higherself.cli.output import plain
from higherself.messaging.explanation import Conversation, Node

STYLES = {
    "delivered": "green",
    "dead": "bold red",
    "expired": "yellow",
    "cancelled": "yellow",
    "leased": "cyan",
}


WIDE = 10_000
"""Columns where nobody looks."""


def show_tree(found: Conversation) -> None:
    """Print ``found``, with a last line that sums it up."""
    root = found.root
    shown = Tree(_label(root, root, found), guide_style="dim")
    _grow(shown, root, found)
    console = Console(highlight=False)
    if not console.is_terminal:  # a line for each message, for other programs
        console = Console(highlight=False, width=WIDE)
    console.print(shown)
    console.print(Text(_summary(found), style="dim"))


def as_object(found: Conversation) -> dict[str, Any]:
    """Return ``found`` for programs: the tree by nested lists named ``caused``."""
    return {
        "asked": found.asked,
        "correlation_id": found.root.envelope.correlation_id,
        "messages": len(list(found.root.all())),
        "cut": found.cut,
        "took_seconds": _seconds(found.took),
        "micro_usd": found.micro_usd,
        "tokens": found.tokens,
        "root": _object(found.root),
    }


def _grow(tree: Tree, node: Node, found: Conversation) -> None:
    for each in node.caused:
        _grow(tree.add(_label(each, found.root, found)), each, found)


def _label(node: Node, root: Node, found: Conversation) -> Text:
    envelope = node.envelope
    after = envelope.time - root.envelope.time
    when = f"{envelope.time:%Y-%m-%d %H:%M:%S}" if node is root else f"+{_short(after)}"
    text = Text()
    text.append(plain(envelope.type), style="bold underline" if node.id == found.asked else "bold")
    said = envelope.extensions.get("performative")
    if said not in (None, "inform"):
        text.append(f" ({plain(str(said))})")
    who = envelope.source.removeprefix("urn:higherself:")
    text.append(f"  {plain(who)} -> {plain(node.topic)}  {when}  ")
    text.append(node.status, style=STYLES.get(node.status, ""))
    details = [] if node.took is None else [f"after {_short(node.took)}"]
    if node.road != "postgres":
        details.append(f"by {plain(node.road)}")
    if node.attempt > 1 or node.lapses:
        details.append(f"{node.attempt} attempts")
    if node.micro_usd:
        details.append(f"{node.micro_usd / 1e6:.6f} USD")
    if node.tokens:
        details.append(f"{node.tokens:,} tokens")
    if details:
        text.append(f" {', '.join(details)}")
    if node.reason:
        text.append(f"  {plain(node.reason)}", style="dim")
    text.append(f"  {node.id}", style="dim")
    return text


def _summary(found: Conversation) -> str:
    count = len(list(found.root.all()))
    parts = [f"{count} message{'s' if count != 1 else ''}"]
    parts.append("still going on" if found.took is None else f"{_short(found.took)} in all")
    if found.micro_usd or found.tokens:
        parts.append(f"{found.micro_usd / 1e6:.6f} USD, {found.tokens:,} tokens")
    if found.cut:
        parts.append("there is more than is shown")
    cause = found.root.envelope.causation_id
    if cause is not None:
        parts.append(f"caused by {plain(cause)}, which is not kept (or came directly)")
    return "; ".join(parts)


def _object(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "topic": node.topic,
        "status": node.status,
        "reason": node.reason,
        "road": node.road,
        "attempt": node.attempt,
        "lapses": node.lapses,
        "due_at": node.due_at,
        "finished_at": node.finished_at,
        "took_seconds": _seconds(node.took),
        "micro_usd": node.micro_usd,
        "tokens": node.tokens,
        "groups": node.groups,
        "errors": node.errors,
        "envelope": node.envelope.cloudevent(),
        "caused": [_object(each) for each in node.caused],
    }


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


def _short(time: timedelta) -> str:
    seconds = time.total_seconds()
    if abs(seconds) < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if abs(seconds) < 120 else str(timedelta(seconds=int(seconds)))
