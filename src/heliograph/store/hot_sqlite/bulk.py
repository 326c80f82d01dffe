"""Bulk jobs on SQLite."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.store import bulk_rows, request_rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs

_JOB = ", ".join(f"j.{name}" for name in bulk_rows.Job._fields)
_FIELDS = request_rows.Request._fields
_REQUEST = f"({', '.join(_FIELDS)}) VALUES ({','.join('?' * len(_FIELDS))})"


def read_bulk_jobs(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], bulk_rows.Job]:
    """Bulk jobs by (workspace, id)."""
    query = f"SELECT {_JOB} FROM wanted w CROSS JOIN bulk_jobs j ON j.workspace_id = w.a AND j.id = w.b"
    return {(row[0], row[1]): bulk_rows.Job._make(row) for row in by_pairs(connection, query, keys)}


def read_bulk_users(
    connection: Connection, workspace_id: int, job_id: bytes, first: int, limit: int
) -> list[bulk_rows.User]:
    """So many users of a job from a place on, in their order."""
    found = connection.execute(
        "SELECT ordinal, said FROM bulk_users WHERE workspace_id = ? AND job_id = ? AND ordinal >= ?"
        " ORDER BY ordinal LIMIT ?",
        (workspace_id, job_id, first, limit),
    )
    return [bulk_rows.User._make(row) for row in found]


def write_bulk(connection: Connection, writes: bulk_rows.Writes) -> None:
    """How jobs stand now, and the requests that their users became."""
    connection.executemany(
        "UPDATE bulk_jobs SET state=?, place=?, failures=?, attempts=?, error=? WHERE workspace_id=? AND id=?",
        [(j.state, j.place, j.failures, j.attempts, j.error, j.workspace_id, j.id) for j in writes.jobs],
    )
    connection.executemany(
        "UPDATE bulk_users SET request_id=? WHERE workspace_id=? AND job_id=? AND ordinal=?",
        [(request_id, *key) for *key, request_id in writes.users],
    )
    connection.executemany(f"INSERT INTO requests {_REQUEST}", writes.requests)
