"""Pseudonyms: what stands in history for somebody who was deleted.

Law: whatever names them goes: their id and addresses wherever they stand, their names where they stand as words of
their own in a value, and what is too short to be told from other words where it stands alone. What is left has the
same form, so that whoever reads history reads it as before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from heliograph import errors

_PREFIX = "deleted-"
RESERVED = f"stands for somebody who was deleted ({_PREFIX} and 12 hexadecimal digits): call them otherwise"
"""Why nobody is given such an id."""
_is_name = re.compile(f"{_PREFIX}[0-9a-f]{{12}}").fullmatch
_ADDRESSES = ("email", "phone_number")
_NAMES = ("given_name", "family_name", "name", "nickname", "first_name", "last_name")
_SHORTEST = 3
_BETWEEN = "\0"
"""No text that is kept holds it."""


class Pseudonym(NamedTuple):
    """Who is to be called what."""

    name: str
    words: tuple[str, ...]
    """What names them without doubt, however it is written: their id and addresses."""
    names: tuple[str, ...]
    """What they are called."""


def is_name(contact_id: str | None) -> bool:
    """Whether this stands for somebody who was deleted: what only begins like it is anybody's own id."""
    return contact_id is not None and _is_name(contact_id) is not None


def refuse(contact_id: str, path: str) -> str:
    """The id that a step names. Raises RenderFailed where it stands for somebody who was deleted."""
    if is_name(contact_id):
        raise errors.RenderFailed.at(path, RESERVED)
    return contact_id


def of_contact(erasure_id: bytes, user_id: str, profile: Mapping[str, Any]) -> Pseudonym:
    """The pseudonym of a contact; it tells nothing of them, and is another one for whoever comes back."""
    name = f"{_PREFIX}{blake2b(erasure_id, digest_size=6).hexdigest()}"
    words = (user_id, *_texts(profile, _ADDRESSES))
    return Pseudonym(name, tuple(dict.fromkeys(words)), tuple(dict.fromkeys(_texts(profile, _NAMES))))


def _texts(profile: Mapping[str, Any], fields: tuple[str, ...]) -> list[str]:
    found = (profile.get(name) for name in fields)
    return [one.strip() for one in found if isinstance(one, str) and one.strip()]


class Scrubber:
    """Takes somebody out of what is kept."""

    def __init__(self, who: Pseudonym, *, as_written: bool = False):
        """`as_written`: what they are called is told by capitals from words of ours, such as `meta` and `single`."""
        self._name = who.name
        self._ids = frozenset(map(str.lower, who.words))
        self._called = frozenset(who.names if as_written else map(str.lower, who.names))
        self._lowered = str if as_written else str.lower
        self._sought = frozenset(word.lower() for word in (*who.words, *who.names))
        self._is_ascii = all(map(str.isascii, self._sought))
        self._words = _pattern(who.words, re.IGNORECASE)
        self._names = _pattern(who.names, re.NOFLAG)

    def text(self, written: str) -> str:
        """A text without them."""
        if written.lower() in self._ids or self._lowered(written) in self._called:
            return self._name
        for pattern in (self._words, self._names):
            if pattern is not None:
                written = pattern.sub(self._name, written)
        return written

    def changes(self, texts: str) -> bool:
        """Whether one of some texts (`together`) is another without them; of keys it may be told where none is."""
        plain = texts.lower()
        # Most texts name nobody, which is seen ten times as soon without a pattern.
        if texts.isascii() and self._is_ascii and not any(word in plain for word in self._sought):
            return False
        if any(pattern is not None and pattern.search(texts) for pattern in (self._words, self._names)):
            return True
        return not (
            self._ids.isdisjoint(plain.split(_BETWEEN))
            and self._called.isdisjoint(self._lowered(texts).split(_BETWEEN))
        )

    def value(self, given: Any) -> Any:
        """A value of JSON without them, keys too."""
        if isinstance(given, str):
            return self.text(given)
        if isinstance(given, dict):
            return {self._key(key): self.value(one) for key, one in given.items()}
        if isinstance(given, list):
            return [self.value(one) for one in given]
        return given

    def _key(self, key: str) -> str:
        """A key without their id and addresses: what they are called may be a key of ours, as `to` and `said` are."""
        if key.lower() in self._ids:
            return self._name
        return key if self._words is None else self._words.sub(self._name, key)


def together(given: Any) -> str:
    """All texts of a value of JSON, keys too, in one."""
    found: list[str] = []
    left = [given]
    while left:
        one = left.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            found += one
            left += one.values()
        elif isinstance(one, list):
            left += one
    return _BETWEEN.join(found)


def _pattern(words: tuple[str, ...], flags: re.RegexFlag) -> re.Pattern[str] | None:
    """What finds these as words of their own, the longest first."""
    ordered = sorted((word for word in words if len(word) >= _SHORTEST), key=len, reverse=True)
    if not ordered:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)", flags)
