"""Rooms: how much a delivery takes of the turns beside it (a chapter of the handover).

Law: a workspace with a backlog may fill a channel's hands; one without finds room beside it, so its messages never
wait in line behind what the other has planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

Place = str | tuple[int, str]
"""A channel; of a workspace with providers of its own, its channel."""


INSTALLATION = 0


def whose(place: Place) -> int:
    """The workspace whose place it is, or the installation."""
    return INSTALLATION if isinstance(place, str) else place[0]


Told = tuple[int, int, int, Mapping[int, int]]
"""What a room is made of."""


class Room:
    """How many more messages a delivery takes of one channel, used up by the turn that asked."""

    def __init__(self, messages: int, beside: int, few: int, in_hand: Mapping[int, int]):
        """`messages` of anybody, and `beside` them some of workspaces that have less than `few` in hand.

        `in_hand` is how many each workspace has there: one with a backlog leaves room for one without.
        """
        self.messages, self._beside, self._few, self._in_hand = messages, beside, few, in_hand
        self._taken: Counter[int] = Counter()

    @property
    def told(self) -> Told:
        """What it is made of, for who is elsewhere."""
        return self.messages, self._beside, self._few, dict(self._in_hand)

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


class Rooms:
    """The rooms of one turn, each made when the first message asks for it: most workspaces have none in a turn."""

    def __init__(self, make: Callable[[Place], Room | None], on_the_way: int):
        """`make` gives the room of a place, None where nothing is taken; so many messages are on their way there."""
        self._make, self._on_the_way = make, on_the_way
        self._of: dict[tuple[int, str], Room | None] = {}
        self._shared: dict[str, Room | None] = {}

    def of(self, workspace_id: int, channel: str) -> Room | None:
        """The room for a message of a workspace; None where nothing is taken of its channel."""
        place = (workspace_id, channel)
        if place not in self._of:
            self._of[place] = self._made(place) or self._shared_of(channel)
        return self._of[place]

    def _shared_of(self, channel: str) -> Room | None:
        if channel not in self._shared:
            self._shared[channel] = self._made(channel)
        return self._shared[channel]

    def _made(self, place: Place) -> Room | None:
        room = self._make(place)
        if room is not None:
            room.messages -= self._on_the_way
        return room
