"""Segments, communication groups, campaigns, and the cursors of their fan-outs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0002"
down_revision = "0001"

_JOBS = sa.text("run_id IS NULL AND automation_id IS NOT NULL")


def upgrade() -> None:
    """Make the tables, and the indexes by which people of a partition and jobs of a campaign are walked."""
    _make_definitions()
    _make_fanouts()
    op.create_index(
        "contacts_by_partition",
        "contacts",
        ["workspace_id", "partition", "user_id"],
        postgresql_ops={"user_id": "text_pattern_ops"},
    )
    op.create_index(
        "messages_by_campaign",
        "messages",
        ["automation_id", "id"],
        sqlite_where=_JOBS,
        postgresql_where=_JOBS,
    )


def _make_definitions() -> None:
    op.add_column("templates", sa.Column("kind", sa.Text(), nullable=False, server_default="template"))
    op.add_column("templates", sa.Column("tenant_id", sa.Text()))
    op.add_column("templates", sa.Column("definition", schema.Json()))
    op.create_table(
        "segments",
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("segments_by_number", "segments", ["workspace_id", "number"], unique=True)


def _make_fanouts() -> None:
    op.create_table(
        "campaigns",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("action", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("is_stopping", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "automation_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fanouts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cursors",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("fanout_id", schema.Identity(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("judged", "jobs", "sent", "failed", "skipped", "uncertain")
        ),
        sa.Column("done_at", sa.BigInteger()),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
