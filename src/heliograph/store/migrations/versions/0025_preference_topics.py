"""What people may choose from: sections, topics, tenants' defaults; and the topic of a template."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Make the tables and the column, and fill it from what is published."""
    for name in ("preference_sections", "preference_topics"):
        of_section = [sa.Column("section_id", sa.Text(), nullable=False)] if name.endswith("topics") else []
        op.create_table(
            name,
            sa.Column("workspace_id", sa.Integer(), nullable=False),
            sa.Column("id", sa.Text(), nullable=False),
            *of_section,
            sa.Column("definition", schema.Json(), nullable=False),
            sa.Column("created_at", sa.BigInteger(), nullable=False),
            sa.Column("created_by", sa.Text()),
            sa.Column("updated_at", sa.BigInteger(), nullable=False),
            sa.Column("updated_by", sa.Text()),
            sa.PrimaryKeyConstraint("workspace_id", "id"),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "tenant_preferences",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=False),
        sa.Column("body", schema.Json(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "tenant_id", "topic_id"),
        sqlite_with_rowid=False,
    )
    op.add_column("templates", sa.Column("topic_id", sa.Text()))
    found = op.get_bind().execute(
        sa.text(
            "SELECT v.workspace_id, v.id, v.content FROM templates t JOIN template_versions v"
            " ON v.workspace_id = t.workspace_id AND v.id = t.id AND v.version = t.version"
            " WHERE t.kind = 'template'"
        )
    )
    for workspace_id, identity, content in found.all():
        topic = msgspec.json.decode(content).get("topic")
        if topic is not None:
            op.get_bind().execute(
                sa.text(
                    "UPDATE templates SET topic_id = :topic WHERE workspace_id = :workspace AND id = :id"
                ),
                {"topic": topic, "workspace": workspace_id, "id": identity},
            )
