"""The tables of batches, a part of the schema (schema.py).

Law: a row is written by the turns of its partition alone, and is gone once the owner has taken the items.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column, _index = columns.table, columns.column, columns.index

# `state` is a core.batches.State; spans are microseconds. `group_id` is there while it takes items.
batches = _table(
    "batches",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("group_id", Identity, null=True),
    _column("batch_key", sa.Text),
    _column("scope", sa.Text),
    _column("user_id", sa.Text, null=True),
    _column("category_key", sa.Text),
    _column("state", sa.SmallInteger),
    _column("opened_at", Instant),
    _column("last_at", Instant),
    _column("wait", sa.BigInteger),
    _column("max_wait", sa.BigInteger),
    _column("timer_at", Instant, null=True),
    _column("owner_run_id", Identity),
    _column("owner_visit", sa.Integer),
    _column("owner_item", sa.BigInteger),
    _column("next_item", sa.BigInteger),
    _column("size", sa.BigInteger),
    _column("max_items", sa.BigInteger, null=True),
    _column("retain_type", sa.Text),
    _column("retain_count", sa.Integer),
    _column("sort_key", sa.Text, null=True),
    _column("released_at", Instant, null=True),
    _column("reason", sa.Text, null=True),
    _index("batches_by_group", "workspace_id", "group_id", where="group_id IS NOT NULL", unique=True),
    _index("batches_held", "workspace_id", "id", where="state = 3"),
    fill=50,
)

# What runs brought, in the order in which it came.
batch_items = _table(
    "batch_items",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("batch_id", Identity, primary_key=True),
    _column("number", sa.BigInteger, primary_key=True),
    _column("run_id", Identity),
    _column("visit", sa.Integer),
    _column("joined_at", Instant),
    _column("wait", sa.BigInteger),
    _column("max_wait", sa.BigInteger),
    _column("data", Json),
)
