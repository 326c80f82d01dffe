"""Runs: `/api/automation/runs` (rules.md 3.2, 3.3, C23 to C25, C33, C34)."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import get
from litestar.response import Stream

from heliograph import errors
from heliograph.core import explain, ids
from heliograph.store import history, listings, run_lists
from heliograph.web import exports, lists
from heliograph.web.calls import Call, in_thread

TAG = "Runs"
_PATH = "/api/automation/runs"
_EXPORTED = (
    "id", "event_id", "rule_id", "rule_name", "conversation_id", "contact_id", "channel_source", "event_type",
    "event_source", "event_status", "matched", "executed", "result", "created_at",
)  # fmt: skip

RunSort = Literal["created_at", "matched", "executed"]


class _Paged(lists.Paged, kw_only=True):
    matched: bool | None = None
    executed: bool | None = None
    sort_by: RunSort = "created_at"


class RunsQuery(_Paged, kw_only=True):
    """Which runs are listed, and how."""

    rule_id: str | None = None
    event_id: str | None = None


class RunsOfRuleQuery(_Paged, kw_only=True):
    """Which runs of a rule are listed, and how."""

    event_id: str | None = None


class RunsOfEventQuery(_Paged, kw_only=True):
    """Which runs of an event are listed, and how."""

    rule_id: str | None = None


class RunsExport(msgspec.Struct, kw_only=True):
    """Which runs are exported, and how."""

    rule_id: str | None = None
    event_id: str | None = None
    matched: bool | None = None
    executed: bool | None = None
    limit: exports.Limit = exports.DEFAULT_LIMIT
    sort_by: RunSort = "created_at"
    sort_order: lists.SortOrder = "desc"
    created_from: lists.CreatedFrom | None = None
    created_to: lists.CreatedTo | None = None


class RunList(msgspec.Struct):
    """A page of runs."""

    data: list[explain.Run]
    next_cursor: str | None
    """Null on the last page."""
    total: int
    """How many pass the filters, on all pages."""
    total_is: lists.AtLeast = msgspec.UNSET
    """There are more than were counted."""


@get(_PATH, opt={"tag": TAG, "query": RunsQuery})
@in_thread
def list_runs(request: Call) -> RunList:
    """List runs, newest first unless asked otherwise.

    A page that is not full, but has a cursor, is not the last one.
    """
    query = request.read_query(RunsQuery)
    return _listed(request, query, _given("rule_id", query.rule_id), _given("event_id", query.event_id))


@get(_PATH + "/by-rule/{rule_id:str}", opt={"tag": TAG, "query": RunsOfRuleQuery})
@in_thread
def runs_of_rule(request: Call) -> RunList:
    """List the runs of a rule; an unknown rule has none."""
    query, rule_id = request.read_query(RunsOfRuleQuery), ids.parse(request.part("rule_id"))
    return _listed(request, query, rule_id or _NOBODY, _given("event_id", query.event_id))


@get(_PATH + "/by-event/{event_id:str}", opt={"tag": TAG, "query": RunsOfEventQuery})
@in_thread
def runs_of_event(request: Call) -> RunList:
    """List the runs that an event came to; an unknown event has none."""
    query, event_id = request.read_query(RunsOfEventQuery), ids.parse(request.part("event_id"))
    return _listed(request, query, _given("rule_id", query.rule_id), event_id or _NOBODY)


_NOBODY = bytes(16)
"""An id that nothing has."""


def _listed(request: Call, query: _Paged, rule_id: bytes | None, event_id: bytes | None) -> RunList:
    who, chosen = request.principal, run_lists.Filter(rule_id, event_id, query.matched, query.executed)
    is_short = rule_id is not None or event_id is not None
    order = lists.order(request, query, query.sort_by, is_short=is_short)
    with listings.looking(request.services.database) as connection:
        listed = run_lists.listed(connection, who.workspace_id, who.tenant_id, chosen)
        if listed is None:
            return RunList([], None, 0)
        found = listings.find(connection, listed, order)
        data = history.read_runs(connection, who.workspace_id, found.ids)
    return RunList(data, lists.next_cursor(request, found), found.total, lists.at_least(found))


def _given(name: str, written: str | None) -> bytes | None:
    if written is None:
        return None
    found = ids.parse(written)
    if found is None:
        raise errors.InvalidQuery(faults=[errors.Fault(name, "is no id: an id is a UUID")])
    return found


@get(_PATH + "/export", media_type=exports.CSV, opt={"tag": TAG, "query": RunsExport, "media": exports.CSV})
async def export_runs(request: Call) -> Stream:
    """Export runs as CSV, a line each.

    Cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    query, who = request.read_query(RunsExport), request.principal
    rule_id, event_id = _given("rule_id", query.rule_id), _given("event_id", query.event_id)
    order = exports.order(request, query, is_short=rule_id is not None or event_id is not None)
    chosen = run_lists.Filter(rule_id, event_id, query.matched, query.executed)
    exported = exports.Export(
        "runs.csv",
        _EXPORTED,
        lambda connection: run_lists.listed(connection, who.workspace_id, who.tenant_id, chosen),
        lambda connection, found: history.read_runs(connection, who.workspace_id, found),
    )
    return await exports.stream(request, exported, order, query.limit)


@get(_PATH + "/{run_id:str}", opt={"tag": TAG})
@in_thread
def read_run(request: Call) -> explain.Run:
    """Read a run with its conditions and actions."""
    request.refuse_query()
    identity, who = request.identity("run_id"), request.principal
    with request.services.database.reading() as connection:
        found = history.read_run(connection, who.workspace_id, who.tenant_id, identity)
    return request.there(found, "run", "run_id")


HANDLERS = (list_runs, export_runs, runs_of_rule, runs_of_event, read_run)
