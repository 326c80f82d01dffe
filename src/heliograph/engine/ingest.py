"""Accept events once, many requests to a commit.

Law: what was answered with ids is durable; what was refused left nothing. Requests that come in while a commit is
under way share the next one: batches grow by themselves under load and nobody waits for a timer. An event never
creates a contact, and nothing is decided here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from heliograph import errors
from heliograph.core import arrivals, ids, schedule
from heliograph.store import database, rows

KEY_LIFE = schedule.DAY
_COMMIT_EVENTS = 5_000
"""Requests are gathered into one commit up to about this many events."""


_LONGER_THAN_ANY = 160
"""More characters than a key has that stands as it was sent (or as a request is known by)."""

_LOOKS = 5
"""How often a commit is begun anew because another process used one of its keys meanwhile."""


class _KeyTaken(Exception):
    """Another process has just used one of the keys: once more, and its event is found."""


class Batch(NamedTuple):
    """The events of one request."""

    workspace_id: int
    tenant_id: str | None
    events: list[arrivals.Ready]
    is_array: bool
    once: bool = False
    """Whether an idempotency key that was used is refused, whatever it was used for."""

    def keyed(self, request: str) -> Batch:
        """The batch of a request that may come again: events without a key of their own get one from its name."""
        return self._replace(
            events=[
                ready if ready.fingerprint is not None else ready.known_by(f"{request}:{index}")
                for index, ready in enumerate(self.events)
            ]
        )

    def place(self, key: str) -> tuple[int, str]:
        """Where a key stands. Those of tenants do not meet, nor the workspace's, none of which is as long."""
        if self.tenant_id is None:
            return self.workspace_id, key
        return self.workspace_id, f"{len(self.tenant_id)}:{self.tenant_id}:{key}".rjust(_LONGER_THAN_ANY)


class Ingest:
    """The way in for events."""

    def __init__(
        self,
        session: database.Session,
        now: Callable[[], int],
        wake: Callable[[], None],
        *,
        backlog_limit: int,
        executor: Executor | None = None,
    ):
        """`executor` runs the commits (None: on the loop itself, as on SQLite); `wake` tells the turns."""
        self._session, self._now, self._wake, self._executor = session, now, wake, executor
        self._waiting: list[tuple[Batch, asyncio.Future[list[bytes]]]] = []
        self._draining: asyncio.Task[None] | None = None
        self._backlog_limit = backlog_limit
        self._backlog, self._counted_at = 0, -(10**9)
        self._counter = int.from_bytes(os.urandom(2), "big")
        self.accepted = 0
        """How many events this process has accepted."""

    # ── reading a request ───────────────────────────────────────────────────────────────────────────

    def read(self, body: bytes, content_type: str, workspace_id: int, tenant_id: str | None) -> Batch:
        """The events of a request's body. Raises errors.HeliographError with every fault at its place."""
        return Batch(workspace_id, tenant_id, *arrivals.read(body, content_type, workspace_id, self._now()))

    # ── accepting ───────────────────────────────────────────────────────────────────────────────────

    async def accept(self, batch: Batch) -> list[bytes]:
        """Store the events; gives their ids, in order, once they are durable.

        Raises errors.TooManyRequests when the backlog is over its limit, errors.Conflict where an idempotency key
        was used for another payload.
        """
        if not batch.events:
            return []
        if not self._counts_anew():
            self._refuse_if_behind()
        answer: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, answer))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await answer

    def _counts_anew(self) -> bool:
        """Whether the next commit counts what waits: were all refused by an old count, nobody would count again."""
        return bool(self._backlog_limit) and abs(self._now() - self._counted_at) > 1_000_000

    def _refuse_if_behind(self) -> None:
        if self._backlog_limit and self._backlog > self._backlog_limit:
            raise errors.TooManyRequests(
                f"more than {self._backlog_limit} events wait for a decision: send again in a few seconds",
                retry_after=5,
            )

    async def _drain(self) -> None:
        # One pass of the loop first, so that requests which are already in the sockets share the commit.
        await asyncio.sleep(0)
        while self._waiting:
            group = self._next_group()
            if self._executor is None:
                self._commit(group)
                await asyncio.sleep(0)
            else:
                await asyncio.get_running_loop().run_in_executor(
                    self._executor, self._commit_from_thread, group
                )
                _answer(group)

    def _next_group(self) -> list[_Request]:
        group: list[_Request] = []
        size = 0
        while self._waiting and size < _COMMIT_EVENTS:
            batch, answer = self._waiting.pop(0)
            group.append(_Request(batch, answer))
            size += len(batch.events)
        return group

    def _commit(self, group: list[_Request]) -> None:
        self._commit_from_thread(group)
        _answer(group)

    def _commit_from_thread(self, group: list[_Request]) -> None:
        try:
            self._store(group)
        except errors.HeliographError as fault:
            for request in group:
                request.fault = fault
        except Exception as fault:  # noqa: BLE001 - every request is answered, whatever refused it
            # One request's rows were refused: each is tried alone, so that only the culprit hears of it.
            for request in group:
                if len(group) == 1:
                    request.fault = fault
                else:
                    self._commit_from_thread([request])

    def _store(self, group: list[_Request]) -> None:
        for _ in range(_LOOKS):
            try:
                self._store_once(group)
                return
            except _KeyTaken:
                continue
        raise errors.Unavailable("other requests with the same idempotency keys are under way: send again")

    def _store_once(self, group: list[_Request]) -> None:
        now, keys, counts = self._now(), _keys_in(group), self._counts_anew()
        with self._session.transaction(writes_alone=not (keys or counts)) as connection:
            hot = self._session.hot
            if counts:
                self._backlog = hot.backlog(connection, self._backlog_limit + 1)
                self._counted_at = now
                self._refuse_if_behind()
            known = dict(hot.find_keys(connection, keys)) if keys else {}
            fresh: dict[tuple[int, str], rows.Key] = {}
            inserted: list[rows.Event] = []
            for request in group:
                self._admit(request, known, fresh, inserted, now)
            if inserted and not hot.accept(connection, inserted, list(fresh.values())):
                raise _KeyTaken
        self.accepted += len(inserted)
        self._backlog += len(inserted)
        if inserted:
            self._wake()

    def _admit(
        self,
        request: _Request,
        known: Mapping[tuple[int, str], rows.Key],
        fresh: dict[tuple[int, str], rows.Key],
        inserted: list[rows.Event],
        now: int,
    ) -> None:
        """Add a request's new events to the commit, whole, or note why it is refused, whole."""
        request.start()
        own: list[rows.Event] = []
        own_keys: dict[tuple[int, str], rows.Key] = {}
        head = ids.head(now)
        tails = os.urandom(5 * len(request.batch.events))
        for index, ready in enumerate(request.batch.events):
            key = ready.arrival.idempotency_key
            place = (0, "")
            if key is not None:
                place = request.batch.place(key)
                held = own_keys.get(place) or fresh.get(place) or known.get(place)
                if held is not None and held.expires_at > now:
                    if request.batch.once or held.fingerprint != ready.fingerprint:
                        request.refuse(index, key)
                        return
                    request.ids.append(held.event_id)
                    continue
            event = self._event(request.batch, ready, head, tails[5 * index : 5 * index + 5])
            own.append(event)
            request.ids.append(event.id)
            if key is not None:
                assert ready.fingerprint is not None
                own_keys[place] = rows.Key(*place, event.id, ready.fingerprint, now + KEY_LIFE)
        inserted += own
        fresh.update(own_keys)

    def _event(self, batch: Batch, ready: arrivals.Ready, head: bytes, tail: bytes) -> rows.Event:
        self._counter += 1
        arrival = ready.arrival
        previous = bytes(arrival.previous)
        return rows.Event._make(
            (
                batch.workspace_id,
                head + ids.foot(self._counter, ready.partition, int.from_bytes(tail, "big")),
                ready.partition,
                batch.tenant_id,
                arrival.event_type,
                arrival.contact_id,
                arrival.conversation_id,
                arrival.source or arrivals.SOURCE,
                arrival.channel_source,
                ready.occurred_at,
                0,
                bytes(arrival.payload),
                None if previous == b"null" else previous,
            )
        )


class _Request:
    """A request on its way through a commit."""

    __slots__ = ("answer", "batch", "fault", "ids")

    def __init__(self, batch: Batch, answer: asyncio.Future[list[bytes]]):
        self.batch, self.answer = batch, answer
        self.ids: list[bytes] = []
        self.fault: BaseException | None = None

    def start(self) -> None:
        """Forget what an earlier look came to: its transaction left nothing."""
        self.ids, self.fault = [], None

    def refuse(self, index: int, key: str) -> None:
        """The whole request is refused because one of its keys was used for something else."""
        place = f"[{index}].idempotency_key" if self.batch.is_array else "idempotency_key"
        self.ids.clear()
        self.fault = errors.Conflict(
            faults=[
                errors.Fault(place, f"the key {key!r} was used for another payload within the last 24 hours")
            ]
        )


def _keys_in(group: Sequence[_Request]) -> set[tuple[int, str]]:
    """The idempotency keys of these requests, each with its workspace."""
    return {
        request.batch.place(ready.arrival.idempotency_key)
        for request in group
        for ready in request.batch.events
        if ready.arrival.idempotency_key is not None
    }


def _answer(group: Sequence[_Request]) -> None:
    for request in group:
        if request.answer.done():
            continue
        if request.fault is not None:
            request.answer.set_exception(request.fault)
        else:
            request.answer.set_result(request.ids)
