"""Columns of values as PostgreSQL's binary arrays, packed by hand.

Law: one array a column, one statement a table: `INSERT … SELECT unnest …` beats COPY at every batch size and
ignores duplicates for free, and the driver's own way with lists costs more than the database's work. The format is
that of PostgreSQL's array_recv: dimensions, null flag, element type, length, lower bound, then length and bytes of
each element, -1 for null.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, LiteralString

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


def _smallints(values: Sequence[int]) -> bytes:
    return b"".join([_short(2, value) for value in values])


def _integers(values: Sequence[int]) -> bytes:
    return b"".join([_int(4, value) for value in values])


def _bigints(values: Sequence[int]) -> bytes:
    return b"".join([_long(8, value) for value in values])


def _texts(values: Sequence[str | bytes]) -> bytes:
    encoded = [value.encode() if type(value) is str else value for value in values]
    sizes = [_LENGTHS[size] if size < _KNOWN else _length(size) for size in map(len, encoded)]
    return b"".join(chain.from_iterable(zip(sizes, encoded, strict=True)))  # type: ignore[arg-type]


def _identities(values: Sequence[bytes]) -> bytes:
    return _SIXTEEN + _SIXTEEN.join(values)


_KNOWN = 1024
_LENGTHS = [_length(size) for size in range(_KNOWN)]
_KINDS: dict[type[Packed], tuple[int, int, Callable[[Sequence[Any]], bytes]]] = {
    Smallints: (1005, 21, _smallints),
    Integers: (1007, 23, _integers),
    Bigints: (1016, 20, _bigints),
    Texts: (1009, 25, _texts),
    Identities: (2951, 2950, _identities),
    Blobs: (1001, 17, _texts),
}
"""Array type, element type, and how elements that are no nulls are packed (each with its length)."""
_NAMES: dict[type[Packed], LiteralString] = {
    Smallints: "int2",
    Integers: "int4",
    Bigints: "int8",
    Texts: "text",
    Identities: "uuid",
    Blobs: "bytea",
}


def pack(kind: type[Packed], values: Sequence[Any]) -> Packed:
    """One column."""
    _, element, each = _KINDS[kind]
    if not values:
        return kind(_header(0, 0, element, 0, 0)[:12])
    first, count = values[0], len(values)
    # Half of a turn's columns say the same in every row. (True is 1 here as there.)
    if first == values[-1] and values.count(first) == count:
        has_nulls = first is None
        packed = (_NULL if has_nulls else each((first,))) * count
    elif has_nulls := None in values:
        packed = b"".join([_NULL if value is None else each((value,)) for value in values])
    else:
        packed = each(values)
    return kind(_header(1, int(has_nulls), element, count, 1) + packed)


def columns(kinds: Sequence[type[Packed]], rows: Iterable[Sequence[Any]]) -> list[Packed]:
    """Rows as one packed array a column; no rows are empty arrays.

    So is a column that says nothing in any row: `unnest` of several arrays fills the shorter ones up with nulls.
    """
    by_column = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return [
        pack(kind, () if values and values[0] is None and values.count(None) == len(values) else values)
        for kind, values in zip(kinds, by_column, strict=True)
    ]


def made_of(kinds: Sequence[type[Packed]]) -> LiteralString:
    """The query whose rows are those of columns of these kinds.

    Its arrays stand side by side: of `FROM unnest(…, …)` the server writes each down before it reads a row.
    """
    return "SELECT " + ", ".join(f"unnest(%s::{_NAMES[kind]}[])" for kind in kinds)


def _dumper(array_oid: int) -> type[Dumper]:
    class PackedDumper(Dumper):
        """Hands the bytes over as they are."""

        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: Packed) -> Buffer:
            """The bytes."""
            return obj.data

    return PackedDumper


DUMPERS: tuple[tuple[type[Packed], type[Dumper]], ...] = tuple(
    (kind, _dumper(oid)) for kind, (oid, _, _) in _KINDS.items()
)
"""What a connection's adapters need to know: made once, because the driver never forgets a class that it was shown."""
