"""The statements of a turn, of ingest and of delivery on PostgreSQL: many processes, partitions shared out by lock.

Law: bulk statements over packed arrays, nothing per row that could be per batch. hot_sqlite has the same names; one
suite runs on both. Inside, a file for each part of the data's way.
"""

from __future__ import annotations

from heliograph.store.hot_postgres.alarms import read_alerts, read_rule_counts
from heliograph.store.hot_postgres.batching import read_batch_items, read_batches, read_open_batches
from heliograph.store.hot_postgres.bulk import read_bulk_jobs, read_bulk_users
from heliograph.store.hot_postgres.calendar import (
    read_new_birthdays,
    read_walks,
    walk_birthdays,
    where_birthdays,
)
from heliograph.store.hot_postgres.connection import (
    APPLICATION,
    CHANNEL,
    LINE,
    LINE_MOVES,
    MANAGEMENT,
    Connection,
    Listener,
    at_once,
    begin,
    begin_reading,
    commit,
    connect,
    end_sessions,
    is_closed,
    lock_partitions,
    look_at_tables,
    rollback,
    schema_version,
    stalled,
    tidy,
)
from heliograph.store.hot_postgres.consent import read_consents, read_erasures, read_suppressions
from heliograph.store.hot_postgres.delivery import claim, end_leases, read_versions, settle, take_expired
from heliograph.store.hot_postgres.fanout import (
    read_campaigns,
    read_cursors,
    read_fanouts,
    read_stopping,
    walk_contacts,
)
from heliograph.store.hot_postgres.ingest import accept, backlog, find_keys, forget_keys
from heliograph.store.hot_postgres.keys import read_passes, read_step_keys
from heliograph.store.hot_postgres.limits import keep_limits, lock_rates, read_days
from heliograph.store.hot_postgres.lists import (
    drop_subscriptions,
    put_subscriptions,
    read_lists,
    walk_subscribers,
)
from heliograph.store.hot_postgres.pacing import read_recipients
from heliograph.store.hot_postgres.reading import (
    read_attempts,
    read_contacts,
    read_conversations,
    read_cooldowns,
    read_events,
    read_messages,
    read_runs,
    read_span,
)
from heliograph.store.hot_postgres.reports import read_reached, read_soft_bounces
from heliograph.store.hot_postgres.requests import read_requests
from heliograph.store.hot_postgres.starting import (
    cancel_by_token,
    cancel_messages,
    put_started,
    put_waiting,
    read_starts,
    start,
    take_keys,
)
from heliograph.store.hot_postgres.taking import last_now, next_due, take
from heliograph.store.hot_postgres.tenants import read_tenant_profiles
from heliograph.store.hot_postgres.writing import keep_fact, write

__all__ = [
    "APPLICATION",
    "CHANNEL",
    "LINE",
    "LINE_MOVES",
    "MANAGEMENT",
    "Connection",
    "Listener",
    "accept",
    "at_once",
    "backlog",
    "begin",
    "begin_reading",
    "cancel_by_token",
    "cancel_messages",
    "claim",
    "commit",
    "connect",
    "drop_subscriptions",
    "end_leases",
    "end_sessions",
    "find_keys",
    "forget_keys",
    "is_closed",
    "keep_fact",
    "keep_limits",
    "last_now",
    "lock_partitions",
    "lock_rates",
    "look_at_tables",
    "next_due",
    "put_started",
    "put_subscriptions",
    "put_waiting",
    "read_alerts",
    "read_attempts",
    "read_batch_items",
    "read_batches",
    "read_bulk_jobs",
    "read_bulk_users",
    "read_campaigns",
    "read_consents",
    "read_contacts",
    "read_conversations",
    "read_cooldowns",
    "read_cursors",
    "read_days",
    "read_erasures",
    "read_events",
    "read_fanouts",
    "read_lists",
    "read_messages",
    "read_new_birthdays",
    "read_open_batches",
    "read_passes",
    "read_reached",
    "read_recipients",
    "read_requests",
    "read_rule_counts",
    "read_runs",
    "read_soft_bounces",
    "read_span",
    "read_starts",
    "read_step_keys",
    "read_stopping",
    "read_suppressions",
    "read_tenant_profiles",
    "read_versions",
    "read_walks",
    "rollback",
    "schema_version",
    "settle",
    "stalled",
    "start",
    "take",
    "take_expired",
    "take_keys",
    "tidy",
    "walk_birthdays",
    "walk_contacts",
    "walk_subscribers",
    "where_birthdays",
    "write",
]
