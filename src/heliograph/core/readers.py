"""Readers: take decoded JSON apart and gather every fault on the way.

Law: a parser is a function of (what stands there, its path) that returns the value or raises InvalidInput. A reader
calls one for each key of an object, goes on after a refusal, and raises all faults together at its close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from heliograph import errors
from heliograph.core import documents

Parsed = TypeVar("Parsed")
Other = TypeVar("Other")


class Reader:
    """Takes the keys out of one object; null stands for absent."""

    def __init__(self, given: object, path: str, known: tuple[str, ...]) -> None:
        """Raises InvalidInput where this is no object; keys that are not known become faults."""
        if not isinstance(given, Mapping):
            raise errors.InvalidInput.at(path, f"is an object with the keys {', '.join(known)}")
        self.given, self.path = given, path
        self.faults = documents.unknown_keys(given, known, path)

    def take(self, key: str, parse: Callable[[object, str], Parsed], default: Other) -> Parsed | Other:
        """What stands under this key, or the default where nothing does, or nothing right."""
        value = self.given.get(key)
        if value is None:
            return default
        try:
            return parse(value, documents.below(self.path, key))
        except errors.InvalidInput as refusal:
            self.faults += refusal.faults
            return default

    def need(self, key: str, parse: Callable[[object, str], Parsed], default: Other) -> Parsed | Other:
        """The same, but absence is a fault too; the default only keeps the reading going."""
        if self.given.get(key) is None:
            self.fault(key, "is required")
        return self.take(key, parse, default)

    def fault(self, key: str, message: str) -> None:
        """Note what is wrong with the value of this key."""
        self.faults.append(errors.Fault(documents.below(self.path, key), message))

    def close(self) -> None:
        """Raises InvalidInput with all that was gathered."""
        if self.faults:
            raise errors.InvalidInput(faults=self.faults)


def each(
    given: object, path: str, parse: Callable[[object, str], Parsed], names: str, most: int
) -> tuple[Parsed, ...]:
    """The parsed items of a list of at most so many; raises InvalidInput with the faults of all its items."""
    if not isinstance(given, list) or len(given) > most:
        raise errors.InvalidInput.at(path, f"is a list of at most {most} {names}")
    parsed: list[Parsed] = []
    faults: list[errors.Fault] = []
    for index, item in enumerate(given):
        try:
            parsed.append(parse(item, documents.below(path, index)))
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return tuple(parsed)


def checked(
    given: Mapping[str, object], checks: Mapping[str, Callable[[object, str], Any]]
) -> tuple[dict[str, Any], list[errors.Fault]]:
    """The values of those keys that are given, null too, each as its check gives it; and the faults of the others."""
    values: dict[str, Any] = {}
    faults: list[errors.Fault] = []
    for name, check in checks.items():
        if name in given:
            try:
                values[name] = check(given[name], name)
            except errors.InvalidInput as refusal:
                faults += refusal.faults
    return values, faults


def name(given: object, path: str) -> str:
    """The name of something, trimmed. Raises InvalidInput."""
    if not isinstance(given, str) or not 1 <= len(given.strip()) <= 255:
        raise errors.InvalidInput.at(path, "takes a text of 1 to 255 characters")
    return given.strip()


def description(given: object, path: str) -> str | None:
    """The description of something; null for none. Raises InvalidInput."""
    if given is not None and (not isinstance(given, str) or len(given) > 10_000):
        raise errors.InvalidInput.at(path, "takes a text of at most 10000 characters, or null")
    return given


def flag(given: object, path: str) -> bool:
    """True or false. Raises InvalidInput for anything else, 0 and "false" too."""
    if isinstance(given, bool):
        return given
    raise errors.InvalidInput.at(path, "is true or false")
