"""A key may be kept to folders of lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import columns

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Make the column; keys that are there are kept to none."""
    op.add_column("api_keys", sa.Column("folders", columns.Json(), nullable=True))
