"""Runs: `/api/automation/runs` (rules.md 3.2, 3.3, C23 to C25)."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import get

from heliograph import errors
from heliograph.core import explain, ids
from heliograph.store import history
from heliograph.web import lists
from heliograph.web.calls import Call, in_thread

TAG = "Runs"


class RunsQuery(msgspec.Struct, kw_only=True):
    """Which runs are listed, and how."""

    rule_id: str | None = None
    cursor: lists.Cursor | None = None
    page: lists.PageNumber | None = None
    per_page: lists.PerPage = 50
    sort_by: Literal["created_at", "matched", "executed"] = "created_at"
    sort_order: lists.SortOrder = "desc"


class RunList(msgspec.Struct):
    """A page of runs."""

    data: list[explain.Run]
    next_cursor: str | None
    """Null on the last page."""
    total: int
    """How many pass the filters, on all pages."""


@get("/api/automation/runs/by-event/{event_id:str}", opt={"tag": TAG, "query": RunsQuery})
@in_thread
def runs_of_event(request: Call) -> RunList:
    """List the runs that an event came to; an unknown event has none."""
    query, who = request.read_query(RunsQuery), request.principal
    place = lists.place(query.cursor, query.page, query.per_page, query.sort_by)
    rule_id = None if query.rule_id is None else _rule_id(query.rule_id)
    order = history.Order(
        query.sort_by, query.sort_order == "desc", place.after, place.offset, query.per_page
    )
    event_id = ids.parse(request.part("event_id"))
    if event_id is None:
        return RunList([], None, 0)
    with request.services.database.reading() as connection:
        page = history.runs_of_event(connection, who.workspace_id, who.tenant_id, event_id, rule_id, order)
    return _listed(page, query.sort_by)


def _listed(page: history.Page, sort_by: str) -> RunList:
    last = ids.parse(page.items[-1].id) if page.more and sort_by == "created_at" else None
    return RunList(page.items, None if last is None else lists.cursor_of(last), page.total)


def _rule_id(written: str) -> bytes:
    found = ids.parse(written)
    if found is None:
        raise errors.InvalidQuery(faults=[errors.Fault("rule_id", "is no id: an id is a UUID")])
    return found


@get("/api/automation/runs/{run_id:str}", opt={"tag": TAG})
@in_thread
def read_run(request: Call) -> explain.Run:
    """Read a run with its conditions and actions."""
    request.refuse_query()
    identity, who = request.identity("run_id"), request.principal
    with request.services.database.reading() as connection:
        found = history.read_run(connection, who.workspace_id, who.tenant_id, identity)
    if found is None:
        raise errors.NotFound(f"there is no run {request.part('run_id')!r}")
    return found


HANDLERS = (runs_of_event, read_run)
