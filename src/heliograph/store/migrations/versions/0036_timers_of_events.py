"""The timer of an event that is tried again is found by the event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

_OF_EVENTS = sa.text("kind = 1")


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "timers_of_events",
        "timers",
        ["workspace_id", "id"],
        sqlite_where=_OF_EVENTS,
        postgresql_where=_OF_EVENTS,
    )
