"""Events that follow one another, as a backtest reads them: which are meant, and a part of them.

Law: no SQL and no decisions here, as in rows.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from heliograph.store import rows


class Span(NamedTuple):
    """Events that follow one another: which are meant, and between which ids (neither of them included)."""

    workspace_id: int
    tenant_id: str | None
    """None: of every tenant and of none."""
    event_type: str
    after: bytes
    until: bytes


class Passed(NamedTuple):
    """A part of a span."""

    events: list[rows.Event]
    looked_at: int
    """How many events lie in it, of whatever type."""
    last: bytes | None
    """The id after which the span goes on; None where nothing is left."""


def within(sizes: Sequence[tuple[bytes, int]], most: int) -> tuple[int, bytes | None]:
    """How many of the first rows, each (id, bytes), have no more than so many bytes, and the last of them."""
    total = 0
    for count, (_, size) in enumerate(sizes):
        total += size
        if total > most and count:
            return count, sizes[count - 1][0]
    return len(sizes), sizes[-1][0] if sizes else None
