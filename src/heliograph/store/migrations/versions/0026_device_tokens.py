"""Device tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0026"
down_revision = "0025"

_EXPIRES = sa.text("expires_at IS NOT NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "device_tokens",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("body", schema.Json(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "token"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "device_tokens_by_expiry",
        "device_tokens",
        ["expires_at"],
        sqlite_where=_EXPIRES,
        postgresql_where=_EXPIRES,
    )
