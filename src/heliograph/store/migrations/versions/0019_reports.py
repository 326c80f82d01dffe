"""What providers report of messages, and addresses whose messages bounce."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add what reports tell to messages, and make the table of soft bounces."""
    op.add_column("messages", sa.Column("reached", sa.SmallInteger()))
    for name in ("delivered_at", "opened_at", "clicked_at"):
        op.add_column("messages", sa.Column(name, sa.BigInteger()))
    op.add_column("messages", sa.Column("told", schema.Json()))
    op.create_table(
        "soft_bounces",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("bounced_at", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "address"),
        sqlite_with_rowid=False,
    )
