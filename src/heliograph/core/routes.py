"""Routes: the ways that a message may go, one after the other.

Law: pure. A message has one row in the ledger, whose channel and address are the way that it goes now; what follows
stands in its route, and is told as it was when the message was planned.
"""

from __future__ import annotations

import msgspec


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message goes by, beside the way that it goes now."""

    topic: str | None = None
    """The subscription topic that its recipient may have opted out of."""


_route = msgspec.json.Decoder(Route)
_encode = msgspec.json.Encoder().encode
DIRECT = Route()
"""The route of a message that has one way, and nothing more to go by."""


def read(stored: bytes | str | None) -> Route:
    """The route of a stored message."""
    return _route.decode(stored) if stored else DIRECT


def write(route: Route) -> bytes | None:
    """A route as it is stored."""
    return None if route == DIRECT else _encode(route)
