"""What of Elemental content nobody knows: it is kept as it came, and shows nothing.

Law: it is told, and never refused, not even in the steps of a journey: Courier's designer writes fields of its own into
content (`imgSrc`, `image_natural_width` …), and what it wrote is to be sent as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from heliograph.core import documents
from heliograph.core.elemental import reading

_SWITCHES: Final = ("bold", "italic", "underline", "strikethrough")
_KNOWN: Final = frozenset(
    (
        *("type", "id", "channels", "if", "loop", "ref", "elements", "locales"),
        *(*reading.LOCALIZED, *reading.CSS, *reading.CHOICES, *_SWITCHES),
    )
)
CONTENT: Final = ("version", "elements")
"""The fields of content."""
_OF_CHANNELS: Final = frozenset(("channel", "raw"))


def of_content(content: Mapping[str, Any], path: str) -> list[str]:
    """The places of what nobody knows in content that `define` let pass: beside its elements, and in them."""
    return [*_beside(content, CONTENT, path), *of_elements(content["elements"], f"{path}.elements")]


def of_locale(said: Iterable[Mapping[str, Any]], path: str) -> list[str]:
    """The same in what elements say in one locale, each with its `id`."""
    found = []
    for index, one in enumerate(said):
        found += _beside(one, ("id", *reading.LOCALIZED), documents.below(path, index))
    return found


def of_elements(elements: Iterable[Mapping[str, Any]], path: str) -> list[str]:
    """The places of what nobody knows in elements that `define` let pass, and in those within them."""
    found = []
    for index, one in enumerate(elements):
        found += of_element(one, documents.below(path, index))
    return found


def of_element(element: Mapping[str, Any], path: str) -> list[str]:
    """The same of one element; a comment is nobody's business."""
    if element.get("type") == "comment":
        return []
    is_channel = element.get("type") == "channel"
    found = _beside(element, _KNOWN | _OF_CHANNELS if is_channel else _KNOWN, path)
    if is_channel:
        found += _beside(element.get("raw") or {}, reading.RAW, f"{path}.raw")
    for locale, said in (element.get("locales") or {}).items():
        found += _beside(said, reading.LOCALIZED, f"{path}.locales.{locale}")
    return found + of_elements(element.get("elements") or (), f"{path}.elements")


def _beside(given: Mapping[str, Any], known: Iterable[str], path: str) -> list[str]:
    return [documents.below(path, key) for key in given.keys() - {*known}]
