"""The rows of requests to send that pass between the engine and the two hot files: a part of rows.py.

Law: no SQL and no decisions here.
"""

from __future__ import annotations

from typing import NamedTuple

MESSAGE_IDENTITIES = ("id", "automation_id", "run_id", "event_id", "request_id")
"""The fields of a message that are ids."""


class Request(NamedTuple):
    """A row of `requests`; `body` is the JSON of core.requests.Request, `tags` a JSON list."""

    workspace_id: int
    id: bytes
    partition: int
    tenant_id: str | None
    body: bytes | str
    due_at: int
    event: str | None
    trace_id: str | None
    tags: bytes | str | None
    start_key: str | None
    """What it is unique by, where its caller may ask it again."""


class Moved(NamedTuple):
    """The way that a message goes from now on."""

    channel: str
    address: str
    content: bytes | None
    route: bytes | None
