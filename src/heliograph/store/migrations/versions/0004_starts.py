"""What runs were started with that no rule started."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0004"
down_revision = "0003"

_NAMED = sa.text("token IS NOT NULL")


def upgrade() -> None:
    """Make the table, and the index by which a cancel finds runs."""
    op.create_table(
        "starts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("run_id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("door", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("contact_id", sa.Text()),
        sa.Column("token", sa.Text()),
        sa.Column("body", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "starts_by_token",
        "starts",
        ["workspace_id", "token"],
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    )
