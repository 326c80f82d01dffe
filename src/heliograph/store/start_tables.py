"""The tables of what runs were started with, a part of the schema (schema.py).

Law: written once, with the run. Runs of rules have no row here: what they were started with is their event. A key that
somebody named outlives its run, because it must not be used twice.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json = columns.Identity, columns.Json
_table, _column, _index = columns.table, columns.column, columns.index

# `door` says what started the run: see core.effects.Door.
starts = _table(
    "starts",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("run_id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("door", sa.SmallInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("contact_id", sa.Text, null=True),
    _column("token", sa.Text, null=True),
    _column("body", Json),
    _index("starts_by_token", "workspace_id", "token", where="token IS NOT NULL"),
    # Whose runs end with them when they are deleted.
    _index("starts_by_contact", "workspace_id", "contact_id", where="contact_id IS NOT NULL"),
)

start_keys = _table(
    "start_keys",
    _column("automation_id", Identity, primary_key=True),
    _column("start_key", sa.Text, primary_key=True),
)
