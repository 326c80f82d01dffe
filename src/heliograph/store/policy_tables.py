"""The tables of sending policies, a part of the schema (schema.py).

Law: each change of a policy is a row of its own, of which the latest holds; what a contact was lately sent is one row,
so that a turn reads one a recipient.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
_table, _column = columns.table, columns.column

# Of a tenant or, under an empty text, of the workspace itself; see core.sending_policies.
sending_policies = _table(
    "sending_policies",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("valid_from", Instant, primary_key=True),
    _column("policy", Json),
    _column("updated_by", sa.Text, null=True),
)

# When counted messages were let go to a contact, and when that does not matter any more.
recent_sends = _table(
    "recent_sends",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("user_id", sa.Text, primary_key=True),
    _column("counts", Json),
    _column("expires_at", Instant),
    sa.Index("recent_sends_by_expiry", "expires_at"),
)
