"""Tenants on PostgreSQL: what the levels above somebody say of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.store import packing, step_rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Integers, Texts

# 4 is tenants.MAX_LEVELS.
_LEVELS: LiteralString = (
    "WITH RECURSIVE levels AS (SELECT w.a, w.b AS leaf, t.parent_tenant_id AS parent, t.definition, 1 AS height"
    " FROM unnest(%s::int4[], %s::text[]) w(a, b) CROSS JOIN LATERAL"
    " (SELECT * FROM tenants WHERE workspace_id = w.a AND id = w.b OFFSET 0) t"
    " UNION ALL SELECT l.a, l.leaf, t.parent_tenant_id, t.definition, l.height + 1 FROM levels l CROSS JOIN LATERAL"
    " (SELECT * FROM tenants WHERE workspace_id = l.a AND id = l.parent OFFSET 0) t WHERE l.height < 4)"
    " SELECT a, leaf, definition FROM levels ORDER BY height DESC"
)
_OWN: LiteralString = (
    "SELECT u.workspace_id, u.user_id, u.tenant_id, coalesce(u.profile, '{}')"
    " FROM unnest(%s::int4[], %s::text[], %s::text[]) w(a, b, c)"
    " CROSS JOIN LATERAL (SELECT * FROM tenant_users WHERE workspace_id = w.a AND user_id = w.b AND tenant_id = w.c"
    " OFFSET 0) u"
)


def read_tenant_profiles(
    connection: Connection, keys: Collection[tuple[int, str, str]]
) -> dict[tuple[int, str, str], step_rows.TenantProfile]:
    """What is said of people in tenants, by (workspace, user_id, tenant); where there is no tenant it is absent."""
    levels: dict[tuple[int, str], list[bytes | str]] = {}
    leaves = sorted({(key[0], key[2]) for key in keys})
    for workspace_id, leaf, definition in fetch(
        connection, _LEVELS, packing.columns((Integers, Texts), leaves)
    ):
        levels.setdefault((workspace_id, leaf), []).append(definition)
    found = fetch(connection, _OWN, packing.columns((Integers, Texts, Texts), sorted(keys)))
    own = {row[:3]: row[3] for row in found}
    return {
        key: step_rows.TenantProfile(levels[key[0], key[2]], own.get(key))
        for key in keys
        if (key[0], key[2]) in levels
    }
