"""Which lines of a markdown text belong together: code, equations, tags and their ends. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

_FENCE = re.compile(r"(`{3,})[^`]*$")
_OPENING = re.compile(r'<([a-z][a-z0-9_-]*)(?:\s+[\w-]+="[^"]*")*\s*>(.*)$')
_CLOSING = re.compile(r"</([a-z][a-z0-9_-]*)>$")


@dataclass(slots=True)
class Ranges:
    """For lines that begin something the line where it ends; ``closing`` are lines of end tags."""

    ends: dict[int, int] = field(default_factory=dict)
    closing: set[int] = field(default_factory=set)


def matched(lines: Sequence[str], tags: Collection[str]) -> Ranges:
    """Return the ranges of ``lines``. A tag that is never closed begins nothing.

    Inside code and equations nothing begins. Code that is never closed goes to the end.
    """
    found = Ranges()
    opened: list[tuple[str, int]] = []
    count: Counter[str] = Counter()
    dollars = [number for number, line in enumerate(lines) if line.strip(" \t") == "$$"]
    dollars.reverse()
    at = 0
    while at < len(lines):
        line = lines[at].strip(" \t")
        begins = line[:1]
        if begins == "`" and (fence := _FENCE.match(line)):
            end = _fence_end(lines, at + 1, len(fence[1]))
            found.ends[at] = end
            at = end
        elif line == "$$":
            while dollars and dollars[-1] <= at:
                dollars.pop()
            if dollars:
                found.ends[at] = at = dollars.pop()
        elif begins == "<":
            _tag(line, at, tags, opened, count, found)
        at += 1
    return found


def _fence_end(lines: Sequence[str], at: int, length: int) -> int:
    while at < len(lines):
        line = lines[at].strip(" \t")
        if len(line) >= length and not line.strip("`"):
            return at
        at += 1
    return at


def _tag(
    line: str,
    at: int,
    tags: Collection[str],
    opened: list[tuple[str, int]],
    count: Counter[str],
    found: Ranges,
) -> None:
    if closing := _CLOSING.match(line):
        name = closing[1]
        if not count[name]:
            return
        while opened:
            tag, start = opened.pop()
            count[tag] -= 1
            if tag == name:
                found.ends[start] = at
                found.closing.add(at)
                return
    elif (opening := _OPENING.match(line)) and (name := opening[1]) in tags:
        if opening[2].endswith(f"</{name}>"):
            if name != "summary" or not (opened and opened[-1][0] == "details"):
                found.ends[at] = at
        else:
            opened.append((name, at))
            count[name] += 1
