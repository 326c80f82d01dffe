"""People who are taken out of history; runs by their contact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Make the table and the index."""
    op.create_table(
        "erasures",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", schema.Json(), nullable=False),
        sa.Column("reached", schema.Identity()),
        sa.Column("until", schema.Identity()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    rows = sa.text("contact_id IS NOT NULL")
    op.create_index(
        "starts_by_contact",
        "starts",
        ["workspace_id", "contact_id"],
        sqlite_where=rows,
        postgresql_where=rows,
    )
