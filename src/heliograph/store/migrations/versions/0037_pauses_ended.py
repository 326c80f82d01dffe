"""When a workspace's newest pause ended stands with the workspace."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"

_VERSIONS = sa.text(
    "SELECT workspace_id, valid_from, control FROM control_versions ORDER BY workspace_id, valid_from"
)
_SET = sa.text("UPDATE workspaces SET pause_ended_at = :ended_at WHERE id = :workspace")


def upgrade() -> None:
    """Make the column, and fill it from the versions of the control record."""
    op.add_column(
        "workspaces", sa.Column("pause_ended_at", sa.BigInteger(), nullable=False, server_default="0")
    )
    connection = op.get_bind()
    ended_at: dict[int, int] = {}
    pauses: dict[int, int | None] = {}
    for row in connection.execute(_VERSIONS).all():
        stood = msgspec.json.decode(row.control)
        if stood["is_paused"]:
            pauses[row.workspace_id] = stood["paused_until"]
        elif row.workspace_id in pauses:
            until = pauses.pop(row.workspace_id)
            ended_at[row.workspace_id] = row.valid_from if until is None else min(until, row.valid_from)
    for workspace, at in ended_at.items():
        connection.execute(_SET, {"ended_at": at, "workspace": workspace})
