"""What `heliograph apply` says of each definition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Change(NamedTuple):
    """What became of one definition."""

    kind: str
    name: str
    what: str
    """`created`, `unchanged`, or `changed:` with the fields."""
    warnings: tuple[str, ...] = ()


def shows_nothing(places: Iterable[str]) -> tuple[str, ...]:
    """What is said of fields in content that nobody knows: they are kept, as over HTTP (engine.md E29)."""
    return tuple(f"{place} is none of the fields that there are: it shows nothing" for place in places)
