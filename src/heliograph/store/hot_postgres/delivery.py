"""Delivery on PostgreSQL: messages are claimed by whoever comes first, and settled by whoever holds the claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, LiteralString

from heliograph.store import packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.hot_postgres.pacing import move
from heliograph.store.hot_postgres.reading import EVENT, MESSAGE
from heliograph.store.hot_postgres.taking import lines_to_send, quotas
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_EVENT_AT = 1 + len(rows.Message._fields)
_REST_AT = _EVENT_AT + len(rows.Event._fields)
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
    f" SELECT t.due_at, {MESSAGE}, {EVENT}, coalesce((SELECT true FROM suppressions p"
    " WHERE p.workspace_id = m.workspace_id AND p.address = m.address"
    " AND (p.tenant_id = '' OR p.tenant_id = m.tenant_id) LIMIT 1), false)"
    f" FROM taken t{_WHOLE} ORDER BY m.id"
)
_EXPIRED: LiteralString = (
    "WITH found AS (UPDATE claims SET claimed_by = %s, lease_until = %s WHERE ctid = ANY(ARRAY(SELECT ctid FROM claims"
    " WHERE lease_until < %s ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED))"
    " RETURNING workspace_id, message_id, claimed_at)"
    f" SELECT t.claimed_at, {MESSAGE}, {EVENT} FROM found t{_WHOLE}"
)


def claim(
    connection: Connection, now: int, limit: int, worker: str, lease_until: int, start: int
) -> tuple[list[rows.Claimed], bool]:
    """Take up to `limit` messages that are due and hold them until `lease_until`; workspaces on hold are passed over.

    The walk over workspaces starts after `start`, and none takes more than its share while others wait. Gives with
    it whether a share was used up, so that there may be more.
    """
    lines = lines_to_send(connection, limit, start)
    if not lines:
        return [], False
    shares = quotas(lines, limit, start)
    packed = packing.columns((Smallints, Integers, Integers), shares)
    found = [
        _claimed(row, lease_until)
        for row in fetch(connection, _CLAIM, (*packed, limit, lease_until, now, worker))
    ]
    width = Counter((one.message.partition, one.message.workspace_id) for one in found)
    cut = len(shares) < len(lines) or any(width[place, space] >= quota for place, space, quota in shares)
    return found, cut


def _claimed(row: tuple[Any, ...], lease_until: int) -> rows.Claimed:
    message, event, rest = row[1:_EVENT_AT], row[_EVENT_AT:_REST_AT], row[_REST_AT:]
    spoken_of = None if event[0] is None else rows.Event._make(event)
    return rows.Claimed(rows.Message._make(message), row[0], lease_until, spoken_of, any(rest))


def read_versions(connection: Connection, workspaces: Collection[int]) -> dict[int, int]:
    """The version of the definitions of each of these workspaces."""
    query: LiteralString = "SELECT id, definitions_version FROM workspaces WHERE id = ANY(%s::int4[])"
    return dict(fetch(connection, query, (packing.pack(Integers, list(workspaces)),)))


# What is accepted (3), or may have been before, has the state that reports gave it, where one came before.
# By place, for the plan; by holder once more, for a claim that somebody else takes over this very moment; by when it
# was made, for one that others took over and gave up while its answer waited here, and that was made here anew.
_SETTLE: LiteralString = (
    "WITH released AS (DELETE FROM claims c USING (SELECT u.*, p.place FROM"
    " unnest(%s::int4[], %s::uuid[], %s::int8[], %s::int2[], %s::int8[], %s::text[], %s::text[], %s::int2[])"
    " u(w, i, c, s, t, a, e, y)"
    " CROSS JOIN LATERAL (SELECT ctid AS place FROM claims WHERE workspace_id = u.w AND message_id = u.i OFFSET 0) p"
    " OFFSET 0) f WHERE c.ctid = f.place AND c.claimed_by = %s AND c.claimed_at = f.c RETURNING f.*)"
    " UPDATE messages m SET state = CASE WHEN r.s = 3 OR r.y = 1 THEN coalesce(m.reached, r.s) ELSE r.s END,"
    " settled_at = r.t, attempts = r.a, error = r.e FROM released r"
    " WHERE m.workspace_id = r.w AND m.id = r.i RETURNING m.id, r.c"
)


_NAME: LiteralString = (
    "INSERT INTO message_references SELECT * FROM unnest(%s::int4[], %s::text[], %s::uuid[])"
    " ON CONFLICT (workspace_id, reference) DO UPDATE SET message_id = excluded.message_id"
)


def settle(connection: Connection, worker: str, settled: Sequence[rows.Settled]) -> list[rows.Settled]:
    """Store what became of claimed messages, and give those: one whose claim is no longer this worker's is left.

    What follows from it (`retry`, `reply`) is for the turn to see to.
    """
    answered = rows.first_answers(settled)
    values = packing.columns(
        (Integers, Identities, Bigints, Smallints, Bigints, Texts, Texts, Smallints),
        [
            (
                *(s.workspace_id, s.message_id, s.claimed_at, s.state),
                *(s.settled_at, s.attempts, s.error, int(s.yields)),
            )
            for s in answered
        ],
    )
    ours = set(fetch(connection, _SETTLE, (*values, worker)))
    held = [entry for entry in answered if (entry.message_id, entry.claimed_at) in ours]
    move(connection, [(*s.moved, s.workspace_id, s.message_id) for s in held if s.moved is not None])
    named = {(s.workspace_id, s.reference): s.message_id for s in held if s.reference is not None}
    if named:
        kinds = (Integers, Texts, Identities)
        connection.execute(_NAME, packing.columns(kinds, [(*key, named[key]) for key in sorted(named)]))
    return held


def take_expired(
    connection: Connection, now: int, limit: int, worker: str, lease_until: int
) -> list[rows.Claimed]:
    """Claims whose lease has run out, held by this worker until `lease_until`; `due_at` is when they were claimed."""
    return [_claimed(row, now) for row in fetch(connection, _EXPIRED, (worker, lease_until, now, limit))]


def end_leases(connection: Connection) -> None:
    """Let every lease run out at once."""
    connection.execute("UPDATE claims SET lease_until = 0")
