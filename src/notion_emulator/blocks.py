"""Block types: what may be sent for each, and the payload that is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed
from notion_emulator.richtext import COLORS, TitleOf, completed

TEXT = frozenset({"paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "toggle", "quote", "callout", "heading_1", "heading_2", "heading_3", "heading_4", "template"})  # fmt: skip
MEDIA = frozenset({"image", "video", "pdf", "file", "audio"})
LINKS = frozenset({"bookmark", "embed"})
EMPTY = frozenset({"divider", "breadcrumb", "column_list", "tab"})
NESTING = frozenset({"paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "toggle", "quote", "callout", "template", "synced_block", "column_list", "column", "table", "tab", "heading_1", "heading_2", "heading_3", "heading_4"})  # fmt: skip
LANGUAGES = frozenset(
    [
        "abap",
        "abc",
        "agda",
        "arduino",
        "ascii art",
        "assembly",
        "bash",
        "basic",
        "bnf",
        "c",
        "c#",
        "c++",
        "clojure",
        "coffeescript",
        "coq",
        "css",
        "dart",
        "dhall",
        "diff",
        "docker",
        "ebnf",
        "elixir",
        "elm",
        "erlang",
        "f#",
        "flow",
        "fortran",
        "gherkin",
        "glsl",
        "go",
        "graphql",
        "groovy",
        "haskell",
        "hcl",
        "html",
        "idris",
        "java",
        "javascript",
        "json",
        "julia",
        "kotlin",
        "latex",
        "less",
        "lisp",
        "livescript",
        "llvm ir",
        "lua",
        "makefile",
        "markdown",
        "markup",
        "matlab",
        "mathematica",
        "mermaid",
        "nix",
        "notion formula",
        "objective-c",
        "ocaml",
        "pascal",
        "perl",
        "php",
        "plain text",
        "powershell",
        "prolog",
        "protobuf",
        "purescript",
        "python",
        "r",
        "racket",
        "reason",
        "ruby",
        "rust",
        "sass",
        "scala",
        "scheme",
        "scss",
        "shell",
        "smalltalk",
        "solidity",
        "sql",
        "swift",
        "toml",
        "typescript",
        "vb.net",
        "verilog",
        "vhdl",
        "visual basic",
        "webassembly",
        "xml",
        "yaml",
        "java/c/c++/c#",
    ]
)


@dataclass(frozen=True)
class Draft:
    """A block to be made, with those inside it."""

    type: str
    payload: Json
    children: tuple[Draft, ...] = ()


def drafts(items: Any, path: str, title_of: TitleOf, *, depth: int = 2) -> list[Draft]:
    """Return the blocks of a request's ``children``.

    Raises
        ApiError: more than 100, nested too deep, or not blocks.
    """
    if not isinstance(items, list):
        raise invalid_body(path, "an array", items)
    if len(items) > 100:
        raise invalid_body(f"{path}.length", "≤ `100`", len(items))
    return [_draft(item, f"{path}[{n}]", title_of, depth) for n, item in enumerate(items)]


def count(items: list[Draft]) -> int:
    """Return how many blocks these are, with those inside."""
    return sum(1 + count(list(item.children)) for item in items)


def type_of(item: Json) -> str | None:
    """Return the type a block object names or implies."""
    known = TEXT | MEDIA | LINKS | EMPTY | _BUILDERS.keys()
    kind = item.get("type") or next((k for k in item if k in known), None)
    return kind if kind in known else None


def payload(kind: str, given: Any, path: str, title_of: TitleOf) -> Json:
    """Return the payload to store and answer for what was sent.

    Raises
        ApiError: it does not fit the type.
    """
    if not isinstance(given, dict):
        raise invalid_body(f"{path}.{kind}", "an object", given)
    build = _builder(kind)
    return build(given, f"{path}.{kind}", title_of)


def merged(kind: str, old: Json, given: Any, path: str, title_of: TitleOf) -> Json:
    """Return a payload with what an update sent put over it.

    Raises
        ApiError: the update changes what is fixed, or does not fit.
    """
    if not isinstance(given, dict):
        raise invalid_body(f"{path}.{kind}", "an object", given)
    if kind in MEDIA and given:
        return payload(kind, {k: v for k, v in old.items() if k in ("caption", "name")} | given, path, title_of)  # fmt: skip
    if kind == "table" and given.get("table_width") not in (None, old.get("table_width")):
        raise invalid("Table width cannot be changed.")
    if kind == "table_row" and len(given.get("cells", [])) != len(old.get("cells", [])):
        raise invalid("Number of cells in table row must match the table width of the parent table")
    return payload(kind, {**old, **given}, path, title_of)


def _draft(item: Any, path: str, title_of: TitleOf, depth: int) -> Draft:
    if not isinstance(item, dict):
        raise invalid_body(path, "an object", item)
    kind = type_of(item)
    if kind is None:
        named = item.get("type")
        raise invalid_body(f"{path}.{named}" if named else f"{path}.type", "defined", None)
    given = item.get(kind, {} if kind in EMPTY else None)
    inside = given.get("children") if isinstance(given, dict) else None
    inside = inside if inside is not None else item.get("children")
    body = payload(kind, given, path, title_of)
    children: list[Draft] = []
    if inside:
        if kind not in NESTING:
            raise invalid_body(f"{path}.{kind}.children", "not present", inside)
        allowed = depth + 1 if kind in ("table", "column_list") and depth == 0 else depth
        if allowed <= 0:
            raise invalid_body(f"{path}.{kind}.children", "not present", "…")
        children = drafts(inside, f"{path}.{kind}.children", title_of, depth=allowed - 1)
    _check_structure(kind, body, children, path)
    return Draft(kind, body, tuple(children))


def _check_structure(kind: str, body: Json, children: list[Draft], path: str) -> None:
    if kind == "table":
        if not children:
            raise invalid_body(f"{path}.table.children.length", "≥ `1`", 0)
        if any(
            c.type == "table_row" and len(c.payload["cells"]) != body["table_width"]
            for c in children
        ):
            raise invalid(
                "Number of cells in table row must match the table width of the parent table"
            )
    if kind == "column_list" and len(children) < 2:
        raise invalid_body(f"{path}.column_list.children.length", "≥ `2`", len(children))


Builder = Callable[[Json, str, TitleOf], Json]


def _builder(kind: str) -> Builder:
    if kind in _BUILDERS:
        return _BUILDERS[kind]
    if kind in MEDIA:
        return _media_named if kind == "file" else _media
    if kind in LINKS:
        return _link
    return _nothing if kind in EMPTY else _text


def _color(given: Json, path: str) -> str:
    color = given.get("color") or "default"
    if color not in COLORS:
        raise invalid_body(f"{path}.color", "a known color", color)
    return str(color)


def _text(given: Json, path: str, title_of: TitleOf) -> Json:
    if "rich_text" not in given:
        raise invalid_body(f"{path}.rich_text", "defined", None)
    return {
        "rich_text": completed(given["rich_text"], f"{path}.rich_text", title_of),
        "color": _color(given, path),
    }


def _paragraph(given: Json, path: str, title_of: TitleOf) -> Json:
    return _text(given, path, title_of) | {"icon": icon(given.get("icon"), f"{path}.icon")}


def _heading(given: Json, path: str, title_of: TitleOf) -> Json:
    toggleable = bool(given.get("is_toggleable")) or bool(given.get("children"))
    return _text(given, path, title_of) | {"is_toggleable": toggleable}


def _numbered(given: Json, path: str, title_of: TitleOf) -> Json:
    extra = {k: given[k] for k in ("list_start_index", "list_format") if k in given}
    return _text(given, path, title_of) | extra


def _to_do(given: Json, path: str, title_of: TitleOf) -> Json:
    return _text(given, path, title_of) | {"checked": bool(given.get("checked"))}


def _callout(given: Json, path: str, title_of: TitleOf) -> Json:
    default = {"type": "emoji", "emoji": "💡"}
    shown = icon(given["icon"], f"{path}.icon") if "icon" in given else default
    return _text(given, path, title_of) | {"icon": shown}


def _code(given: Json, path: str, title_of: TitleOf) -> Json:
    language = given.get("language") or "plain text"
    if language not in LANGUAGES:
        raise invalid_body(f"{path}.language", "a known language", language)
    return {
        "caption": completed(given.get("caption") or [], f"{path}.caption", title_of),
        "rich_text": completed(given.get("rich_text"), f"{path}.rich_text", title_of),
        "language": language,
    }


def _equation(given: Json, path: str, title_of: TitleOf) -> Json:
    expression = given.get("expression")
    if not isinstance(expression, str):
        raise invalid_body(f"{path}.expression", "a string", expression)
    if len(expression) > 1000:
        raise invalid_body(f"{path}.expression.length", "≤ `1000`", len(expression))
    return {"expression": expression}


def _nothing(given: Json, path: str, title_of: TitleOf) -> Json:
    return {}


def _contents(given: Json, path: str, title_of: TitleOf) -> Json:
    return {"color": given.get("color") or "gray"}


def _column(given: Json, path: str, title_of: TitleOf) -> Json:
    ratio = given.get("width_ratio")
    return {} if ratio is None else {"width_ratio": ratio}


def _table(given: Json, path: str, title_of: TitleOf) -> Json:
    width = given.get("table_width")
    if not isinstance(width, int) or width < 1:
        raise invalid_body(f"{path}.table_width", "≥ `1`", width)
    return {
        "table_width": width,
        "has_column_header": bool(given.get("has_column_header")),
        "has_row_header": bool(given.get("has_row_header")),
    }


def _row(given: Json, path: str, title_of: TitleOf) -> Json:
    cells = given.get("cells")
    if not isinstance(cells, list):
        raise invalid_body(f"{path}.cells", "an array", cells)
    return {"cells": [completed(c, f"{path}.cells[{n}]", title_of) for n, c in enumerate(cells)]}


def file_value(given: Any, path: str) -> Json:
    """Return ``type`` and its value of a file object.

    Raises
        ApiError: no kind of file is given.
    """
    if not isinstance(given, dict):
        raise invalid_body(path, "an object", given)
    kind = given.get("type") or next((k for k in ("external", "file_upload", "file") if k in given), None)  # fmt: skip
    if kind == "external":
        url = (given.get("external") or {}).get("url")
        if not isinstance(url, str):
            raise invalid_body(f"{path}.external.url", "a string", url)
        if len(url) > 2000:
            raise invalid_body(f"{path}.external.url.length", "≤ `2000`", len(url))
        return {"type": "external", "external": {"url": url}}
    if kind in ("file_upload", "file"):
        return {"type": kind, kind: given.get(kind)}
    raise invalid_body(f"{path}.external", "defined", None)


def _media(given: Json, path: str, title_of: TitleOf) -> Json:
    caption = completed(given.get("caption") or [], f"{path}.caption", title_of)
    return {"caption": caption} | file_value(given, path)


def _media_named(given: Json, path: str, title_of: TitleOf) -> Json:
    body = _media(given, path, title_of)
    url = (body.get("external") or {}).get("url", "")
    return body | {"name": given.get("name") or url.rsplit("/", 1)[-1].split("?")[0]}


def _link(given: Json, path: str, title_of: TitleOf) -> Json:
    url = given.get("url")
    if not isinstance(url, str):
        raise invalid_body(f"{path}.url", "a string", url)
    if len(url) > 2000:
        raise invalid_body(f"{path}.url.length", "≤ `2000`", len(url))
    return {"caption": completed(given.get("caption") or [], f"{path}.caption", title_of), "url": url}  # fmt: skip


def _link_to_page(given: Json, path: str, title_of: TitleOf) -> Json:
    kind = given.get("type") or next((k for k in ("page_id", "database_id", "comment_id") if k in given), "page_id")  # fmt: skip
    target = dashed(given.get(kind))
    if target is None:
        raise invalid_body(f"{path}.{kind}", "a valid uuid", given.get(kind))
    return {"type": kind, kind: target}


def _synced(given: Json, path: str, title_of: TitleOf) -> Json:
    origin = given.get("synced_from")
    if origin is None:
        return {"synced_from": None}
    return {"synced_from": {"type": "block_id", "block_id": dashed(origin.get("block_id"))}}


def icon(given: Any, path: str) -> Json | None:
    """Return an icon as answered.

    Raises
        ApiError: it is none.
    """
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid_body(path, "an object or `null`", given)
    kind = given.get("type") or next(iter(given), None)
    match kind:
        case "emoji" if isinstance(given.get("emoji"), str):
            return {"type": "emoji", "emoji": given["emoji"]}
        case "custom_emoji" | "icon":
            return {"type": kind, kind: given.get(kind)}
        case "external" | "file_upload" | "file":
            return _named_icon(given) or file_value(given, path)
        case _:
            raise invalid_body(f"{path}.emoji", "defined", None)


_OWN_ICON = re.compile(r"https://www\.notion\.so/icons/([\w-]+?)_(\w+)\.svg")


def _named_icon(given: Json) -> Json | None:
    """Return Notion's own icon for the address of one."""
    match = _OWN_ICON.match(str((given.get("external") or {}).get("url", "")))
    return {"type": "icon", "icon": {"name": match[1], "color": match[2]}} if match else None


_BUILDERS: dict[str, Builder] = {
    "paragraph": _paragraph,
    **{f"heading_{n}": _heading for n in (1, 2, 3, 4)},
    "numbered_list_item": _numbered,
    "to_do": _to_do,
    "callout": _callout,
    "code": _code,
    "equation": _equation,
    "table_of_contents": _contents,
    "column": _column,
    "table": _table,
    "table_row": _row,
    "link_to_page": _link_to_page,
    "synced_block": _synced,
}
