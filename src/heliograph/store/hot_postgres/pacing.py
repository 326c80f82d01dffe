"""Pacing on PostgreSQL: what is asked about recipients before messages go, and what is kept of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import LiteralString

from heliograph.store import packing, policy_rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

# Four levels: tenants.MAX_LEVELS.
_RECIPIENTS: LiteralString = (
    "SELECT w.a, w.b, w.c, p.profile, u.profile, t.definition, t2.definition, t3.definition, t4.definition,"
    " r.counts, coalesce(r.expires_at, 0) FROM unnest(%s::int4[], %s::text[], %s::text[]) w(a, b, c)"
    " LEFT JOIN LATERAL (SELECT * FROM contacts WHERE workspace_id = w.a AND user_id = w.b OFFSET 0) p ON true"
    " LEFT JOIN LATERAL (SELECT * FROM recent_sends WHERE workspace_id = w.a AND user_id = w.b OFFSET 0) r ON true"
    " LEFT JOIN LATERAL (SELECT * FROM tenant_users WHERE workspace_id = w.a AND user_id = w.b AND tenant_id = w.c"
    " OFFSET 0) u ON true"
    " LEFT JOIN LATERAL (SELECT * FROM tenants WHERE workspace_id = w.a AND id = w.c OFFSET 0) t ON true"
    " LEFT JOIN LATERAL (SELECT * FROM tenants WHERE workspace_id = w.a AND id = t.parent_tenant_id OFFSET 0) t2"
    " ON true"
    " LEFT JOIN LATERAL (SELECT * FROM tenants WHERE workspace_id = w.a AND id = t2.parent_tenant_id OFFSET 0) t3"
    " ON true"
    " LEFT JOIN LATERAL (SELECT * FROM tenants WHERE workspace_id = w.a AND id = t3.parent_tenant_id OFFSET 0) t4"
    " ON true"
)
_CHANGE: LiteralString = (
    "UPDATE messages m SET state = u.s, settled_at = u.t, attempts = coalesce(u.a, m.attempts), error = u.e"
    " FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::int8[], %s::text[], %s::text[]) u(w, i, s, t, a, e)"
    " WHERE m.workspace_id = u.w AND m.id = u.i"
)
_MOVE: LiteralString = (
    "UPDATE messages m SET channel = u.c, address = u.a, content = u.t, route = u.r FROM"
    " unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::int4[], %s::uuid[]) u(c, a, t, r, w, i)"
    " WHERE m.workspace_id = u.w AND m.id = u.i"
)
_KEEP: LiteralString = (
    "INSERT INTO recent_sends SELECT * FROM unnest(%s::int4[], %s::text[], %s::text[], %s::int8[])"
    " ON CONFLICT (workspace_id, user_id) DO UPDATE SET counts = excluded.counts, expires_at = excluded.expires_at"
)


def read_recipients(
    connection: Connection, keys: Collection[tuple[int, str, str]]
) -> dict[tuple[int, str, str], policy_rows.Recipient]:
    """What is known of these recipients, by (workspace, user_id, tenant or nothing); each of them is there."""
    found = fetch(connection, _RECIPIENTS, packing.columns((Integers, Texts, Texts), sorted(keys)))
    return {row[:3]: policy_rows.Recipient(row[3], row[4], row[5:9], row[9], row[10]) for row in found}


def move(connection: Connection, moved: Sequence[tuple[object, ...]]) -> None:
    """Let messages go another way: (channel, address, content, route, workspace, id) of each."""
    if moved:
        kinds = (Texts, Texts, Texts, Texts, Integers, Identities)
        connection.execute(_MOVE, packing.columns(kinds, moved))


def write_pacing(connection: Connection, writes: policy_rows.Writes) -> None:
    """Let messages of earlier turns stand as was decided, and keep what was counted."""
    if writes.messages:
        kinds = (Integers, Identities, Smallints, Bigints, Texts, Texts)
        connection.execute(_CHANGE, packing.columns(kinds, [row[:6] for row in writes.messages]))
        move(connection, [(*row.moved, *row[:2]) for row in writes.messages if row.moved is not None])
    move(connection, [(*moved, *key) for *key, moved in writes.moved])
    if writes.recent:
        rows = sorted(writes.recent.values())
        connection.execute(_KEEP, packing.columns((Integers, Texts, Texts, Bigints), rows))
