"""Fan-outs that a run asked for, which is told how they end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Say of a fan-out which run asked for it."""
    op.add_column("fanouts", sa.Column("run_id", schema.Identity()))
