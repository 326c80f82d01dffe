"""Lanes: one line of claimed messages for each channel (a chapter of delivery).

Law: a channel's slowness holds up no other channel. A lane that is full and moving is waited for, which takes
milliseconds; one that is full and slow is passed by: what was claimed for it goes back for a while. Within a lane
workspaces take turns: whoever has one message waits for one of each other's, not for all of them. Messages to one
person go one after the other, so they arrive in the order in which they were claimed (engine.md E26); those that wait
for each other take up no room, so who gets a thousand at once holds up nobody else.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

import structlog

from heliograph import channels
from heliograph.core import effects
from heliograph.engine import rooms
from heliograph.store import rows

_log = structlog.get_logger(__name__)

_AHEAD = 24
"""Messages claimed ahead for each that a channel wants in flight."""
_MESSAGE = int(effects.Kind.MESSAGE)
Subject = tuple[int, str]
_MOST_BEHIND = 1_000
"""So many messages that wait for others to the same person take up no room."""
_BESIDE = 4
"""As many more, for each that it wants in flight, of workspaces that have but few in hand."""


class Lane:
    """The claimed messages of one channel, until they are answered."""

    def __init__(self, way: channels.Channel):
        self.way = way
        self._most = way.concurrency * _AHEAD
        self._lines: dict[int, deque[tuple[rows.Claimed, channels.Outgoing]]] = {}
        """By workspace; empty ones are gone."""
        self._turns: deque[int] = deque()
        """The workspaces that have any, in the order of their turns."""
        self._behind: dict[Subject, deque[tuple[rows.Claimed, channels.Outgoing]]] = {}
        """What waits behind a message to the same person that is being handed over, or is next in its line."""
        self._waiting = 0
        """How many wait there in all."""
        self._followers: set[bytes] = set()
        """Those in line whose turn among the messages to one person it is."""
        # A queue of the library's own costs five times as much: it looks after locks, limits and loops.
        self._idle: deque[asyncio.Future[None]] = deque()
        self._is_resting = False
        self._begun: dict[bytes, int] = {}
        self._in_hand: Counter[int] = Counter()
        """How many of each workspace are not answered."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in hand."""
        return not self._begun

    def has(self, message_id: bytes) -> bool:
        """Whether a message is in hand."""
        return message_id in self._begun

    @property
    def room(self) -> int:
        """How many more it takes."""
        return max(0, self._most - self._counted)

    @property
    def _counted(self) -> int:
        """How many messages take up room."""
        return len(self._begun) - min(self._waiting, _MOST_BEHIND)

    def offered(self, *, in_line: bool) -> rooms.Room:
        """What a turn may claim of it: where others stand in line, only of workspaces that have few in hand."""
        few = self.way.concurrency
        # Whoever has much in hand may have more than there was room for: that is no loss of those who have little.
        little = sum(count for count in self._in_hand.values() if count <= few)
        beside = min(
            few * _BESIDE, self._most + few * _BESIDE - little - min(self._counted - little, self._most)
        )
        return rooms.Room(0 if in_line else self.room, beside, few, self._in_hand)

    def is_slow(self, before: int) -> bool:
        """Whether it is full, and its oldest message was claimed before this instant (µs)."""
        # What is in hand is counted first: of most lanes that is enough.
        is_full = len(self._begun) >= self._most and not self.room
        return is_full and next(iter(self._begun.values())) < before

    def put(self, claimed: rows.Claimed, outgoing: channels.Outgoing, now: int) -> None:
        """Line a message up."""
        self._begun[claimed.message.id] = now
        self._in_hand[claimed.message.workspace_id] += 1
        self._line_of(claimed.message.workspace_id).append((claimed, outgoing))
        self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            worker = self._idle.popleft()
            if not worker.done():
                worker.set_result(None)
                break

    def rest(self, is_resting: bool) -> None:
        """Begin no hand-over while this is so."""
        was_resting, self._is_resting = self._is_resting, is_resting
        if was_resting and not is_resting:
            for _ in range(len(self._idle)):
                self._wake_one()

    async def work(self, answered: Callable[[rows.Claimed, channels.Answer], None]) -> None:
        """Hand over one message after the other, for ever; as many of these run as the channel wants."""
        loop = asyncio.get_running_loop()
        while True:
            while (found := self._next()) is None:
                idle = loop.create_future()
                self._idle.append(idle)
                await idle
            claimed, outgoing = found
            try:
                answer = await self.way.send(outgoing)
            except Exception as fault:  # noqa: BLE001 - a worker of a channel never ends
                # A channel never raises; should one do so all the same, the hand-over may have happened.
                _log.error("channel_raised", channel=self.way.name, exc_info=fault)
                words = str(fault)[: channels.LONGEST_TEXT]
                answer = channels.Answer(channels.Outcome.UNCERTAIN, self.way.name, None, "lost", words)
            self._begun.pop(claimed.message.id, None)
            self._let_go(claimed.message.workspace_id)
            self._let_follow(claimed.message)
            answered(claimed, answer)

    def _let_go(self, workspace_id: int) -> None:
        self._in_hand[workspace_id] -= 1
        if not self._in_hand[workspace_id]:
            del self._in_hand[workspace_id]

    def _next(self) -> tuple[rows.Claimed, channels.Outgoing] | None:
        """The oldest message of the workspace whose turn it is, which then goes to the end; None: all must wait."""
        while self._turns and not self._is_resting:
            workspace_id = self._turns.popleft()
            line = self._lines[workspace_id]
            found = line.popleft()
            if line:
                self._turns.append(workspace_id)
            else:
                del self._lines[workspace_id]
            subject = _subject(found[0].message)
            if subject is None:
                return found
            if found[0].message.id in self._followers:
                self._followers.remove(found[0].message.id)
                return found
            waiting = self._behind.get(subject)
            if waiting is None:
                self._behind[subject] = deque()
                return found
            waiting.append(found)
            self._waiting += 1
        return None

    def _let_follow(self, message: rows.Message) -> None:
        """The oldest that waited behind this message is next in its workspace's line."""
        subject = _subject(message)
        if subject is None:
            return
        waiting = self._behind[subject]
        if not waiting:
            del self._behind[subject]
            return
        follower = waiting.popleft()
        self._waiting -= 1
        self._followers.add(follower[0].message.id)
        self._line_of(message.workspace_id).appendleft(follower)

    def _line_of(self, workspace_id: int) -> deque[tuple[rows.Claimed, channels.Outgoing]]:
        """A workspace's line, which has its turns from now on."""
        line = self._lines.get(workspace_id)
        if line is None:
            line = self._lines[workspace_id] = deque()
            self._turns.append(workspace_id)
        return line


def _subject(message: rows.Message) -> Subject | None:
    """Who a message is for; None for what is for no person."""
    to = message.contact_id or message.address
    return None if to is None or message.kind != _MESSAGE else (message.workspace_id, to)


def room(lanes: list[Lane], before: int, most: int) -> int:
    """How many messages of any channel may be claimed: none while a lane that moves is full."""
    if any(not lane.room and not lane.is_slow(before) for lane in lanes):
        return 0
    return min(most, sum(lane.room for lane in lanes))
