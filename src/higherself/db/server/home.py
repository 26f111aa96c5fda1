"""Where the server of one home keeps what: paths, passwords, the folder of its socket."""

import hashlib
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from higherself.db.server import files
from higherself.db.server.account import Account
from higherself.db.server.errors import HomeUnusable

SUPERUSER = "postgres"
ROLE = "higherself"
DATABASE = "higherself"
PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"

_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True)
class Layout:
    """The files of one home's server, all in ``home/postgres``."""

    home: Path

    @classmethod
    def of(cls, home: Path) -> "Layout":
        """Return the layout under ``home``, however it is spelled or linked to."""
        return cls(home.expanduser().resolve())

    @property
    def folder(self) -> Path:
        """Everything below is in it."""
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        """PostgreSQL's own folder."""
        return self.folder / "data"

    @property
    def pid_file(self) -> Path:
        """Written by the server while it runs."""
        return self.data / "postmaster.pid"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def passwords(self) -> Path:
        """In the form of a ``.pgpass``: ``PGPASSFILE`` may point to it."""
        return self.folder / "pgpass"

    @property
    def socket_note(self) -> Path:
        """Names the folder of the running server's socket."""
        return self.folder / "socket-folder"

    @property
    def start_lock(self) -> Path:
        """Held exclusively while somebody decides about starting or stopping."""
        return self.folder / "start.lock"

    @property
    def holders_lock(self) -> Path:
        """Held shared by everybody who uses the server."""
        return self.folder / "holders.lock"

    @property
    def server_lock(self) -> Path:
        """Held exclusively by the processes of the server itself, until the last one is gone."""
        return self.folder / "server.lock"

    def make_folders(self) -> None:
        """Make the home and our folder in it. An existing home is left as it is."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.make_private_folder(self.folder)


@dataclass(frozen=True)
class Passwords:
    """The passwords of the two roles."""

    superuser: str = field(repr=False)
    role: str = field(repr=False)


def keep_passwords(layout: Layout) -> Passwords:
    """Return the passwords of this home; make and store them before there is any data."""
    known = read_passwords(layout)
    if known is not None:
        return known
    if layout.data.exists() and any(layout.data.iterdir()):
        raise HomeUnusable(
            f"{layout.passwords} is missing or damaged, and the server lets nobody in without "
            f"it; restore it from a backup, or move {layout.data} away to start afresh"
        )
    fresh = Passwords(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    lines = ((SUPERUSER, fresh.superuser), (ROLE, fresh.role))
    files.write_private(layout.passwords, "".join(f"*:*:*:{name}:{key}\n" for name, key in lines))
    return fresh


def read_passwords(layout: Layout) -> Passwords | None:
    """Return the stored passwords, or None if there are none to be read."""
    text = files.read_private(layout.passwords) or ""
    entries = dict(line.split(":")[3:5] for line in text.splitlines() if line.count(":") == 4)
    if entries.keys() < {SUPERUSER, ROLE}:
        return None
    return Passwords(entries[SUPERUSER], entries[ROLE])


def connection_url(socket_folder: Path, role: str, password: str, database: str = DATABASE) -> str:
    """Return the URL of a database behind a socket; any character of the path is fine.

    >>> connection_url(Path("/a b"), "me", "s3cret", "mine")
    'postgresql://me:s3cret@/mine?host=%2Fa%20b&port=5432'
    """
    host = quote(os.fsencode(socket_folder), safe="")
    return f"postgresql://{role}:{password}@/{quote(database, safe='')}?host={host}&port={PORT}"


def socket_folder_for(layout: Layout, uid: int, temporary_folders: Sequence[Path]) -> Path:
    """Return the folder for the socket: in the home, or else a short one.

    A socket's whole path has at most 107 bytes on Linux, and clients take a comma for the end of
    a host.
    """
    name = hashlib.sha256(os.fsencode(layout.home)).hexdigest()[:16]
    short = (folder / f"higherself-{uid}-{name}" for folder in temporary_folders)
    for folder in (layout.folder / "run", *short):
        path = os.fsencode(folder / SOCKET_NAME)
        if len(path) <= _SOCKET_PATH_BYTES and b"," not in path:
            return folder
    raise HomeUnusable(
        f"the path {layout.home} is too long for a socket (or has a comma), and so has the "
        "temporary folder's; set TMPDIR to a short path"
    )


def open_socket_folder(layout: Layout, account: Account) -> Path:
    """Make the folder for the socket of a server about to start, and note where it is.

    Raises
        HomeUnusable: somebody else has put something at its place.
    """
    temporary = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108  ownership is verified
    folder = socket_folder_for(layout, account.uid, temporary)
    if folder.parent == layout.folder:
        files.remove_tree(folder)  # a restored copy of a home may have it with another owner
    files.make_private_folder(folder)
    if account.is_other and folder.lstat().st_uid == 0:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != account.uid or facts.st_mode & 0o077:
        raise HomeUnusable(
            f"{folder} must be a folder that only uid {account.uid} may enter, and is not; "
            "somebody else made it: remove it"
        )
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):  # of a server that was killed
        (folder / name).unlink(missing_ok=True)
    inside = folder.parent == layout.folder  # then the note holds when the home moves
    files.write_private(layout.socket_note, folder.name if inside else str(folder))
    return folder


def socket_folder_of_server(layout: Layout) -> Path | None:
    """Return the folder of the running (or last) server's socket, or None if there was none."""
    note = files.read_private(layout.socket_note)
    return layout.folder / note if note else None


def close_socket_folder(layout: Layout) -> None:
    """Remove the folder of a socket whose server has stopped, if it lies outside the home."""
    folder = socket_folder_of_server(layout)
    if folder is not None and folder.parent != layout.folder:
        try:
            folder.rmdir()
        except OSError:
            return  # gone already, or something is left in it: no reason to fail
