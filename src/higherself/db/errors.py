"""What can go wrong between us and PostgreSQL, and what to do about it."""

import psycopg
from psycopg import errors as pg

from higherself.kernel.errors import Conflict, HigherSelfError, Misconfigured, Rejected, Unavailable


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or broke off; nothing of the current work was stored."""


class DatabaseFull(Unavailable):
    """The database server has no room left; nothing of the current work was stored."""


class UrlUnreadable(Misconfigured):
    """A connection URL cannot be read. The text never quotes it: it may hold a password."""


class DatabaseReadOnly(Misconfigured):
    """The database takes no writes."""


class DatabaseTooOld(Misconfigured):
    """The server or its pgvector lacks what we need."""


class VectorMissing(Misconfigured):
    """The server has no pgvector."""


class SchemaOutdated(Misconfigured):
    """The schema is older than this program."""


class MigrationChanged(Misconfigured):
    """A migration that was applied is not the one this program carries."""


class AccessDenied(Misconfigured):
    """The role we connect as may not do what we need."""


class WriteCollided(Conflict):
    """Another process changed the same rows first; nothing of the current work was stored."""


class ValueRejected(Rejected):
    """A value that PostgreSQL can neither store nor look for, such as a text with a NUL."""


_TRANSLATIONS: tuple[tuple[tuple[type[psycopg.Error], ...], type[HigherSelfError], str], ...] = (
    (
        (pg.DiskFull,),
        DatabaseFull,
        "the database server's disk is full ({reason}); free some space and run the command again: "
        "what was confirmed before is safe and will be skipped",
    ),
    (
        (pg.ReadOnlySqlTransaction,),
        DatabaseReadOnly,
        "the database is read-only ({reason}); connect to the primary, or lift "
        "default_transaction_read_only",
    ),
    (
        (pg.UndefinedTable, pg.UndefinedColumn, pg.InvalidSchemaName),
        SchemaOutdated,
        "the database schema does not fit this version ({reason}); run `higherself db migrate`",
    ),
    (
        (pg.InsufficientPrivilege,),
        AccessDenied,
        "the database role lacks a privilege ({reason}); `higherself db setup-supabase` prints the "
        "statements that grant it",
    ),
    (
        (
            pg.SerializationFailure,
            pg.DeadlockDetected,
            pg.LockNotAvailable,
            pg.ForeignKeyViolation,  # what a row belongs to was deleted meanwhile
        ),
        WriteCollided,
        "another process changed the same rows ({reason}); run the command again",
    ),
    (
        (pg.InvalidPassword, pg.InvalidAuthorizationSpecification, pg.InvalidCatalogName),
        AccessDenied,
        "the database refused the connection ({reason}); check user, password and name in "
        "DATABASE_URL",
    ),
    (
        (psycopg.DataError, pg.ProgramLimitExceeded),
        ValueRejected,
        "the database cannot take a value as it is ({reason}); remove what is odd in it",
    ),
    (
        (psycopg.OperationalError,),
        DatabaseUnavailable,
        "the database does not answer ({reason}); check that it runs and that DATABASE_URL is "
        "right: `higherself doctor` tells more",
    ),
)


def translate(error: psycopg.Error) -> HigherSelfError | None:
    """Return our error for one of the driver's, or None if it is a mistake of ours."""
    reason = " ".join(str(error).split()) or type(error).__name__
    for kinds, ours, text in _TRANSLATIONS:
        if isinstance(error, kinds):
            return ours(text.format(reason=reason))
    return None


def translated(error: Exception) -> Exception:
    """Return our error for ``error``, or ``error`` itself if we have none for it."""
    ours = translate(error) if isinstance(error, psycopg.Error) else None
    return ours or error
