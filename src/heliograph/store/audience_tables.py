"""The tables of segments and of Courier's audiences, a part of the schema (schema.py).

Law: each is what it says; who is in it is judged when somebody asks.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

audiences = _table(
    "audiences",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", columns.Ordered, primary_key=True),
    _column("tenant_id", sa.Text, null=True),
    _column("version", sa.Integer),
    _column("name", sa.Text),
    _column("description", sa.Text),
    _column("filter", Json, null=True),
    _column("created_at", Instant),
    _column("updated_at", Instant),
)

segments = _table(
    "segments",
    _column("id", Identity, primary_key=True),
    _column("workspace_id", sa.Integer),
    _column("tenant_id", sa.Text, null=True),
    _column("number", sa.BigInteger),
    _column("definition", Json),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    sa.Index("segments_by_number", "workspace_id", "number", unique=True),
)
