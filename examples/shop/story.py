"""The words in which the shop's month is told: shoppers, carts, books, happenings.

Law: everything is drawn from the generator in `Books`, in one order, so a seed gives one story. Instants are
integers, microseconds since 1970 UTC.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any, NamedTuple

from examples.shop import catalogue, people

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND

ADDRESS = "https://shop.example.com"

Event = dict[str, Any]
"""One event as it is posted to `/api/automation/events`."""


class Happening(NamedTuple):
    """An event and the instant at which it occurs."""

    at: int
    event: Event


class Shopper:
    """What the shop remembers of one customer from visit to visit."""

    def __init__(self, contact: people.Contact) -> None:
        self.contact = contact
        self.points: int = contact["loyalty_points"]
        self.tier: str = contact["loyalty_tier"]
        self.has_account = self.points > 0
        self.orders = self.points // 120
        self.seen: dict[str, int] = {}  # sku → times looked at


class Line(NamedTuple):
    """One line of a cart."""

    product: catalogue.Product
    quantity: int
    price: float

    def payload(self) -> dict[str, Any]:
        """The line as it stands in an event."""
        return {
            "sku": self.product.sku,
            "name": self.product.name,
            "quantity": self.quantity,
            "price": self.price,
        }


class Books:
    """The generator of chance and the running numbers of one shop's month."""

    def __init__(self, seed: int, end: int) -> None:
        self.rng = random.Random(f"{seed}/events")
        self.series = f"{seed}-{end // SECOND:x}"
        self._numbers: dict[str, int] = {}

    def number(self, kind: str) -> int:
        """The next running number of this kind, from 1 on."""
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]

    def between(self, shortest: int, longest: int) -> int:
        """A span of time (µs) between the two, in whole milliseconds as clients' clocks tell them."""
        return self.rng.randrange(shortest // 1000, longest // 1000) * 1000

    def key(self, *parts: object) -> str:
        """An idempotency key: what it is about, made different for another seed or another month."""
        return "-".join((self.series, *map(str, parts)))


def total(cart: list[Line] | tuple[Line, ...]) -> float:
    """What a cart costs, in euros."""
    return round(sum(line.price * line.quantity for line in cart), 2)


def euros(amount: float) -> str:
    """A price as a message shows it."""
    return f"€{amount:,.2f}"


def instant(at: int) -> str:
    """The instant as it stands on the wire."""
    return (
        datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at // 1000 % 1000:03d}Z"
    )


def date(at: int) -> str:
    """The day of an instant, in UTC."""
    return datetime.fromtimestamp(at // SECOND, UTC).date().isoformat()


def at_work(at: int) -> int:
    """The instant, or if nobody works then (night, Sunday; UTC), one in the working hours that follow."""
    hour, minute = at // HOUR % 24, at // MINUTE
    if not 6 <= hour < 18:
        opens_at = at // DAY * DAY + (30 if hour >= 18 else 6) * HOUR
        at = opens_at + minute * 7 % 600 * MINUTE + at % MINUTE
    sunday = (at // DAY + 3) % 7 == 6  # 1970 began on a Thursday
    return at + DAY if sunday else at


def happening(
    at: int, event_type: str, shopper: Shopper | None, source: str, payload: Event, **rest: Any
) -> Happening:
    """An event in its wire shape; `rest` is any other key of it."""
    who = {"contact_id": shopper.contact["user_id"]} if shopper else {}
    body = {"event_type": event_type, **who, "source": source, "payload": payload, **rest}
    return Happening(at, body | {"occurred_at": instant(at)})
