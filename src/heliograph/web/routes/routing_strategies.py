"""Routing strategies: `/routing-strategies`, on Courier's wire (courier-methods.tsv).

Law: the strategy whose id is `default` is taken where neither a message nor its template says which channels
it takes.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put

from heliograph.core import routing_strategies
from heliograph.store import routing_strategies as stored
from heliograph.web import courier, message_shapes, notification_answers
from heliograph.web import paging as pages
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Routing"
_ONE = "/routing-strategies/{strategy_id:str}"
_Paging = pages.Paging
_Notifications = notification_answers.Notifications
_Limit = Annotated[int, msgspec.Meta(ge=1, le=100)]


class ListQuery(pages.CursorQuery, kw_only=True):
    """Which page, of how many."""

    limit: _Limit = 20


class StrategyBody(msgspec.Struct, kw_only=True):
    """By which channels messages go."""

    name: str
    routing: message_shapes.Ways
    channels: dict[str, message_shapes.OnChannel] | None = None
    description: str | None = None
    providers: dict[str, message_shapes.ByProvider] | None = None
    tags: list[str] | None = None


class StrategySummary(msgspec.Struct, kw_only=True):
    """A strategy in a list; instants are milliseconds since 1970 UTC."""

    id: str
    name: str
    description: str | None
    tags: list[str] | None
    created: int
    creator: str
    updated: int
    updater: str | None


class Strategy(StrategySummary, kw_only=True):
    """A strategy."""

    routing: dict[str, Any]
    channels: dict[str, Any]
    providers: dict[str, Any]


class Strategies(msgspec.Struct):
    """A page of strategies, in the order in which they were made."""

    paging: _Paging
    results: list[StrategySummary]


@get("/routing-strategies", opt={"tag": TAG, "query": ListQuery})
@in_thread
def list_strategies(request: Call) -> Response[Strategies]:
    """List the strategies."""
    query, ignored = request.read_courier_query(ListQuery)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, request.principal.workspace_id)
    page, paging = pages.page_behind(query.cursor, found, lambda one: one.number, query.limit)
    shown = [StrategySummary(**_summary(one)) for one in page]
    return Response(Strategies(paging, shown), headers=ignored_header(ignored))


@post("/routing-strategies", status_code=200, opt={"tag": TAG, "body": StrategyBody})
@in_thread
def create_strategy(request: Call) -> Response[Strategy]:
    """Create a strategy, which templates and messages may name."""
    courier.refuse_tenants(request)
    definition, ignored = _written(request)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        made = stored.create(connection, workspace, definition, services.now())
    request.wake()
    return Response(_shown(made), headers=ignored_header(ignored))


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_strategy(request: Call) -> Strategy:
    """Read a strategy."""
    with request.services.database.reading() as connection:
        found = stored.read(connection, request.principal.workspace_id, request.part("strategy_id"))
    return _shown(_there(found, request))


@put(_ONE, opt={"tag": TAG, "body": StrategyBody})
@in_thread
def replace_strategy(request: Call) -> Response[Strategy]:
    """Replace what a strategy says; the one with the id `default` is made where there is none."""
    courier.refuse_tenants(request)
    definition, ignored = _written(request)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        identity, now = request.part("strategy_id"), services.now()
        before = stored.lock(connection, workspace, identity)
        if before is None and identity == routing_strategies.DEFAULT:
            made = stored.create(connection, workspace, definition, now, identity)
        else:
            made = stored.change(connection, workspace, _there(before, request), definition, now)
    request.wake()
    return Response(_shown(made), headers=ignored_header(ignored))


@delete(_ONE, opt={"tag": TAG})
@in_thread
def archive_strategy(request: Call) -> None:
    """Delete a strategy that no template is sent by."""
    courier.refuse_tenants(request)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        found = _there(stored.lock(connection, workspace, request.part("strategy_id")), request)
        stored.delete(connection, workspace, found)
    request.wake()


@get(f"{_ONE}/notifications", opt={"tag": notification_answers.TAG, "query": ListQuery})
@in_thread
def list_strategy_notifications(request: Call) -> Response[_Notifications]:
    """List the templates that are sent by a strategy, by id."""
    query, ignored = request.read_courier_query(ListQuery)
    workspace, identity = request.principal.workspace_id, request.part("strategy_id")
    with request.services.database.reading() as connection:
        _there(stored.read(connection, workspace, identity), request)
        found = stored.users(connection, workspace, identity)
    page, paging = pages.page_of_ids(query.cursor, found, lambda one: one.id, query.limit)
    shown = [notification_answers.summary(one) for one in page]
    return Response(_Notifications(paging, shown), headers=ignored_header(ignored))


def _written(request: Call) -> tuple[routing_strategies.Definition, list[str]]:
    given, ignored = courier.body(request, StrategyBody)
    definition, strangers = routing_strategies.define(given, request.principal.key_id)
    return definition, [*ignored, *strangers]


def _there(found: stored.Strategy | None, request: Call) -> stored.Strategy:
    return request.there(found, "routing strategy", "strategy_id")


def _summary(one: stored.Strategy) -> dict[str, Any]:
    said = one.definition
    return {
        "id": one.id,
        "name": said.name,
        "description": said.description,
        "tags": said.tags,
        "created": one.created_at // 1000,
        "creator": said.creator,
        "updated": one.updated_at // 1000,
        "updater": said.updater,
    }


def _shown(one: stored.Strategy) -> Strategy:
    said = one.definition
    return Strategy(**_summary(one), routing=said.routing, channels=said.channels, providers=said.providers)


HANDLERS = (
    list_strategies,
    create_strategy,
    read_strategy,
    replace_strategy,
    archive_strategy,
    list_strategy_notifications,
)
