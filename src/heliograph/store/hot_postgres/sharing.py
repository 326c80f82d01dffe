"""Sharing on PostgreSQL: what is taken of locked partitions while several workspaces wait and one fills whole turns.

Law: none gets more than its share of a turn while others wait. Of each the oldest of a partition goes first: answers
and debts, then timers, then events, so nothing overtakes what is left lying before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import LiteralString, NamedTuple

from heliograph.store import packing, rows, shares
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Integers, Smallints

# The workspaces in each inbox.
_ANSWERED: LiteralString = (
    "WITH RECURSIVE answers(p, w) AS (SELECT p, -1 FROM unnest(%s::int2[]) p WHERE (SELECT true FROM inbox LIMIT 1)"
    " UNION ALL SELECT a.p, n.w FROM answers a, LATERAL (SELECT workspace_id AS w FROM inbox"
    " WHERE partition = a.p AND workspace_id > a.w ORDER BY workspace_id LIMIT 1) n)"
    " SELECT p, w FROM answers WHERE w >= 0"
)
# Of the workspaces that are next after one and have a timer that is due: how many of the oldest stand in which
# partition. So many with timers are looked at: beyond that, who has waited the longest goes first.
_TIMED: LiteralString = (
    "WITH RECURSIVE walk(w, t, top, n) AS (SELECT l.* FROM"
    " (VALUES (%s::int4, NULL::int8, 2147483647, 0), (-1, NULL, %s::int4, 0)) l"
    " UNION ALL SELECT n.w, n.t, k.top, k.n + 1 FROM walk k, LATERAL (SELECT workspace_id AS w, wake_at AS t"
    " FROM timers WHERE workspace_id > k.w AND workspace_id <= k.top ORDER BY workspace_id, wake_at LIMIT 1) n"
    " WHERE k.n < 256)"
    " SELECT t.partition, c.w, count(*) FROM (SELECT w FROM walk WHERE t <= %s ORDER BY top DESC, w LIMIT %s) c"
    " CROSS JOIN LATERAL (SELECT partition FROM timers WHERE workspace_id = c.w AND wake_at <= %s"
    " ORDER BY wake_at, kind, id LIMIT %s OFFSET 0) t GROUP BY 1, 2"
)
_TAKE_INBOX: LiteralString = (
    "DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT i.ctid FROM unnest(%s::int2[], %s::int4[], %s::int4[]) l(p, w, q)"
    " CROSS JOIN LATERAL (SELECT ctid FROM inbox WHERE partition = l.p AND workspace_id = l.w AND attempts < 5"
    " ORDER BY id LIMIT l.q OFFSET 0) i LIMIT %s)) RETURNING partition, workspace_id, id, kind, run_id, body, attempts"
)
# Bit for bit the partitions of which they are taken.
_TAKE_TIMERS: LiteralString = (
    "DELETE FROM timers WHERE ctid = ANY(ARRAY(SELECT i.ctid FROM unnest(%s::int4[], %s::int4[], %s::int8[]) l(w, q, m)"
    " CROSS JOIN LATERAL (SELECT ctid FROM timers WHERE workspace_id = l.w AND wake_at <= %s"
    " AND (l.m >> partition) & 1 = 1 ORDER BY wake_at, kind, id LIMIT l.q OFFSET 0) i LIMIT %s))"
    " RETURNING partition, wake_at, workspace_id, kind, id"
)

_LOOKED_AT = 8
"""So many times its share is looked at of a workspace, for how much stands in each partition."""

Place = tuple[int, int]
"""(partition, workspace)"""


def spread(lines: Collection[Place], each: Mapping[int, int], start: int) -> list[tuple[int, int, int]]:
    """How many may be taken of each of these lines, where `each` tells it of their workspaces: all of the lines."""
    width, place, made = Counter(workspace for _, workspace in lines), Counter[int](), []
    for partition, workspace in sorted(lines, key=lambda line: shares.place_of(line[1], start)):
        # What does not divide goes to the first lines; which are first changes from turn to turn.
        least, rest = divmod(each[workspace], width[workspace])
        made.append((partition, workspace, least + (place[workspace] < rest)))
        place[workspace] += 1
    return made


class Shared(NamedTuple):
    """What was taken, a share of each workspace."""

    inbox: list[rows.Inbox]
    timers: list[rows.Timer]
    events: list[rows.Event]
    reached: int
    """The last workspace that had a share."""


class Waiting(NamedTuple):
    """Who shares a turn, and where what is due of them stands: seen before anything is locked."""

    start: int
    """The workspace after which the walk over them begins."""
    each: int
    """How much of a turn is one workspace's."""
    chosen: list[int]
    """Those that are next, in their order."""
    answers: set[Place]
    timers: dict[Place, int]
    """How many of the oldest of each."""

    def lines(self, events: Collection[Place]) -> list[Place]:
        """Where anything of them stands, in the order of the walk over workspaces."""
        there = [
            line for line in dict.fromkeys((*self.answers, *self.timers, *events)) if line[1] in self.chosen
        ]
        return sorted(there, key=lambda line: shares.place_of(line[1], self.start))


def look(
    connection: Connection,
    now: int,
    room: int,
    partitions: Sequence[int],
    events: Collection[Place],
    start: int,
) -> Waiting | None:
    """Who is next after `start` to share a turn; None where but one workspace waits. `events` are its lines."""
    answers = set(fetch(connection, _ANSWERED, (packing.pack(Smallints, partitions),)))
    most = shares.share(room, 2)
    values = (start, start, now, max(2, room // most), now, _LOOKED_AT * most)
    timers = {(place, workspace): n for place, workspace, n in fetch(connection, _TIMED, values)}
    waiting = {workspace for _, workspace in (*answers, *timers, *events)}
    if len(waiting) < 2:
        return None
    each = shares.share(room, len(waiting))
    chosen = sorted(waiting, key=lambda one: shares.place_of(one, start))[: max(1, room // each)]
    return Waiting(start, each, chosen, answers, timers)


class _Shares:
    """What is left of the shares, and which lines of a workspace may have something left that comes first."""

    def __init__(self, each: int, workspaces: Sequence[int], start: int):
        self._left = dict.fromkeys(workspaces, each)
        self._start = start
        self._cut: set[Place] = set()

    def quotas(self, lines: Iterable[Place]) -> list[tuple[int, int, int]]:
        """How many may be taken of each of these lines: (partition, workspace, quota)."""
        mine = [line for line in lines if line[1] in self._left and line not in self._cut]
        made = spread(mine, self._left, self._start)
        self._cut |= {(partition, workspace) for partition, workspace, quota in made if not quota}
        return [one for one in made if one[2]]

    def open(self, partitions: Collection[int]) -> list[tuple[int, int, int]]:
        """(workspace, quota, partitions as bits) of those who have something left, but for lines that are cut."""
        found = []
        for workspace, quota in self._left.items():
            bits = sum(1 << place for place in partitions if (place, workspace) not in self._cut)
            if quota > 0 and bits:
                found.append((workspace, quota, bits - (1 << 64) if bits >> 63 else bits))
        return found

    def took_any(
        self, wanted: Sequence[tuple[int, int, int]], found: Iterable[int], partitions: Collection[int]
    ) -> None:
        """So much was found, wherever it stood; of whom all was taken that was wanted, more may be left anywhere."""
        counts = Counter(found)
        for workspace, quota, _ in wanted:
            self._left[workspace] -= counts[workspace]
            if counts[workspace] == quota:
                self._cut |= {(place, workspace) for place in partitions}

    def took(self, asked: Sequence[tuple[int, int, int]], found: Iterable[Place]) -> None:
        """So much was found."""
        counts = Counter(found)
        for partition, workspace, quota in asked:
            count = counts[partition, workspace]
            self._left[workspace] -= count
            if count == quota:
                self._cut.add((partition, workspace))


def take(
    connection: Connection,
    now: int,
    room: int,
    waiting: Waiting,
    partitions: Collection[int],
    lines: Collection[Place],
    take_events: Callable[[Sequence[tuple[int, int, int]], int], list[rows.Event]],
) -> Shared:
    """Take a share of each of those who wait, of these locked `partitions`.

    `lines` are those with events in them, of which `take_events` takes, by quotas, so many at most.
    """
    left = _Shares(min(waiting.each, room), waiting.chosen, waiting.start)
    asked = left.quotas(line for line in sorted(waiting.answers) if line[0] in partitions)
    inbox = _inbox(connection, asked, room)
    left.took(asked, [(row.partition, row.workspace_id) for row in inbox])
    timed = {workspace for _, workspace in waiting.timers}
    wanted = [one for one in left.open(partitions) if one[0] in timed]
    timers = _timers(connection, now, wanted, room - len(inbox))
    left.took_any(wanted, [row.workspace_id for row in timers], partitions)
    events = take_events(left.quotas(lines), room - len(inbox) - len(timers))
    return Shared(inbox, timers, events, waiting.chosen[-1])


def _inbox(connection: Connection, asked: Sequence[tuple[int, int, int]], room: int) -> list[rows.Inbox]:
    if not asked:
        return []
    values = (*packing.columns((Smallints, Integers, Integers), asked), room)
    return [rows.Inbox._make(row) for row in fetch(connection, _TAKE_INBOX, values)]


def _timers(
    connection: Connection, now: int, wanted: Sequence[tuple[int, int, int]], room: int
) -> list[rows.Timer]:
    if not wanted or room <= 0:
        return []
    values = (*packing.columns((Integers, Integers, Bigints), wanted), now, room)
    return sorted(
        (rows.Timer._make(row) for row in fetch(connection, _TAKE_TIMERS, values)),
        key=lambda timer: timer[1:],
    )
