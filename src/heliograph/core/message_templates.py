"""Stored templates: what a text for many messages may say.

Law: what is stored can be filled; a fault is found when a template is written, not when somebody waits for a letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph import errors
from heliograph.core import documents, templates

FIELDS = ("subject", "text", "html")
_MOST = 1_000_000


def check(given: Mapping[str, Any]) -> dict[str, str]:
    """The content of a template as it is stored. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, FIELDS, "")
    content = {name: given[name] for name in FIELDS if given.get(name) is not None}
    for name, text in content.items():
        faults += _faults(name, text)
    if "text" not in content:
        faults.append(errors.Fault("text", "is required: it is read where HTML is not shown"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    return content


def _faults(name: str, text: object) -> list[errors.Fault]:
    if not isinstance(text, str) or len(text) > _MOST:
        return [errors.Fault(name, f"takes a text of at most {_MOST} characters")]
    try:
        templates.compile_text(text, name, escape=name == "html")
    except errors.InvalidInput as fault:
        return list(fault.faults)
    return []
