"""Writing on PostgreSQL: everything that a turn decided, one statement a table, in one round trip."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, LiteralString

from heliograph.core import runs
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
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts, made_of

RUN_KINDS = (
    Integers, Identities, Identities, Integers, Identities, Texts, Smallints, Smallints, Texts, Texts, Texts,
)  # fmt: skip
_MESSAGE_KINDS = (
    Integers, Identities, Smallints, Texts, Smallints, Texts, Identities, Identities, Integers, Integers, Identities,
    Texts, Texts, Texts, Integers, Texts, Texts, Smallints, Bigints, Texts, Texts,
    Identities, Texts,
)  # fmt: skip
_DECISION_KINDS = (Integers, Identities, Smallints, Smallints, Bigints, Bigints, Bigints, Texts)
_DECISIONS: LiteralString = f"INSERT INTO decisions {made_of(_DECISION_KINDS)}"
_DECIDED_AGAIN: LiteralString = (
    f"{_DECISIONS} ON CONFLICT (workspace_id, event_id) DO UPDATE SET"
    " status = excluded.status, attempts = excluded.attempts, available_at = excluded.available_at,"
    " decided_at = excluded.decided_at, definitions_version = excluded.definitions_version, error = excluded.error"
)
RUNS: LiteralString = f"INSERT INTO runs {made_of(RUN_KINDS)}"
START_KINDS = (Integers, Identities, Smallints, Smallints, Texts, Texts, Texts, Texts)
STARTS: LiteralString = f"INSERT INTO starts {made_of(START_KINDS)}"
_DONE = int(runs.Status.DONE)
_BY_ID = operator.itemgetter(rows.Run._fields.index("id"))
_RUN_CHANGES: LiteralString = (
    "UPDATE runs r SET status = u.s, outcome = u.o, reason = u.r, state = u.t FROM"
    " unnest(%s::int2[], %s::int2[], %s::text[], %s::text[], %s::int4[], %s::uuid[]) u(s, o, r, t, w, i)"
    " WHERE r.workspace_id = u.w AND r.id = u.i"
)
_MESSAGES: LiteralString = (
    "INSERT INTO messages (workspace_id, id, partition, tenant_id, kind, channel, automation_id, run_id, visit,"
    " ordinal, event_id, contact_id, address, template_id, template_version, content, data, state, settled_at,"
    f" attempts, error, request_id, route) {made_of(_MESSAGE_KINDS)}"
)
_SEND_DUE_KINDS = (Smallints, Integers, Identities, Bigints)
_SEND_DUE: LiteralString = f"INSERT INTO send_due {made_of(_SEND_DUE_KINDS)} ON CONFLICT DO NOTHING"
_CLAIM_KINDS = (Integers, Identities, Bigints, Bigints, Texts)
_CLAIMS: LiteralString = f"INSERT INTO claims {made_of(_CLAIM_KINDS)}"
_TIMER_KINDS = (Smallints, Bigints, Integers, Smallints, Identities)
_TIMERS: LiteralString = f"INSERT INTO timers {made_of(_TIMER_KINDS)} ON CONFLICT DO NOTHING"
_FORGET_TIMERS: LiteralString = (
    "DELETE FROM timers t USING unnest(%s::int2[], %s::int8[], %s::int4[], %s::int2[], %s::uuid[]) u(p, a, w, k, i)"
    " WHERE t.partition = u.p AND t.wake_at = u.a AND t.workspace_id = u.w AND t.kind = u.k AND t.id = u.i"
)
_INBOX_KINDS = (Smallints, Integers, Identities, Smallints, Identities, Texts, Smallints)
_INBOX: LiteralString = f"INSERT INTO inbox {made_of(_INBOX_KINDS)} ON CONFLICT DO NOTHING"
_COOLDOWN_KINDS = (Integers, Identities, Texts, Bigints)
_COOLDOWNS: LiteralString = (
    f"INSERT INTO cooldowns {made_of(_COOLDOWN_KINDS)}"
    " ON CONFLICT (workspace_id, automation_id, subject) DO UPDATE SET matched_at = excluded.matched_at"
)
_RULE_COUNT_KINDS = (Integers, Identities, Integers, Smallints, Bigints, Bigints, Bigints, Bigints)
_RULE_COUNTS: LiteralString = (
    f"INSERT INTO rule_statistics AS s {made_of(_RULE_COUNT_KINDS)}"
    " ON CONFLICT (workspace_id, automation_id, day, partition)"
    " DO UPDATE SET total = s.total + excluded.total, matched = s.matched + excluded.matched,"
    " executed = s.executed + excluded.executed, pending = s.pending + excluded.pending"
)
_EVENT_COUNT_KINDS = (Integers, Texts, Integers, Smallints, Bigints, Bigints, Bigints)
_EVENT_COUNTS: LiteralString = (
    f"INSERT INTO event_statistics AS s {made_of(_EVENT_COUNT_KINDS)}"
    " ON CONFLICT (workspace_id, tenant_id, day, partition) DO UPDATE SET"
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
_NOTE_KINDS = (Integers, Texts, Identities, Texts, Texts)
_NOTES: LiteralString = f"INSERT INTO notes {made_of(_NOTE_KINDS)}"


def write(connection: Connection, writes: rows.Writes, partitions: Sequence[int], now: int) -> None:
    """Everything that the turn decided, table by table; statistics in the lane of its lowest partition.

    A turn that got none has only put by what others are to see to.
    """
    lane = min(partitions, default=None)
    with at_once(connection):
        put(connection, _DECISIONS, _DECISION_KINDS, writes.decisions)
        put(connection, _DECIDED_AGAIN, _DECISION_KINDS, writes.decided_again)
        put(connection, RUNS, RUN_KINDS, _new_runs(writes))
        put(connection, STARTS, START_KINDS, [start for _, start in writes.started.values()])
        changes = [(*change, *key) for key, change in writes.run_changes.items()]
        put(connection, _RUN_CHANGES, (Smallints, Smallints, Texts, Texts, Integers, Identities), changes)
        put(connection, _MESSAGES, _MESSAGE_KINDS, writes.messages)
        put(connection, _SEND_DUE, _SEND_DUE_KINDS, writes.send_due)
        put(connection, _CLAIMS, _CLAIM_KINDS, writes.claims)
        put(connection, INSERT_EVENTS, EVENT_KINDS, writes.events)
        if writes.due:
            insert_due(connection, writes.due)
        put(connection, _FORGET_TIMERS, _TIMER_KINDS, writes.forgotten_timers)
        put_timers(connection, writes.timers)
        put_inbox(connection, writes.inbox)
        cooldowns = sorted((*key, matched_at) for key, matched_at in writes.cooldowns.items())
        put(connection, _COOLDOWNS, _COOLDOWN_KINDS, cooldowns)
        put(connection, _CONTACTS, _CONTACT_KINDS, sorted(writes.contacts.values()))
        write_calendar(connection, writes)
        conversations = sorted(writes.conversations.values(), key=_by_name)
        put(connection, _CONVERSATIONS, _CONVERSATION_KINDS, conversations)
        put(connection, _NOTES, _NOTE_KINDS, writes.notes)
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


def _new_runs(writes: rows.Writes) -> list[tuple[Any, ...]]:
    """All that begin, in the order of their ids: those that are soon changed between those that stay as they are.

    A page has room for the changes of some of its rows. Were all of them changed, every index would hear of most.
    """
    passed = [
        (workspace_id, run_id, rule_id, version, event_id, None, _DONE, outcome, reason, trace, None)
        for workspace_id, run_id, rule_id, version, event_id, outcome, reason, trace in writes.passed_runs
    ]
    return sorted([*writes.runs, *passed, *(run for run, _ in writes.started.values())], key=_BY_ID)


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
    put(connection, _RULE_COUNTS, _RULE_COUNT_KINDS, rules)
    events = [(*key, lane, *counts) for key, counts in sorted(writes.event_counts.items())]
    put(connection, _EVENT_COUNTS, _EVENT_COUNT_KINDS, events)


def put_timers(connection: Connection, timers: Sequence[rows.Timer]) -> None:
    """Set timers; one that is set already stays."""
    put(connection, _TIMERS, _TIMER_KINDS, timers)


def put_inbox(connection: Connection, inbox: Sequence[rows.Inbox]) -> None:
    """Lay rows into inboxes; one that lies there already stays."""
    put(connection, _INBOX, _INBOX_KINDS, inbox)
