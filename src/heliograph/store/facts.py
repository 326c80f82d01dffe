"""Facts: what is remembered of a database as a whole, by name: its secret, its clock, how far imports have come.

Law: each function works in the caller's transaction.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import safe as safes
from heliograph.store import schema

_FACTS = schema.facts.c
_LINK_SECRET, _CLOCK = "link_secret", "clock"  # the names under which they are kept
_KEEP = sa.text(
    "INSERT INTO facts (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)

_NOTE = sa.text("INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")


def read(connection: sa.Connection, name: str) -> str | None:
    """What is known under this name; None where nothing is."""
    found: str | None = connection.execute(
        sa.select(_FACTS.value).where(_FACTS.name == name)
    ).scalar_one_or_none()
    return found


def keep(connection: sa.Connection, name: str, value: str) -> None:
    """Remember this, instead of what was known before."""
    connection.execute(_KEEP, {"name": name, "value": value})


def secret(connection: sa.Connection, fresh: str, safe: safes.Safe) -> bytes:
    """The secret of this database, in hexadecimal digits; `fresh` becomes it where there is none.

    Raises errors.NoSecretKey or errors.WrongSecretKey.
    """
    locked = safe.lock(fresh, _LINK_SECRET) if safe.has_key else fresh
    connection.execute(_NOTE, {"name": _LINK_SECRET, "value": locked})
    found = read(connection, _LINK_SECRET)
    assert found is not None
    return bytes.fromhex(safe.open(found, _LINK_SECRET) if safes.is_locked(found) else found)


def relock(connection: sa.Connection, safe: safes.Safe, *, plain_only: bool) -> int:
    """Lock the secret of this database by the key that locks now, or only if it is not locked; gives how many."""
    found = read(connection, _LINK_SECRET)
    if found is None or (safes.is_locked(found) and (plain_only or safe.is_current(found))):
        return 0
    plain = safe.open(found, _LINK_SECRET) if safes.is_locked(found) else found
    keep(connection, _LINK_SECRET, safe.lock(plain, _LINK_SECRET))
    return 1


def clock(connection: sa.Connection) -> str | None:
    """Which clock this database runs on (`real` or `scaled`); None before anything has run on it."""
    return read(connection, _CLOCK)


def note_clock(connection: sa.Connection, kind: str) -> str:
    """Note which clock this database runs on; gives the one that was noted first, by whichever program."""
    connection.execute(_NOTE, {"name": _CLOCK, "value": kind})
    found = read(connection, _CLOCK)
    assert found is not None
    return found


def forget(connection: sa.Connection, name: str) -> None:
    """Know nothing more of it."""
    connection.execute(sa.delete(schema.facts).where(_FACTS.name == name))
