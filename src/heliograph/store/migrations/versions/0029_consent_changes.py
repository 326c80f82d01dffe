"""Consent changes: what people said anew of topics, one row each time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0029"
down_revision = "0028"

_IN_TENANTS = sa.text("tenant_id <> ''")


def upgrade() -> None:
    """Make the table; what was said before it was there is nobody's change."""
    op.create_table(
        "consent_changes",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=False),
        sa.Column("topic_name", sa.Text(), nullable=False),
        sa.Column("before", schema.Json()),
        sa.Column("after", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("consent_changes_by_user", "consent_changes", ["workspace_id", "user_id", "id"])
    op.create_index(
        "consent_changes_by_tenant",
        "consent_changes",
        ["workspace_id", "tenant_id", "id"],
        sqlite_where=_IN_TENANTS,
        postgresql_where=_IN_TENANTS,
    )
