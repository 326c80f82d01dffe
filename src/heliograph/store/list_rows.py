"""The rows of lists that pass between the engine and the two hot files: a part of rows.py.

Law: no SQL and no decisions here.
"""

from __future__ import annotations

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
    preferences: bytes | str | None
    tenant_id: str | None
    profile: bytes | str | None
    tags: bytes | str | None
    beside: tuple[bytes | str | None, ...] = ()
    """What they prefer on further lists that are written to at once."""
