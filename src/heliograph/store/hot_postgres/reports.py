"""Reports on PostgreSQL: what providers told of messages, and addresses whose messages bounced."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.store import packing, report_rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_READ: LiteralString = (
    "SELECT m.workspace_id, m.id, m.reached, m.delivered_at, m.opened_at, m.clicked_at, m.told"
    " FROM unnest(%s::int4[], %s::uuid[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM messages WHERE workspace_id = w.a AND id = w.b OFFSET 0) m"
)
_READ_SOFT: LiteralString = (
    "SELECT b.workspace_id, b.address, b.bounced_at FROM unnest(%s::int4[], %s::text[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM soft_bounces WHERE workspace_id = w.a AND address = w.b OFFSET 0) b"
)
# The states are reports.AFTER. Somebody else may store the channel's answer at this very moment: whoever comes second
# sees what the first one wrote.
_REACHED: LiteralString = (
    "UPDATE messages m SET state = CASE WHEN m.state IN (3, 4, 7, 8, 9) THEN coalesce(u.r, m.state) ELSE m.state END,"
    " reached = u.r, delivered_at = u.d, opened_at = u.o, clicked_at = u.c, told = u.t FROM"
    " unnest(%s::int4[], %s::uuid[], %s::int2[], %s::int8[], %s::int8[], %s::int8[], %s::text[])"
    " u(w, i, r, d, o, c, t) WHERE m.workspace_id = u.w AND m.id = u.i"
)
_PUT_SOFT: LiteralString = (
    "INSERT INTO soft_bounces SELECT * FROM unnest(%s::int4[], %s::text[], %s::text[])"
    " ON CONFLICT (workspace_id, address) DO UPDATE SET bounced_at = excluded.bounced_at"
)
_SUPPRESS: LiteralString = (
    "INSERT INTO suppressions (workspace_id, address, tenant_id, reason, created_at)"
    " SELECT w, a, '', r, c FROM unnest(%s::int4[], %s::text[], %s::text[], %s::int8[]) u(w, a, r, c)"
    " ON CONFLICT (workspace_id, address, tenant_id) DO UPDATE SET reason = excluded.reason"
    " WHERE suppressions.reason = 'bounce' AND excluded.reason = 'complaint'"
)
# From now on turns ask for such addresses (store/consent.note).
_NOTE: LiteralString = (
    "UPDATE workspaces SET definitions_version = definitions_version + 1,"
    """ settings = (settings::jsonb || '{"consents": true}')::text"""
    " WHERE id = ANY(%s) AND (settings::jsonb -> 'consents') IS DISTINCT FROM 'true'::jsonb"
)


def read_reached(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], report_rows.Reached]:
    """What reports have told of these messages, by (workspace, id)."""
    found = fetch(connection, _READ, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): report_rows.Reached._make(row) for row in found}


def read_soft_bounces(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], bytes | str]:
    """The accounts of these addresses (core.reports.Account), by (workspace, address); those without are absent."""
    found = fetch(connection, _READ_SOFT, packing.columns((Integers, Texts), sorted(keys)))
    return {(row[0], row[1]): row[2] for row in found}


def write_reports(connection: Connection, writes: report_rows.Writes) -> None:
    """What a turn leaves behind of reports: a message that was not accepted yet takes its state when it is."""
    if writes.reached:
        kinds = (Integers, Identities, Smallints, Bigints, Bigints, Bigints, Texts)
        connection.execute(
            _REACHED, packing.columns(kinds, [row for _, row in sorted(writes.reached.items())])
        )
    kept = [(*key, account) for key, account in sorted(writes.soft_bounces.items())]
    if kept:
        connection.execute(_PUT_SOFT, packing.columns((Integers, Texts, Texts), kept))
    if writes.suppressed:
        rows = [(*key, *why) for key, why in sorted(writes.suppressed.items())]
        connection.execute(_SUPPRESS, packing.columns((Integers, Texts, Texts, Bigints), rows))
        connection.execute(_NOTE, (sorted({workspace_id for workspace_id, _ in writes.suppressed}),))
