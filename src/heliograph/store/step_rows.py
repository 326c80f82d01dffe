"""The rows that steps of journeys look at and leave, beside those of rows.py: tuples, in the order of the columns.

Law: no SQL and no decisions here; a field's meaning stands once, in schema.py.
"""

from __future__ import annotations

from typing import NamedTuple


class TenantProfile(NamedTuple):
    """What is said of somebody in a tenant."""

    levels: list[bytes | str]
    """The JSON of core.tenants.Definition of each level, the root first."""
    own: bytes | str | None
    """The JSON of what is stored of them there; None where they are not with it."""


class StepKey(NamedTuple):
    """A row of `step_keys`; `answer` is JSON: what the step came to that used the key."""

    workspace_id: int
    action: str
    key: str
    run_id: bytes
    answer: bytes | str
    expires_at: int


class Passes(NamedTuple):
    """A row of `passes`; `passed_at` is the JSON of instants at which runs of a group passed, the oldest first."""

    workspace_id: int
    group_key: str
    passed_at: bytes
    expires_at: int


class Kept:
    """What steps of journeys leave behind to be looked at by others."""

    __slots__ = ("passes", "step_keys")

    def __init__(self) -> None:
        self.passes: dict[tuple[int, str], Passes] = {}
        """By (workspace_id, group)."""
        self.step_keys: dict[tuple[int, str, str], StepKey] = {}
        """By (workspace_id, action, key)."""
