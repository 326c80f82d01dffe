"""The keys by which runs were started have a table of their own: they outlive the runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.store import schema

revision = "0008"
down_revision = "0007"

# A run that nobody named a key for has its own id there, as text.
_ID_AS_TEXT = {
    "sqlite": "lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4)"
    " || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21))",
    "postgresql": "id::text",
}


def upgrade() -> None:
    """Make the table, move the keys that are taken, and do without the index that they were found by."""
    op.create_table(
        "start_keys",
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("start_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("automation_id", "start_key"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 100},
    )
    own = _ID_AS_TEXT[op.get_bind().dialect.name]
    op.execute(
        "INSERT INTO start_keys SELECT automation_id, start_key FROM runs"
        f" WHERE start_key IS NOT NULL AND start_key <> {own}"
    )
    op.drop_index("runs_by_start", "runs")
