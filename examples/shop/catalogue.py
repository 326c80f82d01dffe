"""What the shop sells: things to light, grow, brew and write with.

Law: a constant; nothing here is drawn. Prices are euros.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple


class Product(NamedTuple):
    """One article, as it stands in every payload that speaks of it."""

    sku: str
    name: str
    category: str
    price: float


_RANGES: dict[str, tuple[tuple[str, float], ...]] = {
    "lamps": (
        ("Reading Lamp", 79.0), ("Pendant Lamp", 129.0), ("Storm Lantern", 46.5), ("Bedside Light", 39.9),
        ("Paper Globe", 24.5), ("Floor Lamp", 189.0),
    ),
    "plants": (
        ("Monstera", 34.9), ("Olive Tree", 64.0), ("Herb Trio", 18.5), ("Fern", 15.9), ("Lemon Tree", 72.0),
    ),
    "tea": (
        ("Assam", 12.9), ("Sencha", 16.5), ("Earl Grey", 11.9), ("Rooibos", 9.9), ("Darjeeling", 18.9),
    ),
    "stationery": (
        ("Notebook", 14.5), ("Fountain Pen", 58.0), ("Ink Bottle", 17.9), ("Letter Set", 21.0),
    ),
    "kitchen": (
        ("Teapot", 44.0), ("Cast-iron Pan", 68.5), ("Bread Knife", 36.0), ("Mug Pair", 27.5), ("Kettle", 84.0),
    ),
}  # fmt: skip

_VARIANTS: dict[str, tuple[tuple[str, float], ...]] = {
    "lamps": (("Brass", 1.2), ("Oak", 1.0), ("Sea Green", 1.0), ("Matt Black", 1.1)),
    "plants": (("small", 0.7), ("medium", 1.0), ("large", 1.9)),
    "tea": (("100 g", 1.0), ("250 g", 2.2), ("gift tin", 1.6)),
    "stationery": (("Indigo", 1.0), ("Forest", 1.0), ("Terracotta", 1.0)),
    "kitchen": (("White", 1.0), ("Slate", 1.1), ("Copper", 1.4)),
}


def _products() -> tuple[Product, ...]:
    made: list[Product] = []
    for category, goods in _RANGES.items():
        for name, price in goods:
            for variant, factor in _VARIANTS[category]:
                sku = f"{category[:2].upper()}-{len(made) + 101}"
                made.append(Product(sku, f"{name}, {variant}", category, round(price * factor, 1)))
    return tuple(made)


PRODUCTS = _products()

BY_SKU = {product.sku: product for product in PRODUCTS}

POPULARITY = tuple(accumulate(1.0 / (3 + position * 7 % len(PRODUCTS)) for position in range(len(PRODUCTS))))
"""Cumulative: how often each is looked at beside the others. A few are on everybody's mind, most are not."""

PLANS = (
    ("tea-box-small", "Tea Box, small", 14.9),
    ("tea-box-large", "Tea Box, large", 26.9),
    ("plant-of-the-month", "Plant of the Month", 22.5),
)
"""Subscriptions: name on the wire, name in a message, price a month."""
