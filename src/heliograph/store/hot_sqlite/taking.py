"""Taking on SQLite: what a turn decides next, deleted from its queue as it is taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from heliograph.core import ids
from heliograph.store import rows
from heliograph.store.hot_sqlite.connection import Connection
from heliograph.store.hot_sqlite.reading import EVENT

_EVERYWHERE = tuple(range(ids.PARTITIONS))
_MOST_TRIES = 5
"""An inbox row that was refused as often is set aside for an operator."""


def last_now(connection: Connection) -> int:
    """The latest instant at which a turn was taken; time never runs behind it."""
    return int(connection.execute("SELECT max(last_now) FROM partitions").fetchone()[0])


def take(
    connection: Connection, now: int, limit: int, start: int, replies: Sequence[rows.Inbox] = ()
) -> rows.Taken:
    """Take up to `limit` inputs that are due and lock their partitions for this transaction.

    Answers and debts first, then timers, then events; paused workspaces keep their events. The walk over
    workspaces starts after `start`, and none takes more than its share while others wait. `replies` are at hand
    and go first among the answers; those of a partition that somebody else has are laid into its inbox.
    """
    inbox = sorted((*replies, *_take_inbox(connection, limit - len(replies))))
    timers = _take_timers(connection, now, limit - len(inbox))
    room = limit - len(inbox) - len(timers)
    events, cut = _take_events(connection, room, _paused(connection, now), start)
    workspaces = (
        {row.workspace_id for row in inbox}
        | {row.workspace_id for row in timers}
        | {row[0] for row in events}
    )
    more = cut or len(inbox) + len(timers) + len(events) >= limit
    return rows.Taken(_EVERYWHERE, inbox, timers, events, more, *_standing(connection, workspaces))


def _standing(connection: Connection, workspaces: Collection[int]) -> tuple[dict[int, int], set[int]]:
    """The definitions' versions of these workspaces, and which of them hold their deliveries."""
    versions: dict[int, int] = {}
    held: set[int] = set()
    for workspace in workspaces:
        version, holds = connection.execute(
            "SELECT definitions_version, hold_deliveries FROM workspaces WHERE id = ?", (workspace,)
        ).fetchone()
        versions[workspace] = version
        if holds:
            held.add(workspace)
    return versions, held


def _take_inbox(connection: Connection, limit: int) -> list[rows.Inbox]:
    if limit <= 0:
        return []
    found = connection.execute(
        "SELECT partition, workspace_id, id, kind, run_id, body, attempts FROM inbox"
        f" WHERE attempts < {_MOST_TRIES} ORDER BY workspace_id, id, kind LIMIT ?",
        (limit,),
    ).fetchall()
    if found:
        # One writer: nothing can have come in below the last row since it was read.
        connection.execute(
            f"DELETE FROM inbox WHERE (workspace_id, id, kind) <= (?, ?, ?) AND attempts < {_MOST_TRIES}",
            found[-1][1:4],
        )
    return [rows.Inbox._make(row) for row in found]


def _take_timers(connection: Connection, now: int, limit: int) -> list[rows.Timer]:
    if limit <= 0:
        return []
    found = connection.execute(
        "SELECT partition, wake_at, workspace_id, kind, id FROM timers WHERE wake_at <= ?"
        " ORDER BY wake_at, workspace_id, kind, id LIMIT ?",
        (now, limit),
    ).fetchall()
    if found:
        # By their range, as the inbox: one by one they cost five times as much.
        connection.execute(
            "DELETE FROM timers WHERE (wake_at, workspace_id, kind, id) <= (?, ?, ?, ?)", found[-1][1:]
        )
    return [rows.Timer._make(row) for row in found]


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
    taken, cut = take_line(connection, _DUE, room, closed, start)
    return [rows.Event._make(row) for row in taken], cut


class Line(NamedTuple):
    """A queue that workspaces share, taken from its oldest on."""

    queue: str
    """The table."""
    key: str
    """The time-ordered id by which it is taken."""
    query: str
    """Reads the oldest of one workspace; its values are the workspace and how many."""
    place: int
    """Where the key stands in a row of the query."""


_DUE = Line(
    "due",
    "event_id",
    f"SELECT {EVENT} FROM due d JOIN events e ON e.workspace_id = d.workspace_id AND e.id = d.event_id"
    " WHERE d.workspace_id = ? ORDER BY d.event_id LIMIT ?",
    1,
)


def take_line(
    connection: Connection, line: Line, room: int, closed: Collection[int], start: int
) -> tuple[list[tuple[Any, ...]], bool]:
    """Take the oldest of a queue, a share of each workspace that is not closed, beginning after `start`.

    Gives with it whether a share was used up, so that there may be more.
    """
    waiting = [
        workspace for workspace in _workspaces_in(connection, line.queue, start) if workspace not in closed
    ]
    share = room if len(waiting) < 2 else max(5, room // 5)
    taken: list[tuple[Any, ...]] = []
    cut = False
    for workspace in waiting:
        quota = min(share, room - len(taken))
        if quota <= 0:
            cut = True
            break
        found = connection.execute(line.query, (workspace, quota)).fetchall()
        cut = cut or len(found) == quota
        if found:
            # One writer: nothing can have come in below the last id since it was read.
            connection.execute(
                f"DELETE FROM {line.queue} WHERE workspace_id = ? AND {line.key} <= ?",
                (workspace, found[-1][line.place]),
            )
            taken += found
    taken.sort(key=lambda row: row[line.place])
    return taken, cut


def _workspaces_in(connection: Connection, queue: str, start: int) -> list[int]:
    found: list[int] = []
    last = -1
    query = f"SELECT workspace_id FROM {queue} WHERE workspace_id > ? LIMIT 1"
    while (row := connection.execute(query, (last,)).fetchone()) is not None:
        last = row[0]
        found.append(last)
    return [w for w in found if w > start] + [w for w in found if w <= start]


def next_due(connection: Connection, now: int) -> int | None:
    """The instant of the earliest timer, or of the first end of a pause after `now`; None where there is neither."""
    found = connection.execute(
        "SELECT min(at) FROM (SELECT min(wake_at) AS at FROM timers UNION ALL"
        " SELECT min(paused_until) FROM workspaces WHERE is_paused AND paused_until > ?)",
        (now,),
    ).fetchone()
    return None if found[0] is None else int(found[0])
