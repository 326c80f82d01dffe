"""Sharing on SQLite: what is taken of a queue, or of all of them, while several workspaces wait in it.

Law: none gets more than its share of a turn while others wait. Of each the oldest goes first: answers and debts, then
timers, then events, so nothing overtakes what is left lying before it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any, NamedTuple

from heliograph.store import rows, shares
from heliograph.store.hot_sqlite.connection import Connection
from heliograph.store.hot_sqlite.reading import EVENT

MOST_TRIES = 5
"""An inbox row that was refused as often is set aside for an operator."""
_MOST_TIMED = 512
"""So many workspaces with timers are looked at: beyond that, who has waited the longest goes first."""
_INBOX = (
    "SELECT partition, workspace_id, id, kind, run_id, body, attempts FROM inbox"
    f" WHERE workspace_id = ? AND attempts < {MOST_TRIES} ORDER BY id, kind LIMIT ?"
)
_FORGET_INBOX = (
    f"DELETE FROM inbox WHERE workspace_id = ? AND (id, kind) <= (?, ?) AND attempts < {MOST_TRIES}"
)
_NEXT_TIMED = (
    "SELECT workspace_id, wake_at FROM timers INDEXED BY timers_by_workspace WHERE workspace_id > ?"
    " ORDER BY workspace_id, wake_at LIMIT 1"
)
_TIMERS = (
    "SELECT partition, wake_at, workspace_id, kind, id FROM timers INDEXED BY timers_by_workspace"
    " WHERE workspace_id = ? AND wake_at <= ? ORDER BY wake_at, kind, id LIMIT ?"
)
_FORGET_TIMERS = (
    "DELETE FROM timers INDEXED BY timers_by_workspace"
    " WHERE workspace_id = ? AND wake_at <= ? AND (wake_at, kind, id) <= (?, ?, ?)"
)


class Shared(NamedTuple):
    """What was taken, a share of each workspace."""

    inbox: list[rows.Inbox]
    timers: list[rows.Timer]
    events: list[rows.Event]
    reached: int
    """The last workspace of which anything was taken."""


def take(connection: Connection, now: int, room: int, closed: Collection[int], start: int) -> Shared | None:
    """Take a share of each workspace that waits in any queue, beginning after `start`; None where but one does.

    Of those that are `closed` no events are taken.
    """
    timed = _timed(connection, now, start)
    due = {*_workspaces_in(connection, "due", start)}.difference(closed)
    waiting = due.union(timed, _workspaces_in(connection, "inbox", start))
    if len(waiting) < 2:
        return None
    each = shares.share(room, len(waiting))
    taken = Shared([], [], [], start)
    for workspace in sorted(waiting, key=lambda one: shares.place_of(one, start)):
        left = room - len(taken.inbox) - len(taken.timers) - len(taken.events)
        if left <= 0:
            break
        quota = min(each, left)
        quota -= _take_inbox(connection, workspace, quota, taken.inbox)
        if workspace in timed:
            quota -= _take_timers(connection, now, workspace, quota, taken.timers)
        if workspace in due:
            found = _take_of_line(connection, DUE, workspace, quota)
            taken.events.extend(map(rows.Event._make, found))
        taken = taken._replace(reached=workspace)
    taken.timers.sort(key=lambda timer: timer[1:])
    taken.events.sort(key=lambda event: event.id)
    return taken


def _timed(connection: Connection, now: int, start: int) -> set[int]:
    """The workspaces of which a timer is due, of the first ones that have any after `start`."""
    found, looked = set[int](), 0
    for before, top in ((start, sys.maxsize), (-1, start)):
        row = connection.execute(_NEXT_TIMED, (before,)).fetchone()
        while row is not None and row[0] <= top and looked < _MOST_TIMED:
            workspace, wake_at = row
            looked += 1
            if wake_at <= now:
                found.add(workspace)
            row = connection.execute(_NEXT_TIMED, (workspace,)).fetchone()
    return found


def _take_inbox(connection: Connection, workspace: int, quota: int, taken: list[rows.Inbox]) -> int:
    if quota <= 0:
        return 0
    found = connection.execute(_INBOX, (workspace, quota)).fetchall()
    if found:
        connection.execute(_FORGET_INBOX, (workspace, *found[-1][2:4]))
    taken.extend(map(rows.Inbox._make, found))
    return len(found)


def _take_timers(
    connection: Connection, now: int, workspace: int, quota: int, taken: list[rows.Timer]
) -> int:
    if quota <= 0:
        return 0
    found = [rows.Timer._make(row) for row in connection.execute(_TIMERS, (workspace, now, quota))]
    if found:
        last = found[-1]
        connection.execute(_FORGET_TIMERS, (workspace, last.wake_at, last.wake_at, last.kind, last.id))
    taken.extend(found)
    return len(found)


# ── one queue ───────────────────────────────────────────────────────────────────────────────────────


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


DUE = Line(
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
    share = shares.share(room, len(waiting))
    taken: list[tuple[Any, ...]] = []
    cut = False
    for workspace in waiting:
        quota = min(share, room - len(taken))
        if quota <= 0:
            cut = True
            break
        found = _take_of_line(connection, line, workspace, quota)
        cut = cut or len(found) == quota
        taken += found
    taken.sort(key=lambda row: row[line.place])
    return taken, cut


def _take_of_line(connection: Connection, line: Line, workspace: int, quota: int) -> list[tuple[Any, ...]]:
    if quota <= 0:
        return []
    found = connection.execute(line.query, (workspace, quota)).fetchall()
    if found:
        # One writer: nothing can have come in below the last id since it was read.
        connection.execute(
            f"DELETE FROM {line.queue} WHERE workspace_id = ? AND {line.key} <= ?",
            (workspace, found[-1][line.place]),
        )
    return found


def _workspaces_in(connection: Connection, queue: str, start: int) -> list[int]:
    found: list[int] = []
    last = -1
    query = f"SELECT workspace_id FROM {queue} WHERE workspace_id > ? LIMIT 1"
    while (row := connection.execute(query, (last,)).fetchone()) is not None:
        last = row[0]
        found.append(last)
    return [w for w in found if w > start] + [w for w in found if w <= start]
