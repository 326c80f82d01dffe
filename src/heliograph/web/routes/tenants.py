"""Tenants: `/tenants` and `/users/{user_id}/tenants`, in Courier's shape (courier-wire.md 2.1).

Law: to the key of a tenant there is that tenant alone, and of everybody what they are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, delete, get, put
from sqlalchemy import Connection

from heliograph import errors
from heliograph.core import consent, people, tenants
from heliograph.store import preference_topics
from heliograph.store import tenants as store
from heliograph.web import paging, tenant_defaults
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Tenants"
_TENANT = "/tenants/{tenant_id:str}"
_USER = "/users/{user_id:str}/tenants"
_MOST_ID, _USUAL, _MOST = 255, 20, 100


class PageQuery(msgspec.Struct):
    """Which page."""

    cursor: str | None = None
    limit: int | None = None
    """1 to 100; 20 if left out."""


class TenantsQuery(PageQuery):
    """Which tenants are listed."""

    parent_tenant_id: str | None = None


class _Told(msgspec.Struct, kw_only=True):
    name: str
    parent_tenant_id: str | None = None
    """The tenant above it; four may stand one above the other."""
    brand_id: str | None = None
    properties: dict[str, Any] | None = None
    user_profile: dict[str, Any] | None = None
    """What the profile of everybody in it says, where theirs says nothing else."""


class TenantBody(_Told, kw_only=True):
    """What is said of a tenant."""

    default_preferences: tenant_defaults.DefaultsBody | None = None
    """What is taken to be said by its people who said nothing; what was set before stays where it is left out."""


class Tenant(_Told, kw_only=True):
    """A tenant."""

    id: str
    default_preferences: tenant_defaults.DefaultItems | None
    """What it has set itself; null where that is nothing."""


class Tenants(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A page of tenants, in the order of their ids."""

    has_more: bool
    items: list[Tenant]
    type: Literal["list"]
    url: str
    cursor: str | None = None
    next_url: str | None = None


class UserTenant(msgspec.Struct, kw_only=True):
    """Somebody's being with a tenant."""

    user_id: str
    tenant_id: str
    type: Literal["user"]
    profile: dict[str, Any] | None


class UserTenants(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A page of who is with a tenant, or of the tenants that somebody is with."""

    has_more: bool
    items: list[UserTenant]
    type: Literal["list"]
    url: str
    cursor: str | None = None
    next_url: str | None = None


class UserTenantBody(msgspec.Struct):
    """What somebody's profile says with a tenant beside what it says everywhere."""

    profile: dict[str, Any] | None = None


class UserTenantGiven(msgspec.Struct, kw_only=True):
    """One of the tenants that somebody is to be with."""

    tenant_id: str
    profile: dict[str, Any] | None = None
    type: Literal["user"] | None = None
    user_id: str | None = None


class UserTenantsBody(msgspec.Struct):
    """Tenants that somebody is to be with."""

    tenants: list[UserTenantGiven]


# ── tenants ─────────────────────────────────────────────────────────────────────────────────────────


@get("/tenants", opt={"tag": TAG, "query": TenantsQuery})
@in_thread
def list_tenants(request: Call) -> Response[Tenants]:
    """List the tenants."""
    query, ignored = request.read_courier_query(TenantsQuery)
    who, limit = request.principal, _limit(query.limit)
    with request.services.database.reading() as connection:
        found = store.listed(
            connection,
            who.workspace_id,
            who.tenant_id,
            query.parent_tenant_id,
            paging.key_of(query.cursor, _id_fault),
            limit + 1,
        )
        defaults = _defaults(connection, who.workspace_id, found[:limit])
    page = _page("/tenants", [one.id for one in found], query, query.parent_tenant_id)
    made = Tenants(items=[_told(one, defaults) for one in found[:limit]], **page)
    return Response(made, headers=ignored_header(ignored))


@get(_TENANT, opt={"tag": TAG})
@in_thread
def read_tenant(request: Call) -> Response[Tenant]:
    """Read a tenant."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        found = _there(request, connection)
        defaults = _defaults(connection, request.principal.workspace_id, [found])
    return Response(_told(found, defaults), headers=ignored_header(ignored))


@put(_TENANT, opt={"tag": TAG, "body": TenantBody})
@in_thread
def put_tenant(request: Call) -> Response[Tenant]:
    """Make a tenant, or let it say something else."""
    ignored = request.ignore_query()
    identity, given, who = request.part("tenant_id"), request.read_object(), request.principal
    if fault := _id_fault(identity):
        raise errors.InvalidInput.at("tenant_id", fault)
    request.speaking_for(identity)
    services = request.services
    said = tenants.define(given, services.settings.default_region or None)
    with services.database.writing() as connection:
        if who.tenant_id is not None:
            _refuse_move(connection, who.workspace_id, identity, said.definition.parent_tenant_id)
        made = store.put(
            connection, who.workspace_id, identity, said.definition, services.now(), said.defaults
        )
        defaults = _defaults(connection, who.workspace_id, [made])
    return Response(_told(made, defaults), headers=ignored_header([*ignored, *said.ignored]))


def _refuse_move(connection: Connection, workspace_id: int, identity: str, parent: str | None) -> None:
    """What stands above a tenant speaks to its people: a tenant's own key chooses nobody for that."""
    stored = store.read(connection, workspace_id, identity, identity)
    if parent != (stored and stored.definition.parent_tenant_id):
        raise errors.Forbidden(
            "parent_tenant_id: where a tenant stands is changed with a key that is bound to no tenant"
        )


@delete(_TENANT, opt={"tag": TAG})
@in_thread
def delete_tenant(request: Call) -> None:
    """Delete a tenant, and what it knows of its users; none may stand below it."""
    with request.services.database.writing() as connection:
        found, who = _there(request, connection), request.principal
        store.delete(connection, who.workspace_id, who.tenant_id, found.id)


@get(f"{_TENANT}/users", opt={"tag": TAG, "query": PageQuery})
@in_thread
def list_tenant_users(request: Call) -> Response[UserTenants]:
    """List who is with a tenant."""
    query, ignored = request.read_courier_query(PageQuery)
    limit = _limit(query.limit)
    with request.services.database.reading() as connection:
        tenant = _there(request, connection)
        found = store.memberships(
            connection,
            request.principal.workspace_id,
            query.cursor or "",
            limit + 1,
            tenant_id=tenant.id,
        )
    path = f"/tenants/{quote(tenant.id, safe='')}/users"
    page = _page(path, [one.user_id for one in found], query)
    return Response(UserTenants(items=_members(found[:limit]), **page), headers=ignored_header(ignored))


# ── users ───────────────────────────────────────────────────────────────────────────────────────────


@get(_USER, opt={"tag": TAG, "query": PageQuery})
@in_thread
def list_user_tenants(request: Call) -> Response[UserTenants]:
    """List the tenants that somebody is with."""
    query, ignored = request.read_courier_query(PageQuery)
    user_id, who, limit = request.part("user_id"), request.principal, _limit(query.limit)
    with request.services.database.reading() as connection:
        found = store.memberships(
            connection,
            who.workspace_id,
            paging.key_of(query.cursor, _id_fault),
            limit + 1,
            user_id=user_id,
            tenant_id=who.tenant_id,
        )
    path = f"/users/{quote(user_id, safe='')}/tenants"
    page = _page(path, [one.tenant_id for one in found], query)
    return Response(UserTenants(items=_members(found[:limit]), **page), headers=ignored_header(ignored))


@put(_USER, status_code=204, opt={"tag": TAG, "body": UserTenantsBody})
@in_thread
def add_user_tenants(request: Call) -> Response[None]:
    """Let somebody be with several tenants; those that they are with already stay."""
    ignored = request.ignore_query()
    body = request.read_object()
    given = body.get("tenants")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST:
        raise errors.InvalidInput.at("tenants", f"is a list of 1 to {_MOST} objects with a `tenant_id`")
    wanted: dict[str, Any] = {}
    for index, one in enumerate(given):
        named = one.get("tenant_id") if isinstance(one, dict) else None
        if not isinstance(named, str) or "\x00" in named:
            raise errors.InvalidInput.at(f"tenants[{index}].tenant_id", "is required: a tenant's id")
        wanted[named] = _profile(request, one, f"tenants[{index}].profile")
        ignored += [f"tenants[{index}].{name}" for name in one.keys() - {*UserTenantGiven.__struct_fields__}]
    _add(request, wanted)
    return Response(None, headers=ignored_header([*ignored, *(body.keys() - {"tenants"})]))


@put(f"{_USER}/{{tenant_id:str}}", status_code=204, opt={"tag": TAG, "body": UserTenantBody})
@in_thread
def add_user_tenant(request: Call) -> Response[None]:
    """Let somebody be with a tenant, with what their profile says there."""
    ignored = request.ignore_query()
    given = request.read_object() if request.content.body.strip() else {}
    _add(request, {request.part("tenant_id"): _profile(request, given, "profile")})
    return Response(None, headers=ignored_header([*ignored, *(given.keys() - {"profile"})]))


@delete(_USER, opt={"tag": TAG})
@in_thread
def remove_user_tenants(request: Call) -> None:
    """Let somebody be with no tenant any more."""
    who = request.principal
    chosen = None if who.tenant_id is None else [who.tenant_id]
    with request.services.database.writing() as connection:
        store.remove_user(connection, who.workspace_id, request.part("user_id"), chosen)


@delete(f"{_USER}/{{tenant_id:str}}", opt={"tag": TAG})
@in_thread
def remove_user_tenant(request: Call) -> None:
    """Let somebody be with a tenant no more."""
    who, tenant_id, user_id = request.principal, request.part("tenant_id"), request.part("user_id")
    removed = 0
    if who.tenant_id in (None, tenant_id):
        with request.services.database.writing() as connection:
            removed = store.remove_user(connection, who.workspace_id, user_id, [tenant_id])
    if not removed:
        raise errors.NotFound(f"{user_id!r} is not with a tenant {tenant_id!r}")


def _profile(request: Call, given: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    profile = given.get("profile")
    region = request.services.settings.default_region or None
    return None if profile is None else people.clean_profile(profile, path, region)


def _add(request: Call, wanted: Mapping[str, Any]) -> None:
    who, user_id = request.principal, request.part("user_id")
    if len(user_id) > _MOST_ID:
        raise errors.InvalidInput.at("user_id", f"takes at most {_MOST_ID} characters")
    for tenant_id in wanted:
        if who.tenant_id not in (None, tenant_id):
            raise errors.InvalidInput.at("tenant_id", f"there is no tenant {tenant_id!r}")
    with request.services.database.writing() as connection:
        store.add_user(connection, who.workspace_id, user_id, wanted, request.services.now())


# ── telling ─────────────────────────────────────────────────────────────────────────────────────────


def _there(request: Call, connection: Any) -> store.Tenant:
    who = request.principal
    found = store.read(connection, who.workspace_id, who.tenant_id, request.part("tenant_id"))
    return request.there(found, "tenant", "tenant_id")


_Defaults = Mapping[str, Mapping[str, consent.Topic]]


def _defaults(connection: Any, workspace_id: int, found: list[store.Tenant]) -> _Defaults:
    """What these tenants have set, by tenant and topic."""
    return preference_topics.of_tenants(connection, workspace_id, [one.id for one in found])


def _told(tenant: store.Tenant, defaults: _Defaults) -> Tenant:
    own = defaults.get(tenant.id)
    return Tenant(
        id=tenant.id,
        default_preferences=None if own is None else tenant_defaults.told(own),
        **msgspec.structs.asdict(tenant.definition),
    )


def _members(found: list[store.Membership]) -> list[UserTenant]:
    return [
        UserTenant(user_id=one.user_id, tenant_id=one.tenant_id, type="user", profile=one.profile)
        for one in found
    ]


def _limit(given: int | None) -> int:
    return _USUAL if given is None else min(max(given, 1), _MOST)


def _page(url: str, keys: list[str], query: PageQuery, parent: str | None = None) -> dict[str, Any]:
    """Where the list goes on, in pages as long as this one was asked to be."""
    limit = _limit(query.limit)
    narrowed: dict[str, Any] = {} if parent is None else {"parent_tenant_id": parent}
    told = f"{url}?{urlencode(narrowed)}" if narrowed else url
    page: dict[str, Any] = {"has_more": len(keys) > limit, "type": "list", "url": told}
    if len(keys) > limit:
        cursor = keys[limit - 1]
        on = {**narrowed, "cursor": cursor, **({} if query.limit is None else {"limit": limit})}
        page |= {"cursor": cursor, "next_url": f"{url}?{urlencode(on)}"}
    return page


def _id_fault(identity: str) -> str | None:
    is_one = 1 <= len(identity) <= tenants.MAX_ID
    return None if is_one else f"takes 1 to {tenants.MAX_ID} characters"


HANDLERS = (
    list_tenants,
    read_tenant,
    put_tenant,
    delete_tenant,
    list_tenant_users,
    list_user_tenants,
    add_user_tenants,
    add_user_tenant,
    remove_user_tenants,
    remove_user_tenant,
)
