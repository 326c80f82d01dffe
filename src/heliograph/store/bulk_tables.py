"""The tables of bulk jobs, a part of the schema (schema.py).

Law: users are written as they are added, and once more with the request that each became.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

# `definition` as it was given; `said` is the JSON of core.requests.Request without recipients, `place` how many of
# the users were seen to.
bulk_jobs = _table(
    "bulk_jobs",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("definition", Json),
    _column("said", Json),
    _column("state", sa.SmallInteger),
    _column("received", sa.Integer),
    _column("place", sa.Integer),
    _column("failures", sa.Integer),
    _column("attempts", sa.SmallInteger),
    _column("error", sa.Text, null=True),
)

# In the order in which they were added; `said` is the JSON of core.requests.To, absent where nobody is named.
bulk_users = _table(
    "bulk_users",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("job_id", Identity, primary_key=True),
    _column("ordinal", sa.Integer, primary_key=True),
    _column("given", Json),
    _column("said", Json, null=True),
    _column("request_id", Identity, null=True),
)
