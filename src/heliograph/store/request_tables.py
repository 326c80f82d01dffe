"""The tables of requests to send, a part of the schema (schema.py).

Law: a request is written once, by whoever took it in; what became of it stands in its messages.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column, _index = columns.table, columns.column, columns.index

# What `POST /send` was asked; `body` is the JSON of core.requests.Request, `due_at` when it is sent.
requests = _table(
    "requests",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("body", Json),
    _column("due_at", Instant),
    _column("event", sa.Text, null=True),
    _column("trace_id", sa.Text, null=True),
    _column("tags", Json, null=True),
    # What it is unique by, where its caller may ask it again: see web.idempotency.
    _column("start_key", sa.Text, null=True),
    _index("requests_by_trace", "workspace_id", "trace_id", "id", where="trace_id IS NOT NULL"),
    _index("requests_by_start_key", "workspace_id", "start_key", where="start_key IS NOT NULL", unique=True),
)

# Requests whose messages are listed no more; a message that stands alone is a request of its own.
archives = _table(
    "archives",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("request_id", Identity, primary_key=True),
    _column("archived_at", Instant),
)
