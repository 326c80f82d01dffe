"""The tables of consent, a part of the schema (schema.py).

Law: one row of words for a contact and a tenant (an empty text: the workspace itself), so that a turn reads one row a
recipient, and beside it one for each time that they said something else; an address that nothing is sent to has a row
of its own, whoever it belongs to.
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

# What was said anew of a topic, and what was said before: core.consent.Topic.
consent_changes = _table(
    "consent_changes",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", columns.Identity, primary_key=True),
    _column("user_id", sa.Text),
    _column("tenant_id", sa.Text),
    _column("topic_id", sa.Text),
    _column("topic_name", sa.Text),
    _column("before", Json, null=True),
    _column("after", Json),
    sa.Index("consent_changes_by_user", "workspace_id", "user_id", "id"),
    columns.index("consent_changes_by_tenant", "workspace_id", "tenant_id", "id", where="tenant_id <> ''"),
)

suppressions = _table(
    "suppressions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("address", sa.Text, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("reason", sa.Text),
    _column("created_at", Instant),
)

# Of an address of which something was told: its soft bounces, and since when they count (core.reports.Account).
soft_bounces = _table(
    "soft_bounces",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("address", sa.Text, primary_key=True),
    _column("bounced_at", Json),
)
