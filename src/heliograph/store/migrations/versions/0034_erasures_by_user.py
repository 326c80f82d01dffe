"""Who is being taken out of history is found by their id."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Make the index."""
    op.create_index("erasures_by_user", "erasures", ["workspace_id", "user_id"])
