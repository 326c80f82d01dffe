"""The texts of a message's `content`: `{name}` and `{{data.name}}` are filled, all else stays as it is (engine.md E31).

Law: an unknown `{name}` stays as it was written; what is filled in is never read again, nor is what a journey has put
into the text before (`as_it_is`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.core import values

_NAME = r"[A-Za-z_$][\w$-]*(?:\.[\w$-]+)*"
_HOLE = re.compile(rf"\{{\{{\s*({_NAME})\s*\}}\}}|\{{({_NAME})\}}")

_BRACE = "\ufdd0"
"""What stands for a brace that begins no hole: Unicode keeps it out of texts, for what a program needs inside."""


def as_it_is(value: str) -> str:
    """A value for a text that is filled later: it will stand there as it is, whatever braces it has."""
    return value.replace("{", _BRACE)


def fill(text: str, seen: Mapping[str, Any]) -> str:
    """The text with what is known filled in; a `{{name}}` that is not there is empty (A67)."""

    def filled(hole: re.Match[str]) -> str:
        value = values.at(seen, (hole[1] or hole[2]).split("."))
        if value is None:
            return "" if hole[1] else hole[0]
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return _HOLE.sub(filled, text).replace(_BRACE, "{")
