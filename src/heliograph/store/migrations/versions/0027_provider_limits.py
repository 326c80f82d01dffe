"""Limits of providers: buckets of tokens, and what was sent to each domain on a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "provider_rates",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "provider_id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "provider_days",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "provider_id", "day", "domain"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
