"""Versions of automations know from which version of the definitions on they hold, and when one was deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_BURY = (
    "INSERT INTO automation_versions (automation_id, version, workspace_id, valid_from, definition)"
    " SELECT id, version + 1, workspace_id, deleted_at, 'null' FROM automations"
    " WHERE deleted_at IS NOT NULL AND kind IN ('rule', 'journey')"
)
_COUNT_ON = "UPDATE automations SET version = version + 1 WHERE deleted_at IS NOT NULL AND kind IN ('rule', 'journey')"


def upgrade() -> None:
    """Add the column, and a version for each rule and journey that was deleted."""
    op.add_column("automation_versions", sa.Column("definitions_version", sa.BigInteger()))
    op.execute(_BURY)
    op.execute(_COUNT_ON)
