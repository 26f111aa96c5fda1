"""Create the data folder of a home, so that it is either whole or not there at all."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from higherself.db.server import files
from higherself.db.server.account import Account, named_account
from higherself.db.server.errors import DataOfAnotherVersion, HomeUnusable, explain_output
from higherself.db.server.home import SUPERUSER, Layout
from higherself.db.server.programs import Programs, environment

_UNFINISHED = "new-"
# One call for the whole file system instead of a thousand, one for each file.
_SYNC: tuple[str, ...] = ("--sync-method=syncfs",) if sys.platform == "linux" else ()


def has_data(layout: Layout) -> bool:
    """Whether there is a data folder.

    Raises
        HomeUnusable: there is something else in its place.
    """
    if (layout.data / "PG_VERSION").is_file():
        return True
    if layout.data.exists() and any(layout.data.iterdir()):
        raise HomeUnusable(
            f"{layout.data} holds files but no PostgreSQL database; move them away, or choose "
            "another HIGHERSELF_HOME"
        )
    return False


def create_data(layout: Layout, account: Account, programs: Programs, password: str) -> None:
    """Create the data folder with a superuser of this ``password``, and give it to ``account``.

    ``initdb`` works in a folder of another name, which is renamed at the end: whenever this is
    interrupted, the next call starts from nothing.
    """
    maker = named_account(account)
    new = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=layout.folder))
    try:
        files.write_private(new / "password", password)
        if maker.is_other:
            files.give_tree(new, maker.uid, maker.gid)
        _run_initdb(new, maker, programs)
        if account.is_other:
            files.give_tree(new / "data", account.uid, account.gid)
        os.rename(new / "data", layout.data)
        files.sync_folder(layout.folder)
    finally:
        files.remove_tree(new)


def remove_unfinished(layout: Layout) -> None:
    """Remove what killed processes have left."""
    for folder in layout.folder.glob(f"{_UNFINISHED}*"):
        files.remove_tree(folder)


def check_data(layout: Layout, account: Account, programs: Programs) -> None:
    """Make sure that ``account`` can use the data with ``programs``.

    Raises
        DataOfAnotherVersion: they need another major version of PostgreSQL.
        HomeUnusable: they belong to another account.
    """
    found = (layout.data / "PG_VERSION").read_text(encoding="ascii").strip()
    if found != programs.major:
        raise DataOfAnotherVersion(layout.data, found=found, needed=programs.major)
    owner = layout.data.stat().st_uid
    if owner == account.uid:
        return
    if not account.is_other:
        raise HomeUnusable(
            f"{layout.data} belongs to uid {owner}; run as that account, or choose another "
            "HIGHERSELF_HOME"
        )
    # Root's copy of a home, from a backup: PostgreSQL takes no data of root's.
    files.give_tree(layout.data, account.uid, account.gid)


def _run_initdb(new: Path, maker: Account, programs: Programs) -> None:
    # Case and order are always PostgreSQL's own C.UTF-8: it needs no ICU and never changes with
    # the system. Only what is a letter for full-text search comes from the system, if it knows.
    ctype, sync = "C.UTF-8", _SYNC
    while True:
        output = _initdb(new, maker, programs, f"--lc-ctype={ctype}", *sync)
        if output is None:
            return
        if "invalid locale name" in output and ctype != "C":
            ctype = "C"
        elif "could not synchronize" in output and sync:
            sync = ()
        else:
            raise explain_output(output)


def _initdb(new: Path, maker: Account, programs: Programs, *options: str) -> str | None:
    """Return what initdb said, or None if it did its work."""
    with maker.way_into(new) as (folder, fds):
        answer = subprocess.run(  # noqa: S603  our own program
            [
                programs.path("initdb"),
                f"--pgdata={folder}/data",
                f"--pwfile={folder}/password",
                f"--username={SUPERUSER}",
                "--auth-local=scram-sha-256",
                "--auth-host=reject",
                "--data-checksums",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--text-search-config=english",
                "--no-instructions",
                *options,
            ],
            **maker.run_as,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
            pass_fds=fds,
            start_new_session=True,  # an interrupt from the keyboard is ours to handle
            text=True,
            errors="replace",
            check=False,
        )
    return answer.stdout if answer.returncode else None
