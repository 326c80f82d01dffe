"""Tenants and who is with them; what steps did once, the first answers to requests, and who passed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0015"
down_revision = "0014"

_HAS_PARENT = sa.text("parent_tenant_id IS NOT NULL")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tenants",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("parent_tenant_id", sa.Text(), nullable=True),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index(
        "tenants_by_parent",
        "tenants",
        ["workspace_id", "parent_tenant_id"],
        sqlite_where=_HAS_PARENT,
        postgresql_where=_HAS_PARENT,
    )
    op.create_table(
        "tenant_users",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("profile", schema.Json(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "tenant_id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index("tenant_users_by_tenant", "tenant_users", ["workspace_id", "tenant_id", "user_id"])
    op.create_table(
        "step_keys",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run_id", schema.Identity(), nullable=False),
        sa.Column("answer", schema.Json(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "action", "key"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index("step_keys_by_expiry", "step_keys", ["expires_at"])
    op.create_table(
        "request_keys",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("headers", schema.Json(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "scope", "key"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index("request_keys_by_expiry", "request_keys", ["expires_at"])
    op.create_table(
        "passes",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("passed_at", schema.Json(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "group_key"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index("passes_by_expiry", "passes", ["expires_at"])
