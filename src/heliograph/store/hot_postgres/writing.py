"""Writing on PostgreSQL: everything that a turn decided, one statement a table, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from heliograph.store import rows
from heliograph.store.hot_postgres.alarms import write_alerts
from heliograph.store.hot_postgres.batching import write_batches
from heliograph.store.hot_postgres.bulk import write_bulk
from heliograph.store.hot_postgres.calendar import write_calendar
from heliograph.store.hot_postgres.connection import Connection, at_once, put
from heliograph.store.hot_postgres.fanout import write_fanouts
from heliograph.store.hot_postgres.ingest import EVENT_KINDS, INSERT_EVENTS, insert_due
from heliograph.store.hot_postgres.keys import write_passes, write_step_keys
from heliograph.store.hot_postgres.lists import put_subscriptions
from heliograph.store.hot_postgres.pacing import write_pacing
from heliograph.store.hot_postgres.reports import write_reports
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

RUN_KINDS = (
    Integers, Identities, Identities, Integers, Identities, Texts, Smallints, Smallints, Texts, Texts, Texts,
)  # fmt: skip
_MESSAGE_KINDS = (
    Integers, Identities, Smallints, Texts, Smallints, Texts, Identities, Identities, Integers, Integers, Identities,
    Texts, Texts, Texts, Integers, Texts, Texts, Smallints, Bigints, Texts, Texts,
    Identities, Texts,
)  # fmt: skip
_DECISIONS: LiteralString = (
    "INSERT INTO decisions SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::int2[], %s::int8[],"
    " %s::int8[], %s::int8[], %s::text[]) ON CONFLICT (workspace_id, event_id) DO UPDATE SET"
    " status = excluded.status, attempts = excluded.attempts, available_at = excluded.available_at,"
    " decided_at = excluded.decided_at, definitions_version = excluded.definitions_version, error = excluded.error"
)
RUNS: LiteralString = (
    "INSERT INTO runs SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::uuid[], %s::int4[], %s::uuid[], %s::text[],"
    " %s::int2[], %s::int2[], %s::text[], %s::text[], %s::text[])"
)
_PASSED_KINDS = (Integers, Identities, Identities, Integers, Identities, Smallints, Texts, Texts)
_PASSED_RUNS: LiteralString = (
    "INSERT INTO runs (workspace_id, id, automation_id, version, event_id, status, outcome, reason, trace)"
    " SELECT w, i, a, v, e, 2, o, r, t FROM unnest(%s::int4[], %s::uuid[], %s::uuid[], %s::int4[], %s::uuid[],"
    " %s::int2[], %s::text[], %s::text[]) u(w, i, a, v, e, o, r, t)"
)
"""Status 2 is runs.Status.DONE."""
_RUN_CHANGES: LiteralString = (
    "UPDATE runs r SET status = u.s, outcome = u.o, reason = u.r, state = u.t FROM"
    " unnest(%s::int2[], %s::int2[], %s::text[], %s::text[], %s::int4[], %s::uuid[]) u(s, o, r, t, w, i)"
    " WHERE r.workspace_id = u.w AND r.id = u.i"
)
_MESSAGES: LiteralString = (
    "INSERT INTO messages (workspace_id, id, partition, tenant_id, kind, channel, automation_id, run_id, visit,"
    " ordinal, event_id, contact_id, address, template_id, template_version, content, data, state, settled_at,"
    " attempts, error, request_id, route)"
    " SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::text[], %s::int2[],"
    " %s::text[], %s::uuid[], %s::uuid[], %s::int4[], %s::int4[], %s::uuid[], %s::text[], %s::text[], %s::text[],"
    " %s::int4[], %s::text[], %s::text[], %s::int2[], %s::int8[], %s::text[], %s::text[], %s::uuid[], %s::text[])"
)
_SEND_DUE: LiteralString = (
    "INSERT INTO send_due SELECT * FROM unnest(%s::int2[], %s::int4[], %s::uuid[], %s::int8[])"
    " ON CONFLICT DO NOTHING"
)
_CLAIMS: LiteralString = (
    "INSERT INTO claims SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int8[], %s::int8[], %s::text[])"
)
_TIMERS: LiteralString = (
    "INSERT INTO timers SELECT * FROM unnest(%s::int2[], %s::int8[], %s::int4[], %s::int2[], %s::uuid[])"
    " ON CONFLICT DO NOTHING"
)
_TIMER_KINDS = (Smallints, Bigints, Integers, Smallints, Identities)
_FORGET_TIMERS: LiteralString = (
    "DELETE FROM timers t USING unnest(%s::int2[], %s::int8[], %s::int4[], %s::int2[], %s::uuid[]) u(p, a, w, k, i)"
    " WHERE t.partition = u.p AND t.wake_at = u.a AND t.workspace_id = u.w AND t.kind = u.k AND t.id = u.i"
)
_INBOX: LiteralString = (
    "INSERT INTO inbox SELECT * FROM unnest(%s::int2[], %s::int4[], %s::uuid[], %s::int2[], %s::uuid[], %s::text[],"
    " %s::int2[]) ON CONFLICT DO NOTHING"
)
_COOLDOWNS: LiteralString = (
    "INSERT INTO cooldowns SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::text[], %s::int8[])"
    " ON CONFLICT (workspace_id, automation_id, subject) DO UPDATE SET matched_at = excluded.matched_at"
)
_RULE_COUNTS: LiteralString = (
    "INSERT INTO rule_statistics AS s SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int4[], %s::int2[],"
    " %s::int8[], %s::int8[], %s::int8[], %s::int8[]) ON CONFLICT (workspace_id, automation_id, day, partition)"
    " DO UPDATE SET total = s.total + excluded.total, matched = s.matched + excluded.matched,"
    " executed = s.executed + excluded.executed, pending = s.pending + excluded.pending"
)
_EVENT_COUNTS: LiteralString = (
    "INSERT INTO event_statistics AS s SELECT * FROM unnest(%s::int4[], %s::text[], %s::int4[], %s::int2[],"
    " %s::int8[], %s::int8[], %s::int8[]) ON CONFLICT (workspace_id, tenant_id, day, partition) DO UPDATE SET"
    " total = s.total + excluded.total, processed = s.processed + excluded.processed,"
    " failed = s.failed + excluded.failed"
)
_CONTACTS: LiteralString = (
    "INSERT INTO contacts (workspace_id, user_id, partition, number, tenant_id, profile, tags, created_at, updated_at)"
    " SELECT w, k, p, nextval('person_numbers'), t, b, g, c, u FROM unnest(%s::int4[], %s::text[], %s::int2[],"
    " %s::text[], %s::text[], %s::text[], %s::int8[], %s::int8[]) n(w, k, p, t, b, g, c, u)"
    " ON CONFLICT (workspace_id, user_id) DO UPDATE SET profile = excluded.profile, tags = excluded.tags,"
    " updated_at = excluded.updated_at"
)
_CONTACT_KINDS = (Integers, Texts, Smallints, Texts, Texts, Texts, Bigints, Bigints)
_CONVERSATIONS: LiteralString = (
    "INSERT INTO conversations (workspace_id, id, partition, number, tenant_id, attributes, tags, created_at,"
    " updated_at, contact_id, channel, status, priority, agent_id, division_id)"
    " SELECT w, k, p, nextval('person_numbers'), t, b, g, c, u, o, h, s, y, a, d FROM unnest(%s::int4[], %s::text[],"
    " %s::int2[], %s::text[], %s::text[], %s::text[], %s::int8[], %s::int8[], %s::text[], %s::text[], %s::text[],"
    " %s::text[], %s::text[], %s::text[]) n(w, k, p, t, b, g, c, u, o, h, s, y, a, d)"
    " ON CONFLICT (workspace_id, id) DO UPDATE SET attributes = excluded.attributes, tags = excluded.tags,"
    " updated_at = excluded.updated_at, contact_id = excluded.contact_id, channel = excluded.channel,"
    " status = excluded.status, priority = excluded.priority, agent_id = excluded.agent_id,"
    " division_id = excluded.division_id"
)
_CONVERSATION_KINDS = (*_CONTACT_KINDS, Texts, Texts, Texts, Texts, Texts, Texts)
_NOTES: LiteralString = (
    "INSERT INTO notes SELECT * FROM unnest(%s::int4[], %s::text[], %s::uuid[], %s::text[], %s::text[])"
)


def write(connection: Connection, writes: rows.Writes, partitions: Sequence[int], now: int) -> None:
    """Everything that the turn decided, table by table; statistics in the lane of its lowest partition.

    A turn that got none has only put by what others are to see to.
    """
    lane = min(partitions, default=None)
    with at_once(connection):
        put(
            connection,
            _DECISIONS,
            (Integers, Identities, Smallints, Smallints, Bigints, Bigints, Bigints, Texts),
            writes.decisions,
        )
        put(connection, RUNS, RUN_KINDS, writes.runs)
        put(connection, _PASSED_RUNS, _PASSED_KINDS, writes.passed_runs)
        changes = [(*change, *key) for key, change in writes.run_changes.items()]
        put(connection, _RUN_CHANGES, (Smallints, Smallints, Texts, Texts, Integers, Identities), changes)
        put(connection, _MESSAGES, _MESSAGE_KINDS, writes.messages)
        put(connection, _SEND_DUE, (Smallints, Integers, Identities, Bigints), writes.send_due)
        put(connection, _CLAIMS, (Integers, Identities, Bigints, Bigints, Texts), writes.claims)
        put(connection, INSERT_EVENTS, EVENT_KINDS, writes.events)
        if writes.due:
            insert_due(connection, writes.due)
        put(connection, _FORGET_TIMERS, _TIMER_KINDS, writes.forgotten_timers)
        put_timers(connection, writes.timers)
        put_inbox(connection, writes.inbox)
        cooldowns = sorted((*key, matched_at) for key, matched_at in writes.cooldowns.items())
        put(connection, _COOLDOWNS, (Integers, Identities, Texts, Bigints), cooldowns)
        put(connection, _CONTACTS, _CONTACT_KINDS, sorted(writes.contacts.values()))
        write_calendar(connection, writes)
        conversations = sorted(writes.conversations.values(), key=_by_name)
        put(connection, _CONVERSATIONS, _CONVERSATION_KINDS, conversations)
        put(connection, _NOTES, (Integers, Texts, Identities, Texts, Texts), writes.notes)
        put_subscriptions(connection, writes.subscriptions.values())
        write_fanouts(connection, writes)
        write_batches(connection, writes)
        write_alerts(connection, writes)
        write_reports(connection, writes.reports)
        write_passes(connection, writes.kept.passes.values())
        write_step_keys(connection, writes.kept.step_keys.values(), now)
        write_pacing(connection, writes.paced)
        write_bulk(connection, writes.bulk)
        if lane is not None:
            _count(connection, writes, lane)
            connection.execute(
                "UPDATE partitions SET last_now = %s WHERE partition = %s AND last_now < %s", (now, lane, now)
            )


def _by_name(row: rows.Conversation) -> tuple[int, str]:
    return row.workspace_id, row.id


def keep_fact(connection: Connection, name: str, value: str) -> None:
    """Remember this under a name, instead of what was known before."""
    connection.execute(
        "INSERT INTO facts (name, value) VALUES (%s,%s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _count(connection: Connection, writes: rows.Writes, lane: int) -> None:
    rules = [(*key, lane, *counts) for key, counts in sorted(writes.rule_counts.items())]
    kinds = (Integers, Identities, Integers, Smallints, Bigints, Bigints, Bigints, Bigints)
    put(connection, _RULE_COUNTS, kinds, rules)
    events = [(*key, lane, *counts) for key, counts in sorted(writes.event_counts.items())]
    put(
        connection,
        _EVENT_COUNTS,
        (Integers, Texts, Integers, Smallints, Bigints, Bigints, Bigints),
        events,
    )


def put_timers(connection: Connection, timers: Sequence[rows.Timer]) -> None:
    """Set timers; one that is set already stays."""
    put(connection, _TIMERS, _TIMER_KINDS, timers)


def put_inbox(connection: Connection, inbox: Sequence[rows.Inbox]) -> None:
    """Lay rows into inboxes; one that lies there already stays."""
    put(connection, _INBOX, (Smallints, Integers, Identities, Smallints, Identities, Texts, Smallints), inbox)
