"""Messages: `/messages`, in Courier's shape, with what our ledger knows besides (engine.md E21, States)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post

from heliograph import errors
from heliograph.core import explain, ids, journey_starts, messages, routes, schedule
from heliograph.core.messages import State
from heliograph.store import message_orders, rows
from heliograph.store import messages as ledger
from heliograph.web import paging
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Messages"

MessageStatus = Literal[
    "CANCELED",
    "CLICKED",
    "DELAYED",
    "DELIVERED",
    "DIGESTED",
    "ENQUEUED",
    "FILTERED",
    "OPENED",
    "ROUTED",
    "SENT",
    "SIMULATED",
    "THROTTLED",
    "UNDELIVERABLE",
    "UNMAPPED",
    "UNROUTABLE",
]
Reason = Literal[
    "BOUNCED", "FAILED", "NO_CHANNELS", "NO_PROVIDERS", "PROVIDER_ERROR", "UNPUBLISHED", "UNSUBSCRIBED"
]
Milliseconds = Annotated[int, msgspec.Meta(description="An instant in milliseconds since 1970 UTC.")]


_SEVERAL = frozenset({"provider", "status", "tag", "tags"})
"""What clients write as lists: with commas between, or once for each."""
_NAMES = {"message_id": "messageId", "trace_id": "traceId", "list_id": "list"}


class MessagesQuery(msgspec.Struct, kw_only=True, rename=_NAMES):
    """Which messages are listed, newest first."""

    recipient: str | None = None
    status: Annotated[str, msgspec.Meta(description="One or more, with commas between.")] | None = None
    event: str | None = None
    notification: str | None = None
    message_id: str | None = None
    tenant_id: str | None = None
    trace_id: (
        Annotated[str, msgspec.Meta(description="The trace id of a request, or the request's own id.")] | None
    ) = None
    enqueued_after: (
        Annotated[str, msgspec.Meta(description="Milliseconds since 1970, or ISO 8601.")] | None
    ) = None
    tag: (
        Annotated[str, msgspec.Meta(description="One or more of their tags, with commas between.")] | None
    ) = None
    tags: Annotated[str, msgspec.Meta(description="As `tag`.")] | None = None
    archived: Annotated[bool, msgspec.Meta(description="Whether archived ones are listed too.")] | None = None
    list_id: Annotated[str, msgspec.Meta(description="The list that they were sent to.")] | None = None
    provider: (
        Annotated[str, msgspec.Meta(description="One or more that were tried, with commas between.")] | None
    ) = None
    reference: (
        Annotated[
            str, msgspec.Meta(description="What a provider calls them by: an id, with others after commas.")
        ]
        | None
    ) = None
    cursor: str | None = None


class Message(msgspec.Struct, kw_only=True):
    """A message, as Courier shows one, and our ledger's own words."""

    id: str
    recipient: str
    """The contact's id; for a message to no contact, its address."""
    event: str
    """The type of the event that it speaks of."""
    notification: str
    """The template's id; empty where the text stood in the rule."""
    status: MessageStatus
    reason: Reason | None
    error: str | None
    enqueued: Milliseconds
    sent: Milliseconds | None
    delivered: Milliseconds | None
    opened: Milliseconds | None
    clicked: Milliseconds | None
    bounce: Literal["hard", "soft"] | None
    """How it came back, where a report says so: the address takes no mail, or did not take this one."""
    complained: Milliseconds | None
    """When the recipient called it spam."""
    channel: str
    address: str | None
    tenant_id: str | None
    event_id: str | None
    rule_id: str | None
    campaign_id: str | None
    """The tenant automation whose job it is."""
    run_id: str | None
    uncertain: bool
    """Nobody knows whether it was handed over: the answer was lost, and it is not sent again."""
    possibly_repeated: bool
    """The recipient may have it more than once: an answer was lost, and it was sent again."""
    repeats: str | None
    """The message that this one says once more, at somebody's word."""
    follows: str | None
    """The message of which nobody took notice in time, and which this one follows by another channel."""
    followed_by: str | None
    """The message by which this one was followed, because nobody took notice of it in time."""


class Detail(Message, kw_only=True):
    """A message with its attempts."""

    providers: list[dict[str, Any]]
    attempts: list[explain.Attempt]


class Resent(msgspec.Struct):
    """The new message."""

    message_id: str = msgspec.field(name="messageId")


class MessageList(msgspec.Struct):
    """A page of messages, newest first."""

    paging: _Paging
    results: list[Message]


@get("/messages", opt={"tag": TAG, "query": MessagesQuery})
@in_thread
def list_messages(request: Call) -> Response[MessageList]:
    """List messages, newest first, a hundred a page."""
    query, ignored = request.read_courier_query(MessagesQuery, _SEVERAL)
    chosen = _filter(query, request.principal.tenant_id)
    if chosen is None:
        return Response(MessageList(paging.Paging(None, False), []), headers=ignored_header(ignored))
    owner, now = request.principal.workspace_id, request.services.now()
    with request.services.database.reading() as connection:
        found = ledger.list_messages(connection, owner, chosen, paging.PER_PAGE + 1, now)
    page = paging.page(found, lambda sent: ids.text(sent.row.id))
    listed = [Message(**_fields(sent)) for sent in page.items]
    return Response(MessageList(page.paging, listed), headers=ignored_header(ignored))


@get("/messages/{message_id:str}", opt={"tag": TAG})
@in_thread
def read_message(request: Call) -> Detail:
    """Read a message with its attempts."""
    found = _found(request)
    attempts = [explain.attempt(one) for one in found.attempts]
    providers = [
        {"provider": one.provider, "reference": one.reference} for one in found.attempts if one.reference
    ]
    return Detail(**_fields(found), providers=providers, attempts=attempts)


# ── what is ordered ─────────────────────────────────────────────────────────────────────────────────


@post("/messages/{message_id:str}/cancel", status_code=200, opt={"tag": TAG, "or": 409})
@in_thread
def cancel_message(request: Call) -> Response[Message]:
    """Let a message that waits go out no more, and what would follow it; 409 where all was sent, or is on its way.

    Both show the message.
    """
    sent, services = _found(request), request.services
    canceled = message_orders.cancel(services.database, sent.row.workspace_id, sent.row.id, services.now())
    if canceled:
        request.wake()
    return Response(Message(**_fields(_found(request))), status_code=200 if canceled else 409)


@post("/messages/{message_id:str}/resend", status_code=200, opt={"tag": TAG})
@in_thread
def resend_message(request: Call) -> Resent:
    """Send a message that has ended once more to the same address: as a new one, which says what it repeats."""
    sent, services = _found(request), request.services
    made = message_orders.resend(
        services.database, sent.row, ids.shown(sent.row.id, sent.row.request_id), services.now()
    )
    request.wake()
    return Resent(ids.text(made))


def _found(request: Call) -> ledger.Sent:
    identity, who = request.identity("message_id"), request.principal
    with request.services.database.reading() as connection:
        found = ledger.read_message(
            connection, who.workspace_id, who.tenant_id, identity, request.services.now()
        )
    return request.there(found, "message", "message_id")


# ── which ───────────────────────────────────────────────────────────────────────────────────────────


def _filter(query: MessagesQuery, tenant_id: str | None) -> ledger.Filter | None:
    """What the query asks for; None where nothing can be it. Raises errors.InvalidQuery."""
    statuses, message_id = _statuses(query.status), None
    if query.message_id is not None:
        message_id = ids.parse(query.message_id) or ids.of_wire(query.message_id)
    nowhere = query.message_id is not None and message_id is None
    if nowhere or (tenant_id is not None and query.tenant_id not in (None, tenant_id)):
        return None
    return ledger.Filter(
        message_id,
        query.recipient,
        statuses,
        query.event,
        query.notification,
        tenant_id or query.tenant_id,
        _after(query.enqueued_after),
        paging.id_of(query.cursor),
        query.trace_id,
        _words(query.tag, query.tags),
        bool(query.archived),
        query.list_id,
        _words(query.provider),
        _words(query.reference),
    )


def _words(*given: str | None) -> list[str] | None:
    """What stands between commas, of what was given; None: nothing was."""
    written = [one for one in given if one is not None]
    return [word.strip() for one in written for word in one.split(",")] if written else None


def _statuses(written: str | None) -> set[str] | None:
    if written is None:
        return None
    words = {word.strip().upper() for word in written.split(",")}
    known = MessageStatus.__args__  # type: ignore[attr-defined]
    faults = [
        errors.Fault("status", errors.unknown("status", word, known)) for word in sorted(words - set(known))
    ]
    if faults:
        raise errors.InvalidQuery(faults=faults)
    return words


def _after(written: str | None) -> int | None:
    if written is None:
        return None
    if written.isascii() and written.isdigit() and len(written) <= 15:
        return int(written) * 1000
    try:
        return schedule.parse_instant(written, "enqueued_after")
    except errors.InvalidInput as fault:
        raise errors.InvalidQuery(faults=fault.faults) from None


# ── how it stands ───────────────────────────────────────────────────────────────────────────────────


def _fields(sent: ledger.Sent) -> dict[str, Any]:
    row = sent.row
    state = State(row.state)
    known = sent.known
    follows, followed_by = routes.followed(row.route)
    # A run that brought its steps with it is of none.
    is_of_one = row.run_id is not None and row.automation_id != journey_starts.OWN
    return {
        "id": ids.shown(row.id, row.request_id),
        "recipient": sent.recipient,
        "event": sent.event_type or "",
        "notification": row.template_id or "",
        "status": sent.status,
        "reason": _reason(row, state),
        "error": _error(sent),
        "enqueued": sent.created_at // 1000,
        "sent": _milliseconds(row.settled_at) if state in _HANDED_OVER else None,
        "delivered": _milliseconds(known.delivered_at),
        "opened": _milliseconds(known.opened_at),
        "clicked": _milliseconds(known.clicked_at),
        "bounce": None if known.told.bounce is None else known.told.bounce.kind,
        "complained": _milliseconds(known.told.complained_at),
        "channel": row.channel,
        "address": row.address,
        "tenant_id": row.tenant_id,
        "event_id": _text(row.event_id),
        "rule_id": _text(row.automation_id if is_of_one else None),
        "campaign_id": _text(row.automation_id if row.run_id is row.request_id is None else None),
        "run_id": _text(row.run_id),
        "uncertain": state is State.UNCERTAIN,
        "possibly_repeated": messages.possibly_repeated(sent.attempts),
        "repeats": known.told.repeats,
        "follows": follows,
        "followed_by": followed_by,
    }


_HANDED_OVER = messages.TAKEN | {State.UNCERTAIN}


def _milliseconds(at: int | None) -> int | None:
    return None if at is None else at // 1000


def _error(sent: ledger.Sent) -> str | None:
    bounce = sent.known.told.bounce
    if sent.row.state == State.BOUNCED and bounce is not None:
        return bounce.words or f"a {bounce.kind} bounce"
    return sent.row.error


def _reason(row: rows.Message, state: State) -> Reason | None:
    if state is State.BOUNCED:
        return "BOUNCED"
    if state is State.FAILED:
        return "PROVIDER_ERROR"
    if state is State.UNROUTABLE:
        if row.error in messages.UNWANTED:
            return "UNSUBSCRIBED"
        if row.error == messages.UNPUBLISHED:
            return "UNPUBLISHED"
        is_alone = bool(row.address) or (row.error or "").startswith(messages.NO_PROVIDER)
        return "NO_PROVIDERS" if is_alone else "NO_CHANNELS"
    return None


def _text(identity: bytes | None) -> str | None:
    return None if identity is None else ids.text(identity)


HANDLERS = (list_messages, read_message, cancel_message, resend_message)
