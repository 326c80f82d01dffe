"""Ingest on PostgreSQL: events, their places in the queue, and their idempotency keys, in bulk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import LiteralString

from heliograph.store import packing, rows
from heliograph.store.hot_postgres.connection import CHANNEL, SLEEPERS, Connection, at_once, fetch
from heliograph.store.packing import Bigints, Blobs, Identities, Integers, Smallints, Texts, made_of

EVENT_KINDS = (
    Integers, Identities, Smallints, Texts, Texts, Texts, Texts, Texts, Texts, Bigints, Smallints, Texts, Texts,
)  # fmt: skip
INSERT_EVENTS: LiteralString = f"INSERT INTO events {made_of(EVENT_KINDS)}"
_DUE_KINDS = (Smallints, Integers, Identities)
_INSERT_DUE: LiteralString = f"INSERT INTO due {made_of(_DUE_KINDS)}"


def find_keys(connection: Connection, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], rows.Key]:
    """The idempotency keys that are known, by (workspace, key)."""
    found = fetch(
        connection,
        "SELECT k.workspace_id, k.key, k.event_id, k.fingerprint, k.expires_at"
        " FROM unnest(%s::int4[], %s::text[]) w(a, b) CROSS JOIN LATERAL"
        " (SELECT * FROM idempotency_keys WHERE workspace_id = w.a AND key = w.b OFFSET 0) k",
        packing.columns((Integers, Texts), sorted(keys)),
    )
    return {(row[0], row[1]): rows.Key(*row) for row in found}


def accept(connection: Connection, events: Sequence[rows.Event], keys: Sequence[rows.Key]) -> bool:
    """Insert events, their places in the queue, and their idempotency keys (an outlived key is replaced).

    False where another process has just used one of the keys: the caller leaves nothing and looks again.
    """
    if keys:
        kept = connection.execute(
            "INSERT INTO idempotency_keys AS k SELECT * FROM"
            " unnest(%s::int4[], %s::text[], %s::uuid[], %s::bytea[], %s::int8[])"
            " ON CONFLICT (workspace_id, key) DO UPDATE SET event_id = excluded.event_id,"
            " fingerprint = excluded.fingerprint, expires_at = excluded.expires_at"
            " WHERE k.expires_at <= excluded.expires_at - 86400000000",
            packing.columns((Integers, Texts, Identities, Blobs, Bigints), sorted(keys)),
        ).rowcount
        if kept != len(keys):
            return False
    with at_once(connection):
        connection.execute(INSERT_EVENTS, packing.columns(EVENT_KINDS, events))
        insert_due(connection, [(e[2], e[0], e[1]) for e in events])
        connection.execute(
            "SELECT pg_notify(%s, '') WHERE NOT pg_try_advisory_xact_lock(%s)", (CHANNEL, SLEEPERS)
        )
    return True


def insert_due(connection: Connection, due: Sequence[tuple[int, int, bytes]]) -> None:
    """Put events in line: (partition, workspace, event)."""
    connection.execute(_INSERT_DUE, packing.columns(_DUE_KINDS, due))


def backlog(connection: Connection, at_most: int) -> int:
    """How many events wait for a decision, counted no further than `at_most`."""
    counted = fetch(connection, "SELECT count(*) FROM (SELECT 1 FROM due LIMIT %s) d", (at_most,))
    return int(counted[0][0])


def forget_keys(connection: Connection, now: int, at_most: int) -> int:
    """Delete idempotency keys that have outlived their day; how many."""
    return connection.execute(
        "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY("
        "SELECT ctid FROM idempotency_keys WHERE expires_at < %s LIMIT %s))",
        (now, at_most),
    ).rowcount
