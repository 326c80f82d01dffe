"""The job that every side does: a 300-byte event, 20 rules over 5 event types, one message.

Law: values only, the same for the same seed. An event meets the four rules of its type, of which exactly one
matches; that rule sends one e-mail to the event's contact. A side stores the event, four runs, the message and
the statistics, hands the message over to the sink and marks it. The rules stand here twice, as JSON in the form
of our API (for our engine) and as plain functions (for everybody else, who thereby pays least).
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

SHARDS = 64
CONTACTS = 10_000
EVENT_TYPES = (
    "custom.cart_left",
    "custom.order_paid",
    "custom.parcel_sent",
    "custom.plan_renewed",
    "custom.visit_booked",
)
TIERS = ("basic", "bronze", "silver", "gold")
COUNTRIES = ("ID", "DE", "KE", "BR", "CA")
SUBJECT = "About {{ event.payload.order }}"
TEXT = "Hello {{ contact.given_name }}, thank you for {{ event.payload.order }} at {{ event.payload.shop }}."

Payload = dict[str, Any]


class Contact(NamedTuple):
    """Somebody who can be written to."""

    user_id: str
    given_name: str
    email: str


class Event(NamedTuple):
    """What comes in; `key` is unique and ascends."""

    key: str
    event_type: str
    contact_id: str
    payload: Payload


class Rule(NamedTuple):
    """A rule: `conditions` for our engine, `matches` (of the payload) for the peers."""

    number: int
    name: str
    event_type: str
    tier: str
    conditions: dict[str, Any]
    matches: Callable[[Payload], bool]


CONDITIONS: dict[str, dict[str, Any]] = {
    "basic": {
        "all": [
            {"field": "payload.tier", "operator": "equals", "value": "basic"},
            {"none": [{"field": "payload.shop", "operator": "starts_with", "value": "closed"}]},
        ]
    },
    "bronze": {
        "all": [
            {"field": "payload.tier", "operator": "equals", "value": "bronze"},
            {
                "any": [
                    {"field": "payload.total", "operator": "greater_than", "value": 1000},
                    {"field": "payload.order", "operator": "starts_with", "value": "order-"},
                ]
            },
        ]
    },
    "silver": {
        "all": [
            {"field": "payload.tier", "operator": "equals", "value": "silver"},
            {"field": "payload.country", "operator": "in", "value": list(COUNTRIES)},
        ]
    },
    "gold": {
        "all": [
            {"field": "payload.tier", "operator": "equals", "value": "gold"},
            {"field": "payload.total", "operator": "greater_or_equal", "value": 10},
        ]
    },
}

MATCHES: dict[str, Callable[[Payload], bool]] = {
    "basic": lambda it: it["tier"] == "basic" and not it["shop"].startswith("closed"),
    "bronze": lambda it: it["tier"] == "bronze" and (it["total"] > 1000 or it["order"].startswith("order-")),
    "silver": lambda it: it["tier"] == "silver" and it["country"] in COUNTRIES,
    "gold": lambda it: it["tier"] == "gold" and it["total"] >= 10,
}


def _rules() -> tuple[Rule, ...]:
    pairs = [(event_type, tier) for event_type in EVENT_TYPES for tier in TIERS]
    return tuple(
        Rule(number, f"{event_type} for {tier}", event_type, tier, CONDITIONS[tier], MATCHES[tier])
        for number, (event_type, tier) in enumerate(pairs, 1)
    )


RULES = _rules()
RULES_OF = {kind: tuple(rule for rule in RULES if rule.event_type == kind) for kind in EVENT_TYPES}


def wire(rule: Rule) -> dict[str, Any]:
    """The body that creates this rule in our API."""
    return {
        "name": rule.name,
        "trigger_type": rule.event_type,
        "conditions": rule.conditions,
        "actions": [{"type": "send_message", "channel": "email", "subject": SUBJECT, "text": TEXT}],
        "priority": rule.number,
    }


def contacts(count: int = CONTACTS) -> list[Contact]:
    """All the contacts that events speak of, or so many."""
    return [Contact(f"c-{n:05d}", f"Name{n}", f"c-{n:05d}@example.com") for n in range(count)]


def events(seed: int, first: int, count: int) -> list[Event]:
    """`count` events from number `first` on: the same for the same seed."""
    draw = random.Random(f"{seed}:{first}")
    return [_event(draw, number) for number in range(first, first + count)]


def _event(draw: random.Random, number: int) -> Event:
    payload = {
        "order": f"order-{number:09d}",
        "tier": draw.choice(TIERS),
        "total": draw.randrange(1_000, 90_000) / 100,
        "country": draw.choice(COUNTRIES),
        "shop": f"shop-{draw.randrange(100):03d}",
        "items": [f"article-{draw.randrange(10_000):05d}" for _ in range(6)],
        "paid_with": "card ending in 4242",
    }
    return Event(f"e{number:09d}", draw.choice(EVENT_TYPES), f"c-{draw.randrange(CONTACTS):05d}", payload)


def body(event: Event) -> bytes:
    """The event as an application posts it: JSON of about 300 bytes."""
    return msgspec.json.encode(
        {"event_type": event.event_type, "contact_id": event.contact_id, "payload": event.payload}
    )


def packed(events: Sequence[Event], size: int) -> list[bytes]:
    """The events as the bodies of requests, `size` in each."""
    bodies = [body(event) for event in events]
    if size == 1:
        return bodies
    return [b"[%b]" % b",".join(bodies[n : n + size]) for n in range(0, len(bodies), size)]


def decide(event_type: str, payload: Payload) -> list[tuple[Rule, bool]]:
    """The four rules that this event meets, and which of them matches."""
    return [(rule, rule.matches(payload)) for rule in RULES_OF[event_type]]


def render(payload: Payload, given_name: str) -> str:
    """The message's text: what TEXT says, by plain formatting."""
    return f"Hello {given_name}, thank you for {payload['order']} at {payload['shop']}."


def shard(contact_id: str) -> int:
    """Where this contact's statistics are counted, so that parallel workers do not queue for 20 rows."""
    return zlib.crc32(contact_id.encode()) % SHARDS


def expected(done: Sequence[Event]) -> Counter[int]:
    """How often each rule must have matched: one rule an event, found by its tier."""
    number = {(rule.event_type, rule.tier): rule.number for rule in RULES}
    return Counter(number[event.event_type, event.payload["tier"]] for event in done)
