"""The rows of reports that pass between the engine and the two hot files (rows.py).

Law: no SQL and no decisions here.
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.core import reports


class Reached(NamedTuple):
    """What reports have told of a message: those columns of its row; `told` is JSON text."""

    workspace_id: int
    id: bytes
    reached: int | None = None
    delivered_at: int | None = None
    opened_at: int | None = None
    clicked_at: int | None = None
    told: bytes | str | None = None

    @property
    def known(self) -> reports.Known:
        """The same as a value."""
        return reports.Known(self.delivered_at, self.opened_at, self.clicked_at, reports.read_told(self.told))


def of(workspace_id: int, message_id: bytes, known: reports.Known) -> Reached:
    """The columns that say this of a message."""
    reached = None if known.reached is None else int(known.reached)
    return Reached(workspace_id, message_id, reached, *known[:3], reports.write_told(known.told))


class Writes:
    """What a turn leaves behind of reports."""

    __slots__ = ("reached", "soft_bounces", "suppressed")

    def __init__(self) -> None:
        self.reached: dict[tuple[int, bytes], Reached] = {}
        """By (workspace_id, message_id)."""
        self.soft_bounces: dict[tuple[int, str], bytes] = {}
        """(workspace_id, address) to the JSON of its core.reports.Account"""
        self.suppressed: dict[tuple[int, str], tuple[str, int]] = {}
        """(workspace_id, address) to (reason, created_at), for the whole workspace"""
