"""The table of people who are being taken out of history, a part of the schema (schema.py).

Law: a row stands from the transaction that deletes a contact until nothing names them any more.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json = columns.Identity, columns.Json
_table, _column = columns.table, columns.column

erasures = _table(
    "erasures",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("user_id", sa.Text),
    # core.pseudonyms.Pseudonym
    _column("pseudonym", Json),
    # Up to which event it has come, and up to which it goes; null before the walk over events has begun.
    _column("reached", Identity, null=True),
    _column("until", Identity, null=True),
    # The tenant that deletes them, to which rows of other tenants are somebody else's; null: they are meant in all.
    _column("tenant_id", sa.Text, null=True),
    sa.Index("erasures_by_user", "workspace_id", "user_id"),
)
