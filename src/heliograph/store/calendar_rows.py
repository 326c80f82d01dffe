"""The rows of the calendar, beside those of rows.py: plain tuples, in the order of the columns.

Law: no SQL and no decisions here; a field's meaning stands once, in schema.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Birthday(NamedTuple):
    """A row of `birthdays`: who has one, on which day (month * 100 + day), and since when it is known."""

    workspace_id: int
    partition: int
    birthday: int
    user_id: str
    tenant_id: str | None
    known_at: int


class Walk(NamedTuple):
    """A row of `calendar_walks`: how far a date automation has come through one birthday's people in a partition."""

    workspace_id: int
    id: bytes
    partition: int
    automation_id: bytes
    birth: int
    """The day (ordinal) on which they celebrate."""
    birthday: int
    place: str
    """The last person who was looked at."""
