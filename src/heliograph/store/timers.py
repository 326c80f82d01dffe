"""Timers that are set by hand, by whoever writes what they are about.

Law: a timer is set in the transaction that writes what it wakes; one that is set already stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from heliograph.store import rows, schema

_PUT = sa.text(
    "INSERT INTO timers (partition, wake_at, workspace_id, kind, id)"
    " VALUES (:partition, :wake_at, :workspace_id, :kind, :id) ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("id", type_=schema.Identity()))


def put(connection: sa.Connection, timers: Iterable[rows.Timer]) -> None:
    """Set timers."""
    values = [timer._asdict() for timer in timers]
    if values:
        connection.execute(_PUT, values)
