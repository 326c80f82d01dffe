"""The tables of fan-outs, a part of the schema (schema.py).

Law: a cursor is written by the turns of its partition alone; what a fan-out goes by is written once.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

# How a campaign stands; what it says is in `automations`. Written by people and by the turns of its partition.
campaigns = _table(
    "campaigns",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("automation_id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("state", sa.SmallInteger),
    _column("due_at", Instant, null=True),
    _column("started_at", Instant, null=True),
    _column("settled_at", Instant, null=True),
    _column("action", sa.SmallInteger),
    _column("error", sa.Text, null=True),
    _column("is_stopping", sa.Boolean),
)

# What a fan-out goes by, as it was when it began.
fanouts = _table(
    "fanouts",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("automation_id", Identity),
    _column("version", sa.Integer),
    _column("body", Json),
    _column("created_at", Instant),
    # The run that asked for it, which hears what became of it; a campaign's fan-out has none.
    _column("run_id", Identity, null=True),
)

# How far a date automation has come through the people of one birthday in a partition; deleted when it is through.
calendar_walks = _table(
    "calendar_walks",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("automation_id", Identity),
    _column("birth", sa.Integer),
    _column("birthday", sa.SmallInteger),
    _column("place", sa.Text),
)

# How far a fan-out has come in one partition: `place` is the last person who was judged.
cursors = _table(
    "cursors",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("fanout_id", Identity),
    _column("part", sa.SmallInteger),
    _column("place", sa.Text),
    _column("judged", sa.BigInteger),
    _column("jobs", sa.BigInteger),
    _column("sent", sa.BigInteger),
    _column("failed", sa.BigInteger),
    _column("skipped", sa.BigInteger),
    _column("uncertain", sa.BigInteger),
    _column("done_at", Instant, null=True),
    _column("attempts", sa.SmallInteger),
    _column("error", sa.Text, null=True),
    fill=50,
)
