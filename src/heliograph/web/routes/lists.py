"""Lists: `/lists`, in Courier's shape (courier-wire 2.1); who is on them is said in subscriptions.py."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, delete, get, put

from heliograph import errors
from heliograph.core import lists as core_lists
from heliograph.core import schedule
from heliograph.store import dates
from heliograph.store import lists as stored
from heliograph.web import paging, subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Lists"
_ONE = "/lists/{list_id:str}"
_LONGEST_NAME = 255


# ── what is asked and answered ──────────────────────────────────────────────────────────────────────


class ListBody(msgspec.Struct):
    """What a list says."""

    name: str
    preferences: subscribers.Preferences | None = None


class List(msgspec.Struct, kw_only=True):
    """A list."""

    id: str
    name: str
    created: str
    updated: str
    number: int
    """By which a date automation names it (`actiontarget`)."""
    preferences: dict[str, Any] | None


class ListPage(msgspec.Struct):
    """A page of lists, in the order of their ids."""

    items: list[List]
    paging: _Paging


class ListQuery(paging.CursorQuery):
    """Which lists."""

    pattern: str | None = None
    """`*` stands for one part of an id, `**` at the end for one or more."""


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────


@get("/lists", opt={"tag": TAG, "query": ListQuery})
@in_thread
def list_lists(request: Call) -> Response[ListPage]:
    """List the lists, in the order of their ids, a hundred a page."""
    query, ignored = request.read_courier_query(ListQuery)
    try:
        pattern = core_lists.check_pattern(query.pattern, "pattern") if query.pattern else None
    except errors.InvalidInput as fault:
        raise errors.InvalidQuery(faults=fault.faults) from None
    who, after = request.principal, paging.key_of(query.cursor, core_lists.id_fault)
    with request.services.database.reading() as connection:
        found = stored.page(connection, who.workspace_id, who.tenant_id, pattern, after, paging.PER_PAGE + 1)
    page = paging.page(found, lambda one: one.id)
    return Response(
        ListPage([_list(one) for one in page.items], page.paging), headers=ignored_header(ignored)
    )


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_list(request: Call) -> Response[List]:
    """Read a list."""
    ignored = request.ignore_query()
    return Response(_list(_there(request)), headers=ignored_header(ignored))


@put(_ONE, status_code=204, opt={"tag": TAG, "body": ListBody})
@in_thread
def put_list(request: Call) -> Response[None]:
    """Create a list, or replace its name and preferences; who is on it stays."""
    ignored, given, who = request.ignore_query(), request.read_object(), request.principal
    list_id = core_lists.check_id(request.part("list_id"), "list_id")
    name = given.get("name")
    faults = []
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= _LONGEST_NAME or "\x00" in name:
        faults.append(errors.Fault("name", f"is required: a text of 1 to {_LONGEST_NAME} characters"))
    preferences = subscribers.preferences(given, "", faults, ignored)
    if faults:
        raise errors.InvalidInput(faults=faults)
    with request.services.database.writing() as connection:
        stored.put(
            connection,
            who.workspace_id,
            who.tenant_id,
            list_id,
            str(name),
            preferences,
            request.services.now(),
        )
    return subscribers.done(ignored, given, ("name", "preferences"))


@delete(_ONE, opt={"tag": TAG})
@in_thread
def delete_list(request: Call) -> Response[None]:
    """Delete a list, which can be restored; date automations that put people on it are paused."""
    ignored, who, now = request.ignore_query(), request.principal, request.services.now()
    with request.services.database.writing() as connection:
        gone = stored.delete(connection, who.workspace_id, who.tenant_id, request.part("list_id"), now)
        if gone is None:
            raise _nowhere(request)
        dates.pause_for_list(connection, who.workspace_id, gone.number, now)
    request.wake()
    return Response(None, headers=ignored_header(ignored))


@put(f"{_ONE}/restore", status_code=204, opt={"tag": TAG})
@in_thread
def restore_list(request: Call) -> Response[None]:
    """Bring a deleted list back, with its subscribers."""
    ignored, who = request.ignore_query(), request.principal
    with request.services.database.writing() as connection:
        if not stored.restore(
            connection, who.workspace_id, who.tenant_id, request.part("list_id"), request.services.now()
        ):
            raise _nowhere(request)
    return Response(None, headers=ignored_header(ignored))


# ── reading and showing ─────────────────────────────────────────────────────────────────────────────


def _there(request: Call) -> stored.List:
    who = request.principal
    with request.services.database.reading() as connection:
        found = stored.read(connection, who.workspace_id, who.tenant_id, request.part("list_id"))
    if found is None:
        raise _nowhere(request)
    return found


def _nowhere(request: Call) -> errors.NotFound:
    return errors.NotFound(f"there is no list {request.part('list_id')!r}")


def _list(one: stored.List) -> List:
    return List(
        id=one.id,
        name=one.name,
        created=schedule.write_instant(one.created_at),
        updated=schedule.write_instant(one.updated_at),
        number=one.number,
        preferences=one.preferences,
    )


HANDLERS = (list_lists, read_list, put_list, delete_list, restore_list)
