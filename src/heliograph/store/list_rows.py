"""The rows of lists that pass between the engine and the two hot files: a part of rows.py.

Law: no SQL and no decisions here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

BY_API, BY_AUTOMATION = "api", "automation"
"""Who put a contact on a list."""


class Subscription(NamedTuple):
    """A row of `subscriptions`: a contact on a list; `preferences` is JSON text."""

    workspace_id: int
    list_id: str
    partition: int
    user_id: str
    source: str
    preferences: bytes | str | None
    created_at: int
    updated_at: int


class Subscriber(NamedTuple):
    """Somebody on a list, with their contact where it is stored."""

    user_id: str
    preferences: bytes | str | None = None
    tenant_id: str | None = None
    profile: bytes | str | None = None
    tags: bytes | str | None = None
    by_list: Mapping[str, bytes | str | None] = MappingProxyType({})
    """What they prefer on each of the lists that they are on, where several are written to at once."""
