"""The rows that admission looks at and leaves, beside those of rows.py: tuples, in the order of the columns.

Law: no SQL and no decisions here; a field's meaning stands once, in schema.py.
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.store import request_rows


class Recipient(NamedTuple):
    """What is known of somebody to whom a message may go; JSON texts, None where there is none."""

    profile: bytes | str | None
    own: bytes | str | None
    """What is stored of them in the message's tenant."""
    levels: tuple[bytes | str | None, ...]
    """core.tenants.Definition of the tenant and of those above it, from below."""
    counts: bytes | str | None
    """core.sending_policies.Counts"""
    expires_at: int


class RecentSends(NamedTuple):
    """A row of `recent_sends`; `counts` is the JSON of core.sending_policies.Counts."""

    workspace_id: int
    user_id: str
    counts: bytes
    expires_at: int


class MessageChange(NamedTuple):
    """A message of an earlier turn that is to stand so; `attempts` is JSON, None where they stay."""

    workspace_id: int
    id: bytes
    state: int
    settled_at: int | None
    attempts: bytes | str | None
    error: str | None
    moved: request_rows.Moved | None = None
    """The way that it goes from now on, where it is another one."""


class Writes:
    """What admission leaves behind."""

    __slots__ = ("messages", "moved", "recent")

    def __init__(self) -> None:
        self.messages: list[MessageChange] = []
        self.moved: list[tuple[int, bytes, request_rows.Moved]] = []
        """(workspace_id, id) and the way that a message goes from now on, however it stands"""
        self.recent: dict[tuple[int, str], RecentSends] = {}
        """By (workspace_id, user_id)."""
