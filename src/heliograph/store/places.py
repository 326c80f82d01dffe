"""Places: by what events are found that no hot table is sorted by (their rule, conversation, payload).

Law: a side table of narrow rows, filled in bulk and sorted behind the engine's back, never by it; so it lacks the
newest events. Up to where it is filled is its mark, and whoever reads it looks beyond the mark by itself. A row that
is there already stays: filling twice gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import events, ids
from heliograph.store import columns, database, listings, schema, spans

_EVENTS, _RUNS = schema.events.c, schema.runs.c
_MARKS, _PLACES = schema.event_place_marks, schema.event_places.c
_decode = msgspec.json.Decoder().decode

SETTLED_AFTER = 15_000_000
"""After this span (µs) nothing is committed any more under an older id: sessions that stand still are ended before."""
START = bytes(16)
"""The mark of what was never filled."""
_LOCK = 4_857_232
_KEYS_AT_ONCE = 200
_PAYLOADS_AT_ONCE = 1_000_000
"""So many bytes of payloads are read at once, or one payload."""


class Kind(IntEnum):
    """What a row finds its event by."""

    RULE = 1
    CONVERSATION = 2
    PAYLOAD = 3


def conversation_key(conversation_id: str) -> bytes:
    """The key of a conversation; whoever reads compares the conversation itself, too."""
    return blake2b(conversation_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def payload_key(payload_hash: str) -> bytes:
    """The key of a payload: the first half of its fingerprint."""
    return bytes.fromhex(payload_hash)[:16]


def mark(connection: sa.Connection, workspace_id: int, kind: Kind) -> bytes:
    """Up to which id (of a run for RULE, else of an event) the table is filled. Read it before the table."""
    of = Kind.RULE if kind is Kind.RULE else Kind.PAYLOAD
    found: bytes | None = connection.execute(
        sa.select(_MARKS.c.id).where(_MARKS.c.workspace_id == workspace_id, _MARKS.c.kind == of)
    ).scalar_one_or_none()
    return found or START


# ── filling ─────────────────────────────────────────────────────────────────────────────────────────


def fill_rules(store: database.Database, now: int, limit: int) -> int:
    """Place the events of the next `limit` runs of each workspace; gives how many."""
    return _fill(store, Kind.RULE, now, lambda connection, owner: _place_runs(connection, owner, now, limit))


def fill_events(store: database.Database, now: int, limit: int) -> int:
    """Place the next `limit` events of each workspace by conversation and payload; gives how many."""
    return _fill(
        store, Kind.PAYLOAD, now, lambda connection, owner: _place_events(connection, owner, now, limit)
    )


def _fill(
    store: database.Database, kind: Kind, now: int, place: Callable[[sa.Connection, int], tuple[int, bytes]]
) -> int:
    done = 0
    with listings.looking(store) as connection:
        owners = list(connection.execute(sa.select(schema.workspaces.c.id)).scalars())
        table = _RUNS if kind is Kind.RULE else _EVENTS
        owners = [
            owner
            for owner in owners
            if connection.execute(_next(connection, table, owner, kind, now, 1)).first() is not None
        ]
    for owner in owners:
        with store.writing() as connection:
            if not _is_alone(connection):
                return done
            listings.keep_to_walks(connection)
            count, last = place(connection, owner)
            if count:
                _move(connection, owner, kind, last)
        done += count
    return done


def _next(
    connection: sa.Connection, table: Any, owner: int, kind: Kind, now: int, limit: int, *more: Any
) -> sa.Select[Any]:
    """The ids of the next rows that have settled and were not placed yet, in order, with more of them."""
    after, settled = mark(connection, owner, kind), ids.head(now - SETTLED_AFTER) + bytes(8)
    of_owner = (table.workspace_id == owner, table.id > after, table.id < settled)
    return sa.select(table.id, *more).where(*of_owner).order_by(table.id).limit(limit)


def _is_alone(connection: sa.Connection) -> bool:
    """Of several processes on PostgreSQL one fills; SQLite has one writer."""
    if connection.dialect.name == "sqlite":
        return True
    return bool(connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))).scalar_one())


def _place_runs(connection: sa.Connection, owner: int, now: int, limit: int) -> tuple[int, bytes]:
    # The rows stay where they are: to hand each to the program and back costs several times as much.
    more = (_RUNS.automation_id, _RUNS.event_id, _RUNS.start_key)
    bite = _next(connection, _RUNS, owner, Kind.RULE, now, limit, *more).subquery()
    last = connection.execute(sa.select(bite.c.id).order_by(bite.c.id.desc()).limit(1)).scalar_one_or_none()
    if last is None:
        return 0, START
    # A run with a start key is of another door, though an event may have started it.
    met = (
        sa.select(sa.literal(owner), sa.literal(int(Kind.RULE)), bite.c.automation_id, bite.c.event_id)
        .where(bite.c.start_key.is_(None), bite.c.event_id.is_not(None))
        .order_by(bite.c.automation_id, bite.c.event_id)
    )
    insert = columns.inserting(connection, schema.event_places).from_select(list(_PLACES), met)
    connection.execute(insert.on_conflict_do_nothing())
    return connection.execute(sa.select(sa.func.count()).select_from(bite)).scalar_one(), last


def forget(connection: sa.Connection, owner: int, gone: Sequence[bytes], runs_gone: Sequence[bytes]) -> None:
    """Take away the places of events and runs that are about to be deleted."""
    rows: list[tuple[Kind, bytes, bytes]] = []
    for first in range(0, len(gone), _KEYS_AT_ONCE):
        some = columns.among(connection, _EVENTS.id, gone[first : first + _KEYS_AT_ONCE])
        query = sa.select(_EVENTS.id, _EVENTS.conversation_id, _EVENTS.payload)
        rows += _places_of(connection.execute(query.where(_EVENTS.workspace_id == owner, some)))
    for first in range(0, len(runs_gone), _KEYS_AT_ONCE):
        some = columns.among(connection, _RUNS.id, runs_gone[first : first + _KEYS_AT_ONCE])
        ran = sa.select(_RUNS.automation_id, _RUNS.event_id).where(_RUNS.workspace_id == owner, some)
        rows += [(Kind.RULE, row[0], row[1]) for row in connection.execute(ran) if row[1] is not None]
    if rows:
        one = (
            _PLACES.kind == sa.bindparam("of"),
            _PLACES.key == sa.bindparam("at"),
            _PLACES.event_id == sa.bindparam("id"),
        )
        values = [{"of": int(kind), "at": key, "id": event_id} for kind, key, event_id in sorted(rows)]
        connection.execute(sa.delete(schema.event_places).where(_PLACES.workspace_id == owner, *one), values)


def _place_events(connection: sa.Connection, owner: int, now: int, limit: int) -> tuple[int, bytes]:
    size = sa.func.length(_EVENTS.payload)
    bite = connection.execute(_next(connection, _EVENTS, owner, Kind.PAYLOAD, now, limit, size)).all()
    count, last = spans.within(bite, _PAYLOADS_AT_ONCE)
    if last is None:
        return 0, START
    query = sa.select(_EVENTS.id, _EVENTS.conversation_id, _EVENTS.payload).where(
        _EVENTS.workspace_id == owner, _EVENTS.id.between(bite[0].id, last)
    )
    _add(connection, owner, _places_of(connection.execute(query)))
    return count, last


def _places_of(found: Iterable[Any]) -> Iterator[tuple[Kind, bytes, bytes]]:
    """The places of events, each (id, conversation_id, payload), but for those by their rules."""
    for identity, conversation_id, payload in found:
        yield Kind.PAYLOAD, payload_key(events.fingerprint(_decode(payload))), identity
        if conversation_id is not None:
            yield Kind.CONVERSATION, conversation_key(conversation_id), identity


def _add(connection: sa.Connection, owner: int, rows: Iterable[tuple[Kind, bytes, bytes]]) -> None:
    """Put rows into the table, in its order: neighbours share a page."""
    ordered = sorted(rows)
    if not ordered:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "INSERT OR IGNORE INTO event_places VALUES (?,?,?,?)",
            [(owner, int(kind), key, identity) for kind, key, identity in ordered],
        )
        return
    kinds, keys, identities = zip(*ordered, strict=True)
    connection.exec_driver_sql(
        "INSERT INTO event_places SELECT %s, * FROM unnest(%s::int2[], %s::uuid[], %s::uuid[])"
        " ON CONFLICT DO NOTHING",
        (owner, list(map(int, kinds)), list(map(ids.text, keys)), list(map(ids.text, identities))),
    )


def _move(connection: sa.Connection, owner: int, kind: Kind, last: bytes) -> None:
    moved = connection.execute(
        sa.update(_MARKS)
        .where(_MARKS.c.workspace_id == owner, _MARKS.c.kind == kind, _MARKS.c.id < last)
        .values(id=last)
    )
    if moved.rowcount == 0 and mark(connection, owner, kind) == START:
        connection.execute(sa.insert(_MARKS).values(workspace_id=owner, kind=int(kind), id=last))
