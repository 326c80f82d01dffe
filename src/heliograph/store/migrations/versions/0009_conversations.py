"""Conversations that stand somehow, notes beside them, and the agents and divisions that take care of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0009"
down_revision = "0008"

_ABOUT_SOMEBODY = sa.text("contact_id IS NOT NULL")


def upgrade() -> None:
    """Give conversations their state; those that are stored stand as new ones do."""
    op.execute(sa.text("ALTER TABLE conversations RENAME COLUMN record TO attributes"))
    for column in (
        sa.Column("contact_id", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("priority", sa.Text(), server_default="normal", nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("division_id", sa.Text(), nullable=True),
    ):
        op.add_column("conversations", column)
    op.create_index("conversations_by_creation", "conversations", ["workspace_id", "created_at", "id"])
    op.create_index(
        "conversations_by_status", "conversations", ["workspace_id", "status", "created_at", "id"]
    )
    op.create_index(
        "conversations_by_contact",
        "conversations",
        ["workspace_id", "contact_id", "created_at", "id"],
        sqlite_where=_ABOUT_SOMEBODY,
        postgresql_where=_ABOUT_SOMEBODY,
    )
    op.create_table(
        "notes",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    for name, more in (("agents", [sa.Column("email", sa.Text(), nullable=True)]), ("divisions", [])):
        op.create_table(
            name,
            sa.Column("workspace_id", sa.Integer(), nullable=False),
            sa.Column("id", sa.Text(), nullable=False),
            sa.Column("tenant_id", sa.Text(), nullable=True),
            sa.Column("name", sa.Text(), nullable=False),
            *more,
            sa.Column("created_at", sa.BigInteger(), nullable=False),
            sa.Column("updated_at", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("workspace_id", "id"),
            sqlite_with_rowid=False,
            postgresql_with={"fillfactor": 100},
        )
