"""Outpost: a delivery in a process of its own, on SQLite, where one process alone writes to the file.

Law: whoever has an outpost claims, stores and decides; an outpost writes messages, hands them over and tells what was
answered (post.py is its side). Between them is a socket, and nothing on it outlives either: an outpost that ends is
followed by another, and what it had in hand is found by its claims (docs/decisions/0031).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from heliograph import errors, loading
from heliograph.engine import claiming, handover, restarts, rooms, settlements, wire
from heliograph.engine.wire import Word

_log = structlog.get_logger(__name__)

_LOOK = 0.008
"""Seconds between two looks whether the turns have stored everything."""

SILENCE = 30.0
"""Seconds, and a lease at least, for which one that stands still says nothing: others ask in each third of a lease."""

Start = Callable[[wire.Hear], Awaitable["Started"]]


class Started(Protocol):
    """An outpost that was started."""

    line: wire.Line

    def end(self) -> None:
        """End it at once, whatever it does."""

    async def wait(self) -> int:
        """Its exit code, once it has ended."""


class _Process:
    def __init__(self, line: wire.Line, child: asyncio.subprocess.Process):
        self.line, self._child = line, child

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    async def wait(self) -> int:
        return await self._child.wait()


async def apart(module: str, order: bytes, hear: wire.Hear) -> Started:
    """Start a module as an outpost; the first word that it hears is its order."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = await asyncio.create_subprocess_exec(
            *loading.command(module),
            str(theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C reaches it through its socket alone.
            start_new_session=True,
        )
    _, line = await asyncio.get_running_loop().create_connection(lambda: wire.Line(hear), sock=ours)
    line.say(Word.ORDER, order)
    return _Process(line, child)


# ── the side that has an outpost ────────────────────────────────────────────────────────────────────


class Outpost:
    """A delivery elsewhere, to the turns and to whoever starts and stops it as one that is here."""

    def __init__(
        self,
        start: Start,
        claims: claiming.OwnClaims,
        terms: settlements.Terms,
        handed: handover.Handover,
        wall_seconds: Callable[[int], float],
        *,
        answered: Callable[[], None],
    ):
        """`start` starts the process; `answered` is told when answers wait for a turn."""
        self._start, self._claims, self._terms, self._handover = start, claims, terms, handed
        self._wall_seconds, self._tell = wall_seconds, answered
        self._stopping = asyncio.Event()
        self._line: wire.Line | None = None
        self._given = self._received = self._elsewhere = 0
        self._heard = 0
        """How many words the present one has said."""
        self._rooms: dict[int, dict[rooms.Place, rooms.Told | None]] = {}
        """By whose they are (rooms.whose)."""
        self._counts: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        """What those before the present one have handed over."""
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def counts(self) -> dict[str, int]:
        """How many hand-overs ended how."""
        both = {**self._counted, **self._counts}
        return {name: self._counted.get(name, 0) + self._counts.get(name, 0) for name in both}

    @property
    def in_flight(self) -> int:
        """How many claimed messages have no stored answer yet."""
        return self._elsewhere + self._given - self._received + self._handover.waiting

    def wake(self) -> None:
        """There may be messages in line."""
        if self._line is not None:
            self._line.say(Word.WOKEN, None)

    def stop(self) -> None:
        """Claim nothing more; what is in flight is brought to its end."""
        self._stopping.set()
        if self._line is not None:
            self._line.say(Word.STOP, None)

    async def run(self) -> None:
        """Have an outpost until stopped: one that ends before is followed by another. Turns have to go on meanwhile."""
        pauses, clock = restarts.Pauses(), asyncio.get_running_loop().time
        while not self._stopping.is_set():
            began = clock()
            why = await self._had()
            await self._until_stored()
            if self._stopping.is_set():
                return
            pause = pauses.after(clock() - began)
            _log.error("delivery_ended", why=why, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            self._adopt()

    def _adopt(self) -> None:
        """What the one before had in hand is nobody's: the next one finds it at its first look."""
        try:
            self._claims.adopt_all()
        except errors.HeliographError as fault:
            # Then it finds it as the leases end.
            _log.error("claims_not_adopted", error=fault.message)

    async def _had(self) -> str:
        """From the start of one to its end; why it ended."""
        self._handover.open(self._room, self._give)
        try:
            started = await self._start(self._hear)
        except OSError as fault:
            return f"it cannot be started: {fault}"
        self._line = started.line
        if self._stopping.is_set():
            self._line.say(Word.STOP, None)
        await self._until_ended(started)
        self._line = None
        self._rooms, self._given, self._received, self._elsewhere = {}, 0, 0, 0
        self._counted, self._counts = self.counts, {}
        return f"exit code {await started.wait()}"

    async def _until_ended(self, started: Started) -> None:
        """Wait until it ends; one that stands still is ended, since nobody else would see to what it has in hand."""
        patience, was_silent = max(SILENCE, self._wall_seconds(self._terms.lease)), False
        self._heard = 0
        while not started.line.ended.is_set():
            heard = self._heard
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(started.line.ended.wait(), patience)
            is_silent = 0 < self._heard == heard
            # Twice: where the whole machine slept, it has said nothing either.
            if is_silent and was_silent and not started.line.ended.is_set():
                _log.error("delivery_stands_still", seconds=patience)
                started.end()
            was_silent = is_silent

    async def _until_stored(self) -> None:
        """Let turns store what was answered: an answer is worth more than the end of a claim."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._wall_seconds(self._terms.lease)
        while self._handover.waiting and clock() < deadline:
            self._tell()
            await asyncio.sleep(_LOOK)

    # ── what the turns ask and give ─────────────────────────────────────────────────────────────────

    def _room(self, place: rooms.Place) -> rooms.Room | None:
        told = self._rooms.get(rooms.whose(place), _NO_ROOMS).get(place)
        if told is None or self._stopping.is_set():
            return None
        messages, beside, few, in_hand = told
        return rooms.Room(messages - (self._given - self._received), beside, few, in_hand)

    def _give(self) -> None:
        given = self._handover.receive()
        if self._line is None:
            return  # nobody has them: their claims are seen to by the next one
        self._given += len(given)
        known = self._handover.versions
        versions = {space: known[space] for space in {one.message.workspace_id for one in given}}
        self._line.say(Word.GIVEN, [given, versions])

    # ── what the outpost says ───────────────────────────────────────────────────────────────────────

    def _hear(self, word: int, said: Any) -> None:
        self._heard += 1
        if word == Word.TOLD:
            self._told(*said)
            return
        work = self._taken(*said) if word == Word.TAKE else self._granted(*said)
        writing = asyncio.ensure_future(work)
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def _told(
        self, answers: Sequence[Any], received: int, in_flight: int, counts: dict[str, int], places: Any
    ) -> None:
        for answer in answers:
            self._handover.answer(wire.settled(answer))
        self._received, self._elsewhere, self._counts = received, in_flight, counts
        for workspace_id, told in places.items():
            self._rooms[workspace_id] = {_place(place): room for place, room in told}
        if answers:
            self._tell()

    async def _taken(self, number: int, room: int, now: int, start: int, expires: bool) -> None:
        async def take() -> claiming.Taken:
            taken = await self._claims.take(room, now, start, expires=expires)
            # The outpost has forgotten what it has answered, stored or not.
            return taken._replace(expired=self._handover.lost(taken.expired))

        await self._written(number, Word.TAKEN, take)

    async def _granted(self, number: int, asked: Sequence[Any], now: int) -> None:
        wanted = msgspec.convert(asked, list[claiming.Asked])
        await self._written(number, Word.GRANTED, lambda: self._claims.grant(wanted, now))

    async def _written(self, number: int, word: Word, work: Callable[[], Awaitable[Any]]) -> None:
        line = self._line
        if line is None:
            return
        try:
            line.say(word, [number, await work()])
        except errors.HeliographError as fault:
            line.say(Word.REFUSED, [number, fault.message])
        except Exception as fault:  # noqa: BLE001 - the outpost waits for an answer, and tries again
            _log.error("claim_failed", error=str(fault), exc_info=fault)
            line.say(Word.REFUSED, [number, str(fault)])


_NO_ROOMS: Mapping[rooms.Place, rooms.Told | None] = {}


def _place(said: str | list[Any]) -> rooms.Place:
    return said if isinstance(said, str) else (said[0], said[1])
