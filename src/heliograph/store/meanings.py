"""What the refusals of the databases' drivers mean.

Law: every refusal of a driver leaves as one of our errors, in one clear line.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator

import psycopg
import sqlalchemy as sa

from heliograph import errors


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Let a driver's refusal leave as one of our errors; what is no refusal of the database goes through."""
    try:
        yield
    except sa.exc.DBAPIError as fault:
        raise _meaning(fault.orig or fault) or fault from fault
    except sa.exc.TimeoutError as fault:
        raise errors.Unavailable("every database connection is busy: send again") from fault
    except (sqlite3.OperationalError, sqlite3.DatabaseError, psycopg.Error, OSError) as fault:
        raise _meaning(fault) or fault from fault


def _meaning(fault: BaseException) -> errors.HeliographError | None:
    text = " ".join(str(fault).split())
    for words, meaning in _SQLITE_WORDS:
        if isinstance(fault, sqlite3.Error) and words in text:
            return meaning(text)
    if isinstance(fault, psycopg.errors.DiskFull):
        return errors.DiskFull()
    if isinstance(fault, _TOO_MUCH):
        # The input's fault, though the driver counts it among the database's.
        return None
    if isinstance(fault, _TRY_AGAIN):
        return errors.Unavailable()
    if isinstance(fault, _GONE):
        return errors.DatabaseUnreachable(f"PostgreSQL cannot be reached: {text}")
    return None


_TRY_AGAIN = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
_TOO_MUCH = (
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.TooManyColumns,
    psycopg.errors.TooManyArguments,
)
_GONE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.IdleInTransactionSessionTimeout)


def _locked(_text: str) -> errors.HeliographError:
    return errors.DatabaseLocked()


def _full(_text: str) -> errors.HeliographError:
    return errors.DiskFull()


def _unreachable(text: str) -> errors.HeliographError:
    return errors.DatabaseUnreachable(f"the database file cannot be used: {text}")


_SQLITE_WORDS: tuple[tuple[str, Callable[[str], errors.HeliographError]], ...] = (
    ("database is locked", _locked),
    ("disk is full", _full),
    ("disk I/O error", _full),
    ("unable to open database", _unreachable),
    ("file is not a database", _unreachable),
    ("readonly database", _unreachable),
    ("malformed", _unreachable),
)
