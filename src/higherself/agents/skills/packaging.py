"""Skills as folders that other programs read (Agent Skills): a ``SKILL.md`` with a head in YAML.

Source: the specification at https://agentskills.io/specification.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from higherself.agents.skills.declare import skill, skills_in
from higherself.agents.skills.errors import PackageMistaken
from higherself.agents.skills.model import Skill
from higherself.kernel.errors import NotFound

FILE = "SKILL.md"
LONGEST_NAME, LONGEST_DESCRIPTION, LONGEST_COMPATIBILITY = 64, 1024, 500
LARGEST = 1024 * 1024
"""Bytes of a file of a package that are read."""

MOST_FILES = 200

OURS = "higherself-skill"
"""In the metadata of a folder that was written from a skill of ours: its name."""

_FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HEAD = re.compile(r"\A---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*(\r?\n|\Z)", re.DOTALL | re.MULTILINE)


class NoSuchFile(NotFound):
    """A skill has no file of this name."""


@dataclass(frozen=True, slots=True)
class Package:
    """A folder that is an Agent Skill. ``body`` are its instructions, ``files`` what comes with it."""

    folder: Path
    name: str
    description: str
    body: str
    files: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_package(folder: Path) -> Package:
    """Return what a folder has.

    Raises
        PackageMistaken: it is no Agent Skill; the text has everything that is wrong.
    """
    text = _text(folder / FILE)
    found = _HEAD.match(text)
    if found is None:
        raise PackageMistaken(
            f"{folder / FILE} does not begin with a head: ---, then `name: ...` and "
            "`description: ...`, then ---"
        )
    try:
        head = yaml.safe_load(found["head"])
    except yaml.YAMLError as error:
        raise PackageMistaken(f"{folder / FILE}: its head is no YAML: {error}") from None
    if not isinstance(head, dict):
        raise PackageMistaken(f"{folder / FILE}: its head is not `name: value` lines")
    if problems := list(_problems(head, folder.absolute().name)):
        raise PackageMistaken(f"{folder / FILE}: {'; '.join(problems)}")
    return Package(
        folder,
        head["name"],
        " ".join(head["description"].split()),
        text[found.end() :].strip(),
        tuple(_files(folder)),
        head.get("metadata", {}),
    )


def _problems(head: Mapping[Any, Any], folder: str) -> Iterator[str]:
    for unknown in sorted(str(each) for each in head if each not in _FIELDS):
        yield f"{unknown}: no such field; there are {', '.join(_FIELDS)}"
    name = head.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        yield (
            f"name: {name!r} is not 1 to {LONGEST_NAME} of a-z, 0-9 and single hyphens between them"
        )
    elif name != folder:
        yield f"name: {name!r} is not that of its folder, {folder!r}; make them the same"
    for key, longest, needed in (
        ("description", LONGEST_DESCRIPTION, True),
        ("compatibility", LONGEST_COMPATIBILITY, False),
    ):
        said = head.get(key)
        if said is None and not needed:
            continue
        if not isinstance(said, str) or not said.strip():
            yield f"{key}: say in a sentence or two what it does and when to use it"
        elif len(said) > longest:
            yield f"{key}: it has {len(said)} characters; {longest} is the most"
    yield from _strange_kinds(head)


def _strange_kinds(head: Mapping[Any, Any]) -> Iterator[str]:
    for key in ("license", "allowed-tools"):
        if not isinstance(head.get(key, ""), str):
            yield f"{key}: it is no text"
    metadata = head.get("metadata", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(part, str) for pair in metadata.items() for part in pair
    ):
        yield "metadata: it is not `name: text` lines; put numbers in quotes"


def _files(folder: Path) -> Iterator[str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in found)
    for number, name in enumerate(name for name in names if name != FILE):
        if number == MOST_FILES:
            raise PackageMistaken(f"{folder} has more than {MOST_FILES} files beside {FILE}")
        yield name


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise PackageMistaken(f"{path} is larger than 1 MB")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackageMistaken(f"{path} cannot be read: {error}") from None


def packages_in(folder: Path) -> Iterator[Path]:
    """Yield the folders inside ``folder`` that have a ``SKILL.md``."""
    for path in sorted(folder.glob(f"*/{FILE}")):
        yield path.parent


def instructions_skill(package: Package) -> Skill:
    """Return the skill that tells the instructions of ``package``, and what is in its files.

    It runs nothing of the folder.
    """

    @skill(
        name=package.name,
        description=package.description,
        version=package.metadata.get("version", "1"),
        effects="read",
        tags=["instructions"],
    )
    def read(file: str | None = None) -> dict[str, Any]:
        if file is None:
            return {"instructions": package.body, "files": list(package.files)}
        if file not in package.files:
            there = ", ".join(package.files) or "none"
            raise NoSuchFile(f"skill {package.name} has no file {file!r}; there is {there}")
        return {"file": file, "text": _text(package.folder / file)}

    (made,) = skills_in({"read": read})
    return replace(made, instructions=package.body)


def package_name(name: str) -> str:
    """Return what a skill is called as a folder.

    >>> package_name("crm.enrich_lead")
    'crm-enrich-lead'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def export(skills: Sequence[Skill], folder: Path) -> list[Path]:
    """Write each skill as a folder inside ``folder``, and return those.

    What was written before is replaced; what somebody else wrote is left alone.

    Raises
        PackageMistaken: a skill cannot be one: its name is too long or makes none for a folder, it
            says nothing of itself, or there is another of that name. Nothing was written.
    """
    places: dict[str, Skill] = {}
    for each in skills:
        name = package_name(each.name)
        if not name:
            raise PackageMistaken(f"skill {each.name}: a folder's name needs one of a-z or 0-9")
        if len(name) > LONGEST_NAME:
            raise PackageMistaken(f"skill {each.name}: {LONGEST_NAME} characters is the most")
        if not each.description.strip():
            raise PackageMistaken(f"skill {each.name} has no description: @skill(description=...)")
        if name in places:
            raise PackageMistaken(f"{each.name} and {places[name].name} would both be {name}")
        _refuse_others(folder / name)
        places[name] = each
    return [_write(each, folder / name) for name, each in places.items()]


def _refuse_others(folder: Path) -> None:
    if (folder / FILE).exists() and OURS not in read_package(folder).metadata:
        raise PackageMistaken(f"{folder} was written by somebody else; choose another folder")


def _write(skill: Skill, folder: Path) -> Path:
    head = {
        "name": folder.name,
        "description": _shortened(" ".join(skill.description.split())),
        "compatibility": "Needs a HigherSelf Network Server that has this skill: its command line, "
        "or its MCP server.",
        "metadata": {OURS: skill.name, "version": skill.version, "effects": skill.effects},
    }
    schemas = {"input": skill.schema, "output": skill.output_schema}
    references = folder / "references"
    references.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        shown = json.dumps({} if schema is None else schema, indent=2, ensure_ascii=False)
        (references / f"{name}.schema.json").write_text(f"{shown}\n", encoding="utf-8")
    written = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)
    (folder / FILE).write_text(f"---\n{written}---\n\n{_body(skill)}", encoding="utf-8")
    return folder


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_DESCRIPTION:
        return text
    return text[: LONGEST_DESCRIPTION - 3].rsplit(" ", 1)[0] + "..."


def _body(skill: Skill) -> str:
    changes = {
        "pure": "It changes nothing, and depends on its input alone.",
        "read": "It changes nothing.",
        "write": "It changes something on the server.",
        "external": "It changes something outside the server.",
    }
    harmless = skill.effects in ("pure", "read")
    told = [
        changes[skill.effects],
        *(["What it does cannot be taken back: ask before you run it."] * skill.irreversible),
        *(["With the same key it may be run again."] * (skill.idempotent and not harmless)),
    ]
    parts = [
        f"# {skill.name}",
        skill.description.strip(),
        " ".join(told),
        "Run it as the MCP tool of this name, or with\n\n"
        f"```bash\nhigherself skills run {skill.name} --input '{{...}}' --json\n```",
        "Its input is one JSON object that fits "
        "[`references/input.schema.json`](references/input.schema.json); what comes out fits "
        "[`references/output.schema.json`](references/output.schema.json).",
    ]
    for each in skill.examples:
        shown = json.dumps(each.input, indent=2, ensure_ascii=False)
        parts.append(f"## Example{f': {each.description}' if each.description else ''}")
        parts.append(f"```json\n{shown}\n```")
        if each.output is not None:
            shown = json.dumps(each.output, indent=2, ensure_ascii=False)
            parts.append(f"gives\n\n```json\n{shown}\n```")
    return "\n\n".join(parts) + "\n"
