"""An order's way: paid (or not), placed, shipped, delivered, judged, perhaps regretted.

Law: an order yields all that it causes, each with its instant; parcels move in working hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from examples.shop import letters, story

_REASONS = ("insufficient_funds", "card_expired", "authentication_failed", "suspected_fraud")
_COMPLAINTS = ("arrived_damaged", "wrong_item", "not_as_described", "changed_my_mind")
_CARRIERS = ("Nordpost", "Parcelline", "Blue Van")
_TIER_FROM = {"silver": 500, "gold": 2000}


class Order(NamedTuple):
    """What is being bought."""

    number: str
    lines: tuple[story.Line, ...]
    on_sale: bool

    @property
    def amount(self) -> float:
        """Goods and shipping, in euros; from 60 on shipping is free."""
        goods = story.total(self.lines)
        return round(goods + (0 if goods >= 60 else 4.9), 2)


def checkout(books: story.Books, shopper: story.Shopper, at: int, order: Order) -> Iterator[story.Happening]:
    """Pay, at the second or third attempt if need be; what is paid is an order and takes its way."""
    for attempt in (1, 2, 3):
        at += books.between(50 * story.SECOND, 8 * story.MINUTE)
        if books.rng.random() >= 0.09:
            yield from _placed(books, shopper, at, order)
            return
        reason = books.rng.choices(_REASONS, (45, 25, 22, 8))[0]
        yield _payment_failed(books, shopper, at, order, attempt, reason)
        if reason == "suspected_fraud" or books.rng.random() < 0.35:
            return


def _payment_failed(
    books: story.Books, shopper: story.Shopper, at: int, order: Order, attempt: int, reason: str
) -> story.Happening:
    return story.happening(at, "custom.payment_failed", shopper, "payments", {
        "order_id": order.number,
        "attempt": attempt,
        "reason": reason,
        "amount": order.amount,
        "amount_text": story.euros(order.amount),
        "payment_method": _card(books),
        "retry_url": f"{story.ADDRESS}/pay/{order.number}",
    }, idempotency_key=books.key(order.number, "payment", attempt))  # fmt: skip


def _card(books: story.Books) -> story.Event:
    brand = books.rng.choice(("visa", "mastercard"))
    return {"type": "card", "brand": brand, "last4": f"{books.rng.randrange(10_000):04d}", "expires": "09/27"}


def _placed(books: story.Books, shopper: story.Shopper, at: int, order: Order) -> Iterator[story.Happening]:
    shopper.orders += 1
    earned = int(order.amount)
    yield story.happening(at, "custom.order_placed", shopper, "storefront", {
        "order_id": order.number,
        "items": [line.payload() for line in order.lines],
        "shipping": round(order.amount - story.total(order.lines), 2),
        "total": order.amount,
        "total_text": story.euros(order.amount),
        "currency": "EUR",
        "payment": {"status": "paid", "method": books.rng.choice(("card", "transfer", "wallet"))},
        "nth_order": shopper.orders,
        "points_earned": earned,
        **({"discount_code": "LONGNIGHTS20"} if order.on_sale else {}),
    }, idempotency_key=books.key(order.number, "placed"))  # fmt: skip
    yield from _points(shopper, at + 2 * story.SECOND, earned)
    yield from _parcel(books, shopper, at, order)


def _points(shopper: story.Shopper, at: int, earned: int) -> Iterator[story.Happening]:
    """Add the points; who passes a tier's bound is told to the engine with what was before."""
    before = {"loyalty_tier": shopper.tier, "loyalty_points": shopper.points}
    shopper.points += earned
    tier = next((name for name in ("gold", "silver") if shopper.points >= _TIER_FROM[name]), "bronze")
    if tier != shopper.tier:
        shopper.tier = tier
        yield story.happening(at, "contact_updated", shopper, "loyalty", {
            "loyalty_tier": tier,
            "loyalty_points": shopper.points,
            "reason": "points_earned",
            "benefits": {"free_shipping": True, "early_sale": tier == "gold", "birthday_gift": tier == "gold"},
            "valid_until": story.date(at + 365 * story.DAY),
        }, previous=before)  # fmt: skip


def _parcel(books: story.Books, shopper: story.Shopper, at: int, order: Order) -> Iterator[story.Happening]:
    """Packed within two working days, under way for one to four; one in twelve gets lost for a while."""
    carrier, tracking = books.rng.choice(_CARRIERS), f"{books.rng.randrange(10**11):011d}"
    shipped_at = story.at_work(at + books.between(3 * story.HOUR, 40 * story.HOUR))
    lost = books.between(3 * story.DAY, 7 * story.DAY) if books.rng.random() < 0.08 else 0
    delivered_at = story.at_work(shipped_at + books.between(20 * story.HOUR, 90 * story.HOUR) + lost)
    parcel: story.Event = {
        "order_id": order.number,
        "carrier": carrier,
        "tracking_number": tracking,
        "address": {"city": shopper.contact["city"], "country": shopper.contact["country"]},
        "items": [{"sku": line.product.sku, "quantity": line.quantity} for line in order.lines],
    }
    yield story.happening(shipped_at, "custom.order_shipped", shopper, "warehouse", parcel | {
        "tracking_url": f"https://track.example.net/{tracking}",
        "estimated_delivery_on": story.date(delivered_at),
    }, idempotency_key=books.key(order.number, "shipped"))  # fmt: skip
    if books.rng.random() < 0.05:
        yield from _letter(
            books, shopper, shipped_at + books.between(story.DAY, 3 * story.DAY), "where", order.number
        )
    yield story.happening(delivered_at, "custom.order_delivered", shopper, "warehouse", parcel | {
        "left_with": books.rng.choice(("customer", "neighbour", "parcel shop")),
        "days_in_transit": (delivered_at - shipped_at) // story.DAY,
    }, idempotency_key=books.key(order.number, "delivered"))  # fmt: skip
    yield from _afterwards(books, shopper, delivered_at, order)


def _afterwards(
    books: story.Books, shopper: story.Shopper, delivered_at: int, order: Order
) -> Iterator[story.Happening]:
    """A quarter give a score; one in twelve wants the money back, by the form or by a letter."""
    fate = books.rng.random()
    regret_at = delivered_at + books.between(story.HOUR, 5 * story.DAY)
    if fate < 0.045:
        yield _refund_requested(books, shopper, regret_at, order)
    elif fate < 0.08:
        yield from _letter(books, shopper, regret_at, "refund", order.number)
    if books.rng.random() < 0.25:
        unhappy = fate < 0.08
        score = books.rng.choices((1, 2, 3, 4, 5), (40, 30, 20, 8, 2) if unhappy else (2, 4, 12, 32, 50))[0]
        yield _csat_submitted(
            books, shopper, delivered_at + books.between(2 * story.HOUR, 4 * story.DAY), order, score
        )


def _refund_requested(books: story.Books, shopper: story.Shopper, at: int, order: Order) -> story.Happening:
    line = books.rng.choice(order.lines)
    amount = round(line.price * line.quantity, 2)
    return story.happening(at, "custom.refund_requested", shopper, "storefront", {
        "order_id": order.number,
        "items": [line.payload()],
        "amount": amount,
        "amount_text": story.euros(amount),
        "reason": books.rng.choices(_COMPLAINTS, (30, 15, 25, 30))[0],
        "opened_by": "customer",
    }, idempotency_key=books.key(order.number, "refund"))  # fmt: skip


def _csat_submitted(
    books: story.Books, shopper: story.Shopper, at: int, order: Order, score: int
) -> story.Happening:
    product = books.rng.choice(order.lines).product
    return story.happening(at, "csat_submitted", shopper, "storefront", {
        "order_id": order.number,
        "survey": "after_delivery",
        "score": score,
        "comment": letters.remark(books.rng, score),
        "product": {"sku": product.sku, "name": product.name},
        "would_recommend": score >= 4,
    })  # fmt: skip


def question(books: story.Books, shopper: story.Shopper, at: int) -> story.Happening:
    """A letter before any order; half of them come from people the shop does not know yet."""
    return _message(
        books, shopper, at, "question", "", books.number("conversation"), books.rng.random() < 0.5
    )


def _letter(
    books: story.Books, shopper: story.Shopper, at: int, topic: str, order: str
) -> Iterator[story.Happening]:
    """A letter about an order, and for one in four a second one in the same conversation."""
    conversation = books.number("conversation")
    yield _message(books, shopper, at, topic, order, conversation)
    if books.rng.random() < 0.25:
        yield _message(
            books, shopper, at + books.between(4 * story.HOUR, 30 * story.HOUR), "again", order, conversation
        )


def _message(
    books: story.Books,
    shopper: story.Shopper,
    at: int,
    topic: str,
    order: str,
    conversation: int,
    stranger: bool = False,
) -> story.Happening:
    text, language = letters.text(books.rng, topic, shopper.contact["locale"], order)
    about: dict[str, Any] = {"order_id": order} if order else {}
    return story.happening(at, "message_received", None if stranger else shopper, "helpdesk", {
        "message": {"id": f"m-{books.number('message'):06d}", "text": text, "language": language},
        **about,
        "mailbox": "care@shop.example.com",
        "attachments": books.rng.choices((0, 1, 2), (80, 15, 5))[0],
    }, conversation_id=f"conv-{conversation:06d}",
       channel_source=books.rng.choices(("email", "webchat", "whatsapp"), (60, 25, 15))[0])  # fmt: skip
