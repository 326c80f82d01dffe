"""Workspaces that play in a sandbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Say of a workspace whether what it sends is simulated."""
    op.add_column("workspaces", sa.Column("sandbox", sa.Boolean(), nullable=False, server_default=sa.false()))
