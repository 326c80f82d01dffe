"""Columns as PostgreSQL's binary arrays."""

import gc
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Dumper

from heliograph.store import database, packing

ELEMENTS: dict[type[packing.Packed], tuple[int, str | None, st.SearchStrategy[Any]]] = {
    packing.Smallints: (21, "!h", st.integers(-3, 3)),
    packing.Integers: (23, "!i", st.integers(-3, 3)),
    packing.Bigints: (20, "!q", st.integers(-3, 1 << 60)),
    packing.Texts: (25, None, st.text(max_size=3) | st.binary(max_size=3) | st.just("x" * 2_000)),
    packing.Identities: (2950, None, st.binary(min_size=16, max_size=16)),
    packing.Blobs: (17, None, st.binary(max_size=3)),
}


def element(written: str | None, value: Any) -> bytes:
    """One element as array_recv reads it."""
    if value is None:
        return struct.pack("!i", -1)
    octets = struct.pack(written, value) if written else value.encode() if isinstance(value, str) else value
    return struct.pack("!i", len(octets)) + octets


@pytest.mark.parametrize("kind", ELEMENTS)
@given(st.data())
def test_a_column_is_packed_element_by_element(kind: type[packing.Packed], data: st.DataObject) -> None:
    """Whatever is the same in it and wherever it has nulls, a column is what array_recv reads as those values."""
    oid, written, values_of = ELEMENTS[kind]
    few = data.draw(st.lists(values_of | st.none(), max_size=4, unique=True))
    values: Sequence[Any] = data.draw(st.lists(st.sampled_from(few), max_size=9)) if few else []
    whole = struct.pack("!iiiii", 1, int(None in values), oid, len(values), 1)
    whole += b"".join(element(written, value) for value in values)
    assert packing.pack(kind, values).data == (whole if values else struct.pack("!iii", 0, 0, oid))


def test_a_column_that_says_nothing_is_empty() -> None:
    """Columns side by side are filled up with nulls to the length of the longest."""
    kinds = (packing.Integers, packing.Texts, packing.Texts)
    packed = packing.columns(kinds, [(1, None, None), (2, None, "a")])
    assert packed[0].data == packing.pack(packing.Integers, (1, 2)).data
    assert packed[1].data == packing.pack(packing.Texts, ()).data
    assert packed[2].data == packing.pack(packing.Texts, (None, "a")).data


def test_connections_leave_nothing_behind(ready_postgres_url: str) -> None:
    """However many connections are opened and closed, the driver knows as many classes as after the first ones."""

    def known() -> int:
        for made in (database.Database(ready_postgres_url) for _ in range(2)):
            made.session().close()
            with made.reading():
                pass
            made.close()
        gc.collect()
        return len(Dumper.__subclasses__())

    assert known() == known()
