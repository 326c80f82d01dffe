"""Bulk jobs on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.store import bulk_rows, packing
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_JOBS: LiteralString = (
    "SELECT j.workspace_id, j.id, j.partition, j.tenant_id, j.definition, j.said, j.state, j.received, j.place,"
    " j.failures, j.attempts, j.error FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL"
    " (SELECT * FROM bulk_jobs WHERE workspace_id = w.a AND id = w.b OFFSET 0) j"
)
_USERS: LiteralString = (
    "SELECT u.ordinal, u.said FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL (SELECT ordinal, said"
    " FROM bulk_users WHERE workspace_id = w.a AND job_id = w.b AND ordinal >= %s ORDER BY ordinal LIMIT %s OFFSET 0) u"
    " ORDER BY u.ordinal"
)
_MOVE_JOBS: LiteralString = (
    "UPDATE bulk_jobs j SET state = u.s, place = u.p, failures = u.f, attempts = u.a, error = u.e FROM unnest("
    "%s::int2[], %s::int4[], %s::int4[], %s::int2[], %s::text[], %s::int4[], %s::uuid[]) u(s, p, f, a, e, w, i)"
    " WHERE j.workspace_id = u.w AND j.id = u.i"
)
_NAME_REQUESTS: LiteralString = (
    "UPDATE bulk_users b SET request_id = u.r FROM unnest(%s::int4[], %s::uuid[], %s::int4[], %s::uuid[])"
    " u(w, j, o, r) WHERE b.workspace_id = u.w AND b.job_id = u.j AND b.ordinal = u.o"
)
_REQUESTS: LiteralString = (
    "INSERT INTO requests (workspace_id, id, partition, tenant_id, body, due_at, event, trace_id, tags, start_key)"
    " SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::text[], %s::text[], %s::int8[], %s::text[],"
    " %s::text[], %s::text[], %s::text[])"
)
_REQUEST_KINDS = (Integers, Identities, Smallints, Texts, Texts, Bigints, Texts, Texts, Texts, Texts)


def read_bulk_jobs(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], bulk_rows.Job]:
    """Bulk jobs by (workspace, id)."""
    found = fetch(connection, _JOBS, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): bulk_rows.Job._make(row) for row in found}


def read_bulk_users(
    connection: Connection, workspace_id: int, job_id: bytes, first: int, limit: int
) -> list[bulk_rows.User]:
    """So many users of a job from a place on, in their order."""
    key = packing.columns((Integers, Identities), [(workspace_id, job_id)])
    found = fetch(connection, _USERS, (*key, first, limit))
    return [bulk_rows.User._make(row) for row in found]


def write_bulk(connection: Connection, writes: bulk_rows.Writes) -> None:
    """How jobs stand now, and the requests that their users became."""
    moved = [(j.state, j.place, j.failures, j.attempts, j.error, j.workspace_id, j.id) for j in writes.jobs]
    kinds = (Smallints, Integers, Integers, Smallints, Texts, Integers, Identities)
    for query, kind, values in (
        (_MOVE_JOBS, kinds, moved),
        (_NAME_REQUESTS, (Integers, Identities, Integers, Identities), writes.users),
        (_REQUESTS, _REQUEST_KINDS, writes.requests),
    ):
        if values:
            connection.execute(query, packing.columns(kind, values))
