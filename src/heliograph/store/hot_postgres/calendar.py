"""The calendar on PostgreSQL: birthdays of a day, and how far walks through them have come."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.core import ids
from heliograph.store import calendar_rows, packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch, put
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_BIRTHDAYS: LiteralString = (
    "SELECT workspace_id, partition, birthday, user_id, tenant_id, known_at FROM birthdays"
    " WHERE workspace_id = %s AND partition = %s AND "
)
_FORGET: LiteralString = (
    "DELETE FROM birthdays b USING unnest(%s::int4[], %s::int2[], %s::int2[], %s::text[]) u(w, p, d, k)"
    " WHERE b.workspace_id = u.w AND b.partition = u.p AND b.birthday = u.d AND b.user_id = u.k"
)
_KEEP: LiteralString = (
    "INSERT INTO birthdays SELECT * FROM unnest(%s::int4[], %s::int2[], %s::int2[], %s::text[], %s::text[],"
    " %s::int8[]) ON CONFLICT (workspace_id, partition, birthday, user_id) DO UPDATE SET known_at = excluded.known_at"
)
_LAY_OUT: LiteralString = (
    "INSERT INTO calendar_walks SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::uuid[], %s::int4[],"
    " %s::int2[], %s::text[]) ON CONFLICT DO NOTHING"
)
_MOVE: LiteralString = (
    "UPDATE calendar_walks c SET place = u.p FROM unnest(%s::text[], %s::int4[], %s::uuid[]) u(p, w, i)"
    " WHERE c.workspace_id = u.w AND c.id = u.i"
)
_END: LiteralString = (
    "DELETE FROM calendar_walks c USING unnest(%s::int4[], %s::uuid[]) u(w, i)"
    " WHERE c.workspace_id = u.w AND c.id = u.i"
)


def read_walks(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], calendar_rows.Walk]:
    """Walks by (workspace, id); those that ended are absent."""
    query: LiteralString = (
        "SELECT c.workspace_id, c.id, c.partition, c.automation_id, c.birth, c.birthday, c.place"
        " FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL (SELECT * FROM calendar_walks"
        " WHERE workspace_id = w.a AND id = w.b OFFSET 0) c"
    )
    found = fetch(connection, query, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): calendar_rows.Walk._make(row) for row in found}


def where_birthdays(connection: Connection, workspace_id: int, birthday: int) -> list[int]:
    """The partitions in which anybody has this birthday."""
    # Never EXISTS, which the planner may turn into one scan over everybody.
    query: LiteralString = (
        "SELECT p FROM unnest(%s::int2[]) p WHERE (SELECT true FROM birthdays"
        " WHERE workspace_id = %s AND partition = p AND birthday = %s LIMIT 1)"
    )
    partitions = packing.pack(Smallints, list(range(ids.PARTITIONS)))
    return [row[0] for row in fetch(connection, query, (partitions, workspace_id, birthday))]


def walk_birthdays(
    connection: Connection, workspace_id: int, partition: int, birthday: int, after: str, limit: int
) -> list[calendar_rows.Birthday]:
    """The next people of a partition who have this birthday, in the order of their ids."""
    query: LiteralString = f"{_BIRTHDAYS}birthday = %s AND user_id > %s ORDER BY user_id LIMIT %s"
    found = fetch(connection, query, (workspace_id, partition, birthday, after, limit))
    return [calendar_rows.Birthday._make(row) for row in found]


def read_new_birthdays(
    connection: Connection,
    workspace_id: int,
    partition: int,
    birthdays: Collection[int],
    known_from: int,
    known_before: int,
) -> list[calendar_rows.Birthday]:
    """The people of a partition with one of these birthdays, known from an instant up to but without another."""
    query: LiteralString = (
        f"{_BIRTHDAYS}birthday = ANY(%s) AND known_at >= %s AND known_at < %s ORDER BY user_id"
    )
    wanted = packing.pack(Smallints, list(birthdays))
    found = fetch(connection, query, (workspace_id, partition, wanted, known_from, known_before))
    return [calendar_rows.Birthday._make(row) for row in found]


def write_calendar(connection: Connection, writes: rows.Writes) -> None:
    """Birthdays as they are now, and how far walks through them have come."""
    kinds = (Integers, Smallints, Smallints, Texts, Texts, Bigints)
    put(connection, _FORGET, kinds[:4], sorted(writes.forgotten_birthdays))
    put(connection, _KEEP, kinds, [writes.birthdays[key] for key in sorted(writes.birthdays)])
    walk_kinds = (Integers, Identities, Smallints, Identities, Integers, Smallints, Texts)
    put(connection, _LAY_OUT, walk_kinds, sorted(writes.walks))
    put(connection, _MOVE, (Texts, Integers, Identities), writes.moved_walks)
    put(connection, _END, (Integers, Identities), sorted(writes.ended_walks))
