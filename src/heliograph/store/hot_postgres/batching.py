"""Batches on PostgreSQL: how they stand, the items that are looked at, and what becomes of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import LiteralString

from heliograph.core import batches
from heliograph.store import packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch, put
from heliograph.store.packing import Bigints, Identities, Integers, Smallints, Texts

_BATCH: LiteralString = (
    "b.workspace_id, b.id, b.partition, b.tenant_id, b.group_id, b.batch_key, b.scope, b.user_id, b.category_key,"
    " b.state, b.opened_at, b.last_at, b.wait, b.max_wait, b.timer_at, b.owner_run_id, b.owner_visit, b.owner_item,"
    " b.next_item, b.size, b.max_items, b.retain_type, b.retain_count, b.sort_key, b.released_at, b.reason"
)
_READ: LiteralString = (
    f"SELECT {_BATCH} FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL"
    " (SELECT * FROM batches WHERE workspace_id = w.a AND {key} = w.b OFFSET 0) b"
)
_BY_ID: LiteralString = _READ.replace("{key}", "id")
_BY_GROUP: LiteralString = _READ.replace("{key}", "group_id")
_ITEMS: LiteralString = (
    "SELECT i.workspace_id, i.batch_id, i.number, i.run_id, i.visit, i.joined_at, i.wait, i.max_wait, {data}"
    " FROM unnest(%s::int4[], %s::uuid[], %s::int8[], %s::int8[]) w(a, b, c, d) CROSS JOIN LATERAL"
    " (SELECT * FROM batch_items WHERE workspace_id = w.a AND batch_id = w.b AND number BETWEEN w.c AND w.d"
    " OFFSET 0) i"
)
_WHOLE: LiteralString = _ITEMS.replace("{data}", "i.data")
_HEADS: LiteralString = _ITEMS.replace("{data}", "''")
_SPANS = (Integers, Identities, Bigints, Bigints)

_KINDS = (
    Integers, Identities, Smallints, Texts, Identities, Texts, Texts, Texts, Texts, Smallints, Bigints, Bigints,
    Bigints, Bigints, Bigints, Identities, Integers, Bigints, Bigints, Bigints, Bigints, Texts, Integers, Texts,
    Bigints, Texts,
)  # fmt: skip
_PUT: LiteralString = (
    "INSERT INTO batches SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::text[], %s::uuid[], %s::text[],"
    " %s::text[], %s::text[], %s::text[], %s::int2[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::int8[],"
    " %s::uuid[], %s::int4[], %s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::text[], %s::int4[], %s::text[],"
    " %s::int8[], %s::text[]) ON CONFLICT (workspace_id, id) DO UPDATE SET group_id = excluded.group_id,"
    " state = excluded.state, opened_at = excluded.opened_at, last_at = excluded.last_at, wait = excluded.wait,"
    " max_wait = excluded.max_wait, timer_at = excluded.timer_at, owner_run_id = excluded.owner_run_id,"
    " owner_visit = excluded.owner_visit, owner_item = excluded.owner_item, next_item = excluded.next_item,"
    " size = excluded.size, max_items = excluded.max_items, retain_type = excluded.retain_type,"
    " retain_count = excluded.retain_count, sort_key = excluded.sort_key, released_at = excluded.released_at,"
    " reason = excluded.reason"
)
_ADD: LiteralString = (
    "INSERT INTO batch_items SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int8[], %s::uuid[], %s::int4[],"
    " %s::int8[], %s::int8[], %s::int8[], %s::text[])"
)
_ADD_KINDS = (Integers, Identities, Bigints, Identities, Integers, Bigints, Bigints, Bigints, Texts)
_TAKE_OUT: LiteralString = (
    "DELETE FROM batch_items i USING unnest(%s::int4[], %s::uuid[], %s::int8[]) u(w, b, n)"
    " WHERE i.workspace_id = u.w AND i.batch_id = u.b AND i.number = u.n"
)
_END: LiteralString = (
    "DELETE FROM batches b USING unnest(%s::int4[], %s::uuid[]) u(w, i)"
    " WHERE b.workspace_id = u.w AND b.id = u.i"
)
_END_ITEMS: LiteralString = (
    "DELETE FROM batch_items b USING unnest(%s::int4[], %s::uuid[]) u(w, i)"
    " WHERE b.workspace_id = u.w AND b.batch_id = u.i"
)


def read_batches(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], batches.Batch]:
    """Batches by (workspace, id); those that are over are absent."""
    return _read(connection, _BY_ID, keys)


def read_open_batches(
    connection: Connection, groups: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], batches.Batch]:
    """The batches that take the items of these groups, by (workspace, id)."""
    return _read(connection, _BY_GROUP, groups)


def _read(
    connection: Connection, query: LiteralString, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], batches.Batch]:
    if not keys:
        return {}
    found = fetch(connection, query, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): batches.Batch._make(row) for row in found}


def read_batch_items(
    connection: Connection, spans: Iterable[batches.Span], *, whole: bool
) -> list[batches.Item]:
    """The items of these spans, with what they hold where they are wanted whole."""
    values = packing.columns(_SPANS, sorted(spans))
    return [batches.Item._make(row) for row in fetch(connection, _WHOLE if whole else _HEADS, values)]


def write_batches(connection: Connection, writes: rows.Writes) -> None:
    """How batches stand now, the items that came, and what is over."""
    # Those that take no more items come first: the next one of their group may be among the others.
    ordered = sorted(
        writes.batches.changed.values(), key=lambda batch: (batch.group_id is not None, batch.id)
    )
    put(connection, _PUT, _KINDS, ordered)
    put(connection, _ADD, _ADD_KINDS, writes.batches.items)
    put(connection, _TAKE_OUT, _ADD_KINDS[:3], writes.batches.left)
    put(connection, _END, _KINDS[:2], writes.batches.ended)
    put(connection, _END_ITEMS, _KINDS[:2], writes.batches.ended)
