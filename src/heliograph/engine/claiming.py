"""Claiming: what a delivery writes before it hands anything over (a chapter of delivery).

Law: a claim is committed before the hand-over begins, and tokens are taken once for a batch, from buckets that all
workers share. Who claims for a delivery in another process is asked the same questions, so the answers are plain rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol, TypeVar

from heliograph.core import provider_limits, schedule
from heliograph.engine import onward, settlements
from heliograph.store import database, rows

AT_ONCE = 500
"""So many claims are taken in one transaction."""
_T = TypeVar("_T")


class Taken(NamedTuple):
    """What was taken at once."""

    expired: list[rows.Claimed]
    """Claims whose lease ran out, which are this worker's now."""
    claimed: list[rows.Claimed]
    stopped: list[tuple[rows.Claimed, str]]
    """What was claimed and goes nowhere, and the code of what is stored of it (`settlements.UNTAKEN`)."""
    is_cut: bool
    """Whether more may be in line."""
    versions: dict[int, int]
    """By which definitions the workspaces of the new ones stand."""


class Asked(NamedTuple):
    """What is asked of the limits of one provider, for some messages in their order."""

    place: tuple[int, str]
    """Whose it is, and its id."""
    limits: provider_limits.Limits
    domains: list[str]
    """To which each message goes."""


class Granted(NamedTuple):
    """What one provider takes of these: places among what was asked, in their order."""

    gone: list[int]
    """That go now."""
    late: list[int]
    """That its rate lets wait."""
    full: list[int]
    """To domains that have had as many as a day allows."""
    next_at: int
    """When the first of the late ones may go."""


class Claims(Protocol):
    """Who writes for a delivery."""

    async def take(self, room: int, now: int, start: int, *, expires: bool) -> Taken:
        """Claim up to `room` messages that stand in line, and with `expires` claims whose lease has run out.

        The walk over workspaces begins after `start`. Raises errors.HeliographError where the database refuses.
        """

    async def grant(self, asked: Sequence[Asked], now: int) -> list[Granted]:
        """Take tokens of these providers. Raises errors.HeliographError where the database refuses."""


class OwnClaims:
    """Claims on a connection of this process."""

    def __init__(self, session: database.Session, terms: settlements.Terms, executor: Executor | None = None):
        """`executor` runs the statements (None: on the loop itself, as on SQLite)."""
        self._session, self._terms, self._executor = session, terms, executor

    async def take(self, room: int, now: int, start: int, *, expires: bool) -> Taken:
        """Claim from the line, in one transaction."""
        return await self._do(lambda: self._taken(room, now, start, expires=expires))

    async def grant(self, asked: Sequence[Asked], now: int) -> list[Granted]:
        """Take tokens, in one transaction."""
        return await self._do(lambda: self._granted(asked, now))

    def adopt_all(self) -> None:
        """See to every claim there is at the next look: for a process that is the only one of its database."""
        with self._session.transaction() as connection:
            self._session.hot.end_leases(connection)

    async def _do(self, work: Callable[[], _T]) -> _T:
        if self._executor is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _taken(self, room: int, now: int, start: int, *, expires: bool) -> Taken:
        hot, worker = self._session.hot, self._terms.worker
        expired: list[rows.Claimed] = []
        claimed: list[rows.Claimed] = []
        stopping: frozenset[tuple[int, bytes]] = frozenset()
        reported: frozenset[tuple[int, bytes]] = frozenset()
        is_cut = False
        versions: dict[int, int] = {}
        with self._session.transaction() as connection:
            lease_until = now + self._terms.lease
            if expires:
                expired = hot.take_expired(connection, now, AT_ONCE, worker, lease_until)
            if room:
                claimed, is_cut = hot.claim(connection, now, room, worker, lease_until, start)
                if claimed:
                    workspaces = {one.message.workspace_id for one in claimed}
                    versions = hot.read_versions(connection, workspaces)
                jobs = {campaign for one in claimed if (campaign := _campaign_of(one)) is not None}
                if jobs:
                    # After the claim: a stop that was committed before it is seen.
                    stopping = hot.read_stopping(connection, jobs)
                lost = {one.message[:2] for one in claimed if onward.may_be_out(one.message)}
                if lost:
                    told = hot.read_reached(connection, lost)
                    reported = frozenset(key for key, one in told.items() if one.reached is not None)
        judged = [(one, _refusal(one, stopping, reported)) for one in claimed]
        stopped = [(one, why) for one, why in judged if why is not None]
        if stopped:
            claimed = [one for one, why in judged if why is None]
        return Taken(expired, claimed, stopped, is_cut, versions)

    def _granted(self, asked: Sequence[Asked], now: int) -> list[Granted]:
        hot, day = self._session.hot, now // schedule.DAY
        places = {one.place for one in asked}
        warming = {one.place for one in asked if one.limits.warm_up}
        with self._session.transaction() as connection:
            rates = hot.lock_rates(connection, places)
            days = hot.read_days(connection, warming, day) if warming else {}
            granted = [_share(one, rates, days, now) for one in asked]
            changed = {key: sent for key, sent in days.items() if key[0] in warming}
            hot.keep_limits(connection, {place: rates[place] for place in places}, changed, day)
        return granted


def _refusal(
    one: rows.Claimed, stopping: Collection[tuple[int, bytes]], reported: Collection[tuple[int, bytes]]
) -> str | None:
    """Why a message that was claimed goes nowhere, by its code; None: it goes."""
    if one.message[:2] in reported:
        return settlements.REPORTED.code
    if one.is_suppressed:
        return settlements.SUPPRESSED.code
    return settlements.STOPPED.code if _campaign_of(one) in stopping else None


def _campaign_of(claimed: rows.Claimed) -> tuple[int, bytes] | None:
    """The campaign whose job a message is: of messages, those that no run asked for."""
    message = claimed.message
    if message.run_id is not None or message.automation_id is None:
        return None
    return message.workspace_id, message.automation_id


def _share(
    asked: Asked,
    rates: dict[tuple[int, str], int],
    days: dict[tuple[tuple[int, str], str], int],
    now: int,
) -> Granted:
    """What one provider takes of these; what it takes is written into `rates` and `days`."""
    place, limits, domains = asked
    limit = None if limits.warm_up is None else limits.warm_up.limit(now // schedule.DAY)
    wanted = list(range(len(domains)))
    full: list[int] = []
    if limit is not None:
        wanted, full = _within(limit, place, domains, days)
    full_at = rates.setdefault(place, 0)
    granted = len(wanted)
    if limits.rate is not None:
        granted, rates[place] = limits.rate.take(full_at, len(wanted), now)
    gone, late = wanted[:granted], wanted[granted:]
    if limit is not None:
        for number in gone:
            key = place, domains[number]
            days[key] = days.get(key, 0) + 1
    next_at = now if limits.rate is None else limits.rate.next_at(rates[place])
    return Granted(gone, late, full, next_at)


def _within(
    limit: int,
    place: tuple[int, str],
    domains: Sequence[str],
    days: dict[tuple[tuple[int, str], str], int],
) -> tuple[list[int], list[int]]:
    """Those that a day allows, and those that it does not."""
    wanted: list[int] = []
    full: list[int] = []
    counts: dict[str, int] = {}
    for number, domain in enumerate(domains):
        count = counts.get(domain, days.get((place, domain), 0))
        (wanted if count < limit else full).append(number)
        counts[domain] = count + 1
    return wanted, full
