"""One server to a SQLite file: a lock beside it that ends with the process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from heliograph import errors


@contextlib.contextmanager
def alone(database: Path) -> Iterator[None]:
    """Hold `<database>.lock`. Raises errors.DatabaseLocked where another server holds it."""
    # The file itself: by a link to it it would be another one.
    database = database.resolve()
    path = database.with_name(f"{database.name}.lock")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as fault:
        raise errors.DatabaseUnreachable(f"the file {path} cannot be made: {fault.strerror}") from None
    try:
        _take(file, database)
        yield
    finally:
        os.close(file)


def _take(file: int, database: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(file, 20).decode("ascii", "replace").strip()
        raise errors.DatabaseLocked(
            f"another heliograph serve (process {holder or 'unknown'}) has {database}:"
            " stop it, or take PostgreSQL to run several"
        ) from None
    os.truncate(file, 0)
    os.write(file, b"%d\n" % os.getpid())
