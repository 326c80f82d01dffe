"""The tables of the ways out that workspaces set up, a part of the schema (schema.py)."""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

providers = _table(
    "providers",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("number", sa.BigInteger),
    _column("version", sa.Integer),
    _column("channel", sa.Text),
    # The key of its kind (core.providers.KINDS).
    _column("provider", sa.Text),
    _column("title", sa.Text),
    _column("alias", sa.Text, null=True),
    _column("position", sa.Integer),
    _column("enabled", sa.Boolean),
    _column("settings", Json),
    # Each locked on its own (store/safe.py).
    _column("secrets", Json),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    sa.Index("providers_by_alias", "workspace_id", "alias", unique=True),
    clustered=False,
)

# A bucket of tokens for each provider whose rate is limited, which all workers share (core.provider_limits.Rate).
provider_rates = _table(
    "provider_rates",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("provider_id", sa.Text, primary_key=True),
    # When the bucket is full again.
    _column("full_at", Instant),
    fill=50,
)

# How many e-mails a provider that is warmed up has sent to a domain on a day (days since 1970, UTC).
provider_days = _table(
    "provider_days",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("provider_id", sa.Text, primary_key=True),
    _column("day", sa.Integer, primary_key=True),
    _column("domain", sa.Text, primary_key=True),
    _column("sent", sa.BigInteger),
    fill=50,
)
