"""The tables of consent, a part of the schema (schema.py).

Law: one row of words for a contact and a tenant (an empty text: the workspace itself), so that a turn reads one row a
recipient; an address that nothing is sent to has a row of its own, whoever it belongs to.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
_table, _column = columns.table, columns.column

consents = _table(
    "consents",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("user_id", sa.Text, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("body", Json),
    _column("updated_at", Instant),
)

suppressions = _table(
    "suppressions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("address", sa.Text, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("reason", sa.Text),
    _column("created_at", Instant),
)

# Of an address whose last messages bounced, and might not have: when (µs, a JSON array).
soft_bounces = _table(
    "soft_bounces",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("address", sa.Text, primary_key=True),
    _column("bounced_at", Json),
)
