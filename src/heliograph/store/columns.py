"""What the tables of the schema are made of, the same on SQLite and PostgreSQL, and what each of them says otherwise.

Law: an id is 16 bytes, JSON is text as it was received, an instant is microseconds since 1970 UTC.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from heliograph.core import ids

metadata = sa.MetaData()


class Identity(sa.types.TypeDecorator[bytes]):
    """The 16 bytes of an id: `uuid` on PostgreSQL, a blob on SQLite, bytes in the program."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The column's type in this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=False))
        return dialect.type_descriptor(sa.LargeBinary(16))

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        """Into the database."""
        return ids.text(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        """Out of the database."""
        if isinstance(value, uuid.UUID):
            return value.bytes
        return ids.parse(value) if isinstance(value, str) else value


class Json(sa.types.TypeDecorator[Any]):
    """JSON text as it was received: bytes or text in, bytes or text out (whoever reads decodes)."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """Text on both; SQLite keeps bytes as it gets them."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.LargeBinary())
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: bytes | str | None, dialect: Dialect) -> Any:
        """Into the database."""
        if dialect.name == "sqlite":
            return value.encode() if isinstance(value, str) else value
        return value.decode() if isinstance(value, bytes) else value


Instant = sa.BigInteger

Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that sorts by its bytes on both databases: what is walked in order must not depend on a server's language."""


def table(name: str, *columns: sa.schema.SchemaItem, clustered: bool = True, fill: int = 100) -> sa.Table:
    """A table; `clustered` by its key on SQLite, its pages filled to `fill` per cent on PostgreSQL."""
    # A SQLite table without rowid is its primary key: one tree instead of two where the key is time-ordered.
    # A page of PostgreSQL that is filled to less has room for its rows' changes, of which no index hears then.
    filled = {"fillfactor": fill}
    return sa.Table(name, metadata, *columns, sqlite_with_rowid=not clustered, postgresql_with=filled)


def queue(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    """A queue, whose key depends on the database."""
    return sa.Table(name, metadata, *columns, sqlite_with_rowid=False, info={"queue": True})


def column(name: str, kind: Any, *arguments: Any, null: bool = False, **options: Any) -> sa.Column[Any]:
    """A column, which holds something in every row unless it may be null."""
    return sa.Column(name, kind, *arguments, nullable=null, **options)


def index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index over some of the rows."""
    rows = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=rows, postgresql_where=rows)


def inserting(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may say what becomes of rows that are there already."""
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)


def among(
    connection: sa.Connection, column: sa.ColumnElement[bytes], chosen: Collection[bytes]
) -> sa.ColumnElement[bool]:
    """Whether an id is one of some hundred; one value where the database has arrays, as each costs as much as a row."""
    if connection.dialect.name == "sqlite":
        return column.in_(chosen)
    array = postgresql.ARRAY(postgresql.UUID(as_uuid=False))
    texts = sa.bindparam(None, [ids.text(one) for one in chosen], type_=array, unique=True)
    return column == sa.any_(texts)
