"""Starting on PostgreSQL: the one keyed insert by which runs begin that no rule started, and how they are canceled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, LiteralString

from heliograph.core import effects, ids
from heliograph.store import packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch, put
from heliograph.store.hot_postgres.writing import RUN_KINDS, RUNS, START_KINDS, STARTS, put_timers
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_KEY_KINDS = (Identities, Texts)
_KEYS: LiteralString = (
    f"INSERT INTO start_keys {packing.made_of(_KEY_KINDS)} ON CONFLICT DO NOTHING"
    " RETURNING automation_id, start_key"
)
_START: LiteralString = RUNS + " ON CONFLICT DO NOTHING RETURNING id"
_STARTS_UNLESS_THERE: LiteralString = STARTS + " ON CONFLICT DO NOTHING"
_READ: LiteralString = (
    "SELECT s.workspace_id, s.run_id, s.partition, s.door, s.tenant_id, s.contact_id, s.token, s.body"
    " FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL"
    " (SELECT * FROM starts WHERE workspace_id = w.a AND run_id = w.b OFFSET 0) s"
)
# 5 is effects.Inbox.CANCEL; 1 and 5 are the members of runs.IN_PROGRESS.
_CANCEL_ALL: LiteralString = (
    "INSERT INTO inbox SELECT DISTINCT s.partition, s.workspace_id, s.run_id, 5, s.run_id, 'null', 0"
    " FROM unnest(%s::int4[], %s::text[], %s::text[]) w(a, t, b) CROSS JOIN LATERAL"
    " (SELECT * FROM starts WHERE workspace_id = w.a AND token = w.b OFFSET 0) s CROSS JOIN LATERAL"
    " (SELECT status FROM runs WHERE workspace_id = s.workspace_id AND id = s.run_id OFFSET 0) r"
    " WHERE s.tenant_id IS NOT DISTINCT FROM coalesce(w.t, s.tenant_id) AND r.status IN (1, 5)"
    " AND s.run_id <> ALL(%s::uuid[]) ON CONFLICT (partition, workspace_id, id, kind) DO UPDATE SET attempts = 0"
)
_OUT_OF_LINE: LiteralString = (
    "DELETE FROM send_due d USING unnest(%s::int2[], %s::int4[], %s::uuid[]) w(p, a, b)"
    " WHERE d.partition = w.p AND d.workspace_id = w.a AND d.message_id = w.b"
)
# A claim of this very moment has its row out of the line: the statement before has waited for it. 6 is
# messages.State.CANCELED; 1, 2 and 10 are PLANNED, HELD and DELAYED.
_STOP: LiteralString = (
    "UPDATE messages m SET state = 6, settled_at = w.n, error = 'canceled'"
    " FROM unnest(%s::int8[], %s::int4[], %s::uuid[]) w(n, a, b)"
    " WHERE m.workspace_id = w.a AND m.id = w.b AND m.state IN (1, 2, 10) AND NOT EXISTS (SELECT FROM claims c"
    " WHERE c.workspace_id = w.a AND c.message_id = w.b)"
)


def start(connection: Connection, launches: Sequence[rows.Launch]) -> set[bytes]:
    """Let these runs begin, each when it is to; one whose automation has its start key already does not.

    Gives the ids of those that do.
    """
    return put_waiting(connection, take_keys(connection, launches))


def put_started(connection: Connection, started: Collection[tuple[rows.Run, rows.Start]]) -> None:
    """Write runs that begin, as they stand, and what they began with."""
    put(connection, RUNS, RUN_KINDS, [run for run, _ in started])
    put(connection, STARTS, START_KINDS, [start for _, start in started])


def put_waiting(connection: Connection, launches: Sequence[rows.Launch]) -> set[bytes]:
    """Write these, each with the timer that wakes it; gives the ids of those that were not there before."""
    if not launches:
        return set()
    found = fetch(connection, _START, packing.columns(RUN_KINDS, [one.run for one in launches]))
    begun = {_bytes(row[0]) for row in found}
    fresh = [one for one in launches if one.run.id in begun]
    put(connection, _STARTS_UNLESS_THERE, START_KINDS, [one.start for one in fresh])
    put_timers(
        connection,
        [
            rows.Timer(ids.partition_of(o.run.id), o.wake_at, o.run.workspace_id, effects.Timer.RUN, o.run.id)
            for o in fresh
        ],
    )
    return begun


def take_keys(connection: Connection, launches: Sequence[rows.Launch]) -> list[rows.Launch]:
    """Those whose start keys nobody has yet; from now on they have."""
    named = sorted({one.key for one in launches if one.key is not None})
    if not named:
        return [*launches]
    found = fetch(connection, _KEYS, packing.columns(_KEY_KINDS, named))
    free = {(_bytes(row[0]), row[1]) for row in found}
    mine = []
    for one in launches:
        if one.key is not None and one.key not in free:
            continue
        if one.key is not None:
            free.remove(one.key)
        mine.append(one)
    return mine


def _bytes(identity: Any) -> bytes:
    return identity if isinstance(identity, bytes) else identity.bytes


def read_starts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Start]:
    """What runs were started with, by (workspace, run)."""
    found = fetch(connection, _READ, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): rows.Start._make(row) for row in found}


def cancel_by_token(
    connection: Connection, wanted: Collection[rows.TokenCancel], spared: Collection[bytes] = ()
) -> None:
    """Lay a cancel into the inbox of every run in progress that has one of these tokens, and is in its reach.

    One that was set aside there is tried anew. None reaches the runs that are `spared`.
    """
    if not wanted:
        return
    tokens = sorted(wanted, key=lambda one: (one.workspace_id, one.tenant_id or "", one.token))
    values = packing.columns((Integers, Texts, Texts), tokens)
    connection.execute(_CANCEL_ALL, (*values, packing.pack(Identities, [*spared])))


def cancel_messages(connection: Connection, now: int, wanted: Collection[tuple[int, bytes]]) -> None:
    """Let these messages end where they are: in line, or waiting to be tried again; what is in hand goes on."""
    keys = sorted(wanted)
    places = [(ids.partition_of(identity), workspace, identity) for workspace, identity in keys]
    put(connection, _OUT_OF_LINE, (Smallints, Integers, Identities), places)
    put(connection, _STOP, (Bigints, Integers, Identities), [(now, *key) for key in keys])
