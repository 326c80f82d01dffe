"""The tables of what messages say and how they look, a part of the schema (schema.py).

Law: all of it is managed: people write it, seldom. Versions are kept for ever, because messages are made from them.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json, Instant = columns.Identity, columns.Json, columns.Instant
_table, _column = columns.table, columns.column

templates = _table(
    "templates",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("number", sa.BigInteger),
    _column("version", sa.Integer),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    # `template`, or `group`: a communication group is a template that belongs to a tenant and has a definition;
    # of a template it is the draft, and version 0 is one that was never published.
    _column("kind", sa.Text, server_default="template"),
    _column("tenant_id", sa.Text, null=True),
    _column("definition", Json, null=True),
    # False for ever once a date automation sends it.
    _column("is_editable", sa.Boolean, server_default=sa.true()),
    # Another name that it is sent by; and the brand in whose look its published version is drawn (null: in none).
    _column("alias", sa.Text, null=True),
    _column("brand_id", sa.Text, null=True),
    _column("archived_at", Instant, null=True),
    # What its published version is about.
    _column("topic_id", sa.Text, null=True),
    # By which channels its published version is sent.
    _column("routing_id", sa.Text, null=True),
    sa.Index("templates_by_alias", "workspace_id", "alias", unique=True),
)

template_versions = _table(
    "template_versions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("version", sa.Integer, primary_key=True),
    _column("content", Json),
    _column("created_at", Instant),
    clustered=False,
)

brands = _table(
    "brands",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("number", sa.BigInteger),
    _column("version", sa.Integer),
    _column("definition", Json),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    clustered=False,
)

brand_versions = _table(
    "brand_versions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("version", sa.Integer, primary_key=True),
    # The look that it came to, what it inherited filled in.
    _column("look", Json),
    _column("created_at", Instant),
    clustered=False,
)

# By which channels messages go that say nothing of it themselves.
routing_strategies = _table(
    "routing_strategies",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("number", sa.BigInteger),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    _column("definition", Json),
    clustered=False,
)

# What a platform's records are, and which of their fields conditions and merge fields may name.
resource_schemas = _table(
    "resource_schemas",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("number", sa.BigInteger),
    _column("version", sa.Integer),
    _column("definition", Json),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    clustered=False,
)
