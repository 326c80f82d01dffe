"""Batches: items of many runs that are collected and released together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0010"
down_revision = "0009"

_TAKING, _HELD = sa.text("group_id IS NOT NULL"), sa.text("state = 3")


def upgrade() -> None:
    """Make the tables, and the indexes by which an item finds its batch and an operator what is held."""
    op.create_table(
        "batches",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("group_id", schema.Identity()),
        sa.Column("batch_key", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("category_key", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("wait", sa.BigInteger(), nullable=False),
        sa.Column("max_wait", sa.BigInteger(), nullable=False),
        sa.Column("timer_at", sa.BigInteger()),
        sa.Column("owner_run_id", schema.Identity(), nullable=False),
        sa.Column("owner_visit", sa.Integer(), nullable=False),
        sa.Column("owner_item", sa.BigInteger(), nullable=False),
        sa.Column("next_item", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("max_items", sa.BigInteger()),
        sa.Column("retain_type", sa.Text(), nullable=False),
        sa.Column("retain_count", sa.Integer(), nullable=False),
        sa.Column("sort_key", sa.Text()),
        sa.Column("released_at", sa.BigInteger()),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "batches_by_group",
        "batches",
        ["workspace_id", "group_id"],
        unique=True,
        sqlite_where=_TAKING,
        postgresql_where=_TAKING,
    )
    op.create_index(
        "batches_held", "batches", ["workspace_id", "id"], sqlite_where=_HELD, postgresql_where=_HELD
    )
    op.create_table(
        "batch_items",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", schema.Identity(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("run_id", schema.Identity(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("wait", sa.BigInteger(), nullable=False),
        sa.Column("max_wait", sa.BigInteger(), nullable=False),
        sa.Column("data", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "batch_id", "number"),
        sqlite_with_rowid=False,
    )
