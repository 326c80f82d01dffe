"""Taking on SQLite: what a turn decides next, deleted from its queue as it is taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from heliograph.core import ids
from heliograph.store import rows
from heliograph.store.hot_sqlite import sharing
from heliograph.store.hot_sqlite.connection import Connection
from heliograph.store.hot_sqlite.sharing import MOST_TRIES, take_line

_EVERYWHERE = tuple(range(ids.PARTITIONS))


def last_now(connection: Connection) -> int:
    """The latest instant at which a turn was taken; time never runs behind it."""
    return int(connection.execute("SELECT max(last_now) FROM partitions").fetchone()[0])


def take(
    connection: Connection,
    now: int,
    limit: int,
    start: int,
    replies: Sequence[rows.Inbox] = (),
    _crowded: bool = False,
) -> rows.Taken:
    """Take up to `limit` inputs that are due and lock their partitions for this transaction.

    Answers and debts first, then timers, then events; paused workspaces keep their events. The walk over
    workspaces starts after `start`, and none takes more than its share while others wait. `replies` are at hand
    and go first among the answers; those of a partition that somebody else has are laid into its inbox. Whether it is
    crowded is seen here before anything is taken.
    """
    room = limit - len(replies)
    found = _oldest_inbox(connection, room)
    timers = _oldest_timers(connection, now, room - len(found))
    shared = None
    if 0 < room <= len(found) + len(timers):
        shared = sharing.take(connection, now, room, _paused(connection, now), start)
    if shared is None:
        _forget_inbox(connection, found)
        _forget_timers(connection, timers)
        room -= len(found) + len(timers)
        events, cut = _take_events(connection, room, _paused(connection, now), start)
        reached = events[-1].workspace_id if events else start
    else:
        found, timers, events, reached = shared
        cut = True
    inbox = sorted((*replies, *found))
    workspaces = (
        {row.workspace_id for row in inbox}
        | {row.workspace_id for row in timers}
        | {row[0] for row in events}
    )
    more = cut or len(inbox) + len(timers) + len(events) >= limit
    return rows.Taken(_EVERYWHERE, inbox, timers, events, more, *_standing(connection, workspaces), reached)


def _standing(
    connection: Connection, workspaces: Collection[int]
) -> tuple[dict[int, int], set[int], set[int]]:
    """The definitions' versions of these workspaces, which are on hold, and which take somebody out of history."""
    versions: dict[int, int] = {}
    held: set[int] = set()
    erasing: set[int] = set()
    for workspace in workspaces:
        version, holds, erases = connection.execute(
            "SELECT definitions_version, hold_deliveries, EXISTS (SELECT 1 FROM erasures WHERE workspace_id = w.id)"
            " FROM workspaces w WHERE id = ?",
            (workspace,),
        ).fetchone()
        versions[workspace] = version
        if holds:
            held.add(workspace)
        if erases:
            erasing.add(workspace)
    return versions, held, erasing


def _oldest_inbox(connection: Connection, limit: int) -> list[rows.Inbox]:
    if limit <= 0:
        return []
    found = connection.execute(
        "SELECT partition, workspace_id, id, kind, run_id, body, attempts FROM inbox"
        f" WHERE attempts < {MOST_TRIES} ORDER BY workspace_id, id, kind LIMIT ?",
        (limit,),
    )
    return [rows.Inbox._make(row) for row in found]


def _forget_inbox(connection: Connection, found: Sequence[rows.Inbox]) -> None:
    if found:
        # One writer: nothing can have come in below the last row since it was read.
        connection.execute(
            f"DELETE FROM inbox WHERE (workspace_id, id, kind) <= (?, ?, ?) AND attempts < {MOST_TRIES}",
            found[-1][1:4],
        )


def _oldest_timers(connection: Connection, now: int, limit: int) -> list[rows.Timer]:
    if limit <= 0:
        return []
    found = connection.execute(
        "SELECT partition, wake_at, workspace_id, kind, id FROM timers WHERE wake_at <= ?"
        " ORDER BY wake_at, workspace_id, kind, id LIMIT ?",
        (now, limit),
    )
    return [rows.Timer._make(row) for row in found]


def _forget_timers(connection: Connection, found: Sequence[rows.Timer]) -> None:
    if found:
        # By their range, as the inbox: one by one they cost five times as much.
        connection.execute(
            "DELETE FROM timers WHERE (wake_at, workspace_id, kind, id) <= (?, ?, ?, ?)", found[-1][1:]
        )


def _paused(connection: Connection, now: int) -> set[int]:
    return {
        row[0]
        for row in connection.execute(
            "SELECT id FROM workspaces WHERE is_paused AND (paused_until IS NULL OR paused_until > ?)", (now,)
        )
    }


def _take_events(
    connection: Connection, room: int, closed: Collection[int], start: int
) -> tuple[list[rows.Event], bool]:
    if room <= 0:
        return [], False
    taken, cut = take_line(connection, sharing.DUE, room, closed, start)
    return [rows.Event._make(row) for row in taken], cut


def next_due(connection: Connection, now: int) -> int | None:
    """The instant of the earliest timer, or of the first end of a pause after `now`; None where there is neither."""
    found = connection.execute(
        "SELECT min(at) FROM (SELECT min(wake_at) AS at FROM timers UNION ALL"
        " SELECT min(paused_until) FROM workspaces WHERE is_paused AND paused_until > ?)",
        (now,),
    ).fetchone()
    return None if found[0] is None else int(found[0])
