"""References: by what providers that report call the messages that they took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Make the table: what was taken before is known by its own id alone."""
    op.create_table(
        "message_references",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("message_id", schema.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "reference"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index("message_references_by_message", "message_references", ["workspace_id", "message_id"])
