"""The tables of workspaces: who may what in them, and their automations, a part of the schema (schema.py).

Law: people write them, seldom; turns read them again when `definitions_version` has risen.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

metadata, Identity, Json, Instant = columns.metadata, columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

workspaces = sa.Table(
    "workspaces",
    metadata,
    _column("id", sa.Integer, primary_key=True, autoincrement=True),
    _column("name", sa.Text, unique=True),
    # Raised by every change of a definition or of the control record; a turn reads it instead of the definitions.
    _column("definitions_version", sa.BigInteger, server_default="1"),
    _column("settings", Json, server_default="{}"),
    _column("is_paused", sa.Boolean, server_default=sa.false()),
    _column("pause_reason", sa.Text, null=True),
    _column("paused_until", Instant, null=True),
    # When the newest pause ended, unless it holds: no turn looks for it among the versions.
    _column("pause_ended_at", Instant, server_default="0"),
    _column("hold_deliveries", sa.Boolean, server_default=sa.false()),
    _column("sandbox", sa.Boolean, server_default=sa.false()),
    _column("control_updated_at", Instant),
    _column("control_updated_by", sa.Text, null=True),
    _column("created_at", Instant),
    _column("webhook_secrets", Json, null=True),
)

control_versions = _table(
    "control_versions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("valid_from", Instant, primary_key=True),
    _column("control", Json),
)

counters = _table(
    "counters",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("kind", sa.Text, primary_key=True),
    _column("value", sa.BigInteger),
)

api_keys = _table(
    "api_keys",
    _column("id", Identity, primary_key=True),
    _column("workspace_id", sa.Integer),
    _column("tenant_id", sa.Text, null=True),
    _column("number", sa.BigInteger),
    _column("name", sa.Text),
    _column("role", sa.Text),
    _column("digest", sa.LargeBinary),
    _column("created_at", Instant),
    _column("revoked_at", Instant, null=True),
    # The folders of lists that it is kept to, where its workspace keeps them apart.
    _column("folders", Json, null=True),
)

automations = _table(
    "automations",
    _column("id", Identity, primary_key=True),
    _column("workspace_id", sa.Integer),
    _column("tenant_id", sa.Text, null=True),
    _column("kind", sa.Text),
    _column("number", sa.BigInteger),
    _column("version", sa.Integer),
    _column("trigger_type", sa.Text, null=True),
    _column("definition", Json),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    _column("deleted_at", Instant, null=True),
    sa.Index("automations_by_kind", "workspace_id", "kind", "number", unique=True),
    clustered=False,
)

automation_versions = _table(
    "automation_versions",
    _column("automation_id", Identity, primary_key=True),
    _column("version", sa.Integer, primary_key=True),
    _column("workspace_id", sa.Integer),
    _column("valid_from", Instant),
    _column("definition", Json),
    # From which version of the workspace's definitions on it holds; null where that was not kept yet.
    _column("definitions_version", sa.BigInteger, null=True),
    clustered=False,
)
