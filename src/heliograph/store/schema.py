"""One schema for SQLite and PostgreSQL.

Law: a table is either *hot* (the engine's turn writes it; rows carry `workspace_id` and `partition`, keys are
time-ordered, nothing random is indexed) or *managed* (people write it, seldom). What is due stands in narrow
queue tables whose rows are deleted when done; what happened (events, decisions, runs, messages) is written once
and, but for outcomes, not updated. Instants are microseconds since 1970 UTC; JSON is text as it was received.
There is no NOW() here: time comes with the values.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from heliograph.core import effects
from heliograph.store import (
    alert_tables,
    audience_tables,
    batch_tables,
    bulk_tables,
    columns,
    consent_tables,
    conversation_tables,
    design_tables,
    device_tables,
    erasure_tables,
    fanout_tables,
    key_tables,
    list_tables,
    place_tables,
    policy_tables,
    preference_tables,
    provider_tables,
    report_tables,
    request_tables,
    start_tables,
    tenant_tables,
    workspace_tables,
)

metadata = columns.metadata
Identity = columns.Identity
Json = columns.Json
Instant = columns.Instant
_table, _queue, _column, _index = columns.table, columns.queue, columns.column, columns.index

# ── managed: who owns, who may, what is defined ─────────────────────────────────────────────────────

workspaces, control_versions = workspace_tables.workspaces, workspace_tables.control_versions
counters, api_keys = workspace_tables.counters, workspace_tables.api_keys
automations, automation_versions = workspace_tables.automations, workspace_tables.automation_versions
segments = audience_tables.segments
templates, template_versions = design_tables.templates, design_tables.template_versions
brands, brand_versions = design_tables.brands, design_tables.brand_versions
resource_schemas, routing_strategies = design_tables.resource_schemas, design_tables.routing_strategies
providers = provider_tables.providers
provider_rates, provider_days = provider_tables.provider_rates, provider_tables.provider_days

# ── people and what is talked about: written by people and by turns ─────────────────────────────────

contacts = _table(
    "contacts",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("user_id", sa.Text, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("number", sa.BigInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("profile", Json),
    _column("tags", Json, server_default="[]"),
    _column("created_at", Instant),
    _column("updated_at", Instant),
    # By which a fan-out walks the people of a partition; in the order of bytes on both databases.
    sa.Index(
        "contacts_by_partition",
        "workspace_id",
        "partition",
        "user_id",
        postgresql_ops={"user_id": "text_pattern_ops"},
    ),
    # By which a tenant's people are listed.
    _index("contacts_by_tenant", "workspace_id", "tenant_id", "user_id", where="tenant_id IS NOT NULL"),
)

# Who has their birthday when: month * 100 + day, so that a day's are found without a look at everybody.
birthdays = _table(
    "birthdays",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("partition", sa.SmallInteger, primary_key=True),
    _column("birthday", sa.SmallInteger, primary_key=True),
    _column("user_id", sa.Text, primary_key=True),
    _column("tenant_id", sa.Text, null=True),
    _column("known_at", Instant),
)

conversations, notes = conversation_tables.conversations, conversation_tables.notes
agents, divisions = conversation_tables.agents, conversation_tables.divisions
lists, subscriptions = list_tables.lists, list_tables.subscriptions
audiences = audience_tables.audiences
consents, suppressions = consent_tables.consents, consent_tables.suppressions
soft_bounces, consent_changes = consent_tables.soft_bounces, consent_tables.consent_changes
message_references = report_tables.message_references
preference_sections = preference_tables.preference_sections
preference_topics = preference_tables.preference_topics
preference_pages = preference_tables.preference_pages
tenant_preferences = preference_tables.tenant_preferences
tenants, tenant_users = tenant_tables.tenants, tenant_tables.tenant_users

# ── hot: what came in, what is due, what was decided ────────────────────────────────────────────────

events = _table(
    "events",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("event_type", sa.Text),
    _column("contact_id", sa.Text, null=True),
    _column("conversation_id", sa.Text, null=True),
    _column("source", sa.Text),
    _column("channel_source", sa.Text, null=True),
    _column("occurred_at", Instant, null=True),
    _column("depth", sa.SmallInteger),
    _column("payload", Json),
    _column("previous", Json, null=True),
)

due = _queue(
    "due",
    _column("partition", sa.SmallInteger),
    _column("workspace_id", sa.Integer),
    _column("event_id", Identity),
)

decisions = _table(
    "decisions",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("event_id", Identity, primary_key=True),
    _column("status", sa.SmallInteger),
    _column("attempts", sa.SmallInteger),
    _column("available_at", Instant, null=True),
    _column("decided_at", Instant, null=True),
    _column("definitions_version", sa.BigInteger),
    _column("error", sa.Text, null=True),
    # Few events are not PROCESSED (3), and those are looked for.
    _index("decisions_unsettled", "workspace_id", "status", "event_id", where="status <> 3"),
)

event_places, event_place_marks = place_tables.event_places, place_tables.event_place_marks

idempotency_keys = _table(
    "idempotency_keys",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("key", sa.Text, primary_key=True),
    _column("event_id", Identity),
    _column("fingerprint", sa.LargeBinary),
    _column("expires_at", Instant),
    sa.Index("idempotency_keys_by_expiry", "expires_at"),
)

runs = _table(
    "runs",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("automation_id", Identity),
    _column("version", sa.Integer),
    _column("event_id", Identity, null=True),
    # A rule's start key is its event, which is decided in one transaction with all its runs: there is none here.
    _column("start_key", sa.Text, null=True),
    _column("status", sa.SmallInteger),
    _column("outcome", sa.SmallInteger),
    _column("reason", sa.Text, null=True),
    _column("trace", Json, null=True),
    _column("state", Json, null=True),
    sa.Index("runs_by_automation", "automation_id", "id"),
    fill=75,
)

# `kind` says what wakes: see core.effects.Timer.
timers = _queue(
    "timers",
    _column("partition", sa.SmallInteger),
    _column("wake_at", Instant),
    _column("workspace_id", sa.Integer),
    _column("kind", sa.SmallInteger),
    _column("id", Identity),
    # Events that are tried again: few, and taken out of line when whom they are about is deleted.
    _index("timers_of_events", "workspace_id", "id", where="kind = 1"),
    # Requests to send that wait, which are listed among the messages.
    _index("timers_of_requests", "workspace_id", "id", where="kind = 10"),
    # By which workspaces share turns that timers fill.
    sa.Index("timers_by_workspace", "workspace_id", "wake_at", "kind", "id", "partition"),
)


def timers_are(kind: effects.Timer) -> sa.ColumnElement[bool]:
    """What the timers of a kind meet, word for word as an index over them says it."""
    return sa.literal_column("timers.kind") == sa.literal_column(str(int(kind)))


def is_reached(column: sa.Column[Any], tenant_id: str | None) -> sa.ColumnElement[bool]:
    """The same of rows as `tenants.reaches` of one; `column` has whose they are."""
    return sa.true() if tenant_id is None else sa.or_(column.is_(None), column == tenant_id)


# What one subject owes another, and the answers of the outside: insert only, unique on the effect's id and kind.
inbox = _queue(
    "inbox",
    _column("partition", sa.SmallInteger),
    _column("workspace_id", sa.Integer),
    _column("id", Identity),
    _column("kind", sa.SmallInteger),
    _column("run_id", Identity, null=True),
    _column("body", Json),
    _column("attempts", sa.SmallInteger),
)

cooldowns = _table(
    "cooldowns",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("automation_id", Identity, primary_key=True),
    _column("subject", sa.Text, primary_key=True),
    _column("matched_at", Instant),
)

rule_statistics = _table(
    "rule_statistics",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("automation_id", Identity, primary_key=True),
    _column("day", sa.Integer, primary_key=True),
    _column("partition", sa.SmallInteger, primary_key=True),
    _column("total", sa.BigInteger),
    _column("matched", sa.BigInteger),
    _column("executed", sa.BigInteger),
    _column("pending", sa.BigInteger),
)

event_statistics = _table(
    "event_statistics",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("tenant_id", sa.Text, primary_key=True),
    _column("day", sa.Integer, primary_key=True),
    _column("partition", sa.SmallInteger, primary_key=True),
    # Whatever a turn has looked at, in the end or not; a tenant's or, under an empty text, nobody's.
    _column("total", sa.BigInteger),
    _column("processed", sa.BigInteger),
    _column("failed", sa.BigInteger),
)

partitions = _table(
    "partitions",
    _column("partition", sa.SmallInteger, primary_key=True),
    _column("last_now", Instant),
)

# ── hot: from one definition to many people ─────────────────────────────────────────────────────────

campaigns, fanouts, cursors = fanout_tables.campaigns, fanout_tables.fanouts, fanout_tables.cursors

starts, start_keys = start_tables.starts, start_tables.start_keys
batches, batch_items = batch_tables.batches, batch_tables.batch_items
alerts, passes, erasures = alert_tables.alerts, key_tables.passes, erasure_tables.erasures
step_keys, request_keys = key_tables.step_keys, key_tables.request_keys
sending_policies, recent_sends = policy_tables.sending_policies, policy_tables.recent_sends
device_tokens = device_tables.device_tokens
requests, archives = request_tables.requests, request_tables.archives
bulk_jobs, bulk_users = bulk_tables.bulk_jobs, bulk_tables.bulk_users

# ── hot: the way out ────────────────────────────────────────────────────────────────────────────────

messages = _table(
    "messages",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("partition", sa.SmallInteger),
    _column("tenant_id", sa.Text, null=True),
    _column("kind", sa.SmallInteger),
    _column("channel", sa.Text),
    _column("automation_id", Identity, null=True),
    _column("run_id", Identity, null=True),
    _column("visit", sa.Integer),
    _column("ordinal", sa.Integer),
    _column("event_id", Identity, null=True),
    _column("contact_id", sa.Text, null=True),
    _column("address", sa.Text, null=True),
    _column("template_id", sa.Text, null=True),
    _column("template_version", sa.Integer, null=True),
    _column("content", Json, null=True),
    _column("data", Json, null=True),
    _column("state", sa.SmallInteger),
    _column("settled_at", Instant, null=True),
    _column("attempts", Json, null=True),
    _column("error", sa.Text, null=True),
    # What reports tell, and the state that a message has by them; no row has any of it before a report came.
    _column("reached", sa.SmallInteger, null=True),
    _column("delivered_at", Instant, null=True),
    _column("opened_at", Instant, null=True),
    _column("clicked_at", Instant, null=True),
    _column("told", Json, null=True),
    _column("request_id", Identity, null=True),
    _column("route", Json, null=True),
    # Partial both, or a plan that PostgreSQL made while the table was small would look up ids in them for ever.
    _index("messages_by_contact", "workspace_id", "contact_id", "id", where="contact_id IS NOT NULL"),
    _index("messages_by_address", "workspace_id", "address", "id", where="contact_id IS NULL"),
    # The jobs of a campaign: of messages, those that no run asked for.
    _index(
        "messages_by_campaign", "automation_id", "id", where="run_id IS NULL AND automation_id IS NOT NULL"
    ),
    _index("messages_by_request", "request_id", "id", where="request_id IS NOT NULL"),
    fill=50,
)

send_due = _queue(
    "send_due",
    _column("partition", sa.SmallInteger),
    _column("workspace_id", sa.Integer),
    _column("message_id", Identity),
    _column("due_at", Instant),
)

claims = _table(
    "claims",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("message_id", Identity, primary_key=True),
    _column("lease_until", Instant),
    _column("claimed_at", Instant),
    _column("claimed_by", sa.Text),
    sa.Index("claims_by_lease", "lease_until"),
)

facts = _table("facts", _column("name", sa.Text, primary_key=True), _column("value", sa.Text))

QUEUE_KEYS = {
    # SQLite has one process, so each queue is one line in order of time; PostgreSQL's workers share out partitions.
    "sqlite": {
        "due": ("workspace_id", "event_id"),
        "timers": ("wake_at", "workspace_id", "kind", "id"),
        "inbox": ("workspace_id", "id", "kind"),
        "send_due": ("workspace_id", "message_id"),
    },
    "postgresql": {
        "due": ("partition", "workspace_id", "event_id"),
        "timers": ("partition", "wake_at", "workspace_id", "kind", "id"),
        "inbox": ("partition", "workspace_id", "id", "kind"),
        "send_due": ("partition", "workspace_id", "message_id"),
    },
}
"""The primary keys of the queues in each database (docs/decisions/0003)."""
