"""Quiet hours and frequency caps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sending_policies",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("policy", schema.Json(), nullable=False),
        sa.Column("updated_by", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "tenant_id", "valid_from"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recent_sends",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("counts", schema.Json(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("recent_sends_by_expiry", "recent_sends", ["expires_at"])
