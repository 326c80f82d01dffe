"""Contacts: `/api/contacts`, people in our own shape, with their tags (engine.md E14, E28)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from litestar import get, patch, post

from heliograph import errors
from heliograph.core import conversations, documents, explain, pseudonyms, schedule
from heliograph.core import people as core_people
from heliograph.store import listings, people, record_lists
from heliograph.web import lists
from heliograph.web.calls import Call, in_thread

TAG = "Contacts"
PATH = "/api/contacts"
_ONE = PATH + "/{contact_id:str}"

Identity = Annotated[str, msgspec.Meta(min_length=1, max_length=conversations.MOST_ID)]
Tags = Annotated[list[str], msgspec.Meta(max_length=conversations.MOST_TAGS)]


class NewContact(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A contact to create."""

    id: Identity
    """What events call it: `contact_id`, and `user_id` elsewhere."""
    profile: dict[str, Any] = {}
    tags: Tags = []


class ContactChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to set of a contact."""

    profile: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    """Attributes to set; the others stay."""
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    """All tags that it has from now on."""


class ContactsQuery(msgspec.Struct, kw_only=True):
    """Which contacts are listed."""

    tag: str | None = None
    email: str | None = None
    phone_number: str | None = None
    cursor: lists.Cursor | None = None
    per_page: lists.PerPage = 50


class Contact(msgspec.Struct, kw_only=True):
    """A contact."""

    id: str
    number: int
    profile: dict[str, Any]
    tags: list[str]
    created_at: explain.Instant
    updated_at: explain.Instant


class ContactList(msgspec.Struct):
    """A page of contacts."""

    data: list[Contact]
    next_cursor: str | None
    """Null on the last page."""
    total: int
    """How many pass the filters, on all pages."""
    total_is: lists.AtLeast = msgspec.UNSET
    """There are more than were counted."""


@get(PATH, opt={"tag": TAG, "query": ContactsQuery})
@in_thread
def list_contacts(request: Call) -> ContactList:
    """List contacts in the order of their ids.

    A page that is not full, but has a cursor, is not the last one.
    """
    query, who = request.read_query(ContactsQuery), request.principal
    passes = _passes(query, request.services.settings.default_region or None)
    with listings.looking(request.services.database) as connection:
        found = record_lists.list_contacts(
            connection, who.workspace_id, who.tenant_id, passes, query.cursor, query.per_page
        )
    cursor = None if found.goes_on is None else found.goes_on.user_id
    total_is: lists.AtLeast = msgspec.UNSET if found.is_exact else "at_least"
    return ContactList(list(map(_shown, found.rows)), cursor, found.total, total_is)


def _passes(query: ContactsQuery, region: str | None) -> Callable[[people.Contact], bool] | None:
    """What is asked of a contact; None where nothing is. Raises errors.InvalidQuery."""
    wanted: dict[str, str] = {}
    try:
        if query.email is not None:
            wanted["email"] = core_people.check_email(query.email)
        if query.phone_number is not None:
            wanted["phone_number"] = core_people.check_phone(query.phone_number, "phone_number", region)
    except errors.InvalidInput as refusal:
        raise errors.InvalidQuery(faults=refusal.faults) from None
    if query.tag is None and not wanted:
        return None

    def passes(contact: people.Contact) -> bool:
        has_tag = query.tag is None or query.tag in contact.tags
        return has_tag and all(contact.profile.get(name) == value for name, value in wanted.items())

    return passes


@post(PATH, opt={"tag": TAG, "body": NewContact})
@in_thread
def create_contact(request: Call) -> Contact:
    """Create a contact."""
    request.refuse_query()
    given, who = _object(request), request.principal
    faults = documents.unknown_keys(given, NewContact.__struct_fields__, "")
    fault = conversations.id_fault(given["id"]) if "id" in given else "is required"
    if fault is None and pseudonyms.is_name(given["id"]):
        fault = pseudonyms.RESERVED
    if fault is not None:
        faults.append(errors.Fault("id", fault))
    profile, tags = _cleaned(request, given, faults)
    made = people.create_contact(
        request.services.database,
        who.workspace_id,
        who.tenant_id,
        given["id"],
        profile,
        tags or [],
        request.services.now(),
    )
    request.wake()
    return _shown(made)


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_contact(request: Call) -> Contact:
    """Read a contact."""
    request.refuse_query()
    who, contact_id = request.principal, request.part("contact_id")
    with request.services.database.reading() as connection:
        found = people.read_contact(connection, who.workspace_id, who.tenant_id, contact_id)
    return _found(found, request)


@patch(_ONE, opt={"tag": TAG, "body": ContactChange})
@in_thread
def change_contact(request: Call) -> Contact:
    """Set attributes of a contact, and its tags where they are given; the other attributes stay."""
    request.refuse_query()
    given, who = _object(request), request.principal
    faults = documents.unknown_keys(given, ContactChange.__struct_fields__, "")
    profile, tags = _cleaned(request, given, faults)
    made = people.change_contact(
        request.services.database,
        who.workspace_id,
        who.tenant_id,
        request.part("contact_id"),
        profile,
        tags,
        request.services.now(),
    )
    request.wake()
    return _found(made, request)


def _object(request: Call) -> dict[str, Any]:
    if len(request.content.body) > core_people.MAX_BYTES:
        raise errors.TooLarge(core_people.TOO_LARGE)
    return request.read_object()


def _cleaned(
    request: Call, given: Mapping[str, Any], faults: list[errors.Fault]
) -> tuple[dict[str, Any], list[str] | None]:
    """The profile and the tags that are given. Raises errors.InvalidInput with these faults and its own."""
    profile: dict[str, Any] = {}
    tags = None
    try:
        region = request.services.settings.default_region or None
        profile = core_people.clean_profile(given.get("profile", {}), "profile", region)
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    try:
        tags = conversations.clean_tags(given["tags"]) if "tags" in given else None
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return profile, tags


def _found(found: people.Contact | None, request: Call) -> Contact:
    return _shown(request.there(found, "contact", "contact_id"))


def _shown(one: people.Contact) -> Contact:
    return Contact(
        id=one.user_id,
        number=one.number,
        profile=one.profile,
        tags=one.tags,
        created_at=schedule.write_instant(one.created_at),
        updated_at=schedule.write_instant(one.updated_at),
    )


HANDLERS = (list_contacts, create_contact, read_contact, change_contact)
