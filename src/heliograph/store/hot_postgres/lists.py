"""Lists on PostgreSQL: who comes to be on them, and who leaves."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import LiteralString

from heliograph.store import list_rows, packing
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Integers, Smallints, Texts

_PUT: LiteralString = (
    "INSERT INTO subscriptions AS s SELECT * FROM unnest(%s::int4[], %s::text[], %s::int2[], %s::text[], %s::text[],"
    " %s::text[], %s::int8[], %s::int8[]) ON CONFLICT (workspace_id, list_id, partition, user_id) DO UPDATE SET"
    " preferences = coalesce(excluded.preferences, s.preferences), updated_at = excluded.updated_at"
)
_PUT_KINDS = (Integers, Texts, Smallints, Texts, Texts, Texts, Bigints, Bigints)
_DROP: LiteralString = (
    "DELETE FROM subscriptions s USING unnest(%s::int4[], %s::text[], %s::int2[], %s::text[]) u(w, l, p, k)"
    ' WHERE s.workspace_id = u.w AND s.list_id = u.l COLLATE "C" AND s.partition = u.p'
    ' AND s.user_id = u.k COLLATE "C"'
)


_READ: LiteralString = (
    "SELECT l.workspace_id, l.id, l.tenant_id FROM unnest(%s::int4[], %s::text[]) w(a, b) CROSS JOIN LATERAL"
    ' (SELECT * FROM lists WHERE workspace_id = w.a AND id = w.b COLLATE "C" OFFSET 0) l'
    " WHERE l.deleted_at IS NULL"
)


def read_lists(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], str | None]:
    """The tenants of lists, by (workspace, id); those that are not there, or deleted, are absent."""
    if not keys:
        return {}
    found = fetch(connection, _READ, packing.columns((Integers, Texts), sorted(keys)))
    return {(row[0], row[1]): row[2] for row in found}


_WALK: LiteralString = (
    "SELECT s.user_id, s.preferences, c.tenant_id, c.profile, c.tags FROM subscriptions s LEFT JOIN LATERAL"
    " (SELECT tenant_id, profile, tags FROM contacts WHERE workspace_id = s.workspace_id"
    '  AND user_id = s.user_id COLLATE "default" OFFSET 0) c ON true'
    " WHERE s.workspace_id = %s AND s.list_id = %s AND s.partition = %s AND s.user_id > %s"
    " AND (SELECT deleted_at IS NULL FROM lists WHERE workspace_id = %s AND id = %s)"
    " ORDER BY s.user_id LIMIT %s"
)


def walk_subscribers(
    connection: Connection, workspace_id: int, list_id: str, partition: int, after: str, limit: int
) -> list[list_rows.Subscriber]:
    """The next people on a list in a partition, in the order of their ids; of a deleted list nobody."""
    place = (workspace_id, list_id, partition, after)
    found = fetch(connection, _WALK, (*place, workspace_id, list_id, limit))
    return [list_rows.Subscriber(*row) for row in found]


def put_subscriptions(connection: Connection, subscriptions: Collection[list_rows.Subscription]) -> None:
    """Put people on lists; who is on one stays, with new preferences where there are any."""
    if subscriptions:
        # In one order everywhere, so that two who write the same rows wait for each other once.
        connection.execute(
            _PUT, packing.columns(_PUT_KINDS, sorted(subscriptions, key=operator.itemgetter(0, 1, 2, 3)))
        )


def drop_subscriptions(connection: Connection, keys: Collection[tuple[int, str, int, str]]) -> None:
    """Take people off lists, by (workspace, list, partition, user_id)."""
    if keys:
        connection.execute(_DROP, packing.columns((Integers, Texts, Smallints, Texts), sorted(keys)))
