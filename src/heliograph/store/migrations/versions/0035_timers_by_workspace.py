"""What is due of each workspace is found, however much of others is due before it."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Make the index."""
    op.create_index("timers_by_workspace", "timers", ["workspace_id", "wake_at", "kind", "id", "partition"])
