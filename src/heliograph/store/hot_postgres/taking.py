"""Taking on PostgreSQL: ready partitions are locked, their oldest inputs deleted and returned.

Law: the lock comes before the statement that takes, so what is taken was committed and is nobody else's; plans
cannot flip, because rows are found through the queue's own key and taken by their place (ctid).
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Sequence
from typing import LiteralString

from heliograph.core import ids
from heliograph.store import packing, rows
from heliograph.store.hot_postgres.connection import LOCKS, Connection, fetch
from heliograph.store.hot_postgres.reading import EVENT
from heliograph.store.packing import Integers, Smallints


def last_now(connection: Connection) -> int:
    """The latest instant at which a turn was taken; time never runs behind it."""
    return int(fetch(connection, "SELECT max(last_now) FROM partitions")[0][0])


_LOCK: LiteralString = (
    "SELECT p FROM (SELECT p FROM unnest(%s::int2[]) WITH ORDINALITY o(p, n) WHERE CASE WHEN"
    " EXISTS (SELECT 1 FROM due d WHERE d.partition = p AND d.workspace_id <> ALL(%s::int4[]))"
    " OR EXISTS (SELECT 1 FROM inbox i WHERE i.partition = p AND i.attempts < 5)"
    " OR EXISTS (SELECT 1 FROM timers t WHERE t.partition = p AND t.wake_at <= %s)"
    " THEN pg_try_advisory_xact_lock(%s, p) ELSE false END LIMIT %s) f"
)
_TAKE_INBOX: LiteralString = (
    "DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT i.ctid FROM unnest(%s::int2[]) p CROSS JOIN LATERAL"
    " (SELECT ctid FROM inbox WHERE partition = p AND attempts < 5 ORDER BY workspace_id, id LIMIT %s OFFSET 0) i"
    " LIMIT %s)) RETURNING partition, workspace_id, id, kind, run_id, body, attempts"
)
_TAKE_TIMERS: LiteralString = (
    "DELETE FROM timers WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM unnest(%s::int2[]) p CROSS JOIN LATERAL"
    " (SELECT ctid FROM timers WHERE partition = p AND wake_at <= %s ORDER BY wake_at LIMIT %s OFFSET 0) t"
    " LIMIT %s)) RETURNING partition, wake_at, workspace_id, kind, id"
)
_TAKE_EVENTS: LiteralString = (
    "WITH taken AS (DELETE FROM due WHERE ctid = ANY(ARRAY(SELECT d.ctid FROM"
    " unnest(%s::int2[], %s::int4[], %s::int4[]) l(p, w, q) CROSS JOIN LATERAL (SELECT ctid FROM due"
    " WHERE partition = l.p AND workspace_id = l.w ORDER BY event_id LIMIT l.q OFFSET 0) d LIMIT %s))"
    f" RETURNING workspace_id, event_id) SELECT {EVENT} FROM taken t JOIN events e"
    " ON e.workspace_id = t.workspace_id AND e.id = t.event_id ORDER BY e.id"
)


def take(connection: Connection, now: int, limit: int, start: int) -> rows.Taken:
    """Take up to `limit` inputs that are due and lock their partitions for this transaction.

    Answers and debts first, then timers, then events; paused workspaces keep their events. The walk over
    workspaces starts after `start`, and none takes more than its share while others wait.
    """
    paused = [row[0] for row in fetch(connection, _PAUSED, (now,))]
    locked = _lock(connection, now, paused, ids.PARTITIONS)
    if not locked:
        return rows.Taken((), [], [], [], False, {})
    mine = packing.pack(Smallints, locked)
    inbox = sorted(rows.Inbox._make(row) for row in fetch(connection, _TAKE_INBOX, (mine, limit, limit)))
    room = limit - len(inbox)
    timers = sorted(rows.Timer._make(row) for row in fetch(connection, _TAKE_TIMERS, (mine, now, room, room)))
    room -= len(timers)
    lines = (
        [line for line in lines_of(connection, "due", locked) if line[1] not in paused] if room > 0 else []
    )
    events, cut = _take_events(connection, lines, room, start)
    workspaces = {row.workspace_id for row in inbox} | {row.workspace_id for row in timers}
    versions = _versions(connection, workspaces | {row.workspace_id for row in events})
    more = cut or len(inbox) + len(timers) + len(events) >= limit
    return rows.Taken(tuple(locked), inbox, timers, events, more, versions)


_PAUSED: LiteralString = (
    "SELECT id FROM workspaces WHERE is_paused AND (paused_until IS NULL OR paused_until > %s)"
)


def _lock(connection: Connection, now: int, paused: Sequence[int], most: int) -> list[int]:
    first = secrets.randbelow(ids.PARTITIONS)
    order = [(first + n) % ids.PARTITIONS for n in range(ids.PARTITIONS)]
    values = (packing.pack(Smallints, order), packing.pack(Integers, paused), now, LOCKS, most)
    return [row[0] for row in fetch(connection, _LOCK, values)]


def lines_of(connection: Connection, queue: str, partitions: Sequence[int]) -> list[tuple[int, int]]:
    """The (partition, workspace) lines of a queue that have something in them, by a walk over the index."""
    query = (
        "WITH RECURSIVE lines(p, w) AS (SELECT p, (SELECT workspace_id FROM {q} WHERE partition = p"
        " ORDER BY workspace_id LIMIT 1) FROM unnest(%s::int2[]) p UNION ALL"
        " SELECT l.p, (SELECT workspace_id FROM {q} WHERE partition = l.p AND workspace_id > l.w"
        " ORDER BY workspace_id LIMIT 1) FROM lines l WHERE l.w IS NOT NULL)"
        " SELECT p, w FROM lines WHERE w IS NOT NULL"
    ).replace("{q}", queue)
    found = connection.execute(query, (packing.pack(Smallints, partitions),), binary=True)
    return [(row[0], row[1]) for row in found.fetchall()]


def _take_events(
    connection: Connection, lines: Sequence[tuple[int, int]], room: int, start: int
) -> tuple[list[rows.Event], bool]:
    if not lines:
        return [], False
    shares = quotas(lines, room, start)
    values = (*packing.columns((Smallints, Integers, Integers), shares), room)
    taken = [rows.Event._make(row) for row in fetch(connection, _TAKE_EVENTS, values)]
    of_line = Counter((event.partition, event.workspace_id) for event in taken)
    return taken, len(shares) < len(lines) or any(of_line[p, w] == quota for p, w, quota in shares)


def quotas(lines: Sequence[tuple[int, int]], room: int, start: int) -> list[tuple[int, int, int]]:
    """How many may be taken of each line: a fifth of the room for a workspace while others wait."""
    width = Counter(workspace for _, workspace in lines)
    share = room if len(width) == 1 else max(5, room // 5)
    place: Counter[int] = Counter()
    made: list[tuple[int, int, int]] = []
    for partition, workspace in sorted(lines, key=lambda line: (line[1] <= start, line[1])):
        # What does not divide goes to the first lines; which are first changes from turn to turn.
        least, rest = divmod(share, width[workspace])
        quota = least + (place[workspace] < rest)
        place[workspace] += 1
        if quota:
            made.append((partition, workspace, quota))
    return made


def _versions(connection: Connection, workspaces: Collection[int]) -> dict[int, int]:
    found = fetch(
        connection,
        "SELECT id, definitions_version FROM workspaces WHERE id = ANY(%s::int4[])",
        (packing.pack(Integers, list(workspaces)),),
    )
    return {row[0]: row[1] for row in found}


def next_due(connection: Connection, now: int) -> int | None:
    """The instant of the earliest timer, or of the first end of a pause after `now`; None where there is neither."""
    found = fetch(
        connection,
        "SELECT min(at) FROM (SELECT (SELECT wake_at FROM timers WHERE partition = p ORDER BY wake_at LIMIT 1) AS at"
        " FROM generate_series(0, 63) p UNION ALL SELECT min(paused_until) FROM workspaces"
        " WHERE is_paused AND paused_until > %s) f",
        (now,),
    )
    return None if found[0][0] is None else int(found[0][0])
