"""Columns of values as PostgreSQL's binary arrays, packed by hand.

Law: one array a column, one statement a table: `INSERT … SELECT unnest …` beats COPY at every batch size and
ignores duplicates for free, and the driver's own way with lists costs more than the database's work. The format is
that of PostgreSQL's array_recv: dimensions, null flag, element type, length, lower bound, then length and bytes of
each element, -1 for null.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_NULL = b"\xff\xff\xff\xff"
_header = struct.Struct("!iiiii").pack
_length = struct.Struct("!i").pack
_short = struct.Struct("!ih").pack
_int = struct.Struct("!ii").pack
_long = struct.Struct("!iq").pack
_SIXTEEN = _length(16)


class Packed:
    """A column, packed; the subclass says of what."""

    __slots__ = ("data",)

    def __init__(self, data: bytes):
        self.data = data


class Smallints(Packed):
    """A column of int2."""


class Integers(Packed):
    """A column of int4."""


class Bigints(Packed):
    """A column of int8."""


class Texts(Packed):
    """A column of text."""


class Identities(Packed):
    """A column of uuid."""


class Blobs(Packed):
    """A column of bytea."""


def _smallint(value: int) -> bytes:
    return _short(2, value)


def _integer(value: int) -> bytes:
    return _int(4, value)


def _bigint(value: int) -> bytes:
    return _long(8, value)


def _text(value: str | bytes) -> bytes:
    encoded = value.encode() if isinstance(value, str) else value
    return _length(len(encoded)) + encoded


def _identity(value: bytes) -> bytes:
    return _SIXTEEN + value


_KINDS: dict[type[Packed], tuple[int, int, Callable[[Any], bytes]]] = {
    Smallints: (1005, 21, _smallint),
    Integers: (1007, 23, _integer),
    Bigints: (1016, 20, _bigint),
    Texts: (1009, 25, _text),
    Identities: (2951, 2950, _identity),
    Blobs: (1001, 17, _text),
}
"""Array type, element type, and how one element is packed (with its length)."""


def pack(kind: type[Packed], values: Sequence[Any]) -> Packed:
    """One column."""
    _, element, one = _KINDS[kind]
    if not values:
        return kind(_header(0, 0, element, 0, 0)[:12])
    parts = [_NULL if value is None else one(value) for value in values]
    return kind(_header(1, int(None in values), element, len(values), 1) + b"".join(parts))


def columns(kinds: Sequence[type[Packed]], rows: Iterable[Sequence[Any]]) -> list[Packed]:
    """Rows as one packed array a column; no rows are empty arrays."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return [pack(kind, values) for kind, values in zip(kinds, by_column, strict=True)]


def dumpers() -> list[tuple[type[Packed], type[Dumper]]]:
    """What a connection's adapters need to know."""
    return [(kind, _dumper(oid)) for kind, (oid, _, _) in _KINDS.items()]


def _dumper(array_oid: int) -> type[Dumper]:
    class PackedDumper(Dumper):
        """Hands the bytes over as they are."""

        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: Packed) -> Buffer:
            """The bytes."""
            return obj.data

    return PackedDumper
