"""Delivery on PostgreSQL: messages are claimed by whoever comes first, and settled by whoever holds the claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from heliograph.store import packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.hot_postgres.reading import EVENT, MESSAGE
from heliograph.store.hot_postgres.taking import lines_to_send, quotas
from heliograph.store.hot_postgres.writing import put, put_inbox, put_timers
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_WHOLE: LiteralString = (
    " CROSS JOIN LATERAL (SELECT * FROM messages WHERE workspace_id = t.workspace_id AND id = t.message_id OFFSET 0) m"
    " LEFT JOIN LATERAL (SELECT * FROM events WHERE workspace_id = m.workspace_id AND id = m.event_id OFFSET 0) e"
    " ON true"
)
_CLAIM: LiteralString = (
    "WITH taken AS (DELETE FROM send_due WHERE ctid = ANY(ARRAY(SELECT d.ctid FROM"
    " unnest(%s::int2[], %s::int4[], %s::int4[]) l(p, w, q) CROSS JOIN LATERAL (SELECT ctid FROM send_due"
    " WHERE partition = l.p AND workspace_id = l.w ORDER BY message_id LIMIT l.q OFFSET 0 FOR UPDATE SKIP LOCKED) d"
    " LIMIT %s)) RETURNING workspace_id, message_id, due_at),"
    " held AS (INSERT INTO claims SELECT workspace_id, message_id, %s, %s, %s FROM taken)"
    f" SELECT t.due_at, {MESSAGE}, {EVENT} FROM taken t{_WHOLE} ORDER BY m.id"
)
_EXPIRED: LiteralString = (
    "WITH found AS (UPDATE claims SET claimed_by = %s WHERE ctid = ANY(ARRAY(SELECT ctid FROM claims"
    " WHERE lease_until < %s ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED))"
    " RETURNING workspace_id, message_id, claimed_at)"
    f" SELECT t.claimed_at, {MESSAGE}, {EVENT} FROM found t{_WHOLE}"
)


def claim(
    connection: Connection, now: int, limit: int, worker: str, lease_until: int, start: int
) -> list[rows.Claimed]:
    """Take up to `limit` messages that are due and hold them until `lease_until`; workspaces on hold are passed over.

    The walk over workspaces starts after `start`, and none takes more than its share while others wait.
    """
    lines = lines_to_send(connection, limit, start)
    if not lines:
        return []
    shares = packing.columns((Smallints, Integers, Integers), quotas(lines, limit, start))
    found = fetch(connection, _CLAIM, (*shares, limit, lease_until, now, worker))
    return [_claimed(row, lease_until) for row in found]


def _claimed(row: tuple[Any, ...], lease_until: int) -> rows.Claimed:
    event = None if row[22] is None else rows.Event._make(row[22:])
    return rows.Claimed(rows.Message._make(row[1:22]), row[0], lease_until, event)


def settle(connection: Connection, worker: str, settled: Sequence[rows.Settled]) -> int:
    """Store what became of claimed messages; one whose claim is no longer this worker's is left as it is."""
    keys = packing.columns(
        (Integers, Identities), [(entry.workspace_id, entry.message_id) for entry in settled]
    )
    released = fetch(
        connection,
        # By place, for the plan; by holder once more, for a claim that somebody else takes over this very moment.
        "DELETE FROM claims WHERE ctid = ANY(ARRAY(SELECT c.ctid FROM unnest(%s::int4[], %s::uuid[]) w(a, b)"
        " CROSS JOIN LATERAL (SELECT ctid FROM claims WHERE workspace_id = w.a AND message_id = w.b OFFSET 0) c))"
        " AND claimed_by = %s RETURNING message_id",
        (*keys, worker),
    )
    ours = {row[0] for row in released}
    held = [entry for entry in settled if entry.message_id in ours]
    with connection.pipeline():
        put(
            connection,
            "UPDATE messages m SET state = u.s, settled_at = u.t, attempts = u.a, error = u.e FROM"
            " unnest(%s::int2[], %s::int8[], %s::text[], %s::text[], %s::int4[], %s::uuid[]) u(s, t, a, e, w, i)"
            " WHERE m.workspace_id = u.w AND m.id = u.i",
            (Smallints, Bigints, Texts, Texts, Integers, Identities),
            [(s.state, s.settled_at, s.attempts, s.error, s.workspace_id, s.message_id) for s in held],
        )
        put_timers(connection, [entry.retry for entry in held if entry.retry])
        put_inbox(connection, [entry.reply for entry in held if entry.reply])
    return len(held)


def take_expired(connection: Connection, now: int, limit: int, worker: str) -> list[rows.Claimed]:
    """Claims whose lease has run out, now held by this worker; `due_at` is when they were claimed."""
    return [_claimed(row, now) for row in fetch(connection, _EXPIRED, (worker, now, limit))]


def end_leases(connection: Connection) -> None:
    """Let every lease run out at once."""
    connection.execute("UPDATE claims SET lease_until = 0")
