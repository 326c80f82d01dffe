"""Rooms: how much a delivery takes of the turns beside it (a chapter of the handover).

Law: a workspace with a backlog may fill a channel's hands; one without finds room beside it, so its messages never
wait in line behind what the other has planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

Place = str | tuple[int, str]
"""A channel; of a workspace with providers of its own, its channel."""


class Room:
    """How many more messages a delivery takes of one channel, used up by the turn that asked."""

    def __init__(self, messages: int, beside: int, few: int, in_hand: Mapping[int, int]):
        """`messages` of anybody, and `beside` them some of workspaces that have less than `few` in hand.

        `in_hand` is how many each workspace has there: one with a backlog leaves room for one without.
        """
        self.messages, self._beside, self._few, self._in_hand = messages, beside, few, in_hand
        self._taken: Counter[int] = Counter()

    def take(self, workspace_id: int) -> bool:
        """Whether one more of this workspace has room, which it then has."""
        if self.messages > 0:
            self.messages -= 1
            return True
        if self._beside <= 0 or self._in_hand.get(workspace_id, 0) + self._taken[workspace_id] >= self._few:
            return False
        self._beside -= 1
        self._taken[workspace_id] += 1
        return True


def of(offered: Mapping[Place, Room], workspace_id: int, channel: str) -> Room | None:
    """The room for a message of a workspace; None where nothing is taken of its channel."""
    return offered.get((workspace_id, channel)) or offered.get(channel)
