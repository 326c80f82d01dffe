"""Taking on PostgreSQL: ready partitions are locked, their oldest inputs deleted and returned.

Law: the lock comes before the statement that takes, so what is taken was committed and is nobody else's; plans
cannot flip, because rows are found through the queue's own key and taken by their place (ctid). A turn locks no
more partitions than fill its batch: the rest is for other workers.
"""

from __future__ import annotations

import functools
import operator
import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import LiteralString, NamedTuple

from heliograph.core import ids
from heliograph.store import packing, rows, shares
from heliograph.store.hot_postgres import sharing
from heliograph.store.hot_postgres.connection import LOCKS, Connection, fetch
from heliograph.store.hot_postgres.reading import EVENT
from heliograph.store.hot_postgres.writing import put_inbox
from heliograph.store.packing import Integers, Smallints


def last_now(connection: Connection) -> int:
    """The latest instant at which a turn was taken; time never runs behind it."""
    return int(fetch(connection, "SELECT max(last_now) FROM partitions")[0][0])


# A walk over the index, from line to line: (partition, workspace) with something in it, all partitions' first lines
# before their second ones. It begins after workspace `start` and comes round to it; where no workspace has a larger
# id it begins with the first. Of an empty queue nothing but its head is looked at.
_LINES: LiteralString = (
    "WITH RECURSIVE v(s) AS (SELECT CASE WHEN EXISTS (SELECT FROM workspaces WHERE id > %s) THEN %s::int4 ELSE 0 END),"
    " walk(p, w, round) AS (SELECT p, s, NULL::bool FROM unnest(%s::int2[]) p, v"
    " WHERE (SELECT true FROM {queue} LIMIT 1)"
    " UNION ALL SELECT l.p, n.w, n.round FROM walk l, v, LATERAL ("
    "(SELECT workspace_id AS w, l.round IS TRUE AS round FROM {queue} WHERE partition = l.p AND workspace_id > l.w"
    " AND workspace_id <= CASE WHEN l.round THEN v.s ELSE 2147483647 END ORDER BY workspace_id LIMIT 1)"
    " UNION ALL (SELECT workspace_id, true FROM {queue} WHERE v.s > 0 AND l.round IS NOT TRUE AND partition = l.p"
    " AND workspace_id <= v.s ORDER BY workspace_id LIMIT 1) LIMIT 1) n)"
    " (SELECT p, w FROM walk WHERE round IS NOT NULL AND w <> ALL(ARRAY({closed})) LIMIT %s)"
)
_LOOK: LiteralString = (
    _LINES.replace("{queue}", "due").replace(
        "{closed}",
        "SELECT id FROM workspaces WHERE is_paused AND (paused_until IS NULL OR paused_until > %s)",
    )
    # Never EXISTS, which the planner may turn into one scan over everything that waits.
    + " UNION ALL SELECT p, -1 FROM unnest(%s::int2[]) p"
    " WHERE (SELECT true FROM inbox LIMIT 1) AND (SELECT true FROM inbox WHERE partition = p AND attempts < 5 LIMIT 1)"
    " UNION ALL (SELECT p, -2 FROM (SELECT p, (SELECT wake_at FROM timers WHERE partition = p AND wake_at <= %s"
    " ORDER BY wake_at LIMIT 1) AS at FROM unnest(%s::int2[]) p WHERE (SELECT true FROM timers LIMIT 1) OFFSET 0) t"
    " WHERE at IS NOT NULL ORDER BY at)"
)
# A walk over lines that ends when what could be locked fills the turn, but not before the first ones, which are for
# what is at hand. A workspace that has its share is passed over. What is in the inbox is counted with the first line of
# a partition, and where workspaces share the turn with the line whose it is; timers are counted where nobody has.
_LOCK: LiteralString = (
    "WITH RECURSIVE walk(n, p, w, tried, mine, events, answers, of_w, found) AS (SELECT 0, 0::int2, -1, false, false,"
    " 0::int8, 0::int8, 0::int8, 0::int8 UNION ALL"
    " SELECT k.n + 1, o.p, o.w, o.before < %s, l.mine, q.events, q.answers, o.before + q.events + q.timers"
    " + CASE WHEN v.is_shared THEN q.answers ELSE 0 END,"
    " k.found + q.events + q.answers + q.timers FROM walk k, (SELECT %s::bool AS is_shared) v,"
    " LATERAL (SELECT (%s::int2[])[k.n + 1] AS p, (%s::int4[])[k.n + 1] AS w, (%s::int2[])[k.n + 1] AS first,"
    " (%s::int4[])[k.n + 1] AS timers OFFSET 0) i,"
    " LATERAL (SELECT i.*, CASE WHEN i.w = k.w THEN k.of_w ELSE 0 END AS before OFFSET 0) o,"
    " LATERAL (SELECT CASE WHEN o.before < %s THEN pg_try_advisory_xact_lock(%s, o.p) ELSE false END AS mine"
    " OFFSET 0) l,"
    " LATERAL (SELECT CASE WHEN l.mine THEN (SELECT count(*) FROM (SELECT 1 FROM due"
    " WHERE partition = o.p AND workspace_id = o.w LIMIT %s) d) ELSE 0 END AS events,"
    " CASE WHEN l.mine AND v.is_shared THEN (SELECT count(*) FROM (SELECT 1 FROM inbox"
    " WHERE partition = o.p AND workspace_id = o.w AND attempts < 5 LIMIT %s) d)"
    " WHEN l.mine AND o.first = 1 THEN (SELECT count(*) FROM (SELECT 1 FROM inbox"
    " WHERE partition = o.p AND attempts < 5 LIMIT %s) d) ELSE 0 END AS answers,"
    " CASE WHEN NOT l.mine THEN 0 WHEN o.timers >= 0 THEN o.timers ELSE (SELECT count(*) FROM (SELECT 1 FROM timers"
    " WHERE partition = o.p AND wake_at <= %s LIMIT %s) d) END AS timers OFFSET 0) q"
    " WHERE k.n < %s AND (k.n < %s OR k.found < %s)) SELECT p, w, tried, mine, events, answers FROM walk WHERE n > 0"
)
_TAKE_INBOX: LiteralString = (
    "DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT i.ctid FROM unnest(%s::int2[]) p CROSS JOIN LATERAL"
    " (SELECT ctid FROM inbox WHERE partition = p AND attempts < 5 ORDER BY workspace_id, id LIMIT %s OFFSET 0) i"
    " LIMIT %s)) RETURNING partition, workspace_id, id, kind, run_id, body, attempts"
)
_TAKE_TIMERS: LiteralString = (
    "DELETE FROM timers WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM unnest(%s::int2[]) p CROSS JOIN LATERAL"
    " (SELECT ctid, wake_at FROM timers WHERE partition = p AND wake_at <= %s ORDER BY wake_at LIMIT %s OFFSET 0) t"
    " ORDER BY t.wake_at LIMIT %s)) RETURNING partition, wake_at, workspace_id, kind, id"
)
_TAKE_EVENTS: LiteralString = (
    "WITH taken AS (DELETE FROM due WHERE ctid = ANY(ARRAY(SELECT d.ctid FROM"
    " unnest(%s::int2[], %s::int4[], %s::int4[]) l(p, w, q) CROSS JOIN LATERAL (SELECT ctid FROM due"
    " WHERE partition = l.p AND workspace_id = l.w ORDER BY event_id LIMIT l.q OFFSET 0) d LIMIT %s))"
    f" RETURNING workspace_id, event_id) SELECT {EVENT} FROM taken t CROSS JOIN LATERAL"
    " (SELECT * FROM events WHERE workspace_id = t.workspace_id AND id = t.event_id OFFSET 0) e ORDER BY e.id"
)
_LINES_AT_LEAST = 4 * ids.PARTITIONS
"""Lines that are looked at however few inputs are wanted: the next workspace may be first in any partition."""
_FILLED_BY = 16
"""A turn is filled by so many partitions of a long queue: one alone would let the others wait too long (E2)."""
_COUNTED_AT_LEAST = 32
_UNCOUNTED = -1
"""Timers of a partition that are counted when it is locked."""
_MOST_WANTED = ids.PARTITIONS // 2
_BY_TIME = operator.itemgetter(*range(rows.Timer._fields.index("wake_at"), len(rows.Timer._fields)))


class Ready(NamedTuple):
    """What a look at all partitions found, from another partition on each time."""

    lines: list[tuple[int, int]]
    """(partition, workspace) with events in it."""
    answered: list[int]
    """Partitions with something in the inbox."""
    timed: list[int]
    """Partitions with a timer that is due, the longest due first."""


class Locked(NamedTuple):
    """What a turn has for itself."""

    partitions: set[int]
    lines: list[tuple[int, int]]
    """(partition, workspace) with events in it."""
    events: dict[tuple[int, int], int]
    """How much is in each line."""
    answers: dict[int, int]
    """How much is in each inbox."""
    left: bool
    """Whether there are lines that nobody tried."""


def take(
    connection: Connection,
    now: int,
    limit: int,
    start: int,
    replies: Sequence[rows.Inbox] = (),
    crowded: bool = False,
) -> rows.Taken:
    """Take up to `limit` inputs that are due and lock their partitions for this transaction.

    Answers and debts first, then timers, then events; paused workspaces keep their events. The walk over
    workspaces starts after `start`, and none takes more than its share while others wait. `replies` are at hand
    and go first among the answers; those of a partition that somebody else has are laid into its inbox. `crowded` is
    what the turn before was told: only then is it looked for who has a share of answers and timers.
    """
    ready = _look(connection, now, limit, start)
    most, waiting = limit - len(replies), None
    if crowded and most > 0:
        waiting = sharing.look(connection, now, most, _shuffled(), ready.lines, start)
    locked = _lock(connection, ready, now, most, start, _most_answered(replies), waiting)
    own = [reply for reply in replies if reply.partition in locked.partitions]
    put_inbox(connection, [reply for reply in replies if reply.partition not in locked.partitions])
    if not locked.partitions:
        return rows.Taken((), [], [], [], False, {}, (), (), start)
    room = limit - len(own)
    shared = None
    if waiting is not None and room > 0:
        take_events = functools.partial(_events, connection)
        shared = sharing.take(connection, now, room, waiting, locked.partitions, locked.lines, take_events)
    inbox, timers, events, reached, is_cut = (
        _oldest(connection, now, room, ready, locked, start) if shared is None else (*shared, True)
    )
    inbox = sorted((*own, *inbox))
    workspaces = {row.workspace_id for row in inbox} | {row.workspace_id for row in timers}
    versions, held, erasing, latest = _standing(connection, workspaces | {row.workspace_id for row in events})
    full = len(inbox) + len(timers) + len(events) >= limit
    more = full or locked.left or is_cut or crowded or _is_cut(locked, inbox, events)
    is_crowded = shared is not None or (full and not events)
    partitions = tuple(sorted(locked.partitions))
    known = (versions, held, erasing, reached, latest, is_crowded)
    return rows.Taken(partitions, inbox, timers, events, more, *known)


def _oldest(
    connection: Connection, now: int, room: int, ready: Ready, locked: Locked, start: int
) -> tuple[list[rows.Inbox], list[rows.Timer], list[rows.Event], int, bool]:
    """The oldest inputs of what is locked, the workspace that was reached, and whether there may be more timers."""
    mine = packing.pack(Smallints, sorted(locked.partitions))
    inbox: list[rows.Inbox] = []
    timers: list[rows.Timer] = []
    is_cut = False
    if ready.answered and room > 0:
        inbox = [rows.Inbox._make(row) for row in fetch(connection, _TAKE_INBOX, (mine, room, room))]
        room -= len(inbox)
    timed = locked.partitions.intersection(ready.timed)
    if timed and room > 0:
        timers, is_cut = _take_timers(connection, timed, room, now)
        room -= len(timers)
    events = _take_events(connection, locked.lines if room > 0 else [], room, start)
    return inbox, timers, events, events[-1].workspace_id if events else start, is_cut


def _take_timers(
    connection: Connection, partitions: Collection[int], room: int, now: int
) -> tuple[list[rows.Timer], bool]:
    """The oldest of what is due in all these partitions: whichever is first would let the others wait while it is long.

    Of each no more is looked at than twice its share; gives with it whether there may be more of one.
    """
    each = min(room, max(-(-2 * room // len(partitions)), _COUNTED_AT_LEAST))
    values = (packing.pack(Smallints, sorted(partitions)), now, each, room)
    found = sorted((rows.Timer._make(row) for row in fetch(connection, _TAKE_TIMERS, values)), key=_BY_TIME)
    return found, max(Counter(timer.partition for timer in found).values(), default=0) >= each


def _is_cut(locked: Locked, inbox: Sequence[rows.Inbox], events: Sequence[rows.Event]) -> bool:
    """Whether something was left lying in what is locked."""
    answered = Counter(
        row.partition for row in inbox
    )  # with those that were at hand: at worst it looks once more
    decided = Counter((row.partition, row.workspace_id) for row in events)
    return any(there > answered[place] for place, there in locked.answers.items()) or any(
        there > decided[line] for line, there in locked.events.items()
    )


def _look(connection: Connection, now: int, limit: int, start: int) -> Ready:
    places = packing.pack(Smallints, _shuffled())
    ready = Ready([], [], [])
    values = (start, start, places, now, max(limit, _LINES_AT_LEAST), places, now, places)
    for partition, workspace in fetch(connection, _LOOK, values):
        if workspace >= 0:
            ready.lines.append((partition, workspace))
        else:
            (ready.answered if workspace == -1 else ready.timed).append(partition)
    return ready


def _shuffled() -> list[int]:
    """All partitions, from another one on each time, so that workers do not meet."""
    first = secrets.randbelow(ids.PARTITIONS)
    return [(first + n) % ids.PARTITIONS for n in range(ids.PARTITIONS)]


def _lock(
    connection: Connection,
    ready: Ready,
    now: int,
    limit: int,
    start: int,
    wanted: Collection[int],
    waiting: sharing.Waiting | None,
) -> Locked:
    """Lock those `wanted` that nobody else has, and as many partitions more as fill the turn.

    `waiting` are the workspaces that share it, where answers and timers fill turns.
    """
    if waiting is None:
        lines = sorted(ready.lines, key=lambda line: shares.place_of(line[1], start))
        share = shares.share(limit, len({workspace for _, workspace in lines}))
        # Those without events go first: behind long queues they would never have their turn. So do those in which
        # somebody has waited the longest for a time that has come. With answers another one is first each time.
        busy = {place for place, _ in lines}
        quiet = [place for place in (*ready.answered, *ready.timed) if place not in busy]
        first = dict.fromkeys((*wanted, *quiet, *ready.timed[:_FILLED_BY]))
        known = dict.fromkeys(((place, 0) for place in ready.timed), _UNCOUNTED)
    else:
        lines, share = waiting.lines(ready.lines), waiting.each
        first, known = dict.fromkeys(wanted), waiting.timers
    lines[:0] = [(place, 0) for place in first]
    locked = Locked(set(), [], {}, {}, bool(lines))
    if not lines:
        return locked
    filling = -(-limit // _FILLED_BY)
    counted = max(filling, _COUNTED_AT_LEAST)
    values = (
        share,
        waiting is not None,
        *packing.columns((Smallints, Integers, Smallints, Integers), _marked(lines, known)),
        *(share, LOCKS, counted, counted, counted, now, filling, len(lines), len(wanted), max(limit, 1)),
    )
    walked = fetch(connection, _LOCK, values)
    for place, workspace, _, mine, events, answers in walked:
        if mine:
            locked.partitions.add(place)
            # A queue that was not counted to its end is longer than anything that will be taken of it.
            if answers:
                locked.answers[place] = answers if answers < counted else limit
            if events:
                locked.lines.append((place, workspace))
                locked.events[place, workspace] = events if events < counted else limit
    return locked._replace(left=len(walked) < len(lines) or not all(tried for _, _, tried, *_ in walked))


def _most_answered(replies: Sequence[rows.Inbox]) -> list[int]:
    """The partitions of most of these answers: not all of them, or a worker alone would keep the others waiting."""
    return [place for place, _ in Counter(reply.partition for reply in replies).most_common(_MOST_WANTED)]


def _marked(
    lines: Sequence[sharing.Place], timers: Mapping[sharing.Place, int]
) -> list[tuple[int, int, int, int]]:
    """The lines, each with 1 where it is the first of its partition, and how many timers it has."""
    seen: set[int] = set()
    marked = []
    for place, workspace in lines:
        marked.append((place, workspace, int(place not in seen), timers.get((place, workspace), 0)))
        seen.add(place)
    return marked


_TO_SEND: LiteralString = _LINES.replace("{queue}", "send_due").replace(
    "{closed}", "SELECT id FROM workspaces WHERE hold_deliveries"
)


def lines_to_send(connection: Connection, limit: int, start: int) -> list[tuple[int, int]]:
    """The (partition, workspace) lines with messages in them, but for workspaces on hold: enough for `limit`."""
    values = (start, start, packing.pack(Smallints, _shuffled()), max(limit, _LINES_AT_LEAST))
    return [(row[0], row[1]) for row in fetch(connection, _TO_SEND, values)]


def _take_events(
    connection: Connection, lines: Sequence[tuple[int, int]], room: int, start: int
) -> list[rows.Event]:
    return _events(connection, quotas(lines, room, start), room) if lines else []


def _events(connection: Connection, asked: Sequence[tuple[int, int, int]], room: int) -> list[rows.Event]:
    if not asked or room <= 0:
        return []
    values = (*packing.columns((Smallints, Integers, Integers), asked), room)
    return [rows.Event._make(row) for row in fetch(connection, _TAKE_EVENTS, values)]


def quotas(lines: Sequence[tuple[int, int]], room: int, start: int) -> list[tuple[int, int, int]]:
    """How many may be taken of each line: a fifth of the room for a workspace while others wait."""
    workspaces = {workspace for _, workspace in lines}
    each = dict.fromkeys(workspaces, shares.share(room, len(workspaces)))
    return [one for one in sharing.spread(lines, each, start) if one[2]]


def _standing(
    connection: Connection, workspaces: Collection[int]
) -> tuple[dict[int, int], set[int], set[int], int]:
    """The definitions' versions of these workspaces, which hold their deliveries, which take somebody out of history.

    Last, how late it is by now.
    """
    found = fetch(
        connection,
        "SELECT id, definitions_version, hold_deliveries,"
        " (SELECT true FROM erasures WHERE workspace_id = w.id LIMIT 1), (SELECT max(last_now) FROM partitions)"
        " FROM workspaces w WHERE id = ANY(%s::int4[])",
        (packing.pack(Integers, list(workspaces)),),
    )
    latest = found[0][4] if found else 0
    held, erasing = ({row[0] for row in found if row[place]} for place in (2, 3))
    return {row[0]: row[1] for row in found}, held, erasing, latest


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
