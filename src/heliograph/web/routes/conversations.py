"""Conversations: `/api/conversations` (rules.md 3.3, R15), with the notes beside them."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

import msgspec
from litestar import get, patch, post

from heliograph import errors
from heliograph.core import conversations, documents, explain, ids, schedule
from heliograph.store import conversations as stored
from heliograph.store import listings, record_lists
from heliograph.web import lists
from heliograph.web.calls import Call, in_thread

TAG = "Conversations"
PATH = "/api/conversations"
_ONE = PATH + "/{conversation_id:str}"

Status = Literal["open", "pending", "snoozed", "resolved", "closed"]
Priority = Literal["low", "normal", "high", "urgent"]
assert (Status.__args__, Priority.__args__) == (conversations.STATUSES, conversations.PRIORITIES)  # type: ignore[attr-defined]
Identity = Annotated[str, msgspec.Meta(min_length=1, max_length=conversations.MOST_ID)]
Tags = Annotated[list[str], msgspec.Meta(max_length=conversations.MOST_TAGS)]

# ── what is read ────────────────────────────────────────────────────────────────────────────────────


class ConversationChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to set of a conversation: each field that is given is replaced whole."""

    contact_id: Identity | msgspec.UnsetType | None = msgspec.UNSET
    channel: Identity | msgspec.UnsetType | None = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET
    priority: Priority | msgspec.UnsetType = msgspec.UNSET
    agent_id: Identity | msgspec.UnsetType | None = msgspec.UNSET
    division_id: Identity | msgspec.UnsetType | None = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    attributes: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class NewConversation(ConversationChange, kw_only=True, omit_defaults=True):
    """A conversation to create."""

    id: Identity | msgspec.UnsetType | None = msgspec.UNSET
    """What events call it; one is made up where none is given."""


class ConversationsQuery(msgspec.Struct, kw_only=True):
    """Which conversations are listed, and how."""

    status: Status | None = None
    priority: Priority | None = None
    agent_id: str | None = None
    division_id: str | None = None
    contact_id: str | None = None
    channel: str | None = None
    tag: str | None = None
    created_from: lists.CreatedFrom | None = None
    created_to: lists.CreatedTo | None = None
    cursor: lists.Cursor | None = None
    per_page: lists.PerPage = 50
    sort_order: lists.SortOrder = "desc"


class NewNote(msgspec.Struct):
    """Something to note down."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=conversations.MOST_NOTE)]


class NotesQuery(msgspec.Struct, kw_only=True):
    """Which notes are listed, oldest first."""

    cursor: lists.Cursor | None = None
    per_page: lists.PerPage = 50


# ── what is answered ────────────────────────────────────────────────────────────────────────────────


class Conversation(msgspec.Struct, kw_only=True):
    """A conversation."""

    id: str
    number: int
    contact_id: str | None
    """Whom it is held with."""
    channel: str | None
    """By which channel; events that name none are taken to come by it."""
    status: Status
    priority: Priority
    agent_id: str | None
    division_id: str | None
    tags: list[str]
    attributes: dict[str, Any]
    created_at: explain.Instant
    updated_at: explain.Instant


class ConversationList(msgspec.Struct):
    """A page of conversations."""

    data: list[Conversation]
    next_cursor: str | None
    """Null on the last page."""
    total: int
    """How many pass the filters, on all pages."""
    total_is: lists.AtLeast = msgspec.UNSET
    """There are more than were counted."""


class Note(msgspec.Struct):
    """What somebody noted down, for one's own people."""

    id: str
    text: str
    author: str
    """`rule:<id>`, or `key:<id>` of the API key."""
    created_at: explain.Instant


class NoteList(msgspec.Struct):
    """A page of notes, oldest first."""

    data: list[Note]
    next_cursor: str | None
    """Null on the last page."""


# ── conversations ───────────────────────────────────────────────────────────────────────────────────


@get(PATH, opt={"tag": TAG, "query": ConversationsQuery})
@in_thread
def list_conversations(request: Call) -> ConversationList:
    """List conversations, newest first unless asked otherwise.

    A page that is not full, but has a cursor, is not the last one.
    """
    query, who = request.read_query(ConversationsQuery), request.principal
    now = request.services.now()
    since, until = lists.span(query.created_from, query.created_to, "created_at", now, is_short=True)
    chosen = record_lists.Chosen(
        query.status,
        query.priority,
        query.agent_id,
        query.division_id,
        query.contact_id,
        query.channel,
        query.tag,
        since,
        until,
    )
    after = None if query.cursor is None else _place(query.cursor)
    with listings.looking(request.services.database) as connection:
        found = record_lists.list_conversations(
            connection,
            who.workspace_id,
            who.tenant_id,
            chosen,
            after,
            query.per_page,
            descending=query.sort_order == "desc",
        )
    last = found.goes_on
    cursor = None if last is None else f"{schedule.write_instant(last.created_at)}|{last.id}"
    total_is: lists.AtLeast = msgspec.UNSET if found.is_exact else "at_least"
    return ConversationList(list(map(_shown, found.rows)), cursor, found.total, total_is)


@post(PATH, opt={"tag": TAG, "body": NewConversation})
@in_thread
def create_conversation(request: Call) -> Conversation:
    """Create a conversation; one that a rule writes on is made by itself."""
    request.refuse_query()
    given, who, now = _object(request), request.principal, request.services.now()
    identity = given.pop("id", None)
    faults = [] if identity is None else _id_faults(identity)
    try:
        cleaned = conversations.clean(given)
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
    if faults:
        raise errors.InvalidInput(faults=faults)
    if identity is None:
        identity = ids.text(ids.mint(now, 0, 0, secrets.randbits(36)))
    made = stored.create(request.services.database, who.workspace_id, who.tenant_id, identity, cleaned, now)
    request.wake()
    return _shown(made)


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_conversation(request: Call) -> Conversation:
    """Read a conversation."""
    request.refuse_query()
    return _shown(_there(request))


@patch(_ONE, opt={"tag": TAG, "body": ConversationChange})
@in_thread
def change_conversation(request: Call) -> Conversation:
    """Set fields of a conversation: those that are given, each whole."""
    request.refuse_query()
    given, who = conversations.clean(_object(request)), request.principal
    made = stored.change(
        request.services.database,
        who.workspace_id,
        who.tenant_id,
        request.part("conversation_id"),
        given,
        request.services.now(),
    )
    request.wake()
    return _shown(_found(made, request))


# ── notes ───────────────────────────────────────────────────────────────────────────────────────────


@get(_ONE + "/notes", opt={"tag": TAG, "query": NotesQuery})
@in_thread
def list_notes(request: Call) -> NoteList:
    """List what was noted beside a conversation, oldest first."""
    query, who = request.read_query(NotesQuery), request.principal
    after = None
    if query.cursor is not None and (after := ids.parse(query.cursor)) is None:
        raise _bad_cursor("it is the id of a note")
    conversation = _there(request)
    with request.services.database.reading() as connection:
        found = stored.notes(connection, who.workspace_id, conversation.id, after, query.per_page + 1)
    page = found[: query.per_page]
    return NoteList(list(map(_note, page)), ids.text(page[-1].id) if len(found) > len(page) else None)


@post(_ONE + "/notes", opt={"tag": TAG, "body": NewNote})
@in_thread
def create_note(request: Call) -> Note:
    """Note something down beside a conversation."""
    request.refuse_query()
    given, who = request.read_object(), request.principal
    faults = documents.unknown_keys(given, ("text",), "")
    if "text" not in given:
        faults.append(errors.Fault("text", "is required"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    text = conversations.clean_note(given["text"])
    conversation = _there(request)
    with request.services.database.writing() as connection:
        now, author = request.services.now(), f"key:{who.key_id}"
        made = stored.add_note(connection, who.workspace_id, conversation.id, author, text, now)
    return _note(made)


# ── what they have in common ────────────────────────────────────────────────────────────────────────


def _object(request: Call) -> dict[str, Any]:
    if len(request.content.body) > 2 * conversations.MOST_ATTRIBUTES:
        raise errors.TooLarge(f"a conversation takes at most {conversations.MOST_ATTRIBUTES // 512} KiB")
    return request.read_object()


def _id_faults(identity: object) -> list[errors.Fault]:
    fault = conversations.id_fault(identity)
    return [] if fault is None else [errors.Fault("id", fault)]


def _there(request: Call) -> stored.Conversation:
    who = request.principal
    with request.services.database.reading() as connection:
        found = stored.read(connection, who.workspace_id, who.tenant_id, request.part("conversation_id"))
    return _found(found, request)


def _found(found: stored.Conversation | None, request: Call) -> stored.Conversation:
    return request.there(found, "conversation", "conversation_id")


def _shown(one: stored.Conversation) -> Conversation:
    fields = {**one._asdict(), **_instants(one.created_at, one.updated_at)}
    del fields["tenant_id"]
    return Conversation(**fields)


def _instants(created_at: int, updated_at: int) -> dict[str, str]:
    return {
        "created_at": schedule.write_instant(created_at),
        "updated_at": schedule.write_instant(updated_at),
    }


def _note(one: stored.Note) -> Note:
    at = schedule.write_instant(ids.created_at(one.id))
    return Note(ids.text(one.id), one.text, one.author, at)


def _place(cursor: str) -> record_lists.Place:
    written, bar, identity = cursor.partition("|")
    try:
        at = schedule.parse_instant(written, "cursor")
    except errors.InvalidInput:
        at = None
    if at is None or not bar:
        raise _bad_cursor("it is <created_at>|<id>")
    return record_lists.Place(at, identity)


def _bad_cursor(form: str) -> errors.InvalidQuery:
    message = f"is none that a list gave: {form}, percent-encoded"
    return errors.InvalidQuery(faults=[errors.Fault("cursor", message)])


HANDLERS = (
    list_conversations,
    create_conversation,
    read_conversation,
    change_conversation,
    list_notes,
    create_note,
)
