"""The table of device tokens, a part of the schema (schema.py).

Law: a row is a device of somebody's; the newest that is usable stands in their profile too.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
_table, _column, _index = columns.table, columns.column, columns.index

# `body` is the JSON of core.device_tokens.Token; `expires_at` is absent where it never does.
device_tokens = _table(
    "device_tokens",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("user_id", sa.Text, primary_key=True),
    _column("token", sa.Text, primary_key=True),
    _column("body", Json),
    _column("registered_at", Instant),
    _column("expires_at", Instant, null=True),
    _index("device_tokens_by_expiry", "expires_at", where="expires_at IS NOT NULL"),
)
