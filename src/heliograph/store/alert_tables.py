"""The table of alerts, a part of the schema (schema.py).

Law: a row is written by the turns of its timer's partition alone, and is there as long as it keeps somebody from being
told twice.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Instant = columns.Identity, columns.Instant
_table, _column = columns.table, columns.column

# What has been told of a rule that is, or was, alarming (core.alert_notices.Standing).
alerts = _table(
    "alerts",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("automation_id", Identity, primary_key=True),
    _column("told", sa.SmallInteger),
    _column("worst", sa.SmallInteger),
    _column("notified_at", Instant),
    _column("since", Instant),
    _column("alarming_at", Instant),
    _column("notices", sa.Integer),
)
