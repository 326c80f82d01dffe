"""Alerts: what has been told of alarming rules, and the secrets by which a workspace signs its webhooks."""

from __future__ import annotations

import secrets

import msgspec
import sqlalchemy as sa
from alembic import op

from heliograph.core import signatures
from heliograph.store import schema

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table, and a secret for each workspace that is there."""
    op.create_table(
        "alerts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("told", sa.SmallInteger(), nullable=False),
        sa.Column("worst", sa.SmallInteger(), nullable=False),
        sa.Column("notified_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("alarming_at", sa.BigInteger(), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "automation_id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.add_column("workspaces", sa.Column("webhook_secrets", schema.Json()))
    connection = op.get_bind()
    workspaces = sa.table(
        "workspaces", sa.column("id", sa.Integer()), sa.column("webhook_secrets", schema.Json())
    )
    for identity in connection.execute(sa.select(workspaces.c.id)).scalars().all():
        made = [{"secret": signatures.write_secret(secrets.token_bytes(24)), "until": None}]
        connection.execute(
            sa.update(workspaces)
            .where(workspaces.c.id == identity)
            .values(webhook_secrets=msgspec.json.encode(made))
        )
