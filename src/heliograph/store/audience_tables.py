"""The table of Courier's audiences, a part of the schema (schema.py).

Law: an audience is what it says; who is in it is judged when somebody asks.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
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
