"""Post: a delivery's side of an outpost: others claim for it, and hear what was answered.

Law: an outpost writes nothing. Where its socket ends before it was told to stop, so does the process: whoever had it is
gone, and what it claimed is another's.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from heliograph import errors
from heliograph.engine import claiming, handover, rooms, wire
from heliograph.engine.wire import Word
from heliograph.store import rows

_ABANDONED = 3
"""How an outpost ends when nobody has it any more."""


class Delivering(Protocol):
    """The delivery of an outpost."""

    @property
    def in_flight(self) -> int:
        """How many messages it has in hand."""

    @property
    def counts(self) -> dict[str, int]:
        """How many hand-overs ended how."""

    def wake(self) -> None:
        """There may be messages in line."""

    def stop(self) -> None:
        """What is in flight is brought to its end."""

    async def run(self) -> None:
        """Deliver until stopped."""

    def rooms(self, workspaces: Collection[int]) -> Iterable[tuple[rooms.Place, rooms.Room | None]]:
        """What may be given of the installation's channels, and of those of these workspaces."""


class Post:
    """What a delivery in an outpost works with: whoever has it claims for it, and hears what it tells."""

    def __init__(self, line: wire.Line):
        self._line = line
        self._delivery: Delivering | None = None
        self._handover: handover.Handover | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._touched: set[int] = set()
        """The workspaces whose rooms may be others than was told."""
        self._rooms: Any = None

    def man(self, delivery: Delivering, handed: handover.Handover) -> None:
        """This delivery works here, and what is given to it goes through this handover."""
        self._delivery, self._handover = delivery, handed

    async def take(self, room: int, now: int, start: int, *, expires: bool) -> claiming.Taken:
        """As claiming.Claims."""
        taken = wire.taken(await self._answer(Word.TAKE, room, now, start, expires))
        self._touched |= {one.message.workspace_id for one in taken.claimed}
        return taken

    async def grant(self, asked: Sequence[claiming.Asked], now: int) -> list[claiming.Granted]:
        """As claiming.Claims."""
        granted = await self._answer(Word.GRANT, asked, now)
        return msgspec.convert(granted, list[claiming.Granted])

    async def _answer(self, word: Word, *said: Any) -> Any:
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._line.say(word, [number, *said])
        return await answer

    def hear(self, word: int, said: Any) -> None:
        """What whoever has this outpost says."""
        assert self._delivery is not None
        assert self._handover is not None
        if word == Word.GIVEN:
            given, versions = said
            claimed = [wire.claimed(one) for one in given]
            self._touched |= versions.keys()
            self._handover.give(claimed, versions.__getitem__)
        elif word == Word.WOKEN:
            self._delivery.wake()
        elif word == Word.STOP:
            self._delivery.stop()
        else:
            answer = self._asked.pop(said[0])
            if word == Word.REFUSED:
                answer.set_exception(errors.Unavailable(said[1]))
            else:
                answer.set_result(said[1])

    def tell(self) -> None:
        """Tell what was answered, and what else may be given; nothing where both are known."""
        assert self._delivery is not None
        assert self._handover is not None
        answers: Sequence[rows.Settled] = self._handover.answers(sys.maxsize)
        self._touched |= {answer.workspace_id for answer in answers}
        places: dict[int, list[tuple[rooms.Place, rooms.Told | None]]] = {
            workspace_id: [] for workspace_id in (rooms.INSTALLATION, *self._touched)
        }
        for place, room in self._delivery.rooms(self._touched):
            told = None if room is None else room.told
            places[rooms.whose(place)].append((place, told))
        if not answers and places == self._rooms:
            return
        self._rooms, self._touched = places, set()
        self._handover.stored(len(answers))
        delivery = self._delivery
        said = [answers, self._handover.given, delivery.in_flight, delivery.counts, places]
        self._line.say(Word.TOLD, said)


Made = Callable[[Any, "Post"], tuple[Delivering, handover.Handover, Callable[[], Awaitable[None]]]]
"""The order and its post to the delivery of this process, its handover, and what closes its ways."""


async def man(end: socket.socket, made: Made, leave: Callable[[int], object] = os._exit) -> None:
    """Be an outpost: take the order from this socket, deliver until told to stop, tell the rest and end.

    Where the socket ends before, so does the process (`leave`): whoever had it is gone, and what it claimed is
    another's.
    """
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[tuple[Delivering, Callable[[], Awaitable[None]]]] = loop.create_future()

    def heard(word: int, said: Any) -> None:
        # What raises here ends the socket, and the process with it.
        if word == Word.ORDER:
            delivery, handed, close = made(said, post)
            post.man(delivery, handed)
            begun.set_result((delivery, close))
        else:
            post.hear(word, said)

    line = wire.Line(heard)
    post = Post(line)
    await loop.create_connection(lambda: line, sock=end)
    watching = asyncio.create_task(_leave_with(line, leave))
    delivery, close = await begun
    await delivery.run()
    post.tell()
    await close()
    watching.cancel()
    line.close()
    await line.ended.wait()


async def _leave_with(line: wire.Line, leave: Callable[[int], object]) -> None:
    await line.ended.wait()
    leave(_ABANDONED)
