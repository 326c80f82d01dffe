"""Events: `/api/automation/events` (engine.md E8, rules.md 3.3)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import get, post

from heliograph import errors
from heliograph.core import explain, ids
from heliograph.store import history
from heliograph.web import auth, services
from heliograph.web.calls import Call, in_thread

TAG = "Events"
PATH = "/api/automation/events"


class NewEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event; an array of events, or lines of JSON (`application/x-ndjson`), are taken or refused as a whole."""

    event_type: str
    contact_id: str | None = None
    conversation_id: str | None = None
    source: str = "api"
    channel_source: str | None = None
    payload: dict[str, Any] = {}
    previous: dict[str, Any] | None = None
    occurred_at: explain.Instant | None = None
    idempotency_key: str | None = None


class Accepted(msgspec.Struct):
    """The ids of the events, in order; what they name is stored."""

    ids: list[str]


_LARGE = 1024 * 1024
_encode = msgspec.json.Encoder().encode


async def accept(given: services.Services, who: auth.Principal, body: bytes, content_type: str) -> bytes:
    """Take the events of a body in; gives the answer's body once they are durable."""
    arguments = (body, content_type, who.workspace_id, who.tenant_id)
    # A large body may take a second to read when it is built to: it must not hold up the loop for that long.
    if len(body) > _LARGE:
        batch = await asyncio.to_thread(given.ingest.read, *arguments)
    else:
        batch = given.ingest.read(*arguments)
    made = await given.ingest.accept(batch)
    return _encode(Accepted([ids.text(identity) for identity in made]))


@post(PATH, status_code=202, opt={"tag": TAG, "body": NewEvent | list[NewEvent], "answer": Accepted})
async def create_events(request: Call) -> bytes:
    """Take in one event, or up to 10,000 at once."""
    request.refuse_query()
    content = request.content
    return await accept(
        content.services, request.principal, content.body, request.headers.get("content-type", "")
    )


@get(PATH + "/{event_id:str}", opt={"tag": TAG})
@in_thread
def read_event(request: Call) -> explain.Event:
    """Read an event and what became of it."""
    request.refuse_query()
    return _there(request)


@post(PATH + "/{event_id:str}/retry", status_code=202, opt={"tag": TAG})
@in_thread
def retry_event(request: Call) -> explain.Event:
    """Let a failed event be tried again."""
    request.refuse_query()
    event, who, now = _there(request), request.principal, request.services.now()
    with request.services.database.writing() as connection:
        identity = request.identity("event_id")
        if not history.retry_event(connection, who.workspace_id, who.tenant_id, identity, now):
            raise errors.Conflict(f"the event is {event.status}: only a failed one can be tried again")
    request.wake()
    return _there(request)


def _there(request: Call) -> explain.Event:
    identity, who = request.identity("event_id"), request.principal
    with request.services.database.reading() as connection:
        found = history.read_event(connection, who.workspace_id, who.tenant_id, identity)
    if found is None:
        raise errors.NotFound(f"there is no event {request.part('event_id')!r}")
    return found


HANDLERS = (create_events, read_event, retry_event)
