"""Fan-outs on PostgreSQL: how campaigns stand, how far cursors have come, and the people of a partition in order."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.core import ids
from heliograph.store import fanout_rows, packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_CAMPAIGN: LiteralString = (
    "c.workspace_id, c.automation_id, c.partition, c.state, c.due_at, c.started_at, c.settled_at, c.action, c.error,"
    " c.is_stopping"
)
_CURSOR: LiteralString = (
    "c.workspace_id, c.id, c.partition, c.fanout_id, c.part, c.place, c.judged, c.jobs, c.sent, c.failed, c.skipped,"
    " c.uncertain, c.done_at, c.attempts, c.error"
)
_BY_ID: LiteralString = " FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL (SELECT * FROM "
# In the order of bytes, as SQLite has it: a walk must not depend on how the server sorts a language.
_PEOPLE: LiteralString = (
    "SELECT workspace_id, user_id, partition, tenant_id, profile, tags, created_at, updated_at FROM contacts"
    " WHERE workspace_id = %s AND partition = %s AND user_id ~>~ %s ORDER BY user_id USING ~<~ LIMIT %s"
)
_CAMPAIGNS: LiteralString = (
    "UPDATE campaigns c SET state = u.s, due_at = u.d, started_at = u.b, settled_at = u.t, action = u.a, error = u.e,"
    " is_stopping = u.x <> 0 FROM unnest(%s::int2[], %s::int8[], %s::int8[], %s::int8[], %s::int2[], %s::text[],"
    " %s::int2[], %s::int4[], %s::uuid[]) u(s, d, b, t, a, e, x, w, i) WHERE c.workspace_id = u.w"
    " AND c.automation_id = u.i"
)
_CAMPAIGN_KINDS = (
    Smallints, Bigints, Bigints, Bigints, Smallints, Texts, Smallints, Integers, Identities,
)  # fmt: skip
_FANOUTS: LiteralString = (
    "INSERT INTO fanouts SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::uuid[], %s::int4[], %s::text[], %s::int8[],"
    " %s::uuid[]) ON CONFLICT DO NOTHING"
)
_FANOUT_KINDS = (Integers, Identities, Identities, Integers, Texts, Bigints, Identities)
_CURSORS: LiteralString = (
    "INSERT INTO cursors SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::uuid[], %s::int2[], %s::text[],"
    " %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int2[], %s::text[])"
    " ON CONFLICT (workspace_id, id) DO UPDATE SET place = excluded.place, judged = excluded.judged,"
    " jobs = excluded.jobs, sent = excluded.sent, failed = excluded.failed, skipped = excluded.skipped,"
    " uncertain = excluded.uncertain, done_at = excluded.done_at, attempts = excluded.attempts, error = excluded.error"
)
_CURSOR_KINDS = (
    Integers, Identities, Smallints, Identities, Smallints, Texts, Bigints, Bigints, Bigints, Bigints, Bigints, Bigints,
    Bigints, Smallints, Texts,
)  # fmt: skip


# 4 is runs.Status.CANCELED.
_STOPPING: LiteralString = (
    "SELECT w.a, w.b FROM unnest(%s::int4[], %s::uuid[], %s::uuid[]) w(a, b, c)"
    " LEFT JOIN LATERAL (SELECT is_stopping FROM campaigns WHERE workspace_id = w.a AND automation_id = w.b OFFSET 0)"
    " c ON true LEFT JOIN LATERAL (SELECT run_id FROM fanouts WHERE workspace_id = w.a AND id = w.c OFFSET 0) f"
    " ON true LEFT JOIN LATERAL (SELECT status FROM runs WHERE workspace_id = w.a AND id = f.run_id OFFSET 0) r"
    " ON true WHERE c.is_stopping OR r.status = 4"
)


def read_campaigns(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], fanout_rows.Campaign]:
    """How campaigns stand, by (workspace, automation_id)."""
    query: LiteralString = (
        f"SELECT {_CAMPAIGN}{_BY_ID}campaigns WHERE workspace_id = w.a AND automation_id = w.b OFFSET 0) c"
    )
    return {(row[0], row[1]): fanout_rows.Campaign._make(row) for row in fetch(connection, query, _ids(keys))}


def read_fanouts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], fanout_rows.Fanout]:
    """Fan-outs by (workspace, id)."""
    query: LiteralString = (
        f"SELECT f.workspace_id, f.id, f.automation_id, f.version, f.body, f.created_at, f.run_id{_BY_ID}fanouts"
        " WHERE workspace_id = w.a AND id = w.b OFFSET 0) f"
    )
    return {(row[0], row[1]): fanout_rows.Fanout._make(row) for row in fetch(connection, query, _ids(keys))}


def read_cursors(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], fanout_rows.Cursor]:
    """Cursors by (workspace, id)."""
    query: LiteralString = (
        f"SELECT {_CURSOR}{_BY_ID}cursors WHERE workspace_id = w.a AND id = w.b OFFSET 0) c"
    )
    return {(row[0], row[1]): fanout_rows.Cursor._make(row) for row in fetch(connection, query, _ids(keys))}


def walk_contacts(
    connection: Connection, workspace_id: int, partition: int, after: str, limit: int
) -> list[rows.Contact]:
    """The next contacts of a partition, in the order of their ids."""
    found = fetch(connection, _PEOPLE, (workspace_id, partition, after, limit))
    return [rows.Contact._make(row) for row in found]


def read_stopping(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> frozenset[tuple[int, bytes]]:
    """Which of these, by (workspace, automation_id), were stopped: campaigns, or runs that write to lists."""
    wanted = sorted((workspace, identity, ids.of_fanout(identity)) for workspace, identity in keys)
    kinds = (Integers, Identities, Identities)
    found = fetch(connection, _STOPPING, packing.columns(kinds, wanted))
    return frozenset((row[0], row[1]) for row in found)


def write_fanouts(connection: Connection, writes: rows.Writes) -> None:
    """How campaigns stand now, what fan-outs go by, and where their cursors are."""
    campaigns = [(*row[3:9], int(row.is_stopping), *key) for key, row in writes.campaigns.items()]
    for query, kinds, values in (
        (_CAMPAIGNS, _CAMPAIGN_KINDS, campaigns),
        (_FANOUTS, _FANOUT_KINDS, writes.fanouts),
        (_CURSORS, _CURSOR_KINDS, sorted(writes.cursors.values(), key=lambda row: row[:2])),
    ):
        if values:
            connection.execute(query, packing.columns(kinds, values))


def _ids(keys: Collection[tuple[int, bytes]]) -> list[packing.Packed]:
    return packing.columns((Integers, Identities), sorted(keys))
