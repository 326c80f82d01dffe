"""The tables of lists, a part of the schema (schema.py).

Law: a deleted list keeps its row and its subscribers, so that it can be restored; `lists` says whether it is there.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
_table, _column = columns.table, columns.column

lists = _table(
    "lists",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", columns.Ordered, primary_key=True),
    _column("number", sa.BigInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("name", sa.Text),
    _column("preferences", Json, null=True),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    _column("deleted_at", Instant, null=True),
    sa.Index("lists_by_number", "workspace_id", "number", unique=True),
)

# In the order in which a fan-out walks them; `partition` is the contact's.
subscriptions = _table(
    "subscriptions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("list_id", columns.Ordered, primary_key=True),
    _column("partition", sa.SmallInteger, primary_key=True),
    _column("user_id", columns.Ordered, primary_key=True),
    # `api`, or `automation`.
    _column("source", sa.Text),
    _column("preferences", Json, null=True),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    sa.Index("subscriptions_by_user", "workspace_id", "user_id", "list_id"),
)
