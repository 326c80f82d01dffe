"""Lists on SQLite: who comes to be on them, and who leaves."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.store import list_rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs


def read_lists(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], str | None]:
    """The tenants of lists, by (workspace, id); those that are not there, or deleted, are absent."""
    if not keys:
        return {}
    found = by_pairs(
        connection,
        "SELECT l.workspace_id, l.id, l.tenant_id FROM wanted w"
        " CROSS JOIN lists l ON l.workspace_id = w.a AND l.id = w.b WHERE l.deleted_at IS NULL",
        keys,
    )
    return {(row[0], row[1]): row[2] for row in found}


def walk_subscribers(
    connection: Connection, workspace_id: int, list_id: str, partition: int, after: str, limit: int
) -> list[list_rows.Subscriber]:
    """The next people on a list in a partition, in the order of their ids; of a deleted list nobody."""
    found = connection.execute(
        "SELECT s.user_id, s.preferences, c.tenant_id, c.profile, c.tags FROM subscriptions s"
        " JOIN lists l ON l.workspace_id = s.workspace_id AND l.id = s.list_id AND l.deleted_at IS NULL"
        " LEFT JOIN contacts c ON c.workspace_id = s.workspace_id AND c.user_id = s.user_id"
        " WHERE s.workspace_id = ? AND s.list_id = ? AND s.partition = ? AND s.user_id > ? ORDER BY s.user_id LIMIT ?",
        (workspace_id, list_id, partition, after, limit),
    )
    return [list_rows.Subscriber(*row) for row in found]


def put_subscriptions(connection: Connection, subscriptions: Collection[list_rows.Subscription]) -> None:
    """Put people on lists; who is on one stays, with new preferences where there are any."""
    connection.executemany(
        "INSERT INTO subscriptions VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " preferences = coalesce(excluded.preferences, preferences), updated_at = excluded.updated_at",
        subscriptions,
    )


def drop_subscriptions(connection: Connection, keys: Collection[tuple[int, str, int, str]]) -> None:
    """Take people off lists, by (workspace, list, partition, user_id)."""
    connection.executemany(
        "DELETE FROM subscriptions WHERE workspace_id=? AND list_id=? AND partition=? AND user_id=?", keys
    )
