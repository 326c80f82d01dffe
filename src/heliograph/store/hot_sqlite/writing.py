"""Writing on SQLite: all that a turn leaves behind, one bulk statement for each table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from heliograph.core import runs
from heliograph.store import rows
from heliograph.store.hot_sqlite.alarms import write_alerts
from heliograph.store.hot_sqlite.batching import write_batches
from heliograph.store.hot_sqlite.bulk import write_bulk
from heliograph.store.hot_sqlite.calendar import write_calendar
from heliograph.store.hot_sqlite.connection import Connection, by_pairs
from heliograph.store.hot_sqlite.delivery import INSERT_CLAIMS
from heliograph.store.hot_sqlite.fanout import write_fanouts
from heliograph.store.hot_sqlite.ingest import INSERT_DUE, INSERT_EVENTS
from heliograph.store.hot_sqlite.keys import write_passes, write_step_keys
from heliograph.store.hot_sqlite.lists import put_subscriptions
from heliograph.store.hot_sqlite.pacing import write_pacing
from heliograph.store.hot_sqlite.portions import Insertion, Work
from heliograph.store.hot_sqlite.reports import write_reports
from heliograph.store.hot_sqlite.starting import INSERT_TIMERS, put_started

_DECISIONS = Insertion("decisions", rows.Decision._fields)
_DECIDED_AGAIN = Insertion("decisions", rows.Decision._fields, conflict="REPLACE")
_RUNS = Insertion("runs", rows.Run._fields)
_PASSED_RUNS = Insertion("runs", rows.PASSED_RUN, same={"status": int(runs.Status.DONE)})
_CHANGE_RUNS = Work("UPDATE OR FAIL runs SET status = ?, outcome = ?, reason = ?, state = ? WHERE", "id")
_CHANGE_RUN = "UPDATE runs SET status=?, outcome=?, reason=?, state=? WHERE workspace_id=? AND id=?"
_MANY = 8
_MESSAGES = Insertion("messages", rows.Message._fields)
_SEND_DUE = Insertion("send_due", ("partition", "workspace_id", "message_id", "due_at"), conflict="IGNORE")
_INBOX = Insertion("inbox", rows.Inbox._fields, conflict="IGNORE")


def write(connection: Connection, writes: rows.Writes, partitions: Sequence[int], now: int) -> None:
    """Everything that the turn decided, table by table."""
    many = connection.executemany
    _DECISIONS(connection, writes.decisions)
    _DECIDED_AGAIN(connection, writes.decided_again)
    _RUNS(connection, writes.runs)
    _PASSED_RUNS(connection, writes.passed_runs)
    put_started(connection, writes.started.values())
    _MESSAGES(connection, writes.messages)
    _SEND_DUE(connection, writes.send_due)
    INSERT_CLAIMS(connection, writes.claims)
    _change_runs(connection, writes)
    INSERT_EVENTS(connection, writes.events)
    INSERT_DUE(connection, writes.due)
    if writes.forgotten_timers:
        many(
            "DELETE FROM timers WHERE wake_at=? AND workspace_id=? AND kind=? AND id=?",
            [t[1:] for t in writes.forgotten_timers],
        )
    INSERT_TIMERS(connection, writes.timers)
    _INBOX(connection, writes.inbox)
    many(
        "INSERT INTO cooldowns VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET matched_at = excluded.matched_at",
        [(*key, matched_at) for key, matched_at in writes.cooldowns.items()],
    )
    if writes.campaigns or writes.fanouts or writes.cursors:
        write_fanouts(connection, writes)
    if (
        writes.birthdays
        or writes.forgotten_birthdays
        or writes.walks
        or writes.moved_walks
        or writes.ended_walks
    ):
        write_calendar(connection, writes)
    if writes.batches.changed or writes.batches.ended:
        write_batches(connection, writes)
    if writes.reports.reached or writes.reports.soft_bounces or writes.reports.suppressed:
        write_reports(connection, writes.reports)
    if writes.alerts:
        write_alerts(connection, writes)
    _write_kept(connection, writes, now)
    _write_people(connection, writes)
    if writes.subscriptions:
        put_subscriptions(connection, writes.subscriptions.values())
    _write_counts(connection, writes, partitions[0])
    connection.execute(
        "UPDATE partitions SET last_now = max(last_now, ?) WHERE partition = ?", (now, partitions[0])
    )


def _change_runs(connection: Connection, writes: rows.Writes) -> None:
    # What runs have become since the last turn is the same for most of them.
    same: dict[tuple[int, tuple[Any, ...]], list[bytes]] = {}
    for (workspace_id, run_id), change in writes.run_changes.items():
        same.setdefault((workspace_id, change), []).append(run_id)
    others: list[tuple[Any, ...]] = []
    for (workspace_id, change), changed in same.items():
        if len(changed) < _MANY:
            others += [(*change, workspace_id, run_id) for run_id in changed]
        else:
            _CHANGE_RUNS(connection, change, workspace_id, changed)
    connection.executemany(_CHANGE_RUN, others)


def _write_kept(connection: Connection, writes: rows.Writes, now: int) -> None:
    if writes.kept.passes:
        write_passes(connection, writes.kept.passes.values())
    if writes.kept.step_keys:
        write_step_keys(connection, writes.kept.step_keys.values(), now)
    if writes.paced.messages or writes.paced.recent or writes.paced.moved:
        write_pacing(connection, writes.paced)
    if writes.bulk.jobs or writes.bulk.requests:
        write_bulk(connection, writes.bulk)


def keep_fact(connection: Connection, name: str, value: str) -> None:
    """Remember this under a name, instead of what was known before."""
    connection.execute(
        "INSERT INTO facts (name, value) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _write_people(connection: Connection, writes: rows.Writes) -> None:
    _put_people(connection, _CONTACTS, writes.contacts)
    _put_people(connection, _CONVERSATIONS, writes.conversations)
    connection.executemany("INSERT INTO notes VALUES (?,?,?,?,?)", writes.notes)


class _Table(NamedTuple):
    """How people, or what is talked about, are kept."""

    name: str
    known: str
    change: str
    add: str


def _table(name: str, key: str, *written: str) -> _Table:
    """The statements of a table; a row is workspace, key, partition, tenant and what is `written`.

    Of that, `created_at` stays as it was first.
    """
    changed = ", ".join(f"{one}=?{4 + place}" for place, one in enumerate(written, 1) if one != "created_at")
    columns = ", ".join(("workspace_id", key, "partition", "tenant_id", *written, "number"))
    return _Table(
        name,
        f"SELECT p.workspace_id, p.{key} FROM wanted w CROSS JOIN {name} p ON p.workspace_id = w.a AND p.{key} = w.b",
        f"UPDATE {name} SET {changed} WHERE workspace_id=?1 AND {key}=?2",
        f"INSERT INTO {name} ({columns}) VALUES ({','.join('?' * (5 + len(written)))})",
    )


_CONTACTS = _table("contacts", "user_id", *rows.Contact._fields[4:])
_CONVERSATIONS = _table("conversations", "id", *rows.Conversation._fields[4:])


def _put_people(
    connection: Connection,
    table: _Table,
    people: Mapping[tuple[int, str], rows.Contact] | Mapping[tuple[int, str], rows.Conversation],
) -> None:
    if not people:
        return
    known = {(row[0], row[1]) for row in by_pairs(connection, table.known, people.keys())}
    connection.executemany(table.change, [person for key, person in people.items() if key in known])
    new = [person for key, person in people.items() if key not in known]
    numbers = _numbers(connection, table.name, Counter(person[0] for person in new))
    connection.executemany(table.add, [(*person, next(numbers[person[0]])) for person in new])


def _numbers(connection: Connection, kind: str, wanted: Mapping[int, int]) -> dict[int, Iterator[int]]:
    """The next numbers of this kind, as many as each workspace wants."""
    given: dict[int, Iterator[int]] = {}
    for workspace_id, count in wanted.items():
        (last,) = connection.execute(
            "INSERT INTO counters VALUES (?,?,?) ON CONFLICT DO UPDATE SET value = value + excluded.value"
            " RETURNING value",
            (workspace_id, kind, count),
        ).fetchone()
        given[workspace_id] = iter(range(last - count + 1, last + 1))
    return given


def _write_counts(connection: Connection, writes: rows.Writes, lane: int) -> None:
    connection.executemany(
        "INSERT INTO rule_statistics VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET total = total + excluded.total,"
        " matched = matched + excluded.matched, executed = executed + excluded.executed,"
        " pending = pending + excluded.pending",
        [(*key, lane, *counts) for key, counts in writes.rule_counts.items()],
    )
    connection.executemany(
        "INSERT INTO event_statistics VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET total = total + excluded.total,"
        " processed = processed + excluded.processed, failed = failed + excluded.failed",
        [(*key, lane, *counts) for key, counts in writes.event_counts.items()],
    )
