"""Routes: the ways that a message may go, one after the other.

Law: pure. A message has one row in the ledger, whose channel and address are the way that it goes now; what follows
stands in its route, as it was when the message was planned. When it goes on is core.messages' decision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

NO_ADDRESS, NO_PROVIDER, CONDITION = "no_address", "no_provider", "condition"
DELIVERED, VIEWED, ENGAGED = "delivered", "viewed", "engaged"
"""What counts as notice that somebody took of a message: a delivery, an opening, a click."""


class Passed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A channel that a message did not go by, though its routing names it."""

    channel: str
    why: str
    """`no_address`, `condition`, `opted_out`, `suppressed`, `capped` or `no_provider`."""
    text: str = ""
    at: int = 0
    """When (µs) it was found; 0: as the message was planned."""


class Via(msgspec.Struct, frozen=True, omit_defaults=True):
    """By which providers of its channel a message goes, each named by its own name or by its kind."""

    only: tuple[str, ...] = ()
    """Those, in this order; none: all that there are."""
    never: tuple[str, ...] = ()
    limit: int | None = None
    """Milliseconds after which a provider is left for the next, where there is one."""
    limits: dict[str, int] = {}
    """Likewise, of single providers."""
    first: tuple[str, ...] = ()
    """Those that are asked before all others, in this order."""

    def limit_of(self, names: Collection[str]) -> int | None:
        """How long (ms) a provider with these names is tried."""
        return next((self.limits[name] for name in names if name in self.limits), self.limit)


class Way(msgspec.Struct, frozen=True, omit_defaults=True):
    """A channel, and where a message goes by it."""

    channel: str
    address: str
    said: dict[str, Any] = {}
    """What stands in the message's `content` on this way alone: its look, and what is said of it instead."""
    limit: int | None = None
    """Milliseconds after which it is given up, where another follows."""
    via: Via | None = None


class Escalation(msgspec.Struct, frozen=True):
    """When a message goes on by the ways that follow though one took it: where nobody takes notice of it."""

    after: int
    """Milliseconds from its hand-over."""
    criterion: str
    """What counts as notice: DELIVERED, VIEWED or ENGAGED."""


class Escalated(msgspec.Struct, frozen=True, omit_defaults=True):
    """That a message has gone on, or will not."""

    at: int
    """When (µs)."""
    by: str | None = None
    """The message that follows it; None: somebody said that none shall."""
    left: tuple[str, ...] = ()
    """The channels by which none shall."""


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message goes by, beside the way that it goes now."""

    topic: str | None = None
    """The subscription topic that its recipient may have opted out of."""
    ways: tuple[Way, ...] = ()
    """Those that follow, in order."""
    said: dict[str, Any] = {}
    """As of a way, on the way that it goes now."""
    limit: int | None = None
    since: int = 0
    """When (µs) it came to the way that it goes now; 0: it has gone no other."""
    until: int | None = None
    """When (µs) it is given up."""
    not_before: int | None = None
    """When (µs) it goes at the earliest, where its recipient's clock says so."""
    passed: tuple[Passed, ...] = ()
    """The channels that were passed by, in order."""
    is_fresh: bool = False
    """Whether it was let go on another way, and caps have not been asked about this one."""
    via: Via | None = None
    """As of a way, on the way that it goes now."""
    escalation: Escalation | None = None
    escalated: Escalated | None = None
    follows: str | None = None
    """The message of which nobody took notice, and which this one follows."""


_route = msgspec.json.Decoder(Route)
_encode = msgspec.json.Encoder().encode
DIRECT = Route()
"""The route of a message that has one way, and nothing more to go by."""


def read(stored: bytes | str | None) -> Route:
    """The route of a stored message."""
    return _route.decode(stored) if stored else DIRECT


def via(stored: bytes | str | None) -> Via | None:
    """By which providers a stored message goes; None: by any."""
    if not stored or (b'"via"' if isinstance(stored, bytes) else '"via"') not in stored:  # type: ignore[operator]
        return None
    return read(stored).via


def not_before(stored: bytes | str | None) -> int:
    """When (µs) a stored message goes at the earliest."""
    name = b'"not_before"' if isinstance(stored, bytes) else '"not_before"'
    return read(stored).not_before or 0 if stored and name in stored else 0  # type: ignore[operator]


def next_provider_at(route: Route, tried: Sequence[tuple[str, int]], now: int) -> int | None:
    """When (µs) a provider that was tried is left for the next; None where none is, or all were.

    `tried` is the providers of attempts and when they were made.
    """
    if route.via is None:
        return None
    limits = [*route.via.limits.values(), *([] if route.via.limit is None else [route.via.limit])]
    first = dict(reversed(tried))
    ends = [at + limit * 1000 for at in first.values() for limit in limits]
    return min((at for at in ends if at > now), default=None)


def write(route: Route) -> bytes | None:
    """A route as it is stored."""
    return None if route == DIRECT else _encode(route)


def first(ways: tuple[Way, ...], route: Route) -> tuple[Way, Route]:
    """The way that a message goes first, and its route from there."""
    now, *rest = ways
    return now, msgspec.structs.replace(route, ways=tuple(rest), said=now.said, limit=now.limit, via=now.via)


def onward(route: Route, now: int, passed: Passed | None = None) -> tuple[Way, Route]:
    """The next way of a message that has one, and its route from there.

    `passed` is why nothing goes by the way that it leaves, where nothing does.
    """
    following, rest = first(route.ways, route)
    found = route.passed if passed is None else (*route.passed, passed)
    return following, msgspec.structs.replace(rest, since=now, passed=found)


def is_open(route: Route, now: int) -> bool:
    """Whether a message that can go no further on its way may go another."""
    return bool(route.ways) and (route.until is None or now < route.until)


def escalates(route: Route, now: int) -> bool:
    """Whether a message that is handed over now is followed by another, where nobody takes notice of it."""
    return route.escalation is not None and is_open(route, now)


def followed(stored: bytes | str | None) -> tuple[str | None, str | None]:
    """Which message a stored one follows, and by which it was followed."""
    name = b'"follows"' if isinstance(stored, bytes) else '"follows"'
    other = b'"escalated"' if isinstance(stored, bytes) else '"escalated"'
    if not stored or (name not in stored and other not in stored):  # type: ignore[operator]
        return None, None
    route = read(stored)
    return route.follows, None if route.escalated is None else route.escalated.by


def called_off(route: Route, now: int) -> Route:
    """The route of a message that nothing is to follow."""
    left = tuple(dict.fromkeys(way.channel for way in route.ways))
    return msgspec.structs.replace(route, ways=(), escalated=Escalated(now, left=left))


def content(written: Mapping[str, Any], before: Route, after: Way) -> dict[str, Any]:
    """The `content` of a message that leaves one way for another."""
    shared = {name: value for name, value in written.items() if name not in before.said}
    return {**shared, **after.said}


def deadline(route: Route, begun_at: int) -> int | None:
    """When (µs) a message is given up on the way that it goes now, which it began at an instant (µs)."""
    found = [route.until]
    if route.ways and route.limit is not None:
        found.append((route.since or begun_at) + route.limit * 1000)
    return min((one for one in found if one is not None), default=None)
