"""Requests to send, what was archived, and messages that have other ways to go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0022"
down_revision = "0021"

_TRACED = sa.text("trace_id IS NOT NULL")
_KEYED = sa.text("start_key IS NOT NULL")
_ASKED = sa.text("request_id IS NOT NULL")


def upgrade() -> None:
    """Make the tables, and say of a message which request it was made for."""
    op.create_table(
        "requests",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("body", schema.Json(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text()),
        sa.Column("trace_id", sa.Text()),
        sa.Column("tags", schema.Json()),
        sa.Column("start_key", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index(
        "requests_by_trace",
        "requests",
        ["workspace_id", "trace_id", "id"],
        sqlite_where=_TRACED,
        postgresql_where=_TRACED,
    )
    op.create_index(
        "requests_by_start_key",
        "requests",
        ["workspace_id", "start_key"],
        unique=True,
        sqlite_where=_KEYED,
        postgresql_where=_KEYED,
    )
    op.create_table(
        "archives",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("request_id", schema.Identity(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "request_id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.add_column("messages", sa.Column("request_id", schema.Identity()))
    op.add_column("messages", sa.Column("route", schema.Json()))
    op.create_index(
        "messages_by_request",
        "messages",
        ["request_id", "id"],
        sqlite_where=_ASKED,
        postgresql_where=_ASKED,
    )
