"""Brands: `/brands`, how messages look that templates make, on Courier's wire (courier-wire.md 2).

Law: the brand whose id is `default` is taken where no other is named; what others inherit is its.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import brands
from heliograph.store import brands as stored
from heliograph.web import courier
from heliograph.web import paging as pages
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Brands"
_ONE = "/brands/{brand_id:str}"

_Paging = pages.Paging


class BrandChange(msgspec.Struct):
    """What a brand is to say."""

    name: str
    settings: dict[str, Any] | None = None
    snippets: dict[str, Any] | None = None


class NewBrand(msgspec.Struct, kw_only=True):
    """What a new brand says."""

    name: str
    settings: dict[str, Any]
    id: str | None = None
    snippets: dict[str, Any] | None = None


class Brand(msgspec.Struct, kw_only=True):
    """A brand; instants are milliseconds since 1970 UTC."""

    id: str
    name: str
    created: int
    updated: int
    published: int
    settings: dict[str, Any]
    snippets: dict[str, Any] | None
    version: str


class Brands(msgspec.Struct):
    """A page of brands, in the order in which they were made."""

    paging: _Paging
    results: list[Brand]


@get("/brands", opt={"tag": TAG, "query": pages.CursorQuery})
@in_thread
def list_brands(request: Call) -> Response[Brands]:
    """List brands."""
    query, ignored = request.read_courier_query(pages.CursorQuery)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, request.principal.workspace_id)
    page, paging = pages.page_behind(query.cursor, found, lambda one: one.number)
    return Response(Brands(paging, [_shown(one) for one in page]), headers=ignored_header(ignored))


@post("/brands", status_code=200, opt={"tag": TAG, "body": NewBrand})
@in_thread
def create_brand(request: Call) -> Response[Brand]:
    """Create a brand. The one with the id `default` is taken where no other is named."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, NewBrand)
    if given.get("settings") is None:
        raise errors.InvalidInput.at("settings", "is required: an object, which may be empty")
    named, definition = brands.check_id(given.get("id")), brands.define(given)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        made = stored.create(connection, workspace, definition, services.now(), named)
    request.wake()
    return Response(_shown(made), headers=ignored_header(ignored))


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_brand(request: Call) -> Brand:
    """Read a brand."""
    with request.services.database.reading() as connection:
        found = stored.read(connection, request.principal.workspace_id, request.part("brand_id"))
    return _shown(_there(found, request))


@put(_ONE, opt={"tag": TAG, "body": BrandChange})
@in_thread
def replace_brand(request: Call) -> Response[Brand]:
    """Replace what a brand says. Messages in line keep the look that they were planned in."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, BrandChange)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        before = _there(stored.lock(connection, workspace, request.part("brand_id")), request)
        made = stored.change(connection, workspace, before, brands.define(given), services.now())
    request.wake()
    return Response(_shown(made), headers=ignored_header(ignored))


@delete(_ONE, opt={"tag": TAG})
@in_thread
def delete_brand(request: Call) -> None:
    """Delete a brand that no template is drawn in."""
    courier.refuse_tenants(request)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        found = _there(stored.lock(connection, workspace, request.part("brand_id")), request)
        stored.delete(connection, workspace, found, services.now())
    request.wake()


def _there(found: stored.Brand | None, request: Call) -> stored.Brand:
    return request.there(found, "brand", "brand_id")


def _shown(brand: stored.Brand) -> Brand:
    said = brand.definition
    return Brand(
        id=brand.id,
        name=said.name,
        created=brand.created_at // 1000,
        updated=brand.updated_at // 1000,
        published=brand.updated_at // 1000,
        settings=said.settings,
        snippets=said.snippets,
        version=f"v{brand.version:03}",
    )


HANDLERS = (list_brands, create_brand, read_brand, replace_brand, delete_brand)
