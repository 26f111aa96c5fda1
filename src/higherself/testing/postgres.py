"""A PostgreSQL server for a test run, shared by all its processes, and databases to throw away."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from higherself.db.embedded import EmbeddedPostgres
from higherself.db.server import preparation
from higherself.kernel.errors import Misconfigured


def shared_server(*, report: Callable[[str], None] = lambda line: None) -> EmbeddedPostgres:
    """Return a hold on the test run's server; the last process of the run to close it stops it.

    Its home is ``HIGHERSELF_TEST_HOME``, or a folder that belongs to this account and this
    checkout and is kept for the next run, which then starts sooner.
    """
    named = os.environ.get("HIGHERSELF_TEST_HOME")
    return EmbeddedPostgres.attach(Path(named) if named else _own_home(), report=report)


def create_database(admin_url: str, name: str) -> None:
    """Create an empty database that belongs to role ``higherself``, extensions included."""
    with preparation.connect(admin_url) as admin:
        preparation.create_database(admin, name)
    with preparation.connect(in_database(admin_url, name)) as inside:
        preparation.prepare_database(inside)


def drop_database(admin_url: str, name: str) -> None:
    """Drop a database if it exists; connections to it end."""
    with preparation.connect(admin_url) as admin:
        preparation.drop_database(admin, name)


def in_database(url: str, name: str) -> str:
    """Return ``url`` with the database ``name`` in place of its own.

    >>> in_database("postgresql://me:key@/mine?host=%2Frun", "yours")
    'postgresql://me:key@/yours?host=%2Frun'
    """
    return urlsplit(url)._replace(path=f"/{quote(name, safe='')}").geturl()


def _own_home() -> Path:
    checkout = hashlib.sha256(os.fsencode(Path(__file__).parent)).hexdigest()[:12]
    home = Path(tempfile.gettempdir()) / f"higherself-test-{os.geteuid()}-{checkout}"
    home.mkdir(mode=0o700, exist_ok=True)
    facts = home.lstat()
    if home.is_symlink() or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise Misconfigured(
            f"{home} is not a private folder of this account: remove it, or set "
            "HIGHERSELF_TEST_HOME to another one"
        )
    return home
