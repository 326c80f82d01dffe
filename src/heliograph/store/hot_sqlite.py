"""The statements of a turn, of ingest and of delivery on SQLite: one process, one writer, one line per queue.

Law: bulk statements over a plain connection, nothing per row that could be per batch; every function works
inside a transaction that its caller opened with `begin`. hot_postgres has the same names; one suite runs on both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from heliograph.store import rows

Connection = sqlite3.Connection

_INSERT_EVENT = "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
_EVENT = (
    "e.workspace_id, e.id, e.partition, e.tenant_id, e.event_type, e.contact_id, e.conversation_id, e.source,"
    " e.channel_source, e.occurred_at, e.depth, e.payload, e.previous"
)
_MESSAGE = (
    "m.workspace_id, m.id, m.partition, m.tenant_id, m.kind, m.channel, m.automation_id, m.run_id, m.visit,"
    " m.ordinal, m.event_id, m.contact_id, m.address, m.template_id, m.template_version, m.content, m.data, m.state,"
    " m.settled_at, m.attempts, m.error"
)
_DUE = f"SELECT {_EVENT} FROM due d JOIN events e ON e.workspace_id = d.workspace_id AND e.id = d.event_id"
_MOST_TRIES = 5
"""An inbox row that was refused as often is set aside for an operator."""
_SIZES = (1, 4, 16, 64, 256)
_VALUES_AT_ONCE = _SIZES[-1]
"""Keys in one VALUES list: well under SQLite's limit of bound variables."""


def begin(connection: Connection) -> None:
    """Open the transaction and take the one write lock."""
    connection.execute("BEGIN IMMEDIATE")


def commit(connection: Connection) -> None:
    """Make all of it durable."""
    connection.execute("COMMIT")


def rollback(connection: Connection) -> None:
    """Leave nothing of it."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


# ── ingest ──────────────────────────────────────────────────────────────────────────────────────────


def find_keys(connection: Connection, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], rows.Key]:
    """The idempotency keys that are known, by (workspace, key)."""
    found = _by_pairs(
        connection,
        "SELECT k.workspace_id, k.key, k.event_id, k.fingerprint, k.expires_at FROM wanted w"
        " JOIN idempotency_keys k ON k.workspace_id = w.a AND k.key = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Key(*row) for row in found}


def accept(connection: Connection, events: Sequence[rows.Event], keys: Sequence[rows.Key]) -> bool:
    """Insert events, their places in the queue, and their idempotency keys (an outlived key is replaced)."""
    connection.executemany(_INSERT_EVENT, events)
    connection.executemany("INSERT INTO due VALUES (?,?,?)", [(e[2], e[0], e[1]) for e in events])
    if keys:
        connection.executemany("INSERT OR REPLACE INTO idempotency_keys VALUES (?,?,?,?,?)", keys)
    return True


def backlog(connection: Connection, at_most: int) -> int:
    """How many events wait for a decision, counted no further than `at_most`."""
    counted = connection.execute("SELECT count(*) FROM (SELECT 1 FROM due LIMIT ?)", (at_most,)).fetchone()
    return int(counted[0])


def forget_keys(connection: Connection, now: int, at_most: int) -> int:
    """Delete idempotency keys that have outlived their day; how many."""
    return connection.execute(
        "DELETE FROM idempotency_keys WHERE (workspace_id, key) IN"
        " (SELECT workspace_id, key FROM idempotency_keys WHERE expires_at < ? LIMIT ?)",
        (now, at_most),
    ).rowcount


# ── the turn: taking ────────────────────────────────────────────────────────────────────────────────


def lock_partitions(connection: Connection, partitions: Collection[int]) -> None:
    """Keep turns out of these partitions until the transaction ends; the one writer has done so already."""


def last_now(connection: Connection) -> int:
    """The latest instant at which a turn was taken; time never runs behind it."""
    return int(connection.execute("SELECT max(last_now) FROM partitions").fetchone()[0])


def take(connection: Connection, now: int, limit: int, start: int) -> rows.Taken:
    """Take up to `limit` inputs that are due and lock their partitions for this transaction.

    Answers and debts first, then timers, then events; paused workspaces keep their events. The walk over
    workspaces starts after `start`, and none takes more than its share while others wait.
    """
    inbox = _take_inbox(connection, limit)
    timers = _take_timers(connection, now, limit - len(inbox))
    room = limit - len(inbox) - len(timers)
    events = _take_events(connection, room, _paused(connection, now), start) if room > 0 else []
    workspaces = {row.workspace_id for row in (*inbox, *timers)} | {row[0] for row in events}
    more = len(inbox) + len(timers) + len(events) >= limit
    return rows.Taken((0,), inbox, timers, events, more, _versions(connection, workspaces))


def _versions(connection: Connection, workspaces: Collection[int]) -> dict[int, int]:
    return {
        workspace: connection.execute(
            "SELECT definitions_version FROM workspaces WHERE id = ?", (workspace,)
        ).fetchone()[0]
        for workspace in workspaces
    }


def _take_inbox(connection: Connection, limit: int) -> list[rows.Inbox]:
    found = connection.execute(
        "SELECT partition, workspace_id, id, kind, run_id, body, attempts FROM inbox"
        f" WHERE attempts < {_MOST_TRIES} ORDER BY workspace_id, id LIMIT ?",
        (limit,),
    ).fetchall()
    connection.executemany(
        "DELETE FROM inbox WHERE workspace_id = ? AND id = ? AND kind = ?",
        [(f[1], f[2], f[3]) for f in found],
    )
    return [rows.Inbox._make(row) for row in found]


def _take_timers(connection: Connection, now: int, limit: int) -> list[rows.Timer]:
    if limit <= 0:
        return []
    found = connection.execute(
        "SELECT partition, wake_at, workspace_id, kind, id FROM timers WHERE wake_at <= ? ORDER BY wake_at LIMIT ?",
        (now, limit),
    ).fetchall()
    connection.executemany(
        "DELETE FROM timers WHERE wake_at = ? AND workspace_id = ? AND kind = ? AND id = ?",
        [f[1:] for f in found],
    )
    return [rows.Timer._make(row) for row in found]


def _paused(connection: Connection, now: int) -> set[int]:
    return {
        row[0]
        for row in connection.execute(
            "SELECT id FROM workspaces WHERE is_paused AND (paused_until IS NULL OR paused_until > ?)", (now,)
        )
    }


def _take_events(connection: Connection, room: int, closed: Collection[int], start: int) -> list[rows.Event]:
    taken = _take_line(connection, f"{_DUE} WHERE d.workspace_id = ? ORDER BY d.event_id LIMIT ?", 1, "due", "event_id", room, closed, start)
    return [rows.Event._make(row) for row in taken]


def _take_line(
    connection: Connection,
    query: str,
    place: int,
    queue: str,
    key: str,
    room: int,
    closed: Collection[int],
    start: int,
) -> list[tuple[Any, ...]]:
    """Take the oldest of a queue, a share of each workspace; `place` is where the key stands in a row."""
    waiting = [workspace for workspace in _workspaces_in(connection, queue, start) if workspace not in closed]
    share = room if len(waiting) < 2 else max(5, room // 5)
    taken: list[tuple[Any, ...]] = []
    for workspace in waiting:
        quota = min(share, room - len(taken))
        if quota <= 0:
            break
        found = connection.execute(query, (workspace, quota)).fetchall()
        if found:
            # One writer: nothing can have come in below the last id since it was read.
            connection.execute(
                f"DELETE FROM {queue} WHERE workspace_id = ? AND {key} <= ?", (workspace, found[-1][place])
            )
            taken += found
    taken.sort(key=lambda row: row[place])
    return taken


def _workspaces_in(connection: Connection, queue: str, start: int) -> list[int]:
    found: list[int] = []
    last = -1
    query = f"SELECT workspace_id FROM {queue} WHERE workspace_id > ? LIMIT 1"
    while (row := connection.execute(query, (last,)).fetchone()) is not None:
        last = row[0]
        found.append(last)
    return [w for w in found if w > start] + [w for w in found if w <= start]


def next_due(connection: Connection) -> int | None:
    """The instant of the earliest timer or of the end of a pause, or None."""
    found = connection.execute(
        "SELECT min(at) FROM (SELECT min(wake_at) AS at FROM timers UNION ALL"
        " SELECT min(paused_until) FROM workspaces WHERE is_paused)"
    ).fetchone()
    return None if found[0] is None else int(found[0])


# ── the turn: reading ───────────────────────────────────────────────────────────────────────────────


def read_events(connection: Connection, keys: Collection[tuple[int, bytes]]) -> list[rows.Event]:
    """Events by (workspace, id), in order of id."""
    found = _by_pairs(
        connection,
        f"SELECT {_EVENT} FROM wanted w JOIN events e ON e.workspace_id = w.a AND e.id = w.b ORDER BY e.id",
        keys,
    )
    return [rows.Event._make(row) for row in found]


def read_attempts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], int]:
    """How often each event was tried before, by (workspace, id); those never tried are absent."""
    found = _by_pairs(
        connection,
        "SELECT d.workspace_id, d.event_id, d.attempts FROM wanted w"
        " JOIN decisions d ON d.workspace_id = w.a AND d.event_id = w.b",
        keys,
    )
    return {(row[0], row[1]): row[2] for row in found}


def read_contacts(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], rows.Contact]:
    """Contacts by (workspace, user_id); the unknown are absent."""
    found = _by_pairs(
        connection,
        "SELECT c.workspace_id, c.user_id, c.partition, c.tenant_id, c.profile, c.tags, c.created_at, c.updated_at"
        " FROM wanted w JOIN contacts c ON c.workspace_id = w.a AND c.user_id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Contact._make(row) for row in found}


def read_conversations(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], rows.Conversation]:
    """Conversations by (workspace, id); the unknown are absent."""
    found = _by_pairs(
        connection,
        "SELECT c.workspace_id, c.id, c.partition, c.tenant_id, c.record, c.tags, c.created_at, c.updated_at"
        " FROM wanted w JOIN conversations c ON c.workspace_id = w.a AND c.id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Conversation._make(row) for row in found}


def read_cooldowns(
    connection: Connection, keys: Collection[tuple[int, bytes, str]]
) -> dict[tuple[int, bytes, str], int]:
    """When each (workspace, rule, subject) matched last; those that never did are absent."""
    found = _by_triples(
        connection,
        "SELECT c.workspace_id, c.automation_id, c.subject, c.matched_at FROM wanted w JOIN cooldowns c"
        " ON c.workspace_id = w.a AND c.automation_id = w.b AND c.subject = w.c",
        keys,
    )
    return {(row[0], row[1], row[2]): row[3] for row in found}


def read_runs(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Run]:
    """Runs by (workspace, id)."""
    found = _by_pairs(
        connection,
        "SELECT r.workspace_id, r.id, r.automation_id, r.version, r.event_id, r.start_key, r.status, r.outcome,"
        " r.reason, r.trace, r.state FROM wanted w JOIN runs r ON r.workspace_id = w.a AND r.id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Run._make(row) for row in found}


def read_messages(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Message]:
    """Messages by (workspace, id)."""
    found = _by_pairs(
        connection,
        f"SELECT {_MESSAGE} FROM wanted w JOIN messages m ON m.workspace_id = w.a AND m.id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Message._make(row) for row in found}


# ── the turn: writing ───────────────────────────────────────────────────────────────────────────────


def write(connection: Connection, writes: rows.Writes, partitions: Sequence[int], now: int) -> None:
    """Everything that the turn decided, table by table."""
    many = connection.executemany
    many("INSERT OR REPLACE INTO decisions VALUES (?,?,?,?,?,?,?,?)", writes.decisions)
    many("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?)", writes.runs)
    many(f"INSERT INTO messages VALUES ({'?,' * 20}?)", writes.messages)
    many("INSERT INTO send_due VALUES (?,?,?,?)", writes.send_due)
    many(
        "UPDATE runs SET status=?, outcome=?, reason=?, state=? WHERE workspace_id=? AND id=?",
        [(*change, *key) for key, change in writes.run_changes.items()],
    )
    if writes.message_states:
        many(
            "UPDATE messages SET state=?, settled_at=?, error=? WHERE workspace_id=? AND id=?",
            writes.message_states,
        )
    many(_INSERT_EVENT, writes.events)
    many("INSERT INTO due VALUES (?,?,?)", writes.due)
    many("INSERT OR IGNORE INTO timers VALUES (?,?,?,?,?)", writes.timers)
    many("INSERT OR IGNORE INTO inbox VALUES (?,?,?,?,?,?,?)", writes.inbox)
    many(
        "INSERT INTO cooldowns VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET matched_at = excluded.matched_at",
        [(*key, matched_at) for key, matched_at in writes.cooldowns.items()],
    )
    _write_people(connection, writes)
    _write_counts(connection, writes, partitions[0])
    connection.execute("UPDATE partitions SET last_now = ? WHERE partition = ?", (now, partitions[0]))


def _write_people(connection: Connection, writes: rows.Writes) -> None:
    for table, key, body, found in (
        ("contacts", "user_id", "profile", writes.contacts.values()),
        ("conversations", "id", "record", writes.conversations.values()),
    ):
        for person in found:
            changed = connection.execute(
                f"UPDATE {table} SET {body}=?, tags=?, updated_at=? WHERE workspace_id=? AND {key}=?",
                (person[4], person[5], person[7], person[0], person[1]),
            ).rowcount
            if not changed:
                number = next_number(connection, person[0], table)
                connection.execute(
                    f"INSERT INTO {table} (workspace_id, {key}, partition, number, tenant_id, {body}, tags,"
                    " created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?)",
                    (*person[:3], number, *person[3:]),
                )


def next_number(connection: Connection, workspace_id: int, kind: str) -> int:
    """The next `number` of this kind in this workspace."""
    (value,) = connection.execute(
        "INSERT INTO counters VALUES (?,?,1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
        (workspace_id, kind),
    ).fetchone()
    return int(value)


def _write_counts(connection: Connection, writes: rows.Writes, lane: int) -> None:
    connection.executemany(
        "INSERT INTO rule_statistics VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET total = total + excluded.total,"
        " matched = matched + excluded.matched, executed = executed + excluded.executed,"
        " pending = pending + excluded.pending",
        [(*key, lane, *counts) for key, counts in writes.rule_counts.items()],
    )
    connection.executemany(
        "INSERT INTO event_statistics VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " processed = processed + excluded.processed, failed = failed + excluded.failed",
        [(*key, lane, *counts) for key, counts in writes.event_counts.items()],
    )


# ── delivery ────────────────────────────────────────────────────────────────────────────────────────


def claim(
    connection: Connection, now: int, limit: int, worker: str, lease_until: int, start: int
) -> list[rows.Claimed]:
    """Take up to `limit` messages that are due and hold them until `lease_until`; workspaces on hold are passed over.

    The walk over workspaces starts after `start`, and none takes more than its share while others wait.
    """
    held = {row[0] for row in connection.execute("SELECT id FROM workspaces WHERE hold_deliveries")}
    query = (
        f"SELECT s.due_at, {_MESSAGE}, {_EVENT} FROM send_due s JOIN messages m ON m.workspace_id = s.workspace_id"
        " AND m.id = s.message_id LEFT JOIN events e ON e.workspace_id = m.workspace_id AND e.id = m.event_id"
        " WHERE s.workspace_id = ? ORDER BY s.message_id LIMIT ?"
    )
    taken = _take_line(connection, query, 2, "send_due", "message_id", limit, held, start)
    connection.executemany(
        "INSERT INTO claims VALUES (?,?,?,?,?)", [(row[1], row[2], lease_until, now, worker) for row in taken]
    )
    return [_claimed(row, lease_until) for row in taken]


def _claimed(row: tuple[Any, ...], lease_until: int) -> rows.Claimed:
    event = None if row[22] is None else rows.Event._make(row[22:])
    return rows.Claimed(rows.Message._make(row[1:22]), row[0], lease_until, event)


def settle(connection: Connection, worker: str, settled: Sequence[rows.Settled]) -> int:
    """Store what became of claimed messages; one whose claim is no longer this worker's is left as it is."""
    released = _wanted(
        connection,
        "WITH wanted(a, b) AS (VALUES {}) DELETE FROM claims WHERE (workspace_id, message_id) IN"
        " (SELECT a, b FROM wanted) AND claimed_by = ? RETURNING message_id",
        "(?,?)",
        {(entry.workspace_id, entry.message_id) for entry in settled},
        (worker,),
    )
    ours = {row[0] for row in released}
    held = [entry for entry in settled if entry.message_id in ours]
    _store(connection, held)
    return len(held)


def _store(connection: Connection, held: Sequence[rows.Settled]) -> None:
    connection.executemany(
        "UPDATE messages SET state=?, settled_at=?, attempts=?, error=? WHERE workspace_id=? AND id=?",
        [(s.state, s.settled_at, s.attempts, s.error, s.workspace_id, s.message_id) for s in held],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO timers VALUES (?,?,?,?,?)", [s.retry for s in held if s.retry]
    )
    connection.executemany(
        "INSERT OR IGNORE INTO inbox VALUES (?,?,?,?,?,?,?)", [s.reply for s in held if s.reply]
    )


def take_expired(connection: Connection, now: int, limit: int, worker: str) -> list[rows.Claimed]:
    """Claims whose lease has run out, now held by this worker; `due_at` is when they were claimed."""
    found = connection.execute(
        f"SELECT c.claimed_at, {_MESSAGE}, {_EVENT} FROM claims c JOIN messages m ON m.workspace_id = c.workspace_id"
        " AND m.id = c.message_id LEFT JOIN events e ON e.workspace_id = m.workspace_id AND e.id = m.event_id"
        " WHERE c.lease_until < ? ORDER BY c.lease_until LIMIT ?",
        (now, limit),
    ).fetchall()
    connection.executemany(
        "UPDATE claims SET claimed_by = ? WHERE workspace_id = ? AND message_id = ?",
        [(worker, row[1], row[2]) for row in found],
    )
    return [_claimed(row, now) for row in found]


def end_leases(connection: Connection) -> None:
    """Let every lease run out at once."""
    connection.execute("UPDATE claims SET lease_until = 0")


# ── sets of keys ────────────────────────────────────────────────────────────────────────────────────


def _by_pairs(
    connection: Connection, query: str, keys: Collection[tuple[int, str | bytes]]
) -> list[tuple[Any, ...]]:
    return _wanted(connection, "WITH wanted(a, b) AS (VALUES {}) " + query, "(?,?)", keys)


def _by_triples(
    connection: Connection, query: str, keys: Collection[tuple[int, bytes, str]]
) -> list[tuple[Any, ...]]:
    return _wanted(connection, "WITH wanted(a, b, c) AS (VALUES {}) " + query, "(?,?,?)", keys)


def _wanted(
    connection: Connection, query: str, mark: str, keys: Iterable[tuple[Any, ...]], more: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    ordered = sorted(keys)
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(ordered), _VALUES_AT_ONCE):
        part = ordered[first : first + _VALUES_AT_ONCE]
        # Padded to a few sizes, so that the driver's cache of prepared statements is of use.
        size = next(size for size in _SIZES if size >= len(part))
        part += [(None,) * len(part[0])] * (size - len(part))
        flat = [value for key in part for value in key]
        found += connection.execute(query.format(",".join([mark] * size)), (*flat, *more)).fetchall()
    return found
