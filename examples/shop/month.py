"""When things happen: day and night in every customer's zone, weekends, one sale, restocks and renewals.

Law: a month is thirty days before `end`, told hour by hour in the order of time; nothing is held in memory but
the shoppers and what is still to come. Exactly `n` different events are told, whatever chance does; each one sent
twice comes on top.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from examples.shop import catalogue, people, story, visits

HOURS = 30 * 24

_BY_HOUR = (
    0.25, 0.12, 0.07, 0.05, 0.05, 0.10, 0.30, 0.60, 0.80, 0.90, 1.00, 1.05,
    1.25, 1.10, 0.95, 0.95, 1.00, 1.15, 1.35, 1.70, 1.95, 1.75, 1.20, 0.60,
)  # fmt: skip
_BY_WEEKDAY = (1.0, 0.95, 0.95, 1.0, 0.9, 1.1, 1.3)
_SALE_RUSH, _SALE_DISCOUNT = 2.6, 0.20
# As this generator makes them; only the evenness of the month depends on these two.
_EVENTS_AT_ONCE, _EVENTS_LATER = 3.8, 1.4
_RENEWALS, _RESTOCKED = 0.012, 0.011  # of all events
_SENT_TWICE = 0.02  # of the events that carry an idempotency key


class Crowd:
    """The customers by time zone, each as likely to come as their habits say."""

    def __init__(self, rng: random.Random, contacts: Sequence[people.Contact]) -> None:
        everybody = [story.Shopper(contact) for contact in contacts]
        self.regulars = [shopper for shopper in everybody if shopper.has_account] or everybody
        self._by_zone: dict[ZoneInfo, list[story.Shopper]] = {}
        zones = {name: ZoneInfo(name) for name in {contact["zoneinfo"] for contact in contacts}}
        for shopper in everybody:
            self._by_zone.setdefault(zones[shopper.contact["zoneinfo"]], []).append(shopper)
        # A few come every other day, most once in a month or not at all.
        self._habits = {
            zone: list(accumulate(rng.expovariate(1) ** 1.5 for _ in here))
            for zone, here in self._by_zone.items()
        }

    def bustle(self, hour: datetime, sale: bool) -> dict[ZoneInfo, float]:
        """How busy each zone is in this hour, by its own clock."""
        rush = _SALE_RUSH if sale else 1.0
        busy = {}
        for zone, habits in self._habits.items():
            local = hour.astimezone(zone)
            busy[zone] = habits[-1] * _BY_HOUR[local.hour] * _BY_WEEKDAY[local.weekday()] * rush
        return busy

    def pick(self, rng: random.Random, bustle: dict[ZoneInfo, float]) -> story.Shopper:
        """Somebody who comes in an hour as busy as this."""
        zone = rng.choices(list(bustle), list(bustle.values()))[0]
        return rng.choices(self._by_zone[zone], cum_weights=self._habits[zone])[0]


class Month:
    """One telling: what is still to come, and how many events are still owed."""

    def __init__(self, seed: int, contacts: Sequence[people.Contact], n: int, end: datetime) -> None:
        self.n = n
        self.told = 0
        self.start = end - timedelta(hours=HOURS)
        self.start_at, self.end_at = (int(moment.timestamp()) * story.SECOND for moment in (self.start, end))
        self.books = story.Books(seed, self.end_at)
        self.crowd = Crowd(self.books.rng, contacts)
        self.sale = _sale(self.start)
        self._coming: list[tuple[int, int, story.Event]] = []

    def tell(self) -> Iterator[story.Event]:
        """All events of the month, in the order of time."""
        bustle = [self.crowd.bustle(hour, hour in self.sale) for hour in self._hours()]
        left = list(accumulate(reversed([sum(zones.values()) for zones in bustle])))[::-1]
        owed = 0.0
        for number, zones in enumerate(bustle):
            self._routine(number)
            later = _EVENTS_LATER * min(1.0, (HOURS - number) / 24 / 6)
            owed += self._lacking() / (_EVENTS_AT_ONCE + later) * sum(zones.values()) / left[number]
            while owed >= 1 and number < HOURS - 1:
                owed -= 1
                self._visit(number, zones)
            if number == HOURS - 1:
                self._fill(number, zones)
            yield from self._until(self.start_at + (number + 1) * story.HOUR)

    def _hours(self) -> Iterator[datetime]:
        return (self.start + timedelta(hours=number) for number in range(HOURS))

    def _moment(self, number: int) -> int:
        return self.start_at + number * story.HOUR + self.books.between(0, story.HOUR)

    def _lacking(self) -> int:
        return self.n - self.told - len(self._coming)

    def _add(self, happening: story.Happening) -> None:
        if happening.at < self.end_at:
            heapq.heappush(self._coming, (happening.at, self.books.number("event"), happening.event))

    def _visit(self, number: int, zones: dict[ZoneInfo, float]) -> None:
        discount = _SALE_DISCOUNT if self.start + timedelta(hours=number) in self.sale else 0.0
        shopper = self.crowd.pick(self.books.rng, zones)
        for happening in visits.visit(self.books, shopper, self._moment(number), discount):
            self._add(happening)

    def _fill(self, number: int, zones: dict[ZoneInfo, float]) -> None:
        """The last hour makes the number of events exact, with people who look at one thing."""
        for _ in range(self._lacking()):
            self._add(visits.glance(self.books, self.crowd.pick(self.books.rng, zones), self._moment(number)))

    def _until(self, at: int) -> Iterator[story.Event]:
        while self._coming and self._coming[0][0] < at and self.told < self.n:
            event = heapq.heappop(self._coming)[2]
            self.told += 1
            yield event
            # A client whose connection broke sends the same again, to the byte.
            if "idempotency_key" in event and self.books.rng.random() < _SENT_TWICE:
                yield event

    # ── what the shop does by itself ────────────────────────────────────────────────────────────────

    def _routine(self, number: int) -> None:
        """Renewals are announced at six every morning; every third morning something is back on the shelf."""
        day, hour = number // 24, (self.start + timedelta(hours=number)).hour
        at = self.start_at + number * story.HOUR
        if hour == 6:
            for _ in range(round(self.n * _RENEWALS / 30)):
                self._renewal(at + self.books.between(0, story.MINUTE))
        if hour == 9 and day % 3 == 1:
            self._restock(at + 30 * story.MINUTE, round(self.n * _RESTOCKED / 10))

    def _renewal(self, at: int) -> None:
        rng = self.books.rng
        plan, name, price = rng.choice(catalogue.PLANS)
        subscription = f"sub-{self.books.number('renewal'):06d}"
        self._add(story.happening(at, "custom.subscription_renewing", rng.choice(self.crowd.regulars), "billing", {
            "subscription_id": subscription,
            "plan": plan,
            "plan_name": name,
            "renews_on": story.date(at + 3 * story.DAY),
            "amount": price,
            "amount_text": story.euros(price),
            "cycle": rng.randrange(2, 30),
            "cancel_url": f"{story.ADDRESS}/subscriptions/{subscription}",
        }, idempotency_key=self.books.key(subscription, "renewing")))  # fmt: skip

    def _restock(self, at: int, waiting: int) -> None:
        """Everybody who waits for the product hears of it in the same second."""
        product = self.books.rng.choice(catalogue.PRODUCTS)
        stock = self.books.rng.randrange(20, 200)
        for place in range(waiting):
            shopper = self.books.rng.choice(self.crowd.regulars)
            self._add(story.happening(at, "custom.back_in_stock", shopper, "warehouse", {
                "product": product._asdict(),
                "url": f"{story.ADDRESS}/p/{product.sku.lower()}",
                "stock": stock,
                "place_in_queue": place + 1,
                "waiting_since": story.date(at - self.books.between(story.DAY, 40 * story.DAY)),
            }))  # fmt: skip


def _sale(start: datetime) -> frozenset[datetime]:
    """The hours of the sale: from Friday 16:00 UTC of the month's third weekend to the end of Sunday."""
    days = (4 - start.weekday()) % 7 + 14
    opens = start.astimezone(UTC).replace(hour=16, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return frozenset(
        start + timedelta(hours=h)
        for h in range(HOURS)
        if 0 <= h - (opens - start) // timedelta(hours=1) < 56
    )
