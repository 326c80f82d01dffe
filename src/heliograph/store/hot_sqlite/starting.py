"""Starting on SQLite: the one keyed insert by which runs begin that no rule started, and how they are canceled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from heliograph.core import effects, ids, messages, runs
from heliograph.store import rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs
from heliograph.store.hot_sqlite.portions import Insertion

_IN_PROGRESS = ", ".join(str(int(status)) for status in sorted(runs.IN_PROGRESS))
_STOPPABLE = f"{int(messages.State.PLANNED)}, {int(messages.State.HELD)}, {int(messages.State.DELAYED)}"

_TAKEN = (
    "SELECT k.automation_id, k.start_key FROM wanted w CROSS JOIN start_keys k ON k.automation_id = w.a"
    " AND k.start_key = w.b"
)
_RUNS = Insertion("runs", rows.Run._fields, conflict="IGNORE")
_STARTS = Insertion("starts", rows.Start._fields, conflict="IGNORE")
_STARTED = Insertion("runs", rows.Run._fields)
_STARTED_WITH = Insertion("starts", rows.Start._fields)
INSERT_TIMERS = Insertion("timers", rows.Timer._fields, conflict="IGNORE")
_THERE = "SELECT r.id FROM wanted w CROSS JOIN runs r ON r.workspace_id = w.a AND r.id = w.b"


def start(connection: Connection, launches: Sequence[rows.Launch]) -> set[bytes]:
    """Let these runs begin, each when it is to; one whose automation has its start key already does not.

    Gives the ids of those that do.
    """
    return put_waiting(connection, take_keys(connection, launches))


def put_started(connection: Connection, started: Collection[tuple[rows.Run, rows.Start]]) -> None:
    """Write runs that begin, as they stand, and what they began with."""
    _STARTED(connection, [run for run, _ in started])
    _STARTED_WITH(connection, [start for _, start in started])


def put_waiting(connection: Connection, launches: Sequence[rows.Launch]) -> set[bytes]:
    """Write these, each with the timer that wakes it; gives the ids of those that were not there before."""
    if not launches:
        return set()
    keys = {(one.run.workspace_id, one.run.id) for one in launches}
    before = set(by_pairs(connection, _THERE, keys))
    came_in = _RUNS(connection, [one.run for one in launches])
    # Where no more stayed out than were there before, it was those; else it is looked up who has come in.
    if came_in == len(launches) - len(before):
        begun = {one.run.id for one in launches} - {row[0] for row in before}
    else:
        begun = {row[0] for row in by_pairs(connection, _THERE, keys) if row not in before}
    fresh = [one for one in launches if one.run.id in begun]
    _STARTS(connection, [one.start for one in fresh])
    INSERT_TIMERS(
        connection,
        [
            (ids.partition_of(o.run.id), o.wake_at, o.run.workspace_id, int(effects.Timer.RUN), o.run.id)
            for o in fresh
        ],
    )
    return begun


def take_keys(connection: Connection, launches: Sequence[rows.Launch]) -> list[rows.Launch]:
    """Those whose start keys nobody has yet; from now on they have."""
    named = {one.key for one in launches if one.key is not None}
    taken = {*by_pairs(connection, _TAKEN, named)} if named else set()
    mine, keys = [], []
    for one in launches:
        if one.key is not None and one.key in taken:
            continue
        if one.key is not None:
            taken.add(one.key)
            keys.append(one.key)
        mine.append(one)
    connection.executemany("INSERT INTO start_keys VALUES (?,?)", keys)
    return mine


def read_starts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Start]:
    """What runs were started with, by (workspace, run)."""
    found = by_pairs(
        connection,
        "SELECT s.workspace_id, s.run_id, s.partition, s.door, s.tenant_id, s.contact_id, s.token, s.body"
        " FROM wanted w CROSS JOIN starts s ON s.workspace_id = w.a AND s.run_id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Start._make(row) for row in found}


def cancel_by_token(
    connection: Connection, wanted: Collection[rows.TokenCancel], spared: Collection[bytes] = ()
) -> None:
    """Lay a cancel into the inbox of every run in progress that has one of these tokens, and is in its reach.

    One that was set aside there is tried anew. None reaches the runs that are `spared`.
    """
    connection.executemany(
        "INSERT INTO inbox SELECT s.partition, s.workspace_id, s.run_id,"
        f" {int(effects.Inbox.CANCEL)}, s.run_id, CAST('null' AS BLOB), 0 FROM starts s"
        " JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id"
        " WHERE s.workspace_id = ? AND s.tenant_id IS coalesce(?, s.tenant_id) AND s.token = ?"
        f" AND r.status IN ({_IN_PROGRESS})"
        f" AND s.run_id NOT IN ({','.join('?' * len(spared))})"
        " ON CONFLICT (workspace_id, id, kind) DO UPDATE SET attempts = 0",
        [(*one, *spared) for one in wanted],
    )


def cancel_messages(connection: Connection, now: int, wanted: Collection[tuple[int, bytes]]) -> None:
    """Let these messages end where they are: in line, or waiting to be tried again; what is in hand goes on."""
    connection.executemany("DELETE FROM send_due WHERE workspace_id=? AND message_id=?", wanted)
    connection.executemany(
        f"UPDATE messages SET state={int(messages.State.CANCELED)}, settled_at=?, error='canceled'"
        f" WHERE workspace_id=? AND id=? AND state IN ({_STOPPABLE}) AND NOT EXISTS (SELECT 1 FROM claims c"
        " WHERE c.workspace_id = messages.workspace_id AND c.message_id = messages.id)",
        [(now, *key) for key in wanted],
    )
