"""Private files: readable by one account, written whole, never through a planted link.

Root may work in the home of an ordinary account. What it makes there belongs to the owner of the
folder, so that the owner can go on alone, and it never follows a link that the owner could have
put in its way.
"""

import os
import shutil
import tempfile
from pathlib import Path


def open_private(path: Path, flags: int, *, create: bool = True) -> int:
    """Return a descriptor of ``path``; a new file has mode 0600 and the owner of its folder."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if create:
        try:
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            _give_to_owner_of(path.parent, fd)
            return fd
    return os.open(path, flags)


def read_private(path: Path) -> str | None:
    """Return the text of ``path``, or None if there is none. Takes it back from other readers."""
    try:
        fd = open_private(path, os.O_RDONLY, create=False)
    except FileNotFoundError:
        return None
    with open(fd, encoding="utf-8", errors="surrogateescape") as file:
        if os.fstat(fd).st_mode & 0o077:
            os.fchmod(fd, 0o600)
        return file.read()


def write_private(path: Path, text: str) -> None:
    """Put ``text`` into ``path``, wholly or not at all, and have it on disk before returning."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            _give_to_owner_of(path.parent, fd)
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    sync_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Make the folder ``path`` with mode 0700 unless it is there; it gets its parent's owner."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _give_to_owner_of(path.parent, fd)
    finally:
        os.close(fd)


def give_tree(folder: Path, uid: int, gid: int) -> None:
    """Make ``uid`` and ``gid`` the owner of ``folder`` and all in it; links are not followed."""
    for _, folders, names, fd in os.fwalk(folder):
        os.fchown(fd, uid, gid)
        for name in (*folders, *names):
            os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)


def remove_tree(folder: Path) -> None:
    """Remove ``folder`` as far as possible; what resists is left for the next time."""
    shutil.rmtree(folder, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def cap(path: Path, *, limit_bytes: int) -> None:
    """Move the newer half of a log longer than ``limit_bytes`` to ``<name>.1`` and empty it.

    Emptied in place, because a running server goes on appending to it.
    """
    try:
        fd = open_private(path, os.O_RDWR, create=False)
    except FileNotFoundError:
        return
    with open(fd, "r+b") as file:
        size = os.fstat(fd).st_size
        if size <= limit_bytes:
            return
        file.seek(size - limit_bytes // 2)
        kept = file.read()
        write_private(path.with_name(f"{path.name}.1"), kept.decode(errors="replace"))
        file.truncate(0)


def size(path: Path) -> int:
    """Return the size of ``path`` in bytes, 0 if there is no such file."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def text_from(path: Path, start: int) -> str:
    """Return what stands in the log ``path`` from byte ``start`` on."""
    with open(open_private(path, os.O_RDONLY), "rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def _give_to_owner_of(folder: Path, fd: int) -> None:
    if os.geteuid() == 0:
        owner = os.stat(folder)
        os.fchown(fd, owner.st_uid, owner.st_gid)
