"""Events: `/api/automation/events` (engine.md E8, rules.md 3.3)."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Literal

import msgspec
from litestar import MediaType, get, post
from litestar.response import Stream

from heliograph import errors
from heliograph.core import explain, ids
from heliograph.store import event_lists, history, listings
from heliograph.web import auth, exports, lists, services
from heliograph.web.calls import Call, in_thread

TAG = "Events"
PATH = "/api/automation/events"


class NewEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event; an array of events, or lines of JSON (`application/x-ndjson`), are taken or refused as a whole."""

    event_type: str
    contact_id: str | None = None
    conversation_id: str | None = None
    source: str | None = "api"
    channel_source: str | None = None
    payload: dict[str, Any] | None = {}
    previous: dict[str, Any] | None = None
    occurred_at: explain.Instant | None = None
    idempotency_key: str | None = None


EventSort = Literal["created_at", "available_at", "processed_at", "attempts", "status"]
_EXPORTED = (
    "id", "event_type", "conversation_id", "contact_id", "source", "status", "attempts", "payload_hash",
    "available_at", "created_at", "processed_at", "error", "payload",
)  # fmt: skip
_is_hash = re.compile("[0-9a-f]{64}").fullmatch


class EventsQuery(lists.Paged, kw_only=True):
    """Which events are listed, and how."""

    status: explain.EventStatus | None = None
    event_type: str | None = None
    source: str | None = None
    sort_by: EventSort = "created_at"


class HashedEventsQuery(EventsQuery, kw_only=True):
    """Which events are listed, and how."""

    payload_hash: str | None = None


class EventsExport(msgspec.Struct, kw_only=True):
    """Which events are exported, and how."""

    status: explain.EventStatus | None = None
    event_type: str | None = None
    source: str | None = None
    payload_hash: str | None = None
    limit: exports.Limit = exports.DEFAULT_LIMIT
    sort_by: EventSort = "created_at"
    sort_order: lists.SortOrder = "desc"
    created_from: lists.CreatedFrom | None = None
    created_to: lists.CreatedTo | None = None


class EventList(msgspec.Struct):
    """A page of events."""

    data: list[explain.Event]
    next_cursor: str | None
    """Null on the last page."""
    total: int
    """How many pass the filters, on all pages."""
    total_is: lists.AtLeast = msgspec.UNSET
    """There are more than were counted."""


class Accepted(msgspec.Struct):
    """The ids of the events, in order; what they name is stored."""

    ids: list[str]


_LARGE = 1024 * 1024
_encode = msgspec.json.Encoder().encode


async def accept(
    given: services.Services,
    who: auth.Principal,
    body: bytes,
    content_type: str,
    start_key: str | None = None,
) -> bytes:
    """Take the events of a body in; gives the answer's body once they are durable.

    `start_key` names a request that may come again: events without a key of their own are known by it.
    """
    arguments = (body, content_type, who.workspace_id, who.tenant_id)
    # A large body may take a second to read when it is built to: it must not hold up the loop for that long.
    if len(body) > _LARGE:
        batch = await asyncio.to_thread(given.ingest.read, *arguments)
    else:
        batch = given.ingest.read(*arguments)
    made = await given.ingest.accept(batch if start_key is None else batch.keyed(start_key))
    return _encode(Accepted([ids.text(identity) for identity in made]))


@post(
    PATH,
    status_code=202,
    media_type=MediaType.JSON,
    opt={"tag": TAG, "body": NewEvent | list[NewEvent], "lines": True, "answer": Accepted},
)
async def create_events(request: Call) -> bytes:
    """Take in one event, or up to 10,000 at once."""
    request.refuse_query()
    content = request.content
    kind = request.headers.get("content-type", "")
    return await accept(content.services, request.principal, content.body, kind, content.start_key)


@get(PATH, opt={"tag": TAG, "query": HashedEventsQuery})
@in_thread
def list_events(request: Call) -> EventList:
    """List events, newest first unless asked otherwise.

    A page that is not full, but has a cursor, is not the last one.
    """
    query = request.read_query(HashedEventsQuery)
    return _listed(request, query, event_lists.Filter(payload_hash=_hash(query.payload_hash)))


@get(PATH + "/by-conversation/{conversation_id:str}", opt={"tag": TAG, "query": EventsQuery})
@in_thread
def events_of_conversation(request: Call) -> EventList:
    """List the events of a conversation; an unknown one has none."""
    query = request.read_query(EventsQuery)
    return _listed(request, query, event_lists.Filter(conversation_id=request.part("conversation_id")))


@get(PATH + "/by-rule/{rule_id:str}", opt={"tag": TAG, "query": HashedEventsQuery})
@in_thread
def events_of_rule(request: Call) -> EventList:
    """List the events that a rule was considered for; an unknown rule has none."""
    query, rule_id = request.read_query(HashedEventsQuery), ids.parse(request.part("rule_id"))
    chosen = event_lists.Filter(rule_id=rule_id or bytes(16), payload_hash=_hash(query.payload_hash))
    return _listed(request, query, chosen)


@get(PATH + "/by-hash/{payload_hash:str}", opt={"tag": TAG, "query": EventsQuery})
@in_thread
def events_of_payload(request: Call) -> EventList:
    """List the events with equal payloads, by their fingerprint; the newest may be missing for some seconds."""
    query = request.read_query(EventsQuery)
    return _listed(request, query, event_lists.Filter(payload_hash=_hash(request.part("payload_hash"))))


def _listed(request: Call, query: EventsQuery, given: event_lists.Filter) -> EventList:
    who = request.principal
    chosen = given._replace(status=query.status, event_type=query.event_type, source=query.source)
    is_short = any((given.rule_id, given.conversation_id is not None, given.payload_hash))
    order = lists.order(request, query, query.sort_by, is_short=is_short)
    with listings.looking(request.services.database) as connection:
        listed = event_lists.listed(connection, who.workspace_id, who.tenant_id, chosen)
        if listed is None:
            return EventList([], None, 0)
        found = listings.find(connection, listed, order)
        data = history.read_events(connection, who.workspace_id, found.ids)
    return EventList(data, lists.next_cursor(request, found), found.total, lists.at_least(found))


def _hash(written: str | None) -> str | None:
    if written is None:
        return None
    if not _is_hash(written.lower()):
        message = "is the SHA-256 of a payload: 64 hexadecimal digits"
        raise errors.InvalidQuery(faults=[errors.Fault("payload_hash", message)])
    return written.lower()


@get(PATH + "/export", media_type=exports.CSV, opt={"tag": TAG, "query": EventsExport, "media": exports.CSV})
async def export_events(request: Call) -> Stream:
    """Export events as CSV, a line each.

    Cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    query, who = request.read_query(EventsExport), request.principal
    payload_hash = _hash(query.payload_hash)
    order = exports.order(request, query, is_short=payload_hash is not None)
    chosen = event_lists.Filter(None, None, payload_hash, query.status, query.event_type, query.source)
    exported = exports.Export(
        "events.csv",
        _EXPORTED,
        lambda connection: event_lists.listed(connection, who.workspace_id, who.tenant_id, chosen),
        lambda connection, found: history.read_events(connection, who.workspace_id, found),
    )
    return await exports.stream(request, exported, order, query.limit)


@get(PATH + "/{event_id:str}", opt={"tag": TAG})
@in_thread
def read_event(request: Call) -> explain.Event:
    """Read an event and what became of it."""
    request.refuse_query()
    return _there(request)


@get(PATH + "/{event_id:str}/explain", opt={"tag": TAG})
@in_thread
def explain_event(request: Call) -> explain.Explanation:
    """Explain an event: every rule of its type as it was then, why it ran or did not, and what came of it.

    What is not decided yet meets the rules as they are now, and each of them waits.
    """
    request.refuse_query()
    identity, who, now = request.identity("event_id"), request.principal, request.services.now()
    with request.services.database.reading() as connection:
        found = history.explain_event(connection, who.workspace_id, who.tenant_id, identity, now)
    return request.there(found, "event", "event_id")


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
    return request.there(found, "event", "event_id")


HANDLERS = (
    create_events,
    list_events,
    export_events,
    events_of_conversation,
    events_of_rule,
    events_of_payload,
    read_event,
    explain_event,
    retry_event,
)
