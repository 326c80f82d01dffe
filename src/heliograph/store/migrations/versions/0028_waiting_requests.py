"""Requests to send that wait: by which they are listed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_OF_REQUESTS = sa.text("kind = 10")


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "timers_of_requests",
        "timers",
        ["workspace_id", "id"],
        sqlite_where=_OF_REQUESTS,
        postgresql_where=_OF_REQUESTS,
    )
