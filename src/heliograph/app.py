"""The composition root: settings, store, clock and channels become an application.

Law: the only file that knows everyone. It decides nothing but who is given what.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from heliograph import clock as clocks
from heliograph import deliveries, errors, javascript, loading, outlets
from heliograph import settings as settings_module
from heliograph.channels import webhook
from heliograph.core import effects, schedule
from heliograph.engine import (
    backtests,
    bounds,
    claiming,
    dates,
    deliver,
    handover,
    housekeeping,
    ingest,
    journey,
    outpost,
    pruning,
    started,
    turn,
    worker,
)
from heliograph.store import database, facts, safe
from heliograph.web import server, services

_log = structlog.get_logger(__name__)
_COMPARE_SECONDS = 5.0
"""Seconds between two looks at the database's clock and schema: claims are looked at in each third of a lease."""
_POSTGRESQL_SECONDS = 0.100
_SQLITE_SECONDS, _HURRIED_SECONDS = 0.040, 0.015
"""A larger turn writes fewer pages for each message, and holds up who waits for an answer."""


class App:
    """Everything of one process, put together; nothing runs until it is started."""

    def __init__(
        self,
        settings: settings_module.Settings,
        clock: clocks.Clock | None = None,
        ways: deliveries.Installed | None = None,
        opener: outlets.Opener | None = None,
    ):
        """`ways` replaces the channels that the settings name, `opener` what opens the providers of workspaces.

        Only what makes ways goes to another process: with ways that are made, deliveries stay in this one.
        """
        self.settings = settings
        self.store = database.Database(
            settings.database_url,
            pool_size=settings.pool_size,
            safe=safe.opened(settings.secret_key, settings.secret_key_file),
        )
        self.clock = clock or (clocks.WallClock() if self.store.is_sqlite else clocks.SharedClock())
        try:
            self.store.check()
            self.agree_on_time()
        except errors.HeliographError:
            self.store.close()
            raise
        self.worker_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.deliveries = deliveries.Deliveries(settings, self.store, self.clock, ways, opener)
        self._terms = self.deliveries.terms(self.worker_name)
        self.handover = handover.Handover(self._terms.worker, self._terms.lease)
        self.sandbox = sandbox()
        # What people ask to be checked must not hold up what runs ask.
        self._checking = sandbox()
        self.doors: dict[int, started.Door] = {
            effects.Door.JOURNEY: journey.Journeys(
                self.sandbox, settings.default_subject, settings.default_region or None
            ),
            effects.Door.DATE: dates.Door(settings.default_subject, settings.default_region or None),
        }
        """What runs of each core.effects.Door do."""
        self.renders = self.deliveries.renders
        self.fetch: Callable[[str], Awaitable[bytes]] = functools.partial(webhook.fetched, self.clock.now)
        self._executor = None if self.store.is_sqlite else ThreadPoolExecutor(1, "ingest")
        self._session: database.Session | None = None
        self._sessions: list[database.Session] = []
        self._worker: worker.LoopWorker | worker.ThreadWorker | None = None
        self._delivery: deliver.Delivery | outpost.Outpost | None = None
        self.ingest = ingest.Ingest(
            self.session(),
            self.clock.now,
            self.wake,
            backlog_limit=settings.backlog_limit,
            executor=self._executor,
        )
        self.callers = bounds.Callers(time.perf_counter)
        self.pace: worker.Pace | None = None
        self.backtests = backtests.Backtests(
            settings.database_url, settings.backtests_at_once, backtests.apart
        )

    @property
    def lock_window(self) -> int:
        """How long before its time (µs) a campaign can be changed no more."""
        return int(self.settings.campaign_lock_seconds * schedule.SECOND)

    # ── the parts ───────────────────────────────────────────────────────────────────────────────────

    def session(self) -> database.Session:
        """The engine's connection: one for all stages on SQLite, one for each on PostgreSQL."""
        if self._session is None or not self.store.is_sqlite:
            self._session = self.store.session()
            self._sessions.append(self._session)
        return self._session

    def turns(
        self, session: database.Session, stopwatch: Callable[[], float] = time.perf_counter
    ) -> turn.Turns:
        """The turns, on a connection; `stopwatch` (seconds) paces them."""
        settings = self.settings
        is_sqlite = self.store.is_sqlite
        limits = turn.Limits(
            settings.turn_inputs,
            _SQLITE_SECONDS if is_sqlite else _POSTGRESQL_SECONDS,
            _HURRIED_SECONDS if is_sqlite else _POSTGRESQL_SECONDS,
            int(settings.max_event_age_hours * schedule.HOUR),
            int(settings.misfire_grace_hours * schedule.HOUR),
            settings.default_subject,
            settings.default_region or None,
            self.lock_window,
        )
        return turn.Turns(
            self.store,
            session,
            self.clock.now,
            stopwatch,
            limits,
            self.handover,
            self.doors,
            scripted=lambda: self.sandbox.spent,
            hurried=self.callers.there,
        )

    def claims(
        self, session: database.Session, executor: ThreadPoolExecutor | None = None
    ) -> claiming.OwnClaims:
        """What writes for a delivery, on a connection; `executor` runs its statements."""
        return claiming.OwnClaims(session, self._terms, executor)

    def delivery(
        self, session: database.Session, executor: ThreadPoolExecutor | None = None
    ) -> deliver.Delivery:
        """A delivery of this process."""
        return self.deliveries.here(
            self.claims(session, executor), self._terms, self.handover, answered=self.wake
        )

    def _delivery_of_loop(self, session: database.Session) -> deliver.Delivery | outpost.Outpost:
        """The delivery beside turns on a loop: in a process of its own, where that has a processor to itself."""
        claims = self.claims(session)
        claims.adopt_all()
        wanted = self.settings.delivery
        if wanted == "auto":
            wanted = "apart" if self.deliveries.can_be_apart and _processors() > 1 else "beside"
        put_together = self.deliveries.apart if wanted == "apart" else self.deliveries.here
        return put_together(claims, self._terms, self.handover, answered=self.wake)

    def housekeeping(self, executor: ThreadPoolExecutor | None = None) -> housekeeping.Housekeeping:
        """The broom of an engine process."""
        keep = int(self.settings.retention_days * schedule.DAY)
        return housekeeping.Housekeeping(
            self.store.session,
            self.clock.now,
            self._worked,
            watches=not self.store.is_sqlite,
            places_in=self.store,
            pruner=pruning.Pruner(self.store, self.clock.now, keep) if keep else None,
            executor=executor,
        )

    def _worked(self) -> int:
        taken = self.ingest.accepted + (0 if self.pace is None else self.pace.taken)
        return taken + (0 if self._delivery is None else sum(self._delivery.counts.values()))

    def wake(self) -> None:
        """Something was committed that a turn has to see."""
        if self._worker is not None:
            self._worker.wake()

    def asgi(self, **changed: Any) -> Any:
        """The web application; tests change what it is given."""
        return server.asgi(
            services.Services(
                self.settings,
                self.store,
                self.clock.now,
                self.ingest,
                self._wake_from_thread,
                self.engine_state,
                self.backtests,
                self._checking,
                self.deliveries.link_secret,
                self.renders,
                self._fetched,
                called=self.callers.note,
                span=self.clock.span,
            )._replace(**changed)
        )

    async def _fetched(self, url: str) -> bytes:
        return await self.fetch(url)

    def _wake_from_thread(self) -> None:
        if not self.store.is_sqlite:
            self.store.notify()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self.wake)

    _loop: asyncio.AbstractEventLoop | None = None

    def engine_state(self) -> Mapping[str, Any]:
        """What this process has done so far, for /metrics and /healthz."""
        return {
            "worker": self.worker_name,
            "events_accepted": self.ingest.accepted,
            "inputs_decided": 0 if self.pace is None else self.pace.taken,
            "in_flight": 0 if self._delivery is None else self._delivery.in_flight,
            "handed_over": {} if self._delivery is None else dict(self._delivery.counts),
        }

    def agree_on_time(self) -> None:
        """Go by the database's clock where this machine's is apart from it (PostgreSQL)."""
        if isinstance(self.clock, clocks.SharedClock) and self.clock.agree(self.store.told_time):
            _log.warning("clocks_apart", ahead_by_seconds=round(self.clock.ahead / schedule.SECOND, 1))

    @contextlib.asynccontextmanager
    async def on_time(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Until left, look again and again whether clocks agree and the schema is this program's (PostgreSQL).

        Where it is not any more, `stop` is set, and what `check` says of it raised once all has come to its end.
        """
        looking = asyncio.create_task(self._stay_on_time(stop))
        try:
            yield
        finally:
            looking.cancel()
        if looking.done():
            looking.result()

    async def _stay_on_time(self, stop: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(_COMPARE_SECONDS)
            try:
                await asyncio.to_thread(self.store.check)
                await asyncio.to_thread(self.agree_on_time)
            except (errors.DatabaseNewer, errors.DatabaseOutdated):
                stop.set()
                raise
            except errors.HeliographError:
                # A database that is away tells nothing: it is asked again.
                continue

    # ── running ─────────────────────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def engine_on_loop(self) -> AsyncIterator[None]:
        """Turns and deliveries on this loop (SQLite), until left; what is in flight is brought to its end."""
        loading.settle_garbage()
        self._loop = asyncio.get_running_loop()
        session = self.session()
        delivery = self._delivery = self._delivery_of_loop(session)
        self.pace = worker.Pace(
            self.turns(session), session, self.clock.now, self.clock.wall_seconds, delivery.wake
        )
        turns = self._worker = worker.LoopWorker(self.pace)
        with ThreadPoolExecutor(1, "housekeeping") as corner:
            broom = self.housekeeping(corner)
            running = [asyncio.create_task(part.run()) for part in (turns, delivery, broom)]
            try:
                yield
            finally:
                broom.stop()
                await running[2]
                # Answers are stored by turns: they go on until nothing is in flight.
                delivery.stop()
                await running[1]
                turns.stop()
                await running[0]
                await self.deliveries.close()

    @contextlib.asynccontextmanager
    async def engine_in_threads(self) -> AsyncIterator[None]:
        """Turns in a thread and deliveries on this loop (PostgreSQL), until left."""
        loading.settle_garbage()
        loop = self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "delivery") as executor, ThreadPoolExecutor(1, "housekeeping") as corner:
            delivery = self._delivery = self.delivery(self.session(), executor)
            session = self.session()

            def planned() -> None:
                loop.call_soon_threadsafe(delivery.wake)

            self.pace = worker.Pace(
                self.turns(session),
                session,
                self.clock.now,
                self.clock.wall_seconds,
                planned,
            )
            listener = self.store.listener()
            turns = self._worker = worker.ThreadWorker(self.pace, listener)
            turns.start()
            broom = self.housekeeping(corner)
            running = [asyncio.create_task(part.run()) for part in (delivery, broom)]
            try:
                yield
            finally:
                broom.stop()
                # Answers are stored by turns: they go on until nothing is in flight.
                delivery.stop()
                await asyncio.gather(*running)
                await loop.run_in_executor(None, turns.stop)
                await self.deliveries.close()
                self._worker = None
                listener.close()

    def close(self) -> None:
        """Close the database."""
        if self._executor is not None:
            self._executor.shutdown()
        self.sandbox.close()
        self._checking.close()
        for session in self._sessions:
            session.close()
        self.store.close()


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sandbox() -> javascript.Sandbox:
    """What reads and runs the JavaScript of journeys, in a process of its own; to be closed."""
    return javascript.Sandbox(lambda: time.monotonic_ns() // 1000)


def refuse_another_clock(store: database.Database, scaled: bool) -> None:
    """A database plays on one clock for ever: a scaled clock is refused where the real one has run (E23)."""
    with store.writing() as connection:
        noted = facts.note_clock(connection, "scaled" if scaled else "real")
        if scaled and noted == "real":
            raise errors.BadSetting("this database has run on the real clock: a scaled clock needs a new one")
        if not scaled and noted == "scaled":
            raise errors.BadSetting("this database has run on a scaled clock: the real clock needs a new one")
