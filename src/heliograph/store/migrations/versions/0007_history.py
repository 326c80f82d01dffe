"""By what events are found: the places of events, and those that are not processed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0007"
down_revision = "0006"

_UNSETTLED = sa.text("status <> 3")


def upgrade() -> None:
    """Make the tables and the index; housekeeping fills them with what is stored."""
    op.create_table(
        "event_places",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("key", schema.Identity(), nullable=False),
        sa.Column("event_id", schema.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "kind", "key", "event_id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_table(
        "event_place_marks",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "kind"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    op.create_index(
        "decisions_unsettled",
        "decisions",
        ["workspace_id", "status", "event_id"],
        sqlite_where=_UNSETTLED,
        postgresql_where=_UNSETTLED,
    )
