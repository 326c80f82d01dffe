"""Lists and who is on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import columns, schema

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "lists",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", columns.Ordered, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("preferences", schema.Json()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("lists_by_number", "lists", ["workspace_id", "number"], unique=True)
    op.create_table(
        "subscriptions",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("list_id", columns.Ordered, nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", columns.Ordered, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("preferences", schema.Json()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "list_id", "partition", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("subscriptions_by_user", "subscriptions", ["workspace_id", "user_id", "list_id"])
