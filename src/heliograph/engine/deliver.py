"""Deliver: claim what is due, hand it over, store the answer under the same key.

Law: nothing is handed over that is not claimed, and nothing claimed is forgotten: a claim whose lease runs out
becomes an attempt of unknown end, and policy decides what follows (engine.md E21). The claim is committed before
the hand-over begins and the answer is stored in batches; a channel's slowness holds up no other channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

import msgspec
import structlog

from heliograph import channels, errors
from heliograph.core import ids
from heliograph.engine import lanes, letters, settlements
from heliograph.store import database, rows

_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_T = TypeVar("_T")

START_SHARE = 0.4
"""The part of a lease within which a hand-over must begin; the rest is for it to end."""
_CLAIM_AT_ONCE = 250
_LONGEST_SLEEP = 5.0
_SMALL, _PAUSE = 64, 0.004
"""After an exchange of fewer messages than this a delivery pauses for so many seconds."""
_REST = 1.0
"""Seconds that a delivery waits after the database refused it."""


class Delivery:
    """One delivery loop over the outbox."""

    def __init__(  # noqa: PLR0913 - everything a delivery works with is handed in
        self,
        session: database.Session,
        ways: Mapping[str, channels.Channel],
        writer: letters.Letters,
        now: Callable[[], int],
        wall_seconds: Callable[[int], float],
        terms: settlements.Terms,
        *,
        executor: Executor | None = None,
        replied: Callable[[], None] = lambda: None,
    ):
        """Put together: `ways` is the channels by name.

        `executor` runs the statements (None: on the loop itself, as on SQLite); `replied` is told when answers lie
        in inboxes.
        """
        self._session, self._ways, self._writer, self._now, self._terms = session, ways, writer, now, terms
        self._wall_seconds, self._executor, self._replied = wall_seconds, executor, replied
        self._lanes = {name: lanes.Lane(way) for name, way in ways.items()}
        self._answers: list[tuple[rows.Claimed, channels.Answer]] = []
        self._awake = asyncio.Event()
        self._stopping = False
        self._start = 0
        self._looked_at: int | None = None
        # By the clock of the leases, because a played clock runs faster than the wall. Five seconds of sixty: in a
        # burst, when turns take most of the loop, a channel that is quick by itself answers within one or two.
        self._slow = terms.lease // 12
        self._moved = 0
        self.in_flight = 0
        self.counts: dict[str, int] = {}
        """How many hand-overs ended how."""

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """There may be something to do; callable from the loop's own thread."""
        self._awake.set()

    def stop(self) -> None:
        """Claim nothing more; what is in flight is brought to its end."""
        self._stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Deliver until stopped, then let what is in flight end."""
        workers = [asyncio.create_task(task) for task in self._channel_workers()]
        try:
            while not self._stopping:
                self._awake.clear()
                if not await self._stepped():
                    await self._sleep()
                elif self._moved < _SMALL:
                    # A trickle of answers makes batches, so that they share a commit.
                    await asyncio.sleep(_PAUSE)
            await self._finish()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _stepped(self) -> bool:
        try:
            return await self.step()
        except errors.HeliographError as fault:
            _log.error("delivery_failed", error=fault.message)
        except Exception as fault:  # noqa: BLE001 - a delivery never ends for a fault of one step
            _log.error("delivery_failed", error=str(fault), exc_info=fault)
        await asyncio.sleep(_REST)
        return False

    async def _finish(self) -> None:
        """What is in flight comes to its end; what does not within its lease is left to whoever comes next."""
        deadline = asyncio.get_running_loop().time() + self._wall_seconds(self._terms.lease)
        while self.in_flight and asyncio.get_running_loop().time() < deadline:
            self._awake.clear()
            try:
                if await self._settle():
                    continue
            except errors.HeliographError as fault:
                _log.error("delivery_failed", error=fault.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), _REST)

    def _channel_workers(self) -> list[Any]:
        return [
            lane.work(functools.partial(self._sent, lane.way), self._answered)
            for lane in self._lanes.values()
            for _ in range(lane.way.concurrency)
        ]

    async def step(self) -> bool:
        """Store what was answered, see to leases that ran out, claim what is due; whether there was anything.

        All of it is one transaction: a commit is the dearest thing here.
        """
        now = self._now()
        answers = self._answers[:]
        settled = self._all_settled(answers, now)
        room = lanes.room(list(self._lanes.values()), now - self._slow, _CLAIM_AT_ONCE)
        # Own claims come back as answers long before their lease ends: once in a third of it is often enough.
        expires = self._looked_at is None or not 0 <= now - self._looked_at < self._terms.lease // 3
        if not (settled or room or expires):
            return False
        try:
            expired, claimed = await self._do(lambda: self._exchanged(settled, room, now, expires=expires))
        except errors.HeliographError:
            raise
        except Exception:
            if not settled:
                raise
            # The database refused a row of an answer: claims wait until each answer was stored by itself.
            expired, claimed = [], []
            await self._do(lambda: self._one_by_one(settled))
        self._forget(answers, settled)
        self.in_flight += len(expired) + len(claimed)
        for one in expired:
            self._answered(one, settlements.LOST)
        await self._begin(claimed, now)
        if claimed:
            self._start = claimed[-1].message.workspace_id
        self._moved = len(settled) + len(claimed)
        return bool(settled or expired or claimed)

    def _exchanged(
        self, settled: Sequence[rows.Settled], room: int, now: int, *, expires: bool
    ) -> tuple[list[rows.Claimed], list[rows.Claimed]]:
        """Answers in, expired and new claims out."""
        hot, worker = self._session.hot, self._terms.worker
        expired: list[rows.Claimed] = []
        claimed: list[rows.Claimed] = []
        with self._session.transaction() as connection:
            if settled:
                hot.settle(connection, worker, settled)
            if expires:
                expired = hot.take_expired(connection, now, _CLAIM_AT_ONCE, worker)
            if room:
                claimed = hot.claim(connection, now, room, worker, now + self._terms.lease, self._start)
        if expires:
            self._looked_at = now
        return expired, claimed

    def _one_by_one(self, settled: Sequence[rows.Settled]) -> None:
        """Store what can be stored; the claim of what cannot stays, until its lease is over."""
        for entry in settled:
            try:
                self._exchanged([entry], 0, 0, expires=False)
            except errors.HeliographError:
                raise
            except Exception as fault:  # noqa: BLE001 - one answer's fault stops that answer alone
                _log.error("answer_refused", message_id=ids.text(entry.message_id), exc_info=fault)

    async def _sleep(self) -> None:
        seconds = _LONGEST_SLEEP
        if self._looked_at is not None:
            next_look_at = self._looked_at + self._terms.lease // 3
            seconds = min(seconds, max(0.0, self._wall_seconds(next_look_at - self._now())))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)

    async def _do(self, work: Callable[[], _T]) -> _T:
        if self._executor is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    # ── claiming ────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, claimed: Sequence[rows.Claimed], now: int) -> None:
        start_by = now + int(self._terms.lease * START_SHARE)
        for one in claimed:
            if now - one.due_at > self._terms.misfire_grace:
                self._answered(one, settlements.HELD)
                continue
            lane = self._lanes.get(one.message.channel)
            if lane is None:
                self._answered(
                    one, channels.Answer(channels.Outcome.PERMANENT, "", None, "no_provider", _no_way(one))
                )
                continue
            if lane.is_slow(now - self._slow):
                self._answered(one, settlements.PASSED_BY)
                continue
            try:
                outgoing = self._writer.write(one, start_by, now)
            except errors.HeliographError as fault:
                self._answered(
                    one, channels.Answer(channels.Outcome.PERMANENT, "", None, "unrenderable", fault.message)
                )
                continue
            except Exception as fault:  # noqa: BLE001 - one message's fault stops that message alone
                _log.error("render_failed", message_id=ids.text(one.message.id), exc_info=fault)
                self._answered(
                    one,
                    channels.Answer(channels.Outcome.PERMANENT, "", None, "unrenderable", str(fault)[:500]),
                )
                continue
            send_now = getattr(lane.way, "send_now", None)
            if send_now is not None:
                self._answered(one, send_now(outgoing))
            else:
                lane.put(one, outgoing, now)

    async def _sent(self, way: channels.Channel, outgoing: channels.Outgoing) -> channels.Answer:
        try:
            return await way.send(outgoing)
        except Exception as fault:  # noqa: BLE001 - a worker of a channel never ends
            # A channel never raises; should one do so all the same, the hand-over may have happened.
            _log.error("channel_raised", channel=way.name, exc_info=fault)
            return channels.Answer(channels.Outcome.UNCERTAIN, way.name, None, "lost", str(fault)[:500])

    def _answered(self, claimed: rows.Claimed, answer: channels.Answer) -> None:
        self._answers.append((claimed, answer))
        self._awake.set()

    # ── storing answers ─────────────────────────────────────────────────────────────────────────────

    async def _settle(self) -> int:
        """Store what was answered, and nothing else; how many."""
        answers = self._answers[:]
        settled = self._all_settled(answers, self._now())
        if settled:
            await self._do(lambda: self._one_by_one(settled))
            self._forget(answers, settled)
        return len(settled)

    def _all_settled(
        self, answers: Sequence[tuple[rows.Claimed, channels.Answer]], now: int
    ) -> list[rows.Settled]:
        terms = self._terms
        # Of a claim that was taken over, `due_at` is when it was made.
        return [
            settlements.settled(
                claimed,
                answer,
                terms,
                claimed.due_at if answer is settlements.LOST else claimed.lease_until - terms.lease,
                now,
            )
            for claimed, answer in answers
        ]

    def _forget(
        self, answers: Sequence[tuple[rows.Claimed, channels.Answer]], settled: Sequence[rows.Settled]
    ) -> None:
        """Not before they are stored: a database that refuses must not make an answer forgotten."""
        del self._answers[: len(answers)]
        self.in_flight -= len(answers)
        for _, answer in answers:
            self.counts[answer.outcome.value] = self.counts.get(answer.outcome.value, 0) + 1
        if any(entry.reply or entry.retry for entry in settled):
            self._replied()

    def adopt_all(self) -> None:
        """See to every claim there is at the next step: for a process that is the only one of its database."""
        with self._session.transaction() as connection:
            self._session.hot.end_leases(connection)


def _no_way(claimed: rows.Claimed) -> str:
    return f"no provider is set for the channel {claimed.message.channel!r}"


async def closed(ways: Mapping[str, channels.Channel]) -> None:
    """Let go of every channel."""
    closing: list[Awaitable[None]] = [way.close() for way in ways.values()]
    await asyncio.gather(*closing)
