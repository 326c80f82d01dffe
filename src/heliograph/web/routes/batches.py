"""Batches of journeys: `/automations/batches`, our addition to Courier's family: which are open, and let one go.

Law: what is told is what stands in the table; a release is done by the batch's own turn, a moment after the answer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post

from heliograph import errors
from heliograph.core import batches, ids, schedule
from heliograph.store import batches as stored
from heliograph.web import paging
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Journeys"
_BATCH = "/automations/batches/{id:str}"
_MOST, _USUAL = 200, 50
_STATUSES = {
    batches.State.OPEN: "OPEN",
    batches.State.RELEASED: "RELEASED",
    batches.State.HELD: "HELD",
    batches.State.LET_GO: "RELEASED",
    batches.State.DROPPED: "DROPPED",
}


class BatchesQuery(msgspec.Struct):
    """Which batches are listed."""

    batch_id: str | None = None
    """The key that steps gave as `batch_id`."""
    limit: str | None = None
    """1 to 200; 50 where it is no number."""
    cursor: str | None = None


class Retain(msgspec.Struct):
    """Which items are passed on."""

    type: str
    count: int
    sort_key: str | None


class OpenBatch(msgspec.Struct):
    """A batch as it stands."""

    id: str
    batch_id: str
    scope: str
    user_id: str | None
    category_key: str
    status: str
    """OPEN, HELD, or RELEASED while its items are on their way to the owner."""
    size: int
    opened_at: str
    last_item_at: str
    releases_at: str | None
    """When it is released if nothing more comes; null once it takes no more."""
    max_items: int | None
    retain: Retain
    owner_run_id: str


class Batches(msgspec.Struct, omit_defaults=True):
    """Batches, newest first."""

    batches: list[OpenBatch]
    next_cursor: str | None = None


@get("/automations/batches", opt={"tag": TAG, "query": BatchesQuery})
@in_thread
def list_batches(request: Call) -> Response[Batches]:
    """List the batches that are open, newest first: how many items, whose, and when they are released."""
    query, ignored = request.read_courier_query(BatchesQuery)
    who, limit = request.principal, paging.limit_of(query.limit, _USUAL, _MOST)
    before = ids.parse(query.cursor) if query.cursor else None
    if query.cursor and before is None:
        raise errors.InvalidQuery(
            "Invalid cursor format", faults=[errors.Fault("cursor", "is none of a list")]
        )
    with request.services.database.reading() as connection:
        found = stored.listed(
            connection, who.workspace_id, who.tenant_id, limit + 1, before=before, batch_key=query.batch_id
        )
    following = ids.text(found[limit - 1].id) if len(found) > limit else None
    told = Batches([_told(one) for one in found[:limit]], following)
    return Response(told, headers=ignored_header(ignored))


@get(_BATCH, opt={"tag": TAG})
@in_thread
def read_batch(request: Call) -> Response[OpenBatch]:
    """Read one batch; one whose owner has its items is gone."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        return Response(_told(_found(request, connection)), headers=ignored_header(ignored))


@post(f"{_BATCH}/release", status_code=202, opt={"tag": TAG})
@in_thread
def release_batch(request: Call) -> Response[OpenBatch]:
    """Release a batch now: its owner goes on with the items that are there, and what comes later opens the next."""
    ignored = request.ignore_query()
    with request.services.database.writing() as connection:
        batch = _found(request, connection)
        if batch.state in (batches.State.OPEN, batches.State.HELD):
            stored.order(connection, batch.workspace_id, [batch.id], stored.RELEASE)
    request.wake()
    return Response(_told(batch), headers=ignored_header(ignored))


def _found(request: Call, connection: Any) -> batches.Batch:
    who, identity = request.principal, request.identity("id")
    found = stored.read(connection, who.workspace_id, who.tenant_id, identity)
    return request.there(found, "open batch", "id")


def _told(batch: batches.Batch) -> OpenBatch:
    is_open = batch.state == batches.State.OPEN
    return OpenBatch(
        ids.text(batch.id),
        batch.batch_key,
        batch.scope,
        batch.user_id,
        batch.category_key,
        _STATUSES[batches.State(batch.state)],
        batch.size,
        schedule.write_instant(batch.opened_at),
        schedule.write_instant(batch.last_at),
        schedule.write_instant(batches.due_at(batch)) if is_open else None,
        batch.max_items,
        Retain(batch.retain_type, batch.retain_count, batch.sort_key),
        ids.wire(batch.owner_run_id),
    )


HANDLERS = (list_batches, read_batch, release_batch)
