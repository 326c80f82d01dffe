"""Statistics of events by tenant, and of all that were looked at; counted anew from the events themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.core import ids
from heliograph.store import schema

revision = "0006"
down_revision = "0005"

_DAY = 86_400_000_000
_PROCESSED, _FAILED = 3, 4


def upgrade() -> None:
    """Make the table anew, and fill it a day at a time."""
    op.drop_table("event_statistics")
    op.create_table(
        "event_statistics",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("processed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "tenant_id", "day", "partition"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    workspaces = connection.execute(sa.text("SELECT id FROM workspaces")).scalars().all()
    for workspace_id in workspaces:
        first, last = (
            connection.execute(edge, {"workspace_id": workspace_id}).scalar_one_or_none()
            for edge in (_edge("ASC"), _edge("DESC"))
        )
        if first is not None and last is not None:
            for day in range(ids.created_at(first) // _DAY, ids.created_at(last) // _DAY + 1):
                _fill(connection, workspace_id, day)


def _fill(connection: sa.Connection, workspace_id: int, day: int) -> None:
    edges = {"first": _first_id(day), "next": _first_id(day + 1)}
    found = connection.execute(_COUNTED, {"workspace_id": workspace_id, **edges}).all()
    if found:
        connection.execute(
            _ADD, [{"workspace_id": workspace_id, "day": day, **row._asdict()} for row in found]
        )


def _first_id(day: int) -> bytes:
    return ids.head(day * _DAY) + bytes(8)


def _edge(way: str) -> sa.TextualSelect:
    query = sa.text(f"SELECT id FROM events WHERE workspace_id = :workspace_id ORDER BY id {way} LIMIT 1")
    return query.columns(id=schema.Identity)


_COUNTED = sa.text(
    "SELECT coalesce(e.tenant_id, '') AS tenant_id, count(*) AS total,"
    f" sum(CASE WHEN d.status = {_PROCESSED} THEN 1 ELSE 0 END) AS processed,"
    f" sum(CASE WHEN d.status = {_FAILED} THEN 1 ELSE 0 END) AS failed"
    " FROM events e JOIN decisions d ON d.workspace_id = e.workspace_id AND d.event_id = e.id"
    " WHERE e.workspace_id = :workspace_id AND e.id >= :first AND e.id < :next GROUP BY coalesce(e.tenant_id, '')"
).bindparams(sa.bindparam("first", type_=schema.Identity), sa.bindparam("next", type_=schema.Identity))
_ADD = sa.text(
    "INSERT INTO event_statistics (workspace_id, tenant_id, day, partition, total, processed, failed)"
    " VALUES (:workspace_id, :tenant_id, :day, 0, :total, :processed, :failed)"
)
