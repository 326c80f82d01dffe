"""Preference pages: what people choose from, each time that it was published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "preference_pages",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("published_by", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "version"),
        sqlite_with_rowid=False,
    )
