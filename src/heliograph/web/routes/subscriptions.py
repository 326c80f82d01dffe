"""Who is on lists: `/lists/{id}/subscriptions`, `/profiles/{user_id}/lists`, in Courier's shape (courier-wire 2.1)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import lists as core_lists
from heliograph.core import schedule
from heliograph.store import lists as stored
from heliograph.web import paging, subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Lists"
_PATH = "/lists/{list_id:str}/subscriptions"
_OF_PROFILE = "/profiles/{user_id:str}/lists"


class ListRecipient(msgspec.Struct, rename="camel"):
    """Somebody who is to be on a list."""

    recipient_id: str
    preferences: subscribers.Preferences | None = None


class RecipientsBody(msgspec.Struct):
    """Who is to be on a list."""

    recipients: list[ListRecipient]


class PreferencesBody(msgspec.Struct):
    """What a subscriber prefers."""

    preferences: subscribers.Preferences | None = None


class Wish(msgspec.Struct, rename="camel"):
    """A list that somebody is to be on."""

    list_id: str
    preferences: subscribers.Preferences | None = None


class WishesBody(msgspec.Struct):
    """The lists that somebody is to be on."""

    lists: list[Wish]


class Subscription(msgspec.Struct, rename={"recipient_id": "recipientId"}):
    """Somebody on a list."""

    recipient_id: str
    created: str
    preferences: dict[str, Any] | None


class SubscriptionPage(msgspec.Struct):
    """A page of those who are on a list."""

    items: list[Subscription]
    paging: _Paging


class ListOfProfile(msgspec.Struct):
    """A list that somebody is on."""

    id: str
    name: str
    created: str
    updated: str
    preferences: dict[str, Any] | None
    """What they prefer on it."""


class ProfileListPage(msgspec.Struct):
    """A page of the lists that somebody is on."""

    results: list[ListOfProfile]
    paging: _Paging


class Subscribed(msgspec.Struct):
    """It is done."""

    status: Literal["SUCCESS"]


# ── who is on them ──────────────────────────────────────────────────────────────────────────────────


@get(_PATH, opt={"tag": TAG, "query": paging.CursorQuery})
@in_thread
def list_subscriptions(request: Call) -> Response[SubscriptionPage]:
    """List who is on a list, a hundred a page."""
    query, ignored = request.read_courier_query(paging.CursorQuery)
    after, workspace_id = paging.place_of(query.cursor), request.principal.workspace_id
    with request.services.database.reading() as connection:
        found = stored.read(connection, workspace_id, request.principal.tenant_id, request.part("list_id"))
        if found is None:
            raise errors.NotFound(f"there is no list {request.part('list_id')!r}")
        people = stored.subscribers(connection, workspace_id, found.id, after, paging.PER_PAGE + 1)
    page = paging.page(people, lambda one: paging.cursor_at(one.partition, one.user_id))
    listed = [
        Subscription(one.user_id, schedule.write_instant(one.created_at), one.preferences)
        for one in page.items
    ]
    return Response(SubscriptionPage(listed, page.paging), headers=ignored_header(ignored))


@post(_PATH, status_code=204, opt={"tag": TAG, "body": RecipientsBody})
@in_thread
def add_subscriptions(request: Call) -> Response[None]:
    """Put people on a list, which is made where there is none; who is on it stays."""
    return _subscribe(request, is_whole=False)


@put(_PATH, status_code=204, opt={"tag": TAG, "body": RecipientsBody})
@in_thread
def replace_subscriptions(request: Call) -> Response[None]:
    """Let exactly these people be on a list, which is made where there is none."""
    return _subscribe(request, is_whole=True)


def _subscribe(request: Call, *, is_whole: bool) -> Response[None]:
    ignored, given = request.ignore_query(), request.read_object()
    list_id = core_lists.check_id(request.part("list_id"), "list_id")
    wishes = [
        stored.Wish(list_id, user_id, preferences)
        for user_id, preferences in subscribers.listed(
            given, "recipients", "recipientId", subscribers.user_fault, ignored
        )
    ]
    _write(request, wishes, list_id if is_whole else None)
    return subscribers.done(ignored, given, ("recipients",))


@put(f"{_PATH}/{{user_id:str}}", status_code=204, opt={"tag": TAG, "body": PreferencesBody})
@in_thread
def subscribe(request: Call) -> Response[None]:
    """Put somebody on a list, which is made where there is none."""
    ignored, user_id = request.ignore_query(), request.part("user_id")
    given = request.read_object() if request.content.body else {}
    list_id = core_lists.check_id(request.part("list_id"), "list_id")
    fault = subscribers.user_fault(user_id)
    faults = [errors.Fault("user_id", fault)] if fault else []
    preferences = subscribers.preferences(given, "", faults, ignored)
    if faults:
        raise errors.InvalidInput(faults=faults)
    _write(request, [stored.Wish(list_id, user_id, preferences)], None)
    return subscribers.done(ignored, given, ("preferences",))


@delete(f"{_PATH}/{{user_id:str}}", opt={"tag": TAG})
@in_thread
def unsubscribe(request: Call) -> Response[None]:
    """Take somebody off a list."""
    ignored, who, user_id = request.ignore_query(), request.principal, request.part("user_id")
    list_id = request.part("list_id")
    if not stored.unsubscribe(request.services.database, who.workspace_id, who.tenant_id, list_id, user_id):
        raise errors.NotFound(f"{user_id!r} is not on a list {list_id!r}")
    return Response(None, headers=ignored_header(ignored))


@get(_OF_PROFILE, opt={"tag": TAG, "query": paging.CursorQuery})
@in_thread
def list_lists_of_profile(request: Call) -> Response[ProfileListPage]:
    """List the lists that somebody is on."""
    query, ignored = request.read_courier_query(paging.CursorQuery)
    who, user_id = request.principal, request.part("user_id")
    after = paging.key_of(query.cursor, core_lists.id_fault)
    with request.services.database.reading() as connection:
        found = stored.memberships(
            connection, who.workspace_id, who.tenant_id, user_id, after, paging.PER_PAGE + 1
        )
    page = paging.page(found, lambda one: one.list.id)
    listed = [
        ListOfProfile(
            one.list.id,
            one.list.name,
            schedule.write_instant(one.list.created_at),
            schedule.write_instant(one.list.updated_at),
            one.preferences,
        )
        for one in page.items
    ]
    return Response(ProfileListPage(listed, page.paging), headers=ignored_header(ignored))


@post(_OF_PROFILE, status_code=200, opt={"tag": TAG, "body": WishesBody})
@in_thread
def subscribe_profile(request: Call) -> Response[Subscribed]:
    """Put somebody on lists, which are made where there are none."""
    ignored, given, user_id = request.ignore_query(), request.read_object(), request.part("user_id")
    fault = subscribers.user_fault(user_id)
    if fault:
        raise errors.InvalidInput.at("user_id", fault)
    wishes = [
        stored.Wish(list_id, user_id, preferences)
        for list_id, preferences in subscribers.listed(given, "lists", "listId", core_lists.id_fault, ignored)
    ]
    _write(request, wishes, None)
    return Response(Subscribed("SUCCESS"), headers=subscribers.named(ignored, given, ("lists",)))


@delete(_OF_PROFILE, status_code=200, opt={"tag": TAG})
@in_thread
def unsubscribe_profile(request: Call) -> Response[Subscribed]:
    """Take somebody off every list."""
    ignored, who = request.ignore_query(), request.principal
    stored.leave_all(request.services.database, who.workspace_id, who.tenant_id, request.part("user_id"))
    return Response(Subscribed("SUCCESS"), headers=ignored_header(ignored))


def _write(request: Call, wishes: list[stored.Wish], overwrites: str | None) -> None:
    services, who = request.services, request.principal
    stored.subscribe(
        services.database, who.workspace_id, who.tenant_id, wishes, services.now(), overwrites=overwrites
    )


HANDLERS = (
    list_subscriptions,
    add_subscriptions,
    replace_subscriptions,
    subscribe,
    unsubscribe,
    list_lists_of_profile,
    subscribe_profile,
    unsubscribe_profile,
)
