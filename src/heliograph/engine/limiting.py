"""Limiting: which of the claimed messages a provider with limits takes now (a chapter of delivery).

Law: tokens are taken once for a batch (claiming.py). What is beyond a rate waits for its time, in the order in which it
was claimed; what is beyond a warming sender's day goes by the next provider, or waits for tomorrow. Nothing is read
where no workspace of the batch has limits.
"""

from __future__ import annotations

from collections.abc import Sequence

from heliograph import channels
from heliograph.core import effects, schedule
from heliograph.engine import claiming, settlements, ways
from heliograph.store import rows

_MESSAGE = int(effects.Kind.MESSAGE)
_SPREAD = 600 * schedule.SECOND
"""Over so long after midnight (µs) those come back who were put off to it."""

Chosen = dict[bytes, "ways.Way | channels.Answer"]


class Limiting:
    """Chooses for the messages of workspaces whose providers have limits."""

    def __init__(self, known: ways.Ways, claims: claiming.Claims):
        """`claims` is who takes the tokens."""
        self._ways, self._claims = known, claims

    async def chosen(self, claimed: Sequence[rows.Claimed], now: int) -> Chosen:
        """By whom these messages go, or until when they wait; who is not in it is limited by nothing."""
        found: Chosen = {}
        limited = self._ways.limited
        if not limited:
            return found
        waiting = [one.message for one in claimed if one.message.workspace_id in limited]
        passed: dict[bytes, set[str]] = {}
        while waiting:
            asking: dict[ways.Way, list[rows.Message]] = {}
            for message in waiting:
                self._ask(message, passed.get(message.id), asking, found, now)
            waiting = []
            asked = [_asked(way, messages) for way, messages in asking.items()]
            granted = await self._claims.grant(asked, now) if asked else []
            for (way, messages), share in zip(asking.items(), granted, strict=True):
                found |= dict.fromkeys((messages[number].id for number in share.gone), way)
                found |= _put_off(way, [messages[number] for number in share.late], share.next_at, now)
                full = [messages[number] for number in share.full]
                for message in full:
                    passed.setdefault(message.id, set()).add(way.name)
                waiting += full
        return found

    def _ask(
        self,
        message: rows.Message,
        without: set[str] | None,
        asking: dict[ways.Way, list[rows.Message]],
        found: Chosen,
        now: int,
    ) -> None:
        """Let a message ask whom it goes by; one without limits, or that rests, is settled at once."""
        way = self._ways.choose(message, now, without or ())
        if isinstance(way, ways.Way) and way.limits is not None and message.kind == _MESSAGE:
            asking.setdefault(way, []).append(message)
        elif without and way is None:
            found[message.id] = settlements.put_off(_tomorrow(message, now) - now)
        elif without and way is not None:
            found[message.id] = way


def _asked(way: ways.Way, messages: Sequence[rows.Message]) -> claiming.Asked:
    assert way.limits is not None
    return claiming.Asked(way.place, way.limits, [_domain(message) for message in messages])


def _put_off(way: ways.Way, late: Sequence[rows.Message], next_at: int, now: int) -> Chosen:
    """When the late ones come again: one after the other, behind those that wait already."""
    rate = None if way.limits is None else way.limits.rate
    if rate is None or not late:
        return {}
    first = max(next_at, way.put_off_until)
    way.put_off_until = first + len(late) * rate.interval
    return {
        message.id: settlements.put_off(first + place * rate.interval - now)
        for place, message in enumerate(late)
    }


def _domain(message: rows.Message) -> str:
    return (message.address or "").rpartition("@")[2]


def _tomorrow(message: rows.Message, now: int) -> int:
    spread = int.from_bytes(message.id[-2:], "big") / 65536
    return (now // schedule.DAY + 1) * schedule.DAY + int(_SPREAD * spread)
