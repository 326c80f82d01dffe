"""Addresses that nothing is sent to: listed, added, taken off, brought in and out as CSV.

Law: an address is kept in the form in which messages carry it. A tenant's key sees and makes that tenant's alone; what
the workspace itself suppresses holds for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import schedule, suppressing
from heliograph.store import consent, database, schema

_ROWS = schema.suppressions.c
_AT_ONCE = 1_000
_PUT = sa.text(
    "INSERT INTO suppressions (workspace_id, address, tenant_id, reason, created_at)"
    " VALUES (:workspace_id, :address, :tenant_id, :reason, :now)"
    " ON CONFLICT (workspace_id, address, tenant_id) DO NOTHING"
)


class Suppression(NamedTuple):
    """An address that nothing is sent to."""

    address: str
    tenant_id: str
    """Empty: for everybody."""
    reason: str
    created_at: int


def put(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    given: Collection[tuple[str, str]],
    now: int,
) -> None:
    """Suppress these, each (address, reason); one that is there stays as it is."""
    if not given:
        return
    consent.note(connection, workspace_id)
    connection.execute(
        _PUT,
        [
            {
                "workspace_id": workspace_id,
                "address": address,
                "tenant_id": tenant_id or "",
                "reason": reason,
                "now": now,
            }
            for address, reason in given
        ],
    )


def delete(connection: sa.Connection, workspace_id: int, tenant_id: str | None, address: str) -> bool:
    """Let an address be written to again; False where it was not suppressed."""
    gone = connection.execute(
        sa.delete(schema.suppressions).where(
            _ROWS.workspace_id == workspace_id,
            _ROWS.address == address,
            _ROWS.tenant_id == (tenant_id or ""),
        )
    )
    return bool(gone.rowcount)


def tenants(connection: sa.Connection, workspace_id: int, address: str) -> list[str]:
    """Who suppresses an address; an empty text is everybody."""
    query = sa.select(_ROWS.tenant_id).where(_ROWS.workspace_id == workspace_id, _ROWS.address == address)
    return list(connection.execute(query).scalars())


def page(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, after: tuple[str, str], limit: int
) -> list[Suppression]:
    """The next suppressions that this tenant (None: the whole workspace) sees, by address."""
    place: sa.ColumnElement[Any] = sa.tuple_(_ROWS.address, _ROWS.tenant_id) > after
    query = (
        sa.select(_ROWS.address, _ROWS.tenant_id, _ROWS.reason, _ROWS.created_at)
        .where(_ROWS.workspace_id == workspace_id, place)
        .order_by(_ROWS.address, _ROWS.tenant_id)
        .limit(limit)
    )
    if tenant_id is not None:
        query = query.where(_ROWS.tenant_id == tenant_id)
    return [Suppression._make(row) for row in connection.execute(query)]


def each(store: database.Database, workspace_id: int, tenant_id: str | None) -> Iterator[list[Suppression]]:
    """Every suppression that this tenant sees, some at a time; between two looks nothing is held."""
    after = ("", "")
    while True:
        with store.reading() as connection:
            found = page(connection, workspace_id, tenant_id, after, _AT_ONCE)
        if not found:
            return
        yield found
        after = (found[-1].address, found[-1].tenant_id)


def written(store: database.Database, workspace_id: int, tenant_id: str | None) -> Iterator[str]:
    """The same as CSV, piece by piece."""
    yield suppressing.HEADER
    for some in each(store, workspace_id, tenant_id):
        lines = (
            suppressing.line(one.address, one.reason, schedule.write_instant(one.created_at)) for one in some
        )
        yield "".join(lines)
