"""Texts as Courier fills them: names and places in braces stand for what is there."""

from heliograph.core import courier_text

SEEN = {"order": {"items": ["lamp", {"name": "rug"}]}}


def test_places_in_lists() -> None:
    """A number in a path is a place in a list."""
    assert courier_text.fill("{order.items.0}, {{order.items.1.name}}", SEEN) == "lamp, rug"


def test_a_place_that_is_none() -> None:
    """One beyond the list's end stands for nothing, however many digits it has."""
    for place in ("2", "9" * 5_000):
        one, two = f"{{order.items.{place}}}", f"{{{{order.items.{place}}}}}"
        assert courier_text.fill(f"{one}, {two}.", SEEN) == f"{one}, ."
