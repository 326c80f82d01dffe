"""A visit to the shop: looking, filling the cart, and then an order or a cart left behind.

Law: a visit yields all that it causes, each with its instant, also what happens days later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from examples.shop import catalogue, orders, people, story


class Session(NamedTuple):
    """What all events of one visit share; prices are lower by `discount` (0 to 1) while a sale is on."""

    number: str
    device: str
    discount: float

    def price(self, product: catalogue.Product) -> float:
        """What the product costs now, in euros."""
        return round(product.price * (1 - self.discount), 2)


def visit(books: story.Books, shopper: story.Shopper, at: int, discount: float) -> Iterator[story.Happening]:
    """One visit of this shopper, beginning at the instant `at` (µs)."""
    device = books.rng.choices(("mobile", "desktop", "tablet"), (60, 32, 8))[0]
    session = Session(f"s-{books.rng.getrandbits(40):010x}", device, discount)
    if not shopper.has_account:
        yield _account_created(shopper, at, session)
    cart: list[story.Line] = []
    for _ in range(_looks(books.rng)):
        at += books.between(15 * story.SECOND, 180 * story.SECOND)
        product = _choose(books.rng, shopper)
        yield _product_viewed(shopper, at, session, product)
        if len(cart) < 3 and books.rng.random() < (0.58 if discount else 0.46):
            at += books.between(4 * story.SECOND, 50 * story.SECOND)
            yield _cart_updated(books, shopper, at, session, cart, product)
    if cart:
        yield from _leave_with(books, shopper, at, session, cart)
    elif books.rng.random() < 0.05:
        yield orders.question(books, shopper, at + books.between(story.MINUTE, 20 * story.MINUTE))
    if books.rng.random() < 0.025:
        yield _profile_changed(books, shopper, at + books.between(story.SECOND, story.MINUTE))


def glance(books: story.Books, shopper: story.Shopper, at: int) -> story.Happening:
    """The shortest visit: one product looked at."""
    session = Session(f"s-{books.rng.getrandbits(40):010x}", "mobile", 0.0)
    return _product_viewed(shopper, at, session, _choose(books.rng, shopper))


def _looks(rng: random.Random) -> int:
    """How many products a visitor looks at: mostly one or two, now and then a dozen."""
    looks = 1
    while looks < 12 and rng.random() < 0.5:
        looks += 1
    return looks


def _choose(rng: random.Random, shopper: story.Shopper) -> catalogue.Product:
    """The next product to look at; people come back to what they have looked at before."""
    if shopper.seen and rng.random() < 0.3:
        product = catalogue.BY_SKU[rng.choice(list(shopper.seen))]
    else:
        product = rng.choices(catalogue.PRODUCTS, cum_weights=catalogue.POPULARITY)[0]
    shopper.seen[product.sku] = shopper.seen.get(product.sku, 0) + 1
    return product


def _account_created(shopper: story.Shopper, at: int, session: Session) -> story.Happening:
    shopper.has_account = True
    contact = shopper.contact
    return story.happening(at, "custom.account_created", shopper, "storefront", {
        "account": {key: contact[key] for key in ("given_name", "locale", "country", "newsletter")},
        "signup": {"page": f"{story.ADDRESS}/account/new", "device": session.device},
        "welcome_points": 50,
    })  # fmt: skip


def _profile_changed(books: story.Books, shopper: story.Shopper, at: int) -> story.Happening:
    """They move house, or make up their mind about the newsletter."""
    before = {key: shopper.contact[key] for key in ("city", "newsletter")}
    after = dict(before)
    if books.rng.random() < 0.5:
        after["city"] = books.rng.choice(list(people.COUNTRIES[shopper.contact["country"]].places))
    else:
        after["newsletter"] = books.rng.choice(("subscribed", "unsubscribed"))
    shopper.contact = shopper.contact | after
    return story.happening(at, "contact_updated", shopper, "storefront", {
        **after,
        "updated_by": {"kind": "customer", "page": f"{story.ADDRESS}/account/profile"},
        "country": shopper.contact["country"],
        "orders_so_far": shopper.orders,
    }, previous=before)  # fmt: skip


def _product_viewed(
    shopper: story.Shopper, at: int, session: Session, product: catalogue.Product
) -> story.Happening:
    return story.happening(at, "custom.product_viewed", shopper, "storefront", {
        "session_id": session.number,
        "product": {**product._asdict(), "price": session.price(product)},
        "url": f"{story.ADDRESS}/p/{product.sku.lower()}",
        "device": session.device,
        "times_viewed": shopper.seen[product.sku],
    })  # fmt: skip


def _cart_updated(
    books: story.Books,
    shopper: story.Shopper,
    at: int,
    session: Session,
    cart: list[story.Line],
    product: catalogue.Product,
) -> story.Happening:
    """Put the product into the cart, and say so with what the cart held before."""
    previous = {"total": story.total(cart), "item_count": len(cart)}
    cart.append(story.Line(product, books.rng.choices((1, 2, 3), (80, 15, 5))[0], session.price(product)))
    return story.happening(at, "custom.cart_updated", shopper, "storefront", {
        "session_id": session.number,
        "action": "item_added",
        "items": [line.payload() for line in cart],
        "item_count": len(cart),
        "total": story.total(cart),
        "currency": "EUR",
    }, previous=previous)  # fmt: skip


def _leave_with(
    books: story.Books, shopper: story.Shopper, at: int, session: Session, cart: list[story.Line]
) -> Iterator[story.Happening]:
    """To the till, or away: a cart is called abandoned an hour after its last change."""
    if books.rng.random() < (0.80 if session.discount else 0.72):
        order = orders.Order(f"SH-{100_000 + books.number('order')}", tuple(cart), bool(session.discount))
        yield from orders.checkout(books, shopper, at, order)
        return
    yield story.happening(at + 60 * story.MINUTE, "custom.cart_abandoned", shopper, "storefront", {
        "session_id": session.number,
        "items": [line.payload() for line in cart],
        "total": story.total(cart),
        "total_text": story.euros(story.total(cart)),
        "step": books.rng.choices(("cart", "address", "payment"), (60, 25, 15))[0],
        "restore_url": f"{story.ADDRESS}/cart/{session.number}",
    })  # fmt: skip
