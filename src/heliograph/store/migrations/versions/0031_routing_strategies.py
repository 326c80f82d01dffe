"""Routing strategies, and by which of them a template's published version is sent."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0031"
down_revision = "0030"

_PUBLISHED = sa.text(
    "SELECT t.workspace_id, t.id, v.content FROM templates t JOIN template_versions v"
    " ON v.workspace_id = t.workspace_id AND v.id = t.id AND v.version = t.version WHERE t.kind = 'template'"
)
_SET = sa.text("UPDATE templates SET routing_id = :routing WHERE workspace_id = :workspace AND id = :id")


def upgrade() -> None:
    """Make the table, and let each template know the strategy that its published version has named all along."""
    op.create_table(
        "routing_strategies",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=True,
        postgresql_with={"fillfactor": 100},
    )
    op.add_column("templates", sa.Column("routing_id", sa.Text(), nullable=True))
    connection = op.get_bind()
    for row in connection.execute(_PUBLISHED).all():
        named = msgspec.json.decode(row.content).get("routing")
        if named is not None:
            connection.execute(_SET, {"routing": named, "workspace": row.workspace_id, "id": row.id})
