"""Whose key deletes somebody says whose history is meant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Make the column; who is going already goes out of everybody's history."""
    op.add_column("erasures", sa.Column("tenant_id", sa.Text(), nullable=True))
