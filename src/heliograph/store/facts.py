"""Facts: what is remembered of a database as a whole, by name."""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import schema

_FACTS = schema.facts.c
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


def secret(connection: sa.Connection, fresh: str) -> bytes:
    """The secret of this database, in hexadecimal digits where it is kept; `fresh` becomes it where there is none."""
    connection.execute(_NOTE, {"name": "link_secret", "value": fresh})
    found = read(connection, "link_secret")
    assert found is not None
    return bytes.fromhex(found)


def forget(connection: sa.Connection, name: str) -> None:
    """Know nothing more of it."""
    connection.execute(sa.delete(schema.facts).where(_FACTS.name == name))
