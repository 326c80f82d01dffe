"""The tables of tenants and of whom they have, a part of the schema (schema.py).

Law: written by people; turns read them.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
_table, _column, _index = columns.table, columns.column, columns.index

tenants = _table(
    "tenants",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("parent_tenant_id", sa.Text, null=True),
    # What is said of it beside its place: see core.tenants.Definition.
    _column("definition", Json),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    _index("tenants_by_parent", "workspace_id", "parent_tenant_id", where="parent_tenant_id IS NOT NULL"),
)

# Who is with which tenant, and what their profile says there beside what it says everywhere.
tenant_users = _table(
    "tenant_users",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("user_id", sa.Text, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("profile", Json, null=True),
    _column("created_at", Instant),
    sa.Index("tenant_users_by_tenant", "workspace_id", "tenant_id", "user_id"),
)
