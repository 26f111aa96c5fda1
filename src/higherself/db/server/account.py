"""Under which account the server runs, and how a process of ours becomes that account.

PostgreSQL refuses to run as root. So root runs it as the owner of the data, or as a number of its
own that no account has. Such a process needs no way into the home: we open the folders it works
in and hand them over, and it reaches them as ``/proc/self/fd/N``, whatever the folders above
allow. No mode of any folder is ever changed.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from higherself.db.server.errors import ELSEWHERE, AccountUnusable

SERVER_NAME = "higherself"
"""If the system has an account of this name, root runs the server under it."""

SERVER_UID = 65525
"""Else under this number: below 65536, so that containers map it, and in a range (65520 to 65533)
that neither distributions nor systemd give to anybody."""

_DESCRIPTORS = Path("/proc/self/fd")


class RunAs(TypedDict, total=False):
    """Keyword arguments of `subprocess.Popen` that change the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL. ``is_other`` when that is not the account of this process."""

    uid: int
    gid: int
    is_other: bool = False

    @property
    def run_as(self) -> RunAs:
        """What to pass to `subprocess.Popen`."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @contextmanager
    def way_into(self, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Give a path by which the account reaches ``folder``, and descriptors to pass on."""
        if not self.is_other:
            yield str(folder), ()
            return
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"{_DESCRIPTORS}/{fd}", (fd,)
        finally:
            os.close(fd)


def server_account(folder: Path, data: Path) -> Account:
    """Return the account for the server whose files are in ``folder`` and its ``data`` folder."""
    uid = os.geteuid()
    if uid != 0:
        return Account(uid, os.getegid())
    if not _DESCRIPTORS.is_dir():
        raise AccountUnusable(
            f"PostgreSQL cannot be run by root on this system; use an ordinary account, {ELSEWHERE}"
        )
    for path in (data, folder):
        if path.exists() and (owner := path.stat()).st_uid != 0:
            return Account(owner.st_uid, owner.st_gid, is_other=True)
    try:
        named = pwd.getpwnam(SERVER_NAME)
    except KeyError:
        return Account(SERVER_UID, SERVER_UID, is_other=True)
    return Account(named.pw_uid, named.pw_gid, is_other=True)


def named_account(account: Account) -> Account:
    """Return ``account`` if it has a name, else (for root) one that has: initdb insists on one."""
    if not account.is_other or _has_name(account.uid):
        return account
    ordinary = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not ordinary:
        raise AccountUnusable(
            "the system has no account but root, and PostgreSQL refuses to be set up by root; "
            f"add one (`useradd {SERVER_NAME}`), {ELSEWHERE}"
        )
    chosen = next((entry for entry in ordinary if entry.pw_name == "nobody"), ordinary[0])
    return Account(chosen.pw_uid, chosen.pw_gid, is_other=True)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
