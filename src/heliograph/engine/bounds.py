"""What bounds a turn, and what a turn tells of itself.

Law: values, and one decision about time; how much of its bounds a turn uses, its own pace decides (turn.py).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

from heliograph.core import events, ids
from heliograph.engine import desk as desks
from heliograph.store import rows


class Limits(NamedTuple):
    """What bounds a turn."""

    inputs: int
    """The most inputs it takes."""
    seconds: float
    """About how long it may take, commit and all: the next turn is made smaller or larger to keep to it."""
    hurried_seconds: float
    """The same, while somebody waits for answers of the loop that turns share with them."""
    max_event_age: int
    """Events older than this (µs) when a pause ends are not matched any more (C14)."""
    misfire_grace: int
    """What is due longer than this (µs) is held (E33)."""
    default_subject: str
    default_region: str | None
    lock_window: int
    """How long before its time (µs) a campaign can be changed no more."""


LASTING = 0.25
"""Seconds after a caller for which others are expected."""


class Callers:
    """Whether anybody calls, who waits for an answer of the loop that turns share."""

    def __init__(self, stopwatch: Callable[[], float]):
        """`stopwatch` gives seconds that only ever grow."""
        self._stopwatch = stopwatch
        self._last = -LASTING

    def note(self) -> None:
        """Somebody called."""
        self._last = self._stopwatch()

    def there(self) -> bool:
        """Whether somebody called a moment ago."""
        return self._stopwatch() - self._last < LASTING


FIRST_INPUTS = 64
"""The most inputs of the first turns: how much fits in the time, they find out."""
PEOPLE_PER_INPUT = 2
"""A turn that may take n inputs judges so many times n people of fan-outs, so both follow the same pace."""


LEAST = 32
"""A slow turn is made smaller down to this many inputs: one that is slow whatever it takes would only do less."""
NOT_ANSWERS = 4
"""Where much is sent many answers come back: one part in so many of a turn is for what comes in beside them."""


COMMITS = 4
"""However short a turn is to be, it takes as long as so many commits of the disk that it is on."""
SHARED_BY = 6
"""While workspaces share the turns, each takes one part in so many of its time: all wait for all turns."""
SHARED_FOR = 50
"""So many turns after one that was shared are still as short: who comes a little now and then is not gone between."""


class Size:
    """How many inputs a turn takes: as many as fit into its time, found out from turn to turn.

    It is found out by itself for the time while somebody waits beside the turns, and for that while workspaces share
    them: whoever calls, or comes, while turns are long would otherwise wait for several of those.
    """

    def __init__(self, limits: Limits, hurried: Callable[[], bool] = lambda: False):
        """`hurried` tells whether somebody waits beside the turns."""
        self._limits, self._hurried = limits, hurried
        self._shared = 0
        """For how many turns more they count as shared."""
        self._mode = (False, False)
        """Whether somebody waits beside the present turn, and whether turns are shared."""
        self._found: dict[tuple[bool, bool], int] = {}
        self.inputs = min(limits.inputs, FIRST_INPUTS)

    @property
    def inputs(self) -> int:
        """The most inputs of the turn that begins now."""
        self._mode = (self._hurried(), self._shared > 0)
        return self._found[self._mode]

    @inputs.setter
    def inputs(self, most: int) -> None:
        self._found = dict.fromkeys(itertools.product((False, True), (False, True)), most)

    def halve(self, taken: int) -> None:
        """The database refused a turn that took so many."""
        self.inputs = max(1, min(self.inputs, taken) // 2)

    def learn(self, limit: int, worked: int, seconds: float, committing: float, workspaces: int) -> None:
        """A turn that might take `limit` inputs had so many, of so many workspaces, and took so long.

        `committing` is the part of it that its commit took: on a slow disk that is most of a small turn, and a still
        smaller one would only do less in the same time. Such turns grow until a quarter of each is its commit.
        """
        is_hurried, is_shared = self._mode
        wanted = self._limits.hurried_seconds if is_hurried else self._limits.seconds
        if is_shared:
            wanted /= SHARED_BY
        wanted = max(wanted, COMMITS * committing)
        if seconds > wanted:
            self._found[self._mode] = max(min(limit, LEAST), limit * 2 // 3)
        elif worked * 2 > limit < self._limits.inputs and seconds * 5 / 4 < wanted:
            # A turn that had little to do says nothing of a larger one.
            self._found[self._mode] = min(self._limits.inputs, limit * 5 // 4 + 1)
        if workspaces > 1 and not self._shared:
            self._begin_sharing()
        self._shared = SHARED_FOR if workspaces > 1 else max(0, self._shared - 1)

    def _begin_sharing(self) -> None:
        """Shorter at once: who came would otherwise wait for turn after turn until the size was found again."""
        for is_hurried in (False, True):
            alone = self._found[is_hurried, False]
            self._found[is_hurried, True] = min(alone, max(LEAST, alone // SHARED_BY))


class Report(NamedTuple):
    """What a turn did."""

    inputs: int
    answers: int
    """How many answers of channels were stored."""
    may_go: bool
    """Whether messages were put in line, or those that stood there may go from now on."""
    more: bool
    """Whether it left something lying that is due."""
    now: int


@functools.lru_cache(1)
def _fresh(now: int, age: int) -> bytes:
    """The head of the ids that are no older than this."""
    return ids.head(max(0, now - age))


def late(
    desk: desks.Desk, limits: Limits, pause_ended_at: int, event: rows.Event
) -> tuple[events.State, str] | None:
    """What becomes of an event that has waited too long to be decided, and why; None where it is not too late.

    What waited through a pause is due from the pause's end on; what is tried again, or an operator let go, is never
    too late.
    """
    if event.id >= _fresh(desk.now, min(limits.max_event_age, limits.misfire_grace)):
        return None
    if (event.workspace_id, event.id) in desk.attempts:
        return None
    due_at = ids.created_at(event.id)
    if pause_ended_at - due_at > limits.max_event_age:
        return events.State.PROCESSED, "expired_while_paused"
    if desk.now - max(due_at, pause_ended_at) > limits.misfire_grace:
        return events.State.HELD, "held: it waited longer than the misfire grace"
    return None
