"""Sessions of PostgreSQL that stay from one test to the next.

To begin a session costs a server as much as a small test, because it looks up every table anew. So what a test process
closes is made as if new (no transaction, no locks, no settings, nothing listened to) and handed out again to whoever
connects in the same words. What is not quite well is closed indeed.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Generator, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import generators, pq
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn

_USABLE = (TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR)
_MOST = 8
"""So many are kept that were begun in the same words."""


class Kept:
    """The sessions that nobody uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: dict[str, list[PGconn]] = defaultdict(list)
        self._words: dict[int, tuple[PGconn, str]] = {}
        """In what words those were begun that somebody uses, by identity."""

    @property
    def pids(self) -> list[int]:
        """The server's numbers of those that nobody uses."""
        with self._lock:
            return [one.backend_pid for free in self._free.values() for one in free]

    def used(self, one: PGconn, words: str) -> None:
        """Somebody uses it from now on."""
        with self._lock:
            self._words[id(one)] = one, words

    def take(self, words: str) -> PGconn | None:
        """One that was begun in these words and is alive; None where there is none."""
        while True:
            with self._lock:
                free = self._free[words]
                if not free:
                    return None
                one = free.pop()
            if _does(one, b"RESET ALL"):
                return one
            one.finish()

    def put(self, one: PGconn) -> bool:
        """Keep it, as if it were new; whether it is kept."""
        with self._lock:
            _, words = self._words.pop(id(one), (None, None))
        if words is None or not _is_made_new(one):
            return False
        with self._lock:
            free = self._free[words]
            if len(free) >= _MOST:
                return False
            free.append(one)
        return True

    def end(self) -> None:
        """Close them."""
        with self._lock:
            for free in self._free.values():
                while free:
                    free.pop().finish()


def _does(one: PGconn, command: bytes) -> bool:
    return one.status == ConnStatus.OK and one.exec_(command).status == ExecStatus.COMMAND_OK


def _is_made_new(one: PGconn) -> bool:
    if one.pipeline_status != PipelineStatus.OFF or one.transaction_status not in _USABLE:
        return False
    one.nonblocking = 0
    is_idle = one.transaction_status == TransactionStatus.IDLE
    # A schema is not changed while the program has sessions: those that nobody uses have another name.
    return (
        (is_idle or _does(one, b"ROLLBACK"))
        and _does(one, b"DISCARD ALL")
        and _does(one, b"SET application_name TO 'kept for tests'")
    )


KEPT = Kept()


@pytest.fixture(scope="session", autouse=True)
def kept_sessions() -> Iterator[None]:
    """Let whoever connects have a session that was used before, where there is one."""
    begin, close = generators.connect, psycopg.Connection.close
    ended = pq.PGconn.connect_start(b"host=/nowhere")
    ended.finish()

    def connect(conninfo: str, **options: Any) -> Generator[Any, Any, PGconn]:
        kept = KEPT.take(conninfo)
        one: PGconn = (yield from begin(conninfo, **options)) if kept is None else kept
        KEPT.used(one, conninfo)
        return one

    def put_back(connection: psycopg.Connection[Any]) -> None:
        if not connection.closed and KEPT.put(connection.pgconn):
            connection.pgconn = ended
        close(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generators, "connect", connect)
        patch.setattr(psycopg.Connection, "close", put_back)
        yield
    KEPT.end()
