"""Handover: what passes in memory between the turns of a process and the delivery beside them.

Law: the store knows it first. A claim is given after the commit that made it, an answer is forgotten after the
commit that stored it; what a process loses by dying is found by its leases. Every number is written by one side
alone and a list changes by whole operations, so that the two sides may be threads (docs/decisions/0015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heliograph.engine import rooms
from heliograph.store import rows


class Handover:
    """Claims one way, answers the other."""

    def __init__(self, worker: str, lease: int):
        """`worker` is this process's name in claims, `lease` how long one holds (µs)."""
        self.worker, self.lease = worker, lease
        self._room: Callable[[rooms.Place], rooms.Room | None] = lambda _: None
        self._wake: Callable[[], None] = lambda: None
        self.versions: dict[int, int] = {}
        """The version of definitions that a delivery has to know of each workspace of which it was given anything."""
        self.is_asked = False
        """Whether a turn has asked for rooms, and may give something yet."""
        self.is_refused = False
        """Whether the database took nothing from the last turn, because it is away, locked or full."""
        self._given: list[rows.Claimed] = []
        self._answers: list[rows.Settled] = []
        self._given_so_far = self._received_so_far = self._stored_so_far = 0

    def open(self, room: Callable[[rooms.Place], rooms.Room | None], wake: Callable[[], None]) -> None:
        """A delivery begins, with nothing in hand.

        `room` tells how many more messages a place takes at once, `wake` tells the delivery that some were given;
        both are called by the turns.
        """
        self._room, self._wake = room, wake
        self._given, self._answers = [], []
        self._given_so_far = self._received_so_far = self._stored_so_far = 0

    # ── the turns' side ─────────────────────────────────────────────────────────────────────────────

    def rooms(self) -> rooms.Rooms:
        """How many messages may be given, of each channel; until `over` some may be on their way."""
        # Before it is asked: a delivery that is stopped offers no room, or sees that it has to wait.
        self.is_asked = True
        return rooms.Rooms(self._room, self._given_so_far - self._received_so_far)

    def over(self) -> None:
        """Whoever asked for rooms has given what there was to give."""
        self.is_asked = False

    def give(self, claimed: Sequence[rows.Claimed], version_of: Callable[[int], int]) -> None:
        """Messages that this process has claimed, and has to hand over.

        `version_of` is by which definitions a workspace was decided.
        """
        self.versions.update(
            {space: version_of(space) for space in {one.message.workspace_id for one in claimed}}
        )
        self._given_so_far += len(claimed)
        self._given += claimed
        self._wake()

    def answers(self, most: int) -> Sequence[rows.Settled]:
        """The oldest answers that are not stored yet."""
        return self._answers[:most]

    def stored(self, count: int) -> None:
        """So many of the oldest are stored."""
        del self._answers[:count]
        self._stored_so_far += count

    # ── the delivery's side ─────────────────────────────────────────────────────────────────────────

    def receive(self) -> Sequence[rows.Claimed]:
        """What was given since it was asked last."""
        given = self._given[:]
        del self._given[: len(given)]
        self._received_so_far += len(given)
        return given

    def lost(self, expired: Sequence[rows.Claimed]) -> list[rows.Claimed]:
        """Those of these claims that ran out of which nothing is on its way here: neither they nor an answer."""
        if not expired:
            return []
        given, answers = self._given[:], self._answers[:]
        known = {one.message.id for one in given} | {answer.message_id for answer in answers}
        return [one for one in expired if one.message.id not in known]

    def answer(self, settled: rows.Settled) -> None:
        """What is to be stored of a message."""
        self._answers.append(settled)

    @property
    def waiting(self) -> int:
        """How many answers are not stored yet."""
        return len(self._answers)

    @property
    def given(self) -> int:
        """How many messages were ever given."""
        return self._given_so_far

    @property
    def stored_so_far(self) -> int:
        """How many answers were ever stored."""
        return self._stored_so_far
