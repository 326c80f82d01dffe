"""What a turn leaves behind of batches, beside the rows of everything else (store/rows.py)."""

from __future__ import annotations

from heliograph.core import batches


class Writes:
    """What becomes of batches."""

    __slots__ = ("changed", "ended", "items", "left")

    def __init__(self) -> None:
        self.changed: dict[tuple[int, bytes], batches.Batch] = {}
        """New ones, and those that stand otherwise now, by (workspace_id, id)."""
        self.items: list[batches.Item] = []
        self.left: list[tuple[int, bytes, int]] = []
        """(workspace_id, batch_id, number)"""
        self.ended: list[tuple[int, bytes]] = []
        """(workspace_id, id) of those that go with all their items"""
