"""The tables of idempotency keys and throttled groups, a part of the schema (schema.py).

Law: a key is looked up by what it holds for, and forgotten when it has expired.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

# What a step of a journey did once: see core.step_keys.
step_keys = _table(
    "step_keys",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("action", sa.Text, primary_key=True),
    _column("key", sa.Text, primary_key=True),
    _column("run_id", Identity),
    _column("answer", Json),
    _column("expires_at", Instant),
    sa.Index("step_keys_by_expiry", "expires_at"),
)

# When the last runs of a throttled group passed, and when that does not matter any more.
passes = _table(
    "passes",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("group_key", sa.Text, primary_key=True),
    _column("passed_at", Json),
    _column("expires_at", Instant),
    sa.Index("passes_by_expiry", "expires_at"),
)

# The first answer to a request with an `Idempotency-Key`; no status: it is being worked, until `lease_until`.
request_keys = _table(
    "request_keys",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("scope", sa.Text, primary_key=True),
    _column("key", sa.Text, primary_key=True),
    _column("fingerprint", sa.LargeBinary),
    _column("status", sa.SmallInteger, null=True),
    _column("headers", Json, null=True),
    _column("body", sa.LargeBinary, null=True),
    _column("begun_at", Instant),
    _column("lease_until", Instant),
    _column("expires_at", Instant),
    sa.Index("request_keys_by_expiry", "expires_at"),
)
