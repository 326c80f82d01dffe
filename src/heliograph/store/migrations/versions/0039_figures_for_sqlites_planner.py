"""SQLite is told how large tables are: nothing here, since `planner` tells it after the last step."""

from __future__ import annotations

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Change nothing of the schema."""
