"""What a workspace defines: brands, providers, routing strategies and schemas, a row each.

Law: whoever changes one raises the workspace's `definitions_version` before it reads it, and so is alone with all of
its definitions. Each function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from heliograph.store import workspaces

One = TypeVar("One")


class Table(Generic[One]):
    """The rows of one table, which has the columns `workspace_id`, `id` and `number`."""

    def __init__(self, table: sa.Table, fields: Sequence[str], made: Callable[[Sequence[Any]], One]):
        """`made` makes what is stored of a row with these fields."""
        self._columns, self._made = table.c, made
        self._all = sa.select(*(table.c[name] for name in fields))

    def read(self, connection: sa.Connection, workspace_id: int, identity: str) -> One | None:
        """What has this id; None where there is none."""
        query = self._query(workspace_id).where(self._columns.id == identity)
        row = connection.execute(query).one_or_none()
        return None if row is None else self._made(row)

    def lock(self, connection: sa.Connection, workspace_id: int, identity: str) -> One | None:
        """What is about to be changed: nobody else changes definitions until this transaction ends."""
        workspaces.raise_version(connection, workspace_id)
        return self.read(connection, workspace_id, identity)

    def listed(self, connection: sa.Connection, workspace_id: int) -> list[One]:
        """All, in the order in which they were made."""
        query = self._query(workspace_id).order_by(self._columns.number)
        return [self._made(row) for row in connection.execute(query)]

    def _query(self, workspace_id: int) -> sa.Select[Any]:
        return self._all.where(self._columns.workspace_id == workspace_id)
