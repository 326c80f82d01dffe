"""Bulk jobs and their users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "bulk_jobs",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("said", schema.Json(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bulk_users",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("job_id", schema.Identity(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("given", schema.Json(), nullable=False),
        sa.Column("said", schema.Json()),
        sa.Column("request_id", schema.Identity()),
        sa.PrimaryKeyConstraint("workspace_id", "job_id", "ordinal"),
        sqlite_with_rowid=False,
    )
