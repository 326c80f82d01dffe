"""One server to a SQLite file: a lock beside it, and one on itself, that end with the process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from heliograph import errors

_ADVICE = "stop it, or take PostgreSQL to run several"


@contextlib.contextmanager
def alone(database: Path) -> Iterator[None]:
    """Hold `<database>.lock` and the file itself. Raises errors.DatabaseLocked where another server holds either."""
    # The file itself: by a link to it it would be another one.
    database = database.resolve()
    with _opened(database.with_name(f"{database.name}.lock"), os.O_RDWR) as file:
        if not _is_taken(file):
            holder = os.read(file, 20).decode("ascii", "replace").strip()
            raise errors.DatabaseLocked(
                f"another heliograph serve (process {holder or 'unknown'}) has {database}: {_ADVICE}"
            )
        os.truncate(file, 0)
        os.write(file, b"%d\n" % os.getpid())
        # By another name it has another lock beside it, and SQLite would keep a second log there. It is closed after
        # SQLite has closed it: a process that closes a file gives up whatever it has locked of it.
        with _opened(database, os.O_RDONLY) as itself:
            if not _is_taken(itself):
                raise errors.DatabaseLocked(
                    f"another heliograph serve has {database} by another name, a link or a mount: {_ADVICE}"
                )
            yield


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        file = os.open(path, flags | os.O_CREAT, 0o644)
    except OSError as fault:
        raise errors.DatabaseUnreachable(f"the file {path} cannot be opened: {fault.strerror}") from None
    try:
        yield file
    finally:
        os.close(file)


def _is_taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
