"""The rows of bulk jobs that pass between the engine and the two hot files: a part of rows.py.

Law: no SQL and no decisions here.
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.store import request_rows


class Job(NamedTuple):
    """A row of `bulk_jobs`; `definition` is JSON as it was given, `said` the JSON of core.requests.Request."""

    workspace_id: int
    id: bytes
    partition: int
    tenant_id: str | None
    definition: bytes | str
    said: bytes | str
    state: int
    received: int
    place: int
    """How many of its users were seen to."""
    failures: int
    attempts: int
    error: str | None


class User(NamedTuple):
    """A user of a job who is to be seen to; `said` is the JSON of core.requests.To, None where there is nobody."""

    ordinal: int
    said: bytes | str | None


class Writes:
    """What a turn leaves of bulk jobs."""

    __slots__ = ("jobs", "requests", "users")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.users: list[tuple[int, bytes, int, bytes]] = []
        """(workspace_id, job_id, ordinal, request_id)"""
        self.requests: list[request_rows.Request] = []
