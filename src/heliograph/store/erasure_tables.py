"""The table of people who are being taken out of history, a part of the schema (schema.py).

Law: a row stands from the transaction that deletes a contact until nothing names them any more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.store import columns

Identity, Json = columns.Identity, columns.Json
_table, _column = columns.table, columns.column

erasures = _table(
    "erasures",
    _column("workspace_id", sa.Integer, primary_key=True),
    _column("id", Identity, primary_key=True),
    _column("user_id", sa.Text),
    # core.pseudonyms.Pseudonym
    _column("pseudonym", Json),
    # Up to which event it has come, and up to which it goes; null before the walk over events has begun.
    _column("reached", Identity, null=True),
    _column("until", Identity, null=True),
    # The tenant that deletes them, to which rows of other tenants are somebody else's; null: they are meant in all.
    _column("tenant_id", sa.Text, null=True),
    sa.Index("erasures_by_user", "workspace_id", "user_id"),
)


class Whose(NamedTuple):
    """Who is deleted, and the tenant whose key deletes them; None: one of the workspace."""

    workspace_id: int
    user_id: str
    tenant_id: str | None


class Deleted(NamedTuple):
    """Somebody who was deleted, by whom and when (µs)."""

    workspace_id: int
    user_id: str
    tenant_id: str | None
    at: int


def reached(tenant_id: str | None, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Whether a row, of the tenant in `column`, is meant where this tenant (None: the workspace) deletes somebody."""
    return sa.true() if tenant_id is None else sa.or_(column.is_(None), column == tenant_id)


def means(tenant_id: str | None, owner: str | None) -> bool:
    """The same of one row, and of whose it is."""
    return tenant_id is None or owner in (None, tenant_id)
