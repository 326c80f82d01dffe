"""The fields of Courier's objects: read one by one, with what is wrong and what nobody knows.

Law: what is wrong is collected with its place, what is unknown is named and passed over (engine.md E29).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heliograph import errors
from heliograph.core import documents, pseudonyms

LONGEST_TEXT = 255


class Read:
    """What one request says, and what of it nobody knows."""

    def __init__(self, region: str | None = None, *, can_lock: bool = True):
        """`region` is where a telephone number without a country code is read.

        `can_lock`: whether secrets are locked before what is read is kept.
        """
        self.region, self.can_lock = region, can_lock
        self.faults: list[errors.Fault] = []
        self.ignored: list[str] = []

    def fault(self, path: str, message: str) -> None:
        """Something is wrong at a place; it is told once, however often it is come across."""
        told = errors.Fault(path, message)
        if len(self.faults) < documents.MAX_FAULTS and told not in self.faults:
            self.faults.append(told)

    def known(self, given: Mapping[str, Any], names: Sequence[str], path: str) -> None:
        """Name what is none of these."""
        self.ignored += [documents.below(path, key) for key in given.keys() - {*names}]

    def mapping(self, given: Mapping[str, Any], name: str, path: str) -> dict[str, Any]:
        """A field that is an object, or absent."""
        value = given.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.fault(f"{path}.{name}", "is an object")
        return {}

    def inner(self, given: Mapping[str, Any], name: str, path: str, names: Sequence[str]) -> dict[str, Any]:
        """A field that is an object of these fields, or absent."""
        value = self.mapping(given, name, path)
        self.known(value, names, documents.below(path, name))
        return value

    def text(self, given: Mapping[str, Any], name: str, path: str, most: int = LONGEST_TEXT) -> str | None:
        """A field that is a text, or absent."""
        value = given.get(name)
        if value is None or value == "":
            return None
        if not documents.is_text(value, most):
            self.fault(f"{path}.{name}", f"is a text of at most {most} characters")
            return None
        return value

    def person(self, given: Mapping[str, Any], name: str, path: str, most: int) -> str | None:
        """A field that is somebody's id, or absent."""
        value = self.text(given, name, path, most)
        if pseudonyms.is_name(value):
            self.fault(f"{path}.{name}", pseudonyms.RESERVED)
        return value

    def milliseconds(self, given: Mapping[str, Any], name: str, path: str, most: int) -> int | None:
        """A field that is a span in milliseconds, above zero, or absent."""
        value = given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            self.fault(f"{path}.{name}", f"is a number of milliseconds, above zero and at most {most}")
            return None
        return value
