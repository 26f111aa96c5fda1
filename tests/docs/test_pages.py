"""The documentation names only what is there: files, headings, commands, options, settings."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from higherself.app.settings import SECRETS_BEGIN, Settings
from higherself.cli.main import higherself

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[(\s])(?:\S*/bin/)?higherself +([^\n|;>)]*)", re.MULTILINE)
_SETTING = re.compile(r"\b(HIGHERSELF_[A-Z_]+)\b")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@every_page
def test_relative_links_resolve(page: Path) -> None:
    broken = [link for link in _links(page) if not _resolves(page, link)]
    assert broken == []


@every_page
def test_commands_exist(page: Path) -> None:
    problems = [problem for line in _commands(page) if (problem := _problem(line))]
    assert problems == []


@every_page
def test_settings_exist(page: Path) -> None:
    known = {"HIGHERSELF_TEST_HOME", *Settings.names().values()}
    named = set(_SETTING.findall(page.read_text("utf-8")))
    assert {each for each in named - known if not each.startswith(SECRETS_BEGIN)} == set()


@every_page
def test_python_is_run_by_a_test(page: Path) -> None:
    """As a doctest, which `docs` is searched for, or as part of an example."""
    examples = [path.read_text("utf-8") for path in (ROOT / "examples").rglob("*.py")]
    for language, code in _FENCE.findall(page.read_text("utf-8")):
        if language in ("python", "py", "pycon"):
            is_doctest = code.startswith(">>> ") and page.is_relative_to(ROOT / "docs")
            assert is_doctest or any(code in example for example in examples), code


def test_quick_start_is_two_commands_each_alone() -> None:
    _, _, rest = (ROOT / "README.md").read_text("utf-8").partition("\n## Quick start\n")
    section = rest.partition("\n## ")[0]
    assert _FENCE.findall(section) == [("bash", "make demo\n"), ("bash", "make test\n")]


def _links(page: Path) -> Iterator[str]:
    prose = _CODE.sub("", _FENCE.sub("", page.read_text("utf-8")))
    for found in _LINK.findall(prose):
        target = "".join(found)
        if not re.match(r"[a-z]+:", target):
            yield target


def _resolves(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(page: Path) -> Iterator[str]:
    text = page.read_text("utf-8")
    shells = [code for language, code in _FENCE.findall(text) if language in ("bash", "console")]
    for code in (*shells, *_CODE.findall(_FENCE.sub("", text))):
        for arguments in _COMMAND.findall(code.replace("\\\n", " ")):
            yield arguments.strip().strip("\"'")


def _problem(line: str) -> str | None:
    """Return what is wrong with the arguments of `higherself`, or None."""
    command: click.Command = higherself
    context = click.Context(command)
    words = line.split()
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            return f"there is no command {words[0]}"
        command, words = found, words[1:]
    known = {name for each in command.params for name in each.opts} | {"--help", "-h", "--version"}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    return f"{command.name} has no {', '.join(unknown)}" if unknown else None
