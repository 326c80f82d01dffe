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

# The workspaces in each inbox, and of those with timers that are due the first instant of each: of many instants the
# first ones are looked at, so who has waited the longest goes first beyond that.
_WAITING: LiteralString = (
    "WITH RECURSIVE answers(p, w) AS (SELECT p, -1 FROM unnest(%s::int2[]) p UNION ALL SELECT a.p, n.w FROM answers a,"
    " LATERAL (SELECT workspace_id AS w FROM inbox WHERE partition = a.p AND workspace_id > a.w"
    " ORDER BY workspace_id LIMIT 1) n),"
    " instants(p, t, w, n) AS (SELECT p, -1::int8, -1, 0 FROM unnest(%s::int2[]) p"
    " UNION ALL SELECT i.p, n.t, n.w, i.n + 1 FROM instants i, LATERAL (SELECT wake_at AS t, workspace_id AS w"
    " FROM timers WHERE partition = i.p AND (wake_at, workspace_id) > (i.t, i.w) AND wake_at <= %s"
    " ORDER BY wake_at, workspace_id LIMIT 1) n WHERE i.n < 32)"
    " SELECT p, w, NULL::int8 FROM answers WHERE w >= 0"
    " UNION ALL SELECT p, w, min(t) FROM instants WHERE w >= 0 GROUP BY p, w"
)
_TAKE_INBOX: LiteralString = (
    "DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT i.ctid FROM unnest(%s::int2[], %s::int4[], %s::int4[]) l(p, w, q)"
    " CROSS JOIN LATERAL (SELECT ctid FROM inbox WHERE partition = l.p AND workspace_id = l.w AND attempts < 5"
    " ORDER BY id LIMIT l.q OFFSET 0) i LIMIT %s)) RETURNING partition, workspace_id, id, kind, run_id, body, attempts"
)
_TAKE_TIMERS: LiteralString = (
    "DELETE FROM timers WHERE ctid = ANY(ARRAY(SELECT i.ctid"
    " FROM unnest(%s::int2[], %s::int4[], %s::int4[], %s::int8[]) l(p, w, q, t)"
    " CROSS JOIN LATERAL (SELECT ctid FROM timers WHERE partition = l.p AND wake_at = l.t AND workspace_id = l.w"
    " ORDER BY kind, id LIMIT l.q OFFSET 0) i LIMIT %s)) RETURNING partition, wake_at, workspace_id, kind, id"
)

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
    partitions: Sequence[int],
    lines: Collection[Place],
    start: int,
    take_events: Callable[[Sequence[tuple[int, int, int]], int], list[rows.Event]],
) -> Shared | None:
    """Take a share of each of the workspaces that are next after `start`; None where but one waits.

    `lines` are those with events in them, of which `take_events` takes, by quotas, so many at most.
    """
    places = packing.pack(Smallints, partitions)
    answers, instants = list[Place](), dict[Place, int]()
    for partition, workspace, wake_at in fetch(connection, _WAITING, (places, places, now)):
        if wake_at is None:
            answers.append((partition, workspace))
        else:
            instants[partition, workspace] = wake_at
    waiting = {workspace for _, workspace in (*answers, *instants, *lines)}
    if len(waiting) < 2:
        return None
    each = shares.share(room, len(waiting))
    chosen = sorted(waiting, key=lambda one: shares.place_of(one, start))[: max(1, room // each)]
    left = _Shares(each, chosen, start)
    asked = left.quotas(answers)
    inbox = _inbox(connection, asked, room)
    left.took(asked, [(row.partition, row.workspace_id) for row in inbox])
    asked = left.quotas(instants)
    timers = _timers(connection, asked, instants, room - len(inbox))
    left.took(asked, [(row.partition, row.workspace_id) for row in timers])
    events = take_events(left.quotas(lines), room - len(inbox) - len(timers))
    return Shared(inbox, timers, events, chosen[-1])


def _inbox(connection: Connection, asked: Sequence[tuple[int, int, int]], room: int) -> list[rows.Inbox]:
    if not asked:
        return []
    values = (*packing.columns((Smallints, Integers, Integers), asked), room)
    return [rows.Inbox._make(row) for row in fetch(connection, _TAKE_INBOX, values)]


def _timers(
    connection: Connection, asked: Sequence[tuple[int, int, int]], instants: Mapping[Place, int], room: int
) -> list[rows.Timer]:
    if not asked or room <= 0:
        return []
    lines = [(*one, instants[one[:2]]) for one in asked]
    values = (*packing.columns((Smallints, Integers, Integers, Bigints), lines), room)
    return sorted(
        (rows.Timer._make(row) for row in fetch(connection, _TAKE_TIMERS, values)),
        key=lambda timer: timer[1:],
    )
