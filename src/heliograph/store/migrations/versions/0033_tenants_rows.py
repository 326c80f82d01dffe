"""Tenants' rows: by what a tenant's contacts and conversations are listed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"

_OWNED = sa.text("tenant_id IS NOT NULL")


def upgrade() -> None:
    """Make the indexes: to a tenant's lists others' rows are not even in line."""
    for table, columns in (("contacts", ["user_id"]), ("conversations", ["created_at", "id"])):
        op.create_index(
            f"{table}_by_tenant",
            table,
            ["workspace_id", "tenant_id", *columns],
            sqlite_where=_OWNED,
            postgresql_where=_OWNED,
        )
