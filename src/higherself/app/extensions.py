"""What others bring: skills in Python files and packages, workflows in YAML."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from higherself.agents.skills import SkillMistaken, SkillRegistry, skills_in
from higherself.kernel.errors import HigherSelfError, Misconfigured


class ExtensionBroken(Misconfigured):
    """A file or package that was to be loaded cannot be."""


@dataclass(frozen=True, slots=True)
class WorkflowText:
    """A definition as it is written, and where."""

    file: str
    text: str


@dataclass(slots=True)
class Extensions:
    """Everything that is installed beyond the program itself."""

    skills: SkillRegistry = field(default_factory=SkillRegistry)
    workflows: list[WorkflowText] = field(default_factory=list)


def load_extensions(folders: Sequence[Path]) -> Extensions:
    """Return what the ``folders`` and the installed packages bring, and what comes with us.

    Every ``*.py`` of a folder is imported, every ``workflows/*.yaml`` (or ``.json``) of it read.
    Entry points name a skill or a module with skills, a package or a folder with workflows.

    Raises
        ExtensionBroken: one cannot be loaded; the text names it, and says why.
    """
    found = Extensions()
    found.workflows += _our_workflows()
    for folder in folders:
        if not folder.is_dir():
            raise ExtensionBroken(
                f"HIGHERSELF_EXTENSIONS: there is no folder {folder}; make it, or take it out"
            )
        for path in sorted(folder.glob("*.py")):
            _add(found.skills, vars(_imported(path)), str(path))
        found.workflows += _workflows_in(folder / "workflows")
    for point in entry_points(group="higherself.skills"):
        _add_package(found.skills, point, _loaded(point))
    for point in entry_points(group="higherself.workflows"):
        found.workflows += _workflows_of(point, _loaded(point))
    return found


def _our_workflows() -> Iterator[WorkflowText]:
    for each in sorted(files("higherself.business.workflows").iterdir(), key=lambda e: e.name):
        if each.name.endswith(".yaml"):
            yield WorkflowText(each.name, each.read_text(encoding="utf-8"))


def _add(registry: SkillRegistry, namespace: Mapping[str, Any], origin: str) -> int:
    """Add the skills of a module, also those that it imports; return how many they are."""
    found = list(skills_in(namespace))
    try:
        for each in found:
            registry.add(each, origin=origin)
    except SkillMistaken as mistaken:
        raise ExtensionBroken(str(mistaken)) from None
    return len(found)


def _add_package(registry: SkillRegistry, point: EntryPoint, loaded: Any) -> None:
    namespace = vars(loaded) if isinstance(loaded, ModuleType) else {point.name: loaded}
    if not _add(registry, namespace, point.value):
        raise ExtensionBroken(f"{_named(point)} is neither a skill nor a module that has any")


def _workflows_of(point: EntryPoint, loaded: Any) -> Iterator[WorkflowText]:
    if isinstance(loaded, ModuleType) and hasattr(loaded, "__path__"):
        loaded = loaded.__path__[0]
    if not isinstance(loaded, str | Path) or not Path(loaded).is_dir():
        raise ExtensionBroken(f"{_named(point)} is neither a package nor the path of a folder")
    yield from _workflows_in(Path(loaded))


def _workflows_in(folder: Path) -> Iterator[WorkflowText]:
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.json")]):
        yield WorkflowText(str(path), _text(path))


def _imported(path: Path) -> ModuleType:
    name = f"higherself_extension_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AssertionError(f"{path} is named like no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # types that are written as texts are looked up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ExtensionBroken(f"{path} cannot be imported: {_where(error, path)}") from error
    return module


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise ExtensionBroken(f"{_named(point)} cannot be loaded: {_told(error)}") from error


def _named(point: EntryPoint) -> str:
    of = f" of {point.dist.name}" if point.dist else ""
    return f"entry point {point.name} = {point.value} ({point.group}{of})"


def _where(error: BaseException, path: Path) -> str:
    """Return what went wrong, with the line of ``path`` in which it did."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: {_told(error)}" if line else _told(error)


def _told(error: BaseException) -> str:
    if isinstance(error, HigherSelfError):
        return str(error)
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {said}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExtensionBroken(f"{path} cannot be read: {error}") from error
