"""Limiting: which of the claimed messages a provider with limits takes now (a chapter of delivery).

Law: tokens are taken once for a batch, in one transaction, from buckets that all workers share. What is beyond a rate
waits for its time, in the order in which it was claimed; what is beyond a warming sender's day goes by the next
provider, or waits for tomorrow. Nothing is read where no workspace of the batch has limits.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from heliograph import channels
from heliograph.core import effects
from heliograph.engine import settlements, ways
from heliograph.store import database, rows

_MESSAGE = int(effects.Kind.MESSAGE)
_DAY, _SPREAD = 86_400_000_000, 600_000_000
"""µs of a day, and over how many after midnight those come back who were put off to it."""

Chosen = dict[bytes, "ways.Way | channels.Answer"]
Asked = Mapping[ways.Way, Sequence[rows.Message]]


class Share(NamedTuple):
    """What becomes of the messages that ask one provider with limits."""

    way: ways.Way
    gone: list[rows.Message]
    """That go now."""
    late: list[rows.Message]
    """That its rate lets wait."""
    full: list[rows.Message]
    """To domains that have had as many as a day allows."""
    next_at: int
    """When the first of the late ones may go."""


class Limiting:
    """Chooses for the messages of workspaces whose providers have limits."""

    def __init__(
        self,
        session: database.Session,
        known: ways.Ways,
        do: Callable[[Callable[[], Any]], Awaitable[Any]],
    ):
        """`do` runs statements where the delivery runs its own."""
        self._session, self._ways, self._do = session, known, do

    async def chosen(self, claimed: Sequence[rows.Claimed], now: int) -> Chosen:
        """By whom these messages go, or until when they wait; who is not in it is limited by nothing."""
        found: Chosen = {}
        limited = self._ways.limited
        if not limited:
            return found
        waiting = [one.message for one in claimed if one.message.workspace_id in limited]
        passed: dict[bytes, set[str]] = {}
        while waiting:
            asked: dict[ways.Way, list[rows.Message]] = {}
            for message in waiting:
                self._ask(message, passed.get(message.id), asked, found, now)
            waiting = []
            shares: list[Share] = []
            if asked:
                shares = await self._do(functools.partial(self._shared, asked, now))
            for share in shares:
                found |= dict.fromkeys((message.id for message in share.gone), share.way)
                found |= _put_off(share, now)
                for message in share.full:
                    passed.setdefault(message.id, set()).add(share.way.name)
                waiting += share.full
        return found

    def _ask(
        self,
        message: rows.Message,
        without: set[str] | None,
        asked: dict[ways.Way, list[rows.Message]],
        found: Chosen,
        now: int,
    ) -> None:
        """Let a message ask whom it goes by; one without limits, or that rests, is settled at once."""
        way = self._ways.choose(message, now, without or ())
        if isinstance(way, ways.Way) and way.limits is not None and message.kind == _MESSAGE:
            asked.setdefault(way, []).append(message)
        elif without and way is None:
            found[message.id] = settlements.put_off(_tomorrow(message, now) - now)
        elif without and way is not None:
            found[message.id] = way

    def _shared(self, asked: Asked, now: int) -> list[Share]:
        hot, day = self._session.hot, now // _DAY
        places = {way.place for way in asked}
        warming = {way.place for way in asked if way.limits and way.limits.warm_up}
        with self._session.transaction() as connection:
            rates = hot.lock_rates(connection, places)
            days = hot.read_days(connection, warming, day) if warming else {}
            shares = [_share(way, asked[way], rates, days, now) for way in asked]
            changed = {key: sent for key, sent in days.items() if key[0] in warming}
            hot.keep_limits(connection, {place: rates[place] for place in places}, changed, day)
        return shares


def _share(
    way: ways.Way,
    asking: Sequence[rows.Message],
    rates: dict[tuple[int, str], int],
    days: dict[tuple[tuple[int, str], str], int],
    now: int,
) -> Share:
    """What one provider takes of these; what it takes is written into `rates` and `days`."""
    limits = way.limits
    assert limits is not None
    warm_up = limits.warm_up
    limit = None if warm_up is None else warm_up.limit(now // _DAY)
    wanted = list(asking)
    full: list[rows.Message] = []
    if limit is not None:
        wanted, full = _within(limit, way.place, asking, days)
    full_at = rates.setdefault(way.place, 0)
    granted = len(wanted)
    if limits.rate is not None:
        granted, rates[way.place] = limits.rate.take(full_at, len(wanted), now)
    gone, late = wanted[:granted], wanted[granted:]
    if limit is not None:
        for message in gone:
            key = way.place, _domain(message)
            days[key] = days.get(key, 0) + 1
    next_at = now if limits.rate is None else limits.rate.next_at(rates[way.place])
    return Share(way, gone, late, full, next_at)


def _within(
    limit: int,
    place: tuple[int, str],
    asking: Sequence[rows.Message],
    days: Mapping[tuple[tuple[int, str], str], int],
) -> tuple[list[rows.Message], list[rows.Message]]:
    """Those that a day allows, and those that it does not."""
    wanted: list[rows.Message] = []
    full: list[rows.Message] = []
    counts: dict[str, int] = {}
    for message in asking:
        domain = _domain(message)
        count = counts.get(domain, days.get((place, domain), 0))
        (wanted if count < limit else full).append(message)
        counts[domain] = count + 1
    return wanted, full


def _put_off(share: Share, now: int) -> Chosen:
    """When the late ones come again: one after the other, behind those that wait already."""
    rate = None if share.way.limits is None else share.way.limits.rate
    if rate is None or not share.late:
        return {}
    first = max(share.next_at, share.way.put_off_until)
    share.way.put_off_until = first + len(share.late) * rate.interval
    return {
        message.id: settlements.put_off(first + place * rate.interval - now)
        for place, message in enumerate(share.late)
    }


def _domain(message: rows.Message) -> str:
    return (message.address or "").rpartition("@")[2]


def _tomorrow(message: rows.Message, now: int) -> int:
    spread = int.from_bytes(message.id[-2:], "big") / 65536
    return (now // _DAY + 1) * _DAY + int(_SPREAD * spread)
