"""Markdown with its front matter, and plain text."""

import re
from collections.abc import Iterator
from datetime import date
from itertools import accumulate
from typing import Any

import yaml

from higherself.knowledge.readers.file import (
    MAX_FRONT_MATTER,
    TOO_DEEP,
    File,
    Reading,
    Unreadable,
    first_heading,
    instant,
    load,
    words,
)

_YAML_RAISES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_MAIL_HEAD = re.compile(r"(?:[A-Z][A-Za-z-]*+:[^\n]*+\n(?:[ \t]++\S[^\n]*+\n)*+)++")
_SUBJECT = re.compile(r"^Subject:[ \t]*(\S.*)$", re.MULTILINE)


def read_markdown(file: File) -> Iterator[Reading]:
    """Yield the file as one document; front matter gives title, tags, date and metadata."""
    text = load(file)
    front: dict[str, Any] = {}
    match = _FRONT_MATTER.match(text, 0, MAX_FRONT_MATTER)
    if match and (found := _front_matter(match[1])) is not None:
        front, text = found, text[match.end() :].lstrip("\n")
    title, at = front.get("title"), instant(front.get("date"))
    if isinstance(title, dict | list):
        raise Unreadable("`title` must be a text")
    used = {"title", "tags", "date"} if at else {"title", "tags"}
    yield file.document(
        text,
        title=str(title or "") or first_heading(text),
        tags=words(front.get("tags")),
        metadata={key: value for key, value in front.items() if key not in used},
        at=at,
    )


def _front_matter(block: str) -> dict[str, Any] | None:
    """Return what the YAML between the dashes says, as JSON values; None if it is no mapping.

    Aliases are refused: a few lines of them stand for gigabytes.
    """
    line = 2
    if max(accumulate((sign in "[{") - (sign in "]}") for sign in block), default=0) > 100:
        raise _broken_front_matter(TOO_DEEP, line)  # PyYAML would take minutes to say so
    try:
        for token in yaml.scan(block):
            if isinstance(token, yaml.AliasToken):
                line = token.start_mark.line + 2
                raise ValueError("aliases (`*name`) are not supported")
        loader = yaml.SafeLoader(block)
        node = loader.get_single_node()
        if node is not None and not isinstance(node, yaml.MappingNode):
            return None
        front: dict[str, Any] = {}
        for key, value in node.value if node else ():
            line = key.start_mark.line + 2
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError("a key must be a word")
            front[str(loader.construct_object(key))] = _plain(
                loader.construct_object(value, deep=True)
            )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _broken_front_matter(error.problem, mark.line + 2 if mark else line) from error
    except yaml.reader.ReaderError as error:
        line = 2 + block.count("\n", 0, error.position)
        raise _broken_front_matter(error.reason, line) from error
    except _YAML_RAISES as error:
        raise _broken_front_matter(error, line) from error
    return front


def _broken_front_matter(problem: object, line: int) -> Unreadable:
    return Unreadable(f"front matter, line {line}: {problem}", f":{line}")


def _plain(value: object) -> Any:
    """Return what YAML made of a value as JSON can hold it: dates as text, keys as text."""
    match value:
        case date():
            return value.isoformat()
        case dict():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [_plain(item) for item in value]
        case _:
            return value


def read_text(file: File) -> Iterator[Reading]:
    """Yield the file as one document; the subject of a mail is its title."""
    text = load(file)
    head = _MAIL_HEAD.match(text, 0, MAX_FRONT_MATTER)
    subject = _SUBJECT.search(head[0]) if head else None
    yield file.document(text, title=subject[1] if subject else "")
