"""Requests that are worked once: the `Idempotency-Key` of a POST (journeys.md J16, J17, A38 to A40, A61, A62).

Law: the first answer is given again, word for word, to whoever sends the same request with the same key; an error of
the caller's own leaves the key free. While the first is being worked, however long that takes, the others are told to
come again. What a route writes in a thread and its answer are one commit (`keep`): both are there, or neither is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple

import structlog

from heliograph import errors
from heliograph.core import delays, documents, events
from heliograph.store import database
from heliograph.store import request_keys as store
from heliograph.web import auth, services

_log = structlog.get_logger(__name__)

HEADER, EXPIRATION, REPLAYED = "idempotency-key", "x-idempotency-expiration", "idempotent-replayed"
TENANT_HEADER = "reach-tenant-id"
"""The business that a key of the whole workspace speaks for (the Reach family)."""
_NAME = HEADER.encode()
SIGNS = ("/auth/issue-token", "/api/preference-links")
"""What is answered there opens doors, and is made without a trace: it is made anew, and kept nowhere."""
MAX_KEY = 255
LEASE = 60.0
"""Seconds after which a key that nobody renewed is taken for one whose worker died."""
_RENEWED = LEASE / 3
_TOLD_AGAIN, _MOST_UNTOLD = 1.0, 10_000
_LONGEST_SCOPE = 500
_NO_TIME = 503
_KEPT = frozenset({"content-type", "heliograph-ignored"})


class Once(NamedTuple):
    """A request that is to be worked once, and how often it came before."""

    wanted: store.Wanted
    taken: store.Taken

    @property
    def start_key(self) -> str:
        """What a run is unique by that this request starts: whoever works it again starts no other."""
        said = f"{self.wanted.workspace_id} {self.wanted.scope} {self.wanted.key} {self.taken.begun_at}"
        return f"request:{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}"


def wanted(
    headers: Iterable[tuple[bytes, bytes]], who: auth.Principal, path: str, query: bytes, body: bytes
) -> store.Wanted | None:
    """What the key of a POST holds for; None where it has none. Raises InvalidInput."""
    key = _header(headers, HEADER)
    if not key or path in SIGNS:
        return None
    if len(key) > MAX_KEY or not key.isprintable():
        raise errors.InvalidInput.at("Idempotency-Key", f"takes 1 to {MAX_KEY} characters")
    tenant_id = who.tenant_id or _header(headers, TENANT_HEADER)
    scope = " ".join(part for part in (tenant_id, "POST", path, query.decode("latin-1")) if part)
    if len(scope) > _LONGEST_SCOPE:
        # PostgreSQL takes no longer ones into an index.
        scope = hashlib.sha256(scope.encode()).hexdigest()
    return store.Wanted(who.workspace_id, scope, key, _fingerprint(body))


def is_keyed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request names a key, be it one that is refused."""
    return any(name == _NAME for name, _ in headers)


def expires_at(headers: Iterable[tuple[bytes, bytes]], now: int) -> int:
    """Until when (µs) the answer is given again: for a day, or as the request says. Raises InvalidInput."""
    given = _header(headers, EXPIRATION)
    return delays.parse_expiry(given, now, EXPIRATION) if given else now + delays.SHORTEST_KEPT


_SAFE, _MANY_DIGITS = 2**53 - 1, re.compile(rb"[0-9]{16}")


def _fingerprint(body: bytes) -> bytes:
    """Of what a body says, however it is written (A38); of its octets where that is no JSON."""
    try:
        said = documents.read(body)
        return bytes.fromhex(events.fingerprint(_marked(said) if _MANY_DIGITS.search(body) else said))
    except errors.HeliographError:
        return hashlib.sha256(body).digest()


def _marked(said: Any) -> Any:
    """The same with a mark on whole numbers that the fingerprint takes for their digits as text."""
    if isinstance(said, dict):
        return {key: _marked(child) for key, child in said.items()}
    if isinstance(said, list):
        return [_marked(child) for child in said]
    return ["\0", str(said)] if isinstance(said, int) and not -_SAFE <= said <= _SAFE else said


def keep(database: database.Database, once: Once, answer: store.Answer) -> bool:
    """Keep the answer in the transaction that wrote what it tells of; False where it leaves the key free (A40).

    Raises Conflict where others have worked the request, because this process stood still: so nothing is written here.
    """
    if _frees(answer.status):
        return False
    if not store.keep(database, once.wanted, once.taken, _kept(answer)):
        raise _at_work()
    return True


class Working:
    """The requests with a key that this process is at work on."""

    def __init__(self, given: services.Services):
        self._given = given
        self._here: dict[tuple[int, str, str], bytes] = {}
        """The fingerprints of those: however late their leases are renewed, nobody else here works them."""
        self._untold: dict[tuple[int, str, str], tuple[int, Callable[[], object]]] = {}
        """What the database could not be told of a key, and until when it is worth telling."""
        self._telling: asyncio.Task[None] | None = None

    async def take(self, wanted: store.Wanted, now: int, until: int) -> Once | store.Answer:
        """The right to work a request, or what it was answered before.

        Raises KeyReused where the key came with another body, Conflict where the first is still being worked.
        """
        here = self._here.get(wanted[:3])
        if here is not None:
            raise _at_work() if here == wanted.fingerprint else errors.KeyReused
        lease = self._lease()
        try:
            taken = await asyncio.to_thread(store.take, self._given.database, wanted, now, lease, until)
        except errors.HeliographError:
            # It may be taken all the same, and nobody is at work.
            taken = store.Taken(now, True, True, None, now + lease)
            self._tell_later(
                wanted, taken, functools.partial(store.let_go, self._given.database, wanted, taken)
            )
            raise
        if not taken.is_same:
            raise errors.KeyReused
        if taken.answer is not None:
            return taken.answer
        if not taken.is_mine:
            raise _at_work()
        return Once(wanted, taken)

    @contextlib.asynccontextmanager
    async def holding(self, once: Once) -> AsyncIterator[None]:
        """Renew the lease of a key as long as its request is at work."""
        key = once.wanted[:3]
        self._here[key] = once.wanted.fingerprint
        renewing = asyncio.create_task(self._renew(once))
        try:
            yield
        finally:
            renewing.cancel()
            del self._here[key]

    async def _renew(self, once: Once) -> None:
        while True:
            await self._given.rest(_RENEWED)
            until = self._given.now() + self._lease()
            try:
                await asyncio.to_thread(store.renew, self._given.database, once.wanted, once.taken, until)
            except errors.HeliographError as fault:
                _log.warning("request_key_not_renewed", error=fault.message)

    async def settle(self, once: Once, answer: store.Answer) -> None:
        """Keep the answer, or free the key where the caller has to mend something first (A40).

        Where there was no time the same request may come again at once, and finds what was done all the same: a
        database that is lost at a commit does not tell whether it has it.

        What was done stays done where the database refuses that: it is told later.
        """
        database, (wanted, taken) = self._given.database, once
        tell: Callable[[], object]
        if answer.status == _NO_TIME:
            tell = functools.partial(store.give_up, database, wanted, taken)
        elif _frees(answer.status):
            tell = functools.partial(store.let_go, database, wanted, taken)
        else:
            tell = functools.partial(store.keep, database, wanted, taken, _kept(answer))
        try:
            await asyncio.to_thread(tell)
        except errors.HeliographError as fault:
            _log.error("request_key_not_kept", error=fault.message)
            self._tell_later(wanted, taken, tell)

    def _tell_later(self, wanted: store.Wanted, taken: store.Taken, tell: Callable[[], object]) -> None:
        """Tell the database once it is back, as long as the lease is not over: then the key is free anyway."""
        if len(self._untold) < _MOST_UNTOLD:
            self._untold[wanted[:3]] = taken.lease_until, tell
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            await self._given.rest(_TOLD_AGAIN)
            while self._untold:
                key, (until, tell) = self._untold.popitem()
                if key in self._here or until <= self._given.now():
                    continue
                try:
                    await asyncio.to_thread(tell)
                except errors.HeliographError:
                    self._untold.setdefault(key, (until, tell))
                    break

    def _lease(self) -> int:
        return self._given.span(LEASE)


def _at_work() -> errors.Conflict:
    return errors.Conflict("a request with this Idempotency-Key is being worked: ask again", retry_after=1)


def _frees(status: int) -> bool:
    """Whether the caller has to mend something before the request is worked."""
    return 400 <= status < 500


def _kept(answer: store.Answer) -> store.Answer:
    return answer._replace(headers={name: v for name, v in answer.headers.items() if name in _KEPT})


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: str) -> str:
    name = wanted.encode()
    return next((value.decode("latin-1").strip() for key, value in headers if key == name), "")
