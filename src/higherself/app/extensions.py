"""What others bring: skills and agents in Python files and packages, workflows in YAML."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from higherself import __version__
from higherself.agents.agent import AgentRegistry, agents_in
from higherself.agents.errors import AgentMistaken
from higherself.agents.skills import PackageMistaken, SkillMistaken, SkillRegistry, skills_in
from higherself.agents.skills.packaging import instructions_skill, packages_in, read_package
from higherself.business.behaviour.agent import DeclaredAgent
from higherself.business.behaviour.said import AgentsMistaken
from higherself.business.roster import load_roster
from higherself.kernel.errors import HigherSelfError, Misconfigured
from higherself.kernel.packages import brought


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
    agents: AgentRegistry = field(default_factory=AgentRegistry)


def load_extensions(folders: Sequence[Path]) -> Extensions:
    """Return what the ``folders`` and the installed packages bring, and what comes with us.

    Every ``*.py`` of a folder is imported, also in its folder ``skills``, every
    ``skills/*/SKILL.md``, ``workflows/*.yaml`` (or ``.json``) and ``agents/*.yaml`` of it read. Entry points name a
    skill, several in a list, a module or a package with skills; an agent or a module with agents; a
    package or a folder with workflows.

    Raises
        ExtensionBroken: one cannot be loaded; the text names it, and says why.
    """
    found = Extensions()
    found.workflows += _our_workflows()
    _add_ours(found.skills)
    roster: list[tuple[str, str]] = []
    for folder in folders:
        if not folder.is_dir():
            raise ExtensionBroken(
                f"HIGHERSELF_EXTENSIONS: there is no folder {folder}; make it, or take it out"
            )
        for path in [*sorted(folder.glob("*.py")), *sorted((folder / "skills").glob("*.py"))]:
            module = _imported(path)
            _add(found.skills, vars(module), str(path), digest=_digest(_text(path)))
            _add_agents(found.agents, vars(module), str(path), module.__name__)
        for place in packages_in(folder / "skills"):
            _add_instructions(found.skills, place)
        found.workflows += _workflows_in(folder / "workflows")
        roster += [(str(path), _text(path)) for path in sorted((folder / "agents").glob("*.yaml"))]
    for point in brought("higherself.skills"):
        _add_package(found.skills, point, _loaded(point))
    for point in brought("higherself.agents"):
        _add_agent_package(found.agents, point, _loaded(point))
    for point in brought("higherself.workflows"):
        found.workflows += _workflows_of(point, _loaded(point))
    _add_roster(found.agents, roster)
    return found


def _add_roster(registry: AgentRegistry, over: Sequence[tuple[str, str]]) -> None:
    """Add the agents of the business; those that a folder or package brings take their place."""
    try:
        for each in load_roster(over).declared.values():
            registry.add(DeclaredAgent(each), origin=each.origin, yields=True)
    except (AgentsMistaken, AgentMistaken) as mistaken:
        raise ExtensionBroken(str(mistaken)) from None


def _our_workflows() -> Iterator[WorkflowText]:
    for each in sorted(files("higherself.business.workflows").iterdir(), key=lambda e: e.name):
        if each.name.endswith(".yaml"):
            yield WorkflowText(each.name, each.read_text(encoding="utf-8"))


def _add_ours(registry: SkillRegistry) -> None:
    """Add the skills that come with the program; others of their names take their place."""
    for each in sorted(files("higherself.business.skills").iterdir(), key=lambda e: e.name):
        name = each.name.removesuffix(".py")
        if name != each.name and name != "__init__":
            module = importlib.import_module(f"higherself.business.skills.{name}")
            for found in skills_in(vars(module)):
                registry.add(found, origin=module.__name__, yields=True, digest=__version__)


def _add_instructions(registry: SkillRegistry, folder: Path) -> None:
    try:
        package = read_package(folder)
        digest = _digest(package.body)
        registry.add(instructions_skill(package), origin=str(folder), digest=digest)
    except (PackageMistaken, SkillMistaken) as mistaken:
        raise ExtensionBroken(str(mistaken)) from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _add(registry: SkillRegistry, namespace: Mapping[str, Any], origin: str, *, digest: str) -> int:
    """Add the skills of a module, also those that it imports; return how many they are."""
    found = list(skills_in(namespace))
    try:
        for each in found:
            registry.add(each, origin=origin, digest=digest)
    except SkillMistaken as mistaken:
        raise ExtensionBroken(str(mistaken)) from None
    return len(found)


def _add_package(registry: SkillRegistry, point: EntryPoint, loaded: Any) -> None:
    version = point.dist.version if point.dist else ""
    if not _add(registry, _namespace(point, loaded), point.value, digest=version):
        raise ExtensionBroken(f"{_named(point)} is neither a skill nor a module that has any")


def _namespace(point: EntryPoint, loaded: Any) -> Mapping[str, Any]:
    """Return what may be skills: the values of a module, of a package's modules, or of a list."""
    if isinstance(loaded, list | tuple):
        return {str(place): each for place, each in enumerate(loaded)}
    if not isinstance(loaded, ModuleType):
        return {point.name: loaded}
    namespace = dict(vars(loaded))
    if hasattr(loaded, "__path__") and not any(skills_in(namespace)):
        for found in pkgutil.iter_modules(loaded.__path__, f"{loaded.__name__}."):
            try:
                module = importlib.import_module(found.name)
            except (Exception, SystemExit) as error:
                raise ExtensionBroken(
                    f"{_named(point)}: {found.name} cannot be imported: {_told(error)}"
                ) from error
            namespace |= {f"{found.name}.{name}": each for name, each in vars(module).items()}
    return namespace


def _add_agents(
    registry: AgentRegistry, namespace: Mapping[str, Any], origin: str, module: str | None
) -> int:
    """Add the agents of a module; return how many they are."""
    try:
        found = list(agents_in(namespace, module=module))
        for each in found:
            registry.add(each, origin=origin)
    except AgentMistaken as mistaken:
        raise ExtensionBroken(f"{origin}: {mistaken}") from None
    return len(found)


def _add_agent_package(registry: AgentRegistry, point: EntryPoint, loaded: Any) -> None:
    is_module = isinstance(loaded, ModuleType)
    namespace = vars(loaded) if is_module else {point.name: loaded}
    if not _add_agents(registry, namespace, point.value, loaded.__name__ if is_module else None):
        raise ExtensionBroken(f"{_named(point)} is neither an agent nor a module that has any")


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
