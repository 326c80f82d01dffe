"""What `heliograph apply` says of each definition."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """What became of one definition."""

    kind: str
    name: str
    what: str
    """`created`, `unchanged`, or `changed:` with the fields."""
    warnings: tuple[str, ...] = ()
