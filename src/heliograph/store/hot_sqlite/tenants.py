"""Tenants on SQLite: what the levels above somebody say of them."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.core import tenants
from heliograph.store import step_rows
from heliograph.store.hot_sqlite.connection import Connection, by_triples, wanted

_LEVELS = (
    "WITH RECURSIVE wanted(a, b) AS (VALUES {}), levels(a, leaf, parent, definition, height) AS ("
    " SELECT w.a, w.b, t.parent_tenant_id, t.definition, 1 FROM wanted w"
    " CROSS JOIN tenants t ON t.workspace_id = w.a AND t.id = w.b"
    " UNION ALL SELECT l.a, l.leaf, t.parent_tenant_id, t.definition, l.height + 1 FROM levels l"
    f" JOIN tenants t ON t.workspace_id = l.a AND t.id = l.parent WHERE l.height < {tenants.MAX_LEVELS})"
    " SELECT a, leaf, definition FROM levels ORDER BY height DESC"
)
_OWN = (
    "SELECT u.workspace_id, u.user_id, u.tenant_id, coalesce(u.profile, '{{}}') FROM wanted w CROSS JOIN tenant_users u"
    " ON u.workspace_id = w.a AND u.user_id = w.b AND u.tenant_id = w.c"
)


def read_tenant_profiles(
    connection: Connection, keys: Collection[tuple[int, str, str]]
) -> dict[tuple[int, str, str], step_rows.TenantProfile]:
    """What is said of people in tenants, by (workspace, user_id, tenant); where there is no tenant it is absent."""
    levels: dict[tuple[int, str], list[bytes | str]] = {}
    for workspace_id, leaf, definition in wanted(connection, _LEVELS, "(?,?)", {(k[0], k[2]) for k in keys}):
        levels.setdefault((workspace_id, leaf), []).append(definition)
    own = {row[:3]: row[3] for row in by_triples(connection, _OWN, keys)}
    return {
        key: step_rows.TenantProfile(levels[key[0], key[2]], own.get(key))
        for key in keys
        if (key[0], key[2]) in levels
    }
