"""Reports on SQLite: what providers told of messages, and addresses whose messages bounced."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.core import reports
from heliograph.store import report_rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs

_AFTER = ", ".join(str(int(state)) for state in sorted(reports.AFTER))


def read_reached(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], report_rows.Reached]:
    """What reports have told of these messages, by (workspace, id)."""
    found = by_pairs(
        connection,
        "SELECT m.workspace_id, m.id, m.reached, m.delivered_at, m.opened_at, m.clicked_at, m.told FROM wanted w"
        " CROSS JOIN messages m ON m.workspace_id = w.a AND m.id = w.b",
        keys,
    )
    return {(row[0], row[1]): report_rows.Reached._make(row) for row in found}


def read_soft_bounces(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], bytes | str]:
    """The accounts of these addresses (core.reports.Account), by (workspace, address); those without are absent."""
    found = by_pairs(
        connection,
        "SELECT b.workspace_id, b.address, b.bounced_at FROM wanted w"
        " CROSS JOIN soft_bounces b ON b.workspace_id = w.a AND b.address = w.b",
        keys,
    )
    return {(row[0], row[1]): row[2] for row in found}


def write_reports(connection: Connection, writes: report_rows.Writes) -> None:
    """What a turn leaves behind of reports: a message that was not accepted yet takes its state when it is."""
    connection.executemany(
        f"UPDATE messages SET state = CASE WHEN state IN ({_AFTER}) THEN coalesce(?3, state) ELSE state END,"
        " reached = ?3, delivered_at = ?4, opened_at = ?5, clicked_at = ?6, told = ?7"
        " WHERE workspace_id = ?1 AND id = ?2",
        list(writes.reached.values()),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO soft_bounces VALUES (?,?,?)",
        [(*key, account) for key, account in writes.soft_bounces.items()],
    )
    connection.executemany(
        "INSERT INTO suppressions (workspace_id, address, tenant_id, reason, created_at) VALUES (?,?,'',?,?)"
        " ON CONFLICT (workspace_id, address, tenant_id) DO UPDATE SET reason = excluded.reason"
        " WHERE suppressions.reason = 'bounce' AND excluded.reason = 'complaint'",
        [(*key, *why) for key, why in writes.suppressed.items()],
    )
    # From now on turns ask for such addresses (store/consent.note).
    connection.executemany(
        "UPDATE workspaces SET definitions_version = definitions_version + 1,"
        " settings = CAST(json_set(CAST(settings AS TEXT), '$.consents', json('true')) AS BLOB)"
        " WHERE id = ? AND json_extract(CAST(settings AS TEXT), '$.consents') IS NOT 1",
        sorted({(workspace_id,) for workspace_id, _ in writes.suppressed}),
    )
