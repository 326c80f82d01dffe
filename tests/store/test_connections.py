"""Connections that a process keeps."""

from __future__ import annotations

import contextlib

import sqlalchemy as sa

from heliograph.store import database


def _asked(store: database.Database, many: int) -> list[int]:
    """The sessions of the server's that answer so many who ask at once."""
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(store.reading()) for _ in range(many)]
        return sorted(one.execute(sa.text("SELECT pg_backend_pid()")).scalar_one() for one in asking)


def test_sessions_that_many_needed_stay(ready_postgres_url: str) -> None:
    """Whoever asks as many at once as before finds the sessions that were opened then: to open one takes long."""
    store = database.Database(ready_postgres_url, pool_size=2)
    try:
        assert _asked(store, 4) == _asked(store, 4)
    finally:
        store.close()
