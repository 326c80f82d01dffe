"""The rows of campaigns and fan-outs, beside those of rows.py: tuples, in the order of the columns.

Law: no SQL and no decisions here; a field's meaning stands once, in schema.py.
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.core import ids


def token_of(identity: bytes) -> str:
    """The token of the runs that a mailing starts: no token of a journey begins like this."""
    return f"\x1fmailing:{ids.text(identity)}"


class Campaign(NamedTuple):
    """A row of `campaigns`: how a campaign stands."""

    workspace_id: int
    automation_id: bytes
    partition: int
    state: int
    due_at: int | None
    started_at: int | None
    settled_at: int | None
    action: int
    error: str | None
    is_stopping: bool


class Fanout(NamedTuple):
    """A row of `fanouts`; `body` is the JSON of what it goes by."""

    workspace_id: int
    id: bytes
    automation_id: bytes
    version: int
    body: bytes | str
    created_at: int
    """When it began; where it began too late, when it was to (E33)."""
    run_id: bytes | None = None
    """The run that asked for it, where one did: then `automation_id` is the id of that effect."""


class Cursor(NamedTuple):
    """A row of `cursors`: how far a fan-out has come in a partition, and what became of its jobs there."""

    workspace_id: int
    id: bytes
    partition: int
    fanout_id: bytes
    part: int
    place: str
    judged: int
    jobs: int
    sent: int
    failed: int
    skipped: int
    uncertain: int
    done_at: int | None
    attempts: int
    error: str | None
