"""The composition root: settings, store, clock and channels become an application.

Law: the only file that knows everyone. It decides nothing but who is given what.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from heliograph import channels, errors, javascript, outlets
from heliograph import clock as clocks
from heliograph import settings as settings_module
from heliograph.channels import webhook
from heliograph.core import effects, ids, links, messages, tracking
from heliograph.engine import (
    backtests,
    dates,
    deliver,
    handover,
    housekeeping,
    ingest,
    journey,
    letters,
    pruning,
    rendering,
    settlements,
    started,
    turn,
    worker,
)
from heliograph.store import database, definitions, facts, recipient_secrets, rows, safe, webhook_secrets
from heliograph.web import server, services

_log = structlog.get_logger(__name__)
_SECOND = 1_000_000
_HOUR = 3_600 * _SECOND
_DAY = 24 * _HOUR
_SQLITE_SECONDS, _POSTGRESQL_SECONDS = 0.015, 0.100


class App:
    """Everything of one process, put together; nothing runs until it is started."""

    def __init__(
        self,
        settings: settings_module.Settings,
        clock: clocks.Clock | None = None,
        ways: Mapping[str, channels.Channel] | None = None,
        opener: outlets.Opener | None = None,
    ):
        """`ways` replaces the channels that the settings name, `opener` what opens the providers of workspaces."""
        self.settings = settings
        self.clock = clock or clocks.WallClock()
        self.store = database.Database(
            settings.database_url,
            pool_size=settings.pool_size,
            safe=safe.opened(settings.secret_key, settings.secret_key_file),
        )
        try:
            self.store.check()
        except errors.HeliographError:
            self.store.close()
            raise
        self.worker_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.handover = handover.Handover(self.worker_name, self.clock.span(settings.lease_seconds))
        self.outlets = outlets.Outlets(settings, self.store, self.clock, ways, opener)
        self.ways = self.outlets.installed
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
        self.renders = rendering.Rendering(self._template, self._look)
        self.fetch: Callable[[str], Awaitable[bytes]] = functools.partial(webhook.fetched, self.clock.now)
        self._executor = None if self.store.is_sqlite else ThreadPoolExecutor(1, "ingest")
        self._session: database.Session | None = None
        self._link_secret: bytes | None = None
        self._sessions: list[database.Session] = []
        self._worker: worker.LoopWorker | worker.ThreadWorker | None = None
        self._delivery: deliver.Delivery | None = None
        self.ingest = ingest.Ingest(
            self.session(),
            self.clock.now,
            self.wake,
            backlog_limit=settings.backlog_limit,
            executor=self._executor,
        )
        self.pace: worker.Pace | None = None
        self.backtests = backtests.Backtests(
            settings.database_url, settings.backtests_at_once, backtests.apart
        )

    @property
    def lock_window(self) -> int:
        """How long before its time (µs) a campaign can be changed no more."""
        return int(self.settings.campaign_lock_seconds * _SECOND)

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
        seconds = _SQLITE_SECONDS if self.store.is_sqlite else _POSTGRESQL_SECONDS
        limits = turn.Limits(
            settings.turn_inputs,
            seconds,
            int(settings.max_event_age_hours * _HOUR),
            int(settings.misfire_grace_hours * _HOUR),
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
        )

    def delivery(
        self, session: database.Session, executor: ThreadPoolExecutor | None = None
    ) -> deliver.Delivery:
        """The delivery, on a connection."""
        settings = self.settings
        terms = settlements.Terms(
            self.worker_name,
            self.clock.span(settings.lease_seconds),
            int(settings.misfire_grace_hours * _HOUR),
            messages.Policy(settings.delivery_attempts, settings.uncertain_policy == "at_least_once"),
        )
        writer = letters.Letters(
            self.renders,
            settings.sender,
            settings.default_subject,
            self._secrets,
            self._unsubscribing(),
            self._tracked() if settings.public_url else None,
            settings.bounce_address,
            ours=f"{settings.public_url.rstrip('/')}/unsubscribe/",
            opened=functools.partial(recipient_secrets.opened, self.store.safe),
        )
        return deliver.Delivery(
            session,
            self.outlets.known(self.ways),
            writer,
            self.clock.now,
            self.clock.wall_seconds,
            terms,
            self.handover,
            executor=executor,
            answered=self.wake,
        )

    def housekeeping(self, executor: ThreadPoolExecutor | None = None) -> housekeeping.Housekeeping:
        """The broom of an engine process."""
        keep = int(self.settings.retention_days * _DAY)
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
        taken = 0 if self.pace is None else self.pace.taken
        return taken + (0 if self._delivery is None else sum(self._delivery.counts.values()))

    def _template(self, workspace_id: int, template_id: str, version: int) -> bytes | str | None:
        with self.store.reading() as connection:
            return definitions.template(connection, workspace_id, template_id, version)

    def _look(self, workspace_id: int, brand_id: str, version: int) -> bytes | str | None:
        with self.store.reading() as connection:
            return definitions.look(connection, workspace_id, brand_id, version)

    def link_secret(self) -> bytes:
        """What links that carry their own proof are signed with: drawn once for a database."""
        if self._link_secret is None:
            with self.store.writing() as connection:
                self._link_secret = facts.secret(connection, secrets.token_hex(32), self.store.safe)
        return self._link_secret

    def _tracked(self) -> letters.Tracked:
        place, secret = self.settings.public_url.rstrip("/"), self.link_secret()

        def tracked(message: rows.Message, markup: str, own: Collection[str] | None) -> str:
            wanted = self.settings.tracking if own is None else own

            def address(link: str | None) -> str:
                said = links.Visit(message.workspace_id, ids.text(message.id), link)
                return f"{place}/t/{links.sign_visit(said, secret)}"

            if "clicks" in wanted:
                markup = tracking.with_links(markup, f"{place}/unsubscribe/", address)
            return tracking.with_picture(markup, address(None)) if "opens" in wanted else markup

        return tracked

    def _unsubscribing(self) -> Callable[[links.Preference], str] | None:
        place = self.settings.public_url.rstrip("/")
        if not place:
            return None
        secret = self.link_secret()
        return lambda said: f"{place}/unsubscribe/{links.sign(said, secret)}"

    def _secrets(self, workspace_id: int, now: int) -> list[str]:
        with self.store.reading() as connection:
            return webhook_secrets.read(connection, workspace_id, now, self.store.safe)

    def wake(self) -> None:
        """Something was committed that a turn has to see."""
        if self._worker is not None:
            self._worker.wake()

    def asgi(self) -> Any:
        """The web application."""
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
                self.link_secret,
                self.renders,
                self._fetched,
            )
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

    @staticmethod
    def settle_garbage() -> None:
        """A turn makes and drops a hundred thousand small values: the collector need not look at each thousand."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)

    # ── running ─────────────────────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def engine_on_loop(self) -> AsyncIterator[None]:
        """Turns and deliveries on this loop (SQLite), until left; what is in flight is brought to its end."""
        self.settle_garbage()
        self._loop = asyncio.get_running_loop()
        session = self.session()
        delivery = self._delivery = self.delivery(session)
        self.pace = worker.Pace(
            self.turns(session), session, self.clock.now, self.clock.wall_seconds, delivery.wake
        )
        turns = self._worker = worker.LoopWorker(self.pace)
        delivery.adopt_all()
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
                await deliver.closed(self.ways)

    @contextlib.asynccontextmanager
    async def engine_in_threads(self) -> AsyncIterator[None]:
        """Turns in a thread and deliveries on this loop (PostgreSQL), until left."""
        self.settle_garbage()
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
                await deliver.closed(self.ways)
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


def sandbox() -> javascript.Sandbox:
    """What reads and runs the JavaScript of journeys, in a process of its own; to be closed."""
    return javascript.Sandbox(lambda: time.monotonic_ns() // 1000)


def refuse_shared_clock(store: database.Database, scaled: bool) -> None:
    """A database plays on one clock for ever: a scaled clock is refused where the real one has run (E23)."""
    with store.writing() as connection:
        known = definitions.clock_of(connection)
        if known is None:
            definitions.set_clock(connection, "scaled" if scaled else "real")
        elif scaled and known == "real":
            raise errors.BadSetting("this database has run on the real clock: a scaled clock needs a new one")
        elif not scaled and known == "scaled":
            raise errors.BadSetting("this database has run on a scaled clock: the real clock needs a new one")
