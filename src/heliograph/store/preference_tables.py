"""The tables of what people may choose from, a part of the schema (schema.py).

Law: all of it is managed: people write it, seldom, and turns read it with the definitions.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

Json, Instant = columns.Json, columns.Instant
_table, _column = columns.table, columns.column

preference_sections = _table(
    "preference_sections",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("definition", Json),
    _column("created_at", Instant),
    _column("created_by", sa.Text, null=True),
    _column("updated_at", Instant),
    _column("updated_by", sa.Text, null=True),
)

preference_topics = _table(
    "preference_topics",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", sa.Text, primary_key=True),
    _column("section_id", sa.Text),
    _column("definition", Json),
    _column("created_at", Instant),
    _column("created_by", sa.Text, null=True),
    _column("updated_at", Instant),
    _column("updated_by", sa.Text, null=True),
)

# The page on which people choose, each time that it was published: core.preference_topics.Page.
preference_pages = _table(
    "preference_pages",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("version", sa.BigInteger, primary_key=True),
    _column("id", columns.Identity),
    _column("definition", Json),
    _column("published_at", Instant),
    _column("published_by", sa.Text, null=True),
)

# What holds for the people of a tenant who said nothing: core.consent.Topic.
tenant_preferences = _table(
    "tenant_preferences",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("topic_id", sa.Text, primary_key=True),
    _column("body", Json),
    _column("updated_at", Instant),
)
