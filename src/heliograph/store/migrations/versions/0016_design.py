"""How messages look and what their texts may name: drafts of templates, brands, and schemas of records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns and make the tables; a template that was there is published, and its draft says the same."""
    op.add_column("templates", sa.Column("alias", sa.Text(), nullable=True))
    op.add_column("templates", sa.Column("brand_id", sa.Text(), nullable=True))
    op.add_column("templates", sa.Column("archived_at", sa.BigInteger(), nullable=True))
    op.create_index("templates_by_alias", "templates", ["workspace_id", "alias"], unique=True)
    op.create_table(
        "brands",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=True,
        postgresql_with={"fillfactor": 100},
    )
    op.create_table(
        "brand_versions",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("look", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", "version"),
        sqlite_with_rowid=True,
        postgresql_with={"fillfactor": 100},
    )
    op.create_table(
        "resource_schemas",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=True,
        postgresql_with={"fillfactor": 100},
    )
