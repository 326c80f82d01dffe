"""The first answers to requests with an `Idempotency-Key`, by workspace, scope and key (journeys.md J16).

Law: a key is taken before the request is worked and its answer is stored after; while it is taken nobody else works the
same request. Whoever is at work renews the lease; one whose worker died is free again when it is over, and goes on
under its first instant, by which whoever works it finds what was done already.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from heliograph.store import database, schema

_KEYS = schema.request_keys.c
_headers = msgspec.json.Decoder(dict[str, str])


class Wanted(NamedTuple):
    """A request with a key."""

    workspace_id: int
    scope: str
    """What the key holds for: the tenant, if it is one's, the method and the path."""
    key: str
    fingerprint: bytes
    """Of its body: the same key goes with the same body."""


class Answer(NamedTuple):
    """What a request was answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Taken(NamedTuple):
    """What is known of a key."""

    begun_at: int
    """When the request came first (µs)."""
    is_mine: bool
    """Whether the caller is to work it."""
    is_same: bool
    """Whether the request with which it came first was the same."""
    answer: Answer | None
    lease_until: int


def take(store: database.Database, wanted: Wanted, now: int, lease: int, expires_at: int) -> Taken:
    """Take a key, unless it is taken or answered already."""
    while True:
        with store.writing() as connection:
            taken = _taken(connection, wanted, now, lease, expires_at)
        # It was let go of between the two looks: it may be somebody else's by now.
        if taken is not None:
            return taken


def _taken(connection: sa.Connection, wanted: Wanted, now: int, lease: int, expires_at: int) -> Taken | None:
    """What is known of a key now; None where it was there and is gone."""
    made = connection.execute(
        _insert(connection).on_conflict_do_nothing().returning(_KEYS.key),
        {
            "workspace_id": wanted.workspace_id,
            "scope": wanted.scope,
            "key": wanted.key,
            "fingerprint": wanted.fingerprint,
            "begun_at": now,
            "lease_until": now + lease,
            "expires_at": expires_at,
        },
    )
    if made.one_or_none() is not None:
        return Taken(now, True, True, None, now + lease)
    row = connection.execute(
        sa.select(schema.request_keys).where(*_is(wanted)).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    if row.expires_at <= now:
        # It begins anew.
        values = {"status": None, "headers": None, "body": None, "fingerprint": wanted.fingerprint}
        return _again(connection, wanted, now, lease, {**values, "begun_at": now, "expires_at": expires_at})
    is_same = row.fingerprint == wanted.fingerprint
    if row.status is not None:
        answer = Answer(row.status, _headers.decode(row.headers or b"{}"), row.body or b"")
        return Taken(row.begun_at, False, is_same, answer, row.lease_until)
    if row.lease_until <= now and is_same:
        return _again(connection, wanted, now, lease, {"begun_at": row.begun_at})
    return Taken(row.begun_at, False, is_same, None, row.lease_until)


def note(connection: sa.Connection, wanted: Wanted, now: int, expires_at: int) -> bool:
    """Take a key for good, in the caller's transaction; False where it is taken."""
    made = connection.execute(
        _insert(connection).on_conflict_do_nothing().returning(_KEYS.key),
        {
            **wanted._asdict(),
            "status": 200,
            "begun_at": now,
            "lease_until": now,
            "expires_at": expires_at,
        },
    )
    return made.one_or_none() is not None


def fingerprint(connection: sa.Connection, wanted: Wanted) -> bytes | None:
    """With which body a key came first; None where it is free."""
    found: bytes | None = connection.execute(
        sa.select(_KEYS.fingerprint).where(*_is(wanted))
    ).scalar_one_or_none()
    return found


def _insert(connection: sa.Connection) -> Any:
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(schema.request_keys)


def _again(
    connection: sa.Connection, wanted: Wanted, now: int, lease: int, values: dict[str, object]
) -> Taken:
    connection.execute(
        sa.update(schema.request_keys).where(*_is(wanted)).values(**values, lease_until=now + lease)
    )
    return Taken(int(str(values["begun_at"])), True, True, None, now + lease)


def keep(store: database.Database, wanted: Wanted, taken: Taken, answer: Answer) -> bool:
    """Store the answer to a request whose key was taken; False where it is at work no more."""
    with store.writing() as connection:
        kept = connection.execute(
            sa.update(schema.request_keys)
            .where(*_is_at_work(wanted, taken))
            .values(status=answer.status, headers=msgspec.json.encode(answer.headers), body=answer.body)
        )
    return bool(kept.rowcount)


def renew(store: database.Database, wanted: Wanted, taken: Taken, until: int) -> None:
    """Hold a key longer whose request is at work."""
    with store.writing() as connection:
        connection.execute(
            sa.update(schema.request_keys).where(*_is_at_work(wanted, taken)).values(lease_until=until)
        )


def let_go(store: database.Database, wanted: Wanted, taken: Taken) -> None:
    """Free a key whose request came to nothing."""
    with store.writing() as connection:
        connection.execute(sa.delete(schema.request_keys).where(*_is_at_work(wanted, taken)))


def give_up(store: database.Database, wanted: Wanted, taken: Taken) -> None:
    """End the lease of a key of whose request nobody knows what it came to: the same request may come again at once.

    It goes on under its first instant: the word that something was committed may be all that was lost.
    """
    renew(store, wanted, taken, taken.begun_at)


def forget(store: database.Database, now: int, at_most: int) -> int:
    """Delete keys, passes and counts that have expired, at most so many of each; gives how many."""
    forgotten = 0
    with store.writing() as connection:
        for table in (schema.request_keys, schema.step_keys, schema.passes, schema.recent_sends):
            key = sa.tuple_(*table.primary_key.columns)
            old = sa.select(*table.primary_key.columns).where(table.c.expires_at <= now).limit(at_most)
            # Asked once more of the row itself: one that somebody renews at this moment stays.
            gone = sa.delete(table).where(key.in_(old), table.c.expires_at <= now)
            forgotten += connection.execute(gone).rowcount
    return forgotten


def _is_at_work(wanted: Wanted, taken: Taken) -> tuple[sa.ColumnElement[bool], ...]:
    """The key as whoever took it has it: not answered yet, and not begun anew by others."""
    return *_is(wanted), _KEYS.begun_at == taken.begun_at, _KEYS.status.is_(None)


def _is(wanted: Wanted) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _KEYS.workspace_id == wanted.workspace_id,
        _KEYS.scope == wanted.scope,
        _KEYS.key == wanted.key,
    )
