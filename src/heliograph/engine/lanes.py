"""Lanes: one line of claimed messages for each channel (a chapter of delivery).

Law: a channel's slowness holds up no other channel. A lane that is full and moving is waited for, which takes
milliseconds; one that is full and slow is passed by: what was claimed for it goes back for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from heliograph import channels
from heliograph.store import rows

_AHEAD = 24
"""Messages claimed ahead for each that a channel wants in flight."""


class Lane:
    """The claimed messages of one channel, until they are answered."""

    def __init__(self, way: channels.Channel):
        self.way = way
        self._line: deque[tuple[rows.Claimed, channels.Outgoing]] = deque()
        # A queue of the library's own costs five times as much: it looks after locks, limits and loops.
        self._idle: deque[asyncio.Future[None]] = deque()
        self._begun: dict[bytes, int] = {}

    @property
    def room(self) -> int:
        """How many more it takes."""
        return max(0, self.way.concurrency * _AHEAD - len(self._begun))

    def is_slow(self, before: int) -> bool:
        """Whether it is full, and its oldest message was claimed before this instant (µs)."""
        return not self.room and next(iter(self._begun.values())) < before

    def put(self, claimed: rows.Claimed, outgoing: channels.Outgoing, now: int) -> None:
        """Line a message up."""
        self._begun[claimed.message.id] = now
        self._line.append((claimed, outgoing))
        while self._idle:
            worker = self._idle.popleft()
            if not worker.done():
                worker.set_result(None)
                break

    async def work(
        self,
        send: Callable[[channels.Outgoing], Awaitable[channels.Answer]],
        answered: Callable[[rows.Claimed, channels.Answer], None],
    ) -> None:
        """Hand over one message after the other, for ever; as many of these run as the channel wants."""
        loop, line = asyncio.get_running_loop(), self._line
        while True:
            while not line:
                idle = loop.create_future()
                self._idle.append(idle)
                await idle
            claimed, outgoing = line.popleft()
            answer = await send(outgoing)
            self._begun.pop(claimed.message.id, None)
            answered(claimed, answer)


def room(lanes: list[Lane], before: int, most: int) -> int:
    """How many messages of any channel may be claimed: none while a lane that moves is full."""
    if any(not lane.room and not lane.is_slow(before) for lane in lanes):
        return 0
    return min(most, sum(lane.room for lane in lanes))
