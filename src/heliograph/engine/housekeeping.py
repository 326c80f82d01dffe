"""Housekeeping: what nobody waits for.

Keys that have outlived their day go, as does history that is older than is kept; queues are cleared of dead entries,
events get their places, the counts of days that are over become one row each, and whoever froze with partitions in
hand loses them.

Law: small bites, each a transaction of its own, on a connection that is opened for the round and closed after it:
no turn waits for a broom, and a connection that was lost hurts one round. A round that fails is told and comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TypeVar

import structlog

from heliograph import errors
from heliograph.core import schedule
from heliograph.engine import pruning
from heliograph.store import (
    database,
    device_tokens,
    erasures,
    folding,
    meanings,
    places,
    reports,
    request_keys,
)

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")

FORGET_SECONDS = 60.0
KEYS_AT_ONCE = 500
PRUNE_SECONDS = 60.0
ERASE_SECONDS = 10.0
TIDY_SECONDS = 2.0
TIDY_AFTER = 20_000
"""So many rows taken out of queues leave enough dead entries to be worth a round."""
COPY_AFTER = 500
"""So many inputs, each in a turn of its own, fill a good part of SQLite's log: when it is full a commit copies it."""
COPY_SECONDS, COPY_AT = 0.25, 10_000
"""So many inputs are copied out of SQLite's log at once: while the disk takes what is copied, commits wait for it."""
PLACE_SECONDS = 2.0
EVENTS_AT_ONCE, RUNS_AT_ONCE = 250, 1_000
BITES_WHEN_BUSY = 10
"""A busy engine gives places to as many bites a round, a few per cent of its time; an idle one to all there are.

So places keep up with 1,250 events a second that go on for hours; those of more come when it is calmer."""
_PEOPLE_AT_ONCE = 10
"""So many people's devices are seen to at once, each in a transaction of its own."""
_BREATH = 0.02
"""Seconds between two bites: on SQLite each holds the one write lock for some milliseconds."""
BUSY_FROM = 2_000
"""So many inputs and messages in a round are busy."""
FOLD_SECONDS = 600.0
LOOK_SECONDS = 5.0
WATCH_SECONDS = 5.0
"""A session that stood still in its transaction over two looks belongs to a process that is frozen."""


class Housekeeping:
    """The broom of one engine process."""

    def __init__(
        self,
        open_session: Callable[[], database.Session],
        now: Callable[[], int],
        worked: Callable[[], int],
        *,
        watches: bool,
        places_in: database.Database | None = None,
        pruner: pruning.Pruner | None = None,
        executor: Executor | None = None,
    ):
        """Make one.

        `worked` tells how many events, inputs and messages this process has been through; `watches` is for PostgreSQL,
        where other processes may freeze; `places_in` is where events get places; `pruner` is there where history is not
        kept for ever; `executor` runs the statements (None: on the loop itself).
        """
        self._open, self._now, self._worked, self._executor = open_session, now, worked, executor
        self._watches, self._places_in, self._pruner = watches, places_in, pruner
        self._tidy_after = TIDY_AFTER if watches else COPY_AFTER
        # Who begins does not know what others left behind: the first round is taken whatever was worked.
        self._tidied_at, self._placed_at = -self._tidy_after, 0
        self._folded_on: int | None = None
        self._bounced = reports.FIRST
        self._stalled: frozenset[tuple[int, str]] = frozenset()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin no further round."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep house until stopped; a round under way is brought to its end."""
        rounds = [
            self._keep(FORGET_SECONDS, self.forget),
            self._keep(TIDY_SECONDS, self.tidy),
        ]
        if not self._watches:
            rounds.append(self._keep(COPY_SECONDS, functools.partial(self.tidy, COPY_AT)))
        if self._places_in is not None:
            rounds += [self._keep(PLACE_SECONDS, self.place), self._keep(FOLD_SECONDS, self.fold)]
            rounds.append(self._keep(ERASE_SECONDS, self.erase))
        if self._pruner is not None:
            rounds.append(self._keep(PRUNE_SECONDS, self.prune))
        if self._watches:
            rounds += [self._keep(WATCH_SECONDS, self.watch), self._keep(LOOK_SECONDS, self.look)]
        await asyncio.gather(*rounds)

    async def _keep(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
                return
            try:
                await work()
            except errors.HeliographError as fault:
                _log.warning("housekeeping_failed", error=fault.message)
            except Exception as fault:  # noqa: BLE001 - nobody would notice a broom that stands in its corner
                _log.error("housekeeping_failed", error=str(fault), exc_info=fault)

    async def forget(self) -> int:
        """Delete what has expired, a bite at a time; gives how many rows, and people whose devices were seen to.

        That is keys of events, of requests and of steps, counts, tokens of devices, and soft bounces.
        """
        forgotten = await self._in_bites(self._forget_keys, KEYS_AT_ONCE)
        store = self._places_in
        if store is None:
            return forgotten
        forgotten += await self._in_bites(
            lambda: request_keys.forget(store, self._now(), KEYS_AT_ONCE), KEYS_AT_ONCE
        )
        forgotten += await self._in_bites(
            lambda: device_tokens.forget(store, self._now(), _PEOPLE_AT_ONCE), _PEOPLE_AT_ONCE
        )
        return forgotten + await self._do(lambda: self._forget_bounces(store))

    async def _in_bites(self, bite: Callable[[], int], size: int) -> int:
        """Do this until it was less than a whole bite; gives how much in all. Others write between two bites."""
        done = 0
        while not self._stopping.is_set():
            more = await self._do(bite)
            done += more
            if more < size:
                break
            await asyncio.sleep(0)
        return done

    def _forget_keys(self) -> int:
        with contextlib.closing(self._open()) as session, session.transaction() as connection:
            return int(session.hot.forget_keys(connection, self._now(), KEYS_AT_ONCE))

    def _forget_bounces(self, store: database.Database) -> int:
        """Some in each round, from where the last one stood."""
        gone, self._bounced = reports.forget_old(store, self._bounced, self._now(), KEYS_AT_ONCE)
        return gone

    async def prune(self) -> int:
        """Forget history that is older than is kept, a bite at a time; gives how many events, runs and messages."""
        forgotten = 0
        if self._pruner is None:
            return forgotten
        await self._do(self._pruner.begin)
        while not self._stopping.is_set() and (bite := await self._do(self._pruner.step)) is not None:
            forgotten += bite
            await asyncio.sleep(0)
        if forgotten:
            _log.info("history_forgotten", rows=forgotten)
        return forgotten

    async def erase(self) -> int:
        """Take those out of history who were deleted (store/erasures.py); gives how many bites it took."""
        store, bites = self._places_in, 0
        if store is None:
            return bites
        for workspace_id in await self._do(lambda: erasures.workspaces(store)):
            step = functools.partial(erasures.step, store, workspace_id, self._now())
            while not self._stopping.is_set() and await self._do(step):
                bites += 1
                await asyncio.sleep(_BREATH)
        return bites

    async def tidy(self, enough: int | None = None) -> bool:
        """See to what writing leaves behind where enough was worked since the last time; whether it was.

        `enough` is so much, where it is another measure than that of every round.
        """
        worked = self._worked()
        if worked - self._tidied_at < (enough or self._tidy_after):
            return False
        await self._do(self._tidy_now)
        self._tidied_at = worked
        return True

    def _tidy_now(self) -> None:
        with contextlib.closing(self._open()) as session:
            session.tidy()

    async def place(self) -> int:
        """Give events their places, by which they are found (store/places.py); gives how many rows were looked at."""
        worked = self._worked()
        is_busy = worked - self._placed_at > BUSY_FROM
        self._placed_at = worked
        placed = bites = 0
        while not self._stopping.is_set() and not (is_busy and bites >= BITES_WHEN_BUSY):
            bite = await self._do(self._place_some)
            if not bite:
                break
            placed, bites = placed + bite, bites + 1
            await asyncio.sleep(_BREATH)
        return placed

    def _place_some(self) -> int:
        store, now = self._places_in, self._now()
        if store is None:
            return 0
        return places.fill_events(store, now, EVENTS_AT_ONCE) + places.fill_rules(store, now, RUNS_AT_ONCE)

    async def fold(self) -> int:
        """Make one row of what many lanes counted on days that are over, once a day; gives how many rows went."""
        store, today = self._places_in, self._now() // schedule.DAY
        if store is None or self._folded_on == today:
            return 0
        folded = 0
        while bites := await self._do(lambda: self._left(store)):
            for bite in bites:
                if self._stopping.is_set():
                    return folded
                folded += await self._do(functools.partial(folding.fold, store, bite))
                await asyncio.sleep(_BREATH)
        self._folded_on = today
        return folded

    def _left(self, store: database.Database) -> list[folding.Bite]:
        with store.reading() as connection:
            return list(folding.left(connection, self._now()))

    async def look(self) -> int:
        """Let PostgreSQL look at tables that it does not know yet; gives how many (docs/decisions/0036)."""
        return await self._do(self._look_now)

    def _look_now(self) -> int:
        with contextlib.closing(self._open()) as session, meanings.refusals():
            return int(session.hot.look_at_tables(session.connection))

    async def watch(self) -> int:
        """End the sessions that have stood still in a transaction since the last look; gives how many.

        The server's own time-out for such sessions does not run after a pipeline, whose last message stops it.
        """
        return await self._do(self._watch_now)

    def _watch_now(self) -> int:
        with contextlib.closing(self._open()) as session, meanings.refusals():
            seen: frozenset[tuple[int, str]] = session.hot.stalled(session.connection)
            frozen = [pid for pid, _ in seen & self._stalled]
            if frozen:
                _log.warning("frozen_sessions_ended", sessions=frozen)
                session.hot.end_sessions(session.connection, frozen)
            self._stalled = seen
        return len(frozen)

    async def _do(self, work: Callable[[], _T]) -> _T:
        if self._executor is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
