"""Ids: what stands in their bits comes back out of them."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import ids


@given(st.binary(min_size=16, max_size=16))
def test_an_id_in_text_is_the_uuid_of_its_bytes(identity: bytes) -> None:
    """What people see is the usual form of a UUID, and is read back as the same bytes."""
    assert ids.text(identity) == str(uuid.UUID(bytes=identity))
    assert ids.parse(ids.text(identity)) == identity


@given(
    st.integers(0, (1 << 48) * 1000 - 1),
    st.integers(0, (1 << 20) - 1),
    st.integers(0, ids.PARTITIONS - 1),
    st.integers(0, (1 << 36) - 1),
)
def test_an_id_carries_its_instant_and_its_partition(
    at: int, counter: int, partition: int, tail: int
) -> None:
    """Whatever else stands in an id, its instant and its partition are those that it was made with."""
    identity = ids.mint(at, counter, partition, tail)
    assert (ids.created_at(identity), ids.partition_of(identity)) == (at, partition)
