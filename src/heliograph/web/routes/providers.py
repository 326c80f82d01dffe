"""Providers: `/providers`, by whom a workspace sends, on Courier's wire (trycourier 9.13).

Law: a secret goes in and never comes out: an answer says that it is set. `position`, `enabled`, `channel` and `number`
are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post, put

from heliograph import errors
from heliograph.core import providers
from heliograph.store import providers as stored
from heliograph.store import workspaces
from heliograph.web import courier
from heliograph.web import paging as pages
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Providers"
_ONE = "/providers/{provider_id:str}"

_Paging = pages.Paging


class ProviderBody(msgspec.Struct, kw_only=True):
    """What a provider is to be."""

    provider: str
    title: str | None = None
    alias: str | None = None
    settings: dict[str, Any] = {}
    position: int = 0
    enabled: bool = True


class ProviderPatch(msgspec.Struct, kw_only=True):
    """What of a provider is to change; `settings` is a JSON Merge Patch."""

    provider: str | msgspec.UnsetType = msgspec.UNSET
    title: str | None = None
    alias: str | None = None
    settings: dict[str, Any] | None = None
    position: int | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class Provider(msgspec.Struct, kw_only=True):
    """A provider; instants are milliseconds since 1970 UTC, and secrets stand as dots."""

    id: str
    number: int
    name: str
    channel: str
    provider: str
    title: str
    alias: str | None
    settings: dict[str, Any]
    position: int
    enabled: bool
    created: int
    updated: int


class Providers(msgspec.Struct):
    """A page of providers, in the order in which they were made."""

    paging: _Paging
    results: list[Provider]


class CatalogField(msgspec.Struct, omit_defaults=True):
    """One setting of a kind of provider."""

    type: str
    required: bool
    values: list[str] | None = None


class CatalogEntry(msgspec.Struct):
    """A kind of provider."""

    provider: str
    name: str
    description: str
    channel: str
    settings: dict[str, CatalogField]


class Catalog(msgspec.Struct):
    """The kinds of providers."""

    paging: _Paging
    results: list[CatalogEntry]


class CatalogQuery(msgspec.Struct):
    """Which kinds."""

    channel: str | None = None
    keys: str | None = None
    name: str | None = None


@get("/providers/catalog", opt={"tag": TAG, "query": CatalogQuery})
@in_thread
def read_catalog(request: Call) -> Response[Catalog]:
    """List the kinds of providers there are, and the settings that each takes."""
    query, ignored = request.read_courier_query(CatalogQuery)
    keys = None if query.keys is None else {key.strip() for key in query.keys.split(",")}
    found = [
        _entry(key, kind)
        for key, kind in providers.KINDS.items()
        if (query.channel is None or query.channel.lower() == kind.channel)
        and (keys is None or key in keys)
        and (query.name is None or query.name.lower() in kind.name.lower())
    ]
    return Response(Catalog(_Paging(None, False), found), headers=ignored_header(ignored))


@get("/providers", opt={"tag": TAG, "query": pages.CursorQuery})
@in_thread
def list_providers(request: Call) -> Response[Providers]:
    """List providers."""
    query, ignored = request.read_courier_query(pages.CursorQuery)
    courier.refuse_tenants(request)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, request.principal.workspace_id)
    page, paging = pages.page_behind(query.cursor, found, lambda one: one.number)
    return Response(Providers(paging, [_shown(one) for one in page]), headers=ignored_header(ignored))


@post("/providers", status_code=200, opt={"tag": TAG, "body": ProviderBody})
@in_thread
def create_provider(request: Call) -> Response[Provider]:
    """Set up a provider. Its secrets are locked before they are stored, and are not shown again."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, ProviderBody)
    definition = providers.define(given)
    services, workspace = request.services, request.principal.workspace_id
    safe = services.database.safe
    with services.database.writing() as connection:
        workspaces.raise_version(connection, workspace)
        made = stored.create(connection, safe, workspace, definition, services.now())
    request.wake()
    return Response(_shown(made), headers=ignored_header(ignored))


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_provider(request: Call) -> Provider:
    """Read a provider."""
    courier.refuse_tenants(request)
    with request.services.database.reading() as connection:
        found = stored.read(connection, request.principal.workspace_id, request.part("provider_id"))
    return _shown(_there(found, request))


@put(_ONE, opt={"tag": TAG, "body": ProviderBody})
@in_thread
def replace_provider(request: Call) -> Response[Provider]:
    """Replace a provider: what is left out is gone. A secret that comes as dots stays."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, ProviderBody)
    return _changed(request, lambda _: given, ignored)


@patch(_ONE, opt={"tag": TAG, "body": ProviderPatch})
@in_thread
def change_provider(request: Call) -> Response[Provider]:
    """Change some of a provider; `settings` is a JSON Merge Patch, in which null removes."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, ProviderPatch)
    change = given.get("settings")
    if change is not None and not isinstance(change, Mapping):
        raise errors.InvalidInput.at("settings", "is an object")

    def patched(before: stored.Provider) -> dict[str, Any]:
        whole = {
            name: getattr(before, name) for name in ("provider", "title", "alias", "position", "enabled")
        }
        said = {name: value for name, value in given.items() if name in whole}
        settings = providers.shown(before.settings, before.secrets)
        return {**whole, **said, "settings": providers.merged(settings, change or {})}

    return _changed(request, patched, ignored)


@delete(_ONE, opt={"tag": TAG})
@in_thread
def delete_provider(request: Call) -> None:
    """Delete a provider. What waits for it goes out by the next of its channel."""
    courier.refuse_tenants(request)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        found = _there(stored.lock(connection, workspace, request.part("provider_id")), request)
        stored.delete(connection, workspace, found)
    request.wake()


def _changed(request: Call, to: Any, ignored: list[str]) -> Response[Provider]:
    """Let a provider say what `to` makes of it as it is."""
    services, workspace = request.services, request.principal.workspace_id
    safe = services.database.safe
    with services.database.writing() as connection:
        before = _there(stored.lock(connection, workspace, request.part("provider_id")), request)
        given = to(before)
        if given.get("provider") != before.provider:
            raise errors.InvalidInput.at("provider", f"is {before.provider}, and stays it")
        definition = providers.define(given, stored.opened(safe, workspace, before))
        made = stored.change(connection, safe, workspace, before, definition, services.now())
    request.wake()
    return Response(_shown(made), headers=ignored_header(ignored))


def _there(found: stored.Provider | None, request: Call) -> stored.Provider:
    return request.there(found, "provider", "provider_id")


def _entry(key: str, kind: providers.Kind) -> CatalogEntry:
    fields = {
        name: CatalogField(field.type, field.is_required, None if field.values is None else [*field.values])
        for name, field in kind.fields.items()
    }
    return CatalogEntry(key, kind.name, kind.description, kind.channel, fields)


def _shown(one: stored.Provider) -> Provider:
    return Provider(
        id=one.id,
        number=one.number,
        name=one.name,
        channel=one.channel,
        provider=one.provider,
        title=one.title,
        alias=one.alias,
        settings=providers.shown(one.settings, one.secrets),
        position=one.position,
        enabled=one.enabled,
        created=one.created_at // 1000,
        updated=one.updated_at // 1000,
    )


HANDLERS = (
    read_catalog,
    list_providers,
    create_provider,
    read_provider,
    replace_provider,
    change_provider,
    delete_provider,
)
