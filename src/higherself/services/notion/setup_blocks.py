"""Set-ups of workflows as they are written on pages of the library: blocks of code, one for a business. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, check_json
from higherself.kernel.nearest import did_you_mean
from higherself.notion.content import Content, RegionDamaged, parse, region, render, with_region
from higherself.notion.content.rich import text as rich
from higherself.notion.content.tree import Block, Bullet, Callout, Code, Marks, Text, walk
from higherself.workflow.view.words import shortened

REGION = "setups"
"""The name of our part of the page."""

OTHERS = "definition"
"""The part in which the definition is shown."""

KEYS = ("setup", "entity", "settings", "enabled")
EXAMPLE = "setup: lead_nurturing\nentity: the_7_space\nsettings:\n  booking_link: https://..."


@dataclass(frozen=True, slots=True)
class SetupWritten:
    """A set-up that a page asks for."""

    workflow: str
    entity: str
    settings: JsonObject
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SetupResult:
    """What came of one: it was done, or there are ``problems``."""

    what: str
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class SetupUnreadable(Rejected):
    """A block that is to be a set-up is none; the text says which key is wrong."""


class _Plain(yaml.SafeLoader):
    """Reads YAML without aliases: a few of them could stand for more than fits into memory."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return a node, and refuse an alias."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(problem="aliases are not taken", problem_mark=mark)
        return super().compose_node(parent, index)


def written_setups(markdown: str) -> tuple[str, ...]:
    """Return the texts on a page that are meant to be set-ups: code that begins with ``setup:``."""
    for name in (REGION, OTHERS):
        try:
            if region(markdown, name) is not None:
                markdown = with_region(markdown, name, "")
        except RegionDamaged:
            continue  # what is ours shows words, and no set-up
    return tuple(
        block.code
        for _, block in walk(parse(markdown).blocks)
        if isinstance(block, Code)
        and any(line.startswith(("setup:", '"setup"')) for line in block.code.splitlines())
    )


def read_setup(text: str) -> SetupWritten:
    """Return the set-up that a block is.

    Raises
        SetupUnreadable: naming the key, or the line.
    """
    said = _loaded(text)
    if not isinstance(said, Mapping):
        raise SetupUnreadable(f"this is no set-up; write, for example:\n{EXAMPLE}")
    for key in said:
        if key not in KEYS:
            raise SetupUnreadable(f"{key}: there is no such key{did_you_mean(str(key), KEYS)}")
    for key in ("setup", "entity"):
        if not isinstance(said.get(key), str) or not said[key].strip():
            meant = "the workflow" if key == "setup" else "the business, such as the_7_space"
            raise SetupUnreadable(f"{key}: it has to be set: {meant}")
    settings = said.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise SetupUnreadable("settings: write one on a line, such as `  answer_within: 24 hours`")
    enabled = said.get("enabled", True)
    if not isinstance(enabled, bool):
        raise SetupUnreadable(f"enabled: it is {enabled!r}; write true or false")
    try:
        kept: JsonObject = {str(key): value for key, value in settings.items()}
        check_json(kept, "settings")
    except Rejected as error:
        raise SetupUnreadable(str(error)) from None
    return SetupWritten(said["setup"].strip(), said["entity"].strip(), kept, enabled)


def _loaded(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Plain)  # noqa: S506  it is a safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise SetupUnreadable(
            f"{where}this is no YAML ({getattr(error, 'problem', error)})"
        ) from None
    except RecursionError:
        raise SetupUnreadable("this is nested too deeply for settings") from None


def setups_body(results: Sequence[SetupResult]) -> str:
    """Return our part of a page: what came of each set-up that stands on it."""
    return render(Content(tuple(_blocks(results))))


def _blocks(results: Sequence[SetupResult]) -> Iterator[Block]:
    for each in results:
        icon, colour = ("🔴", "red_background") if each.problems else ("✅", "green_background")
        yield Callout(
            (Text(each.what, Marks(bold=True)),),
            colour,
            icon=icon,
            children=tuple(
                Bullet(rich(shortened(" ".join(line.split()), 500)))
                for line in (*each.problems, *each.remarks)
            ),
        )
