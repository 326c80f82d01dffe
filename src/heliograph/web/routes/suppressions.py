"""Addresses that nothing is sent to: `/api/suppressions`, brought in and out as CSV too."""

from __future__ import annotations

import csv
import io
import re
from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.response import Stream

from heliograph import errors
from heliograph.core import schedule, suppressing
from heliograph.store import suppressions as stored
from heliograph.web import paging
from heliograph.web.calls import Call, in_thread

TAG = "Suppressions"
_PATH = "/api/suppressions"
_CSV = "text/csv"

Reason = Literal["bounce", "complaint", "manual", "unsubscribe"]


class SuppressionsQuery(msgspec.Struct):
    """Which page."""

    cursor: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100


class NewSuppression(msgspec.Struct):
    """An address that nothing is to be sent to."""

    address: str
    reason: Reason | None = "manual"


class Suppression(msgspec.Struct):
    """An address that nothing is sent to."""

    address: str
    reason: str
    tenant_id: str | None
    """Whose messages do not go there; null: nobody's."""
    created_at: str


class SuppressionPage(msgspec.Struct):
    """Suppressions, by address."""

    data: list[Suppression]
    next_cursor: str | None


class Imported(msgspec.Struct):
    """How many rows there were."""

    rows: int


@get(_PATH, opt={"tag": TAG, "query": SuppressionsQuery})
@in_thread
def list_suppressions(request: Call) -> SuppressionPage:
    """List the addresses that nothing is sent to."""
    query, who = request.read_query(SuppressionsQuery), request.principal
    after = _place(query.cursor) if query.cursor else ("", "")
    with request.services.database.reading() as connection:
        found = stored.page(connection, who.workspace_id, who.tenant_id, after, query.limit + 1)
    page = found[: query.limit]
    cursor = _cursor(page[-1]) if len(found) > query.limit else None
    return SuppressionPage([_shown(one) for one in page], cursor)


def _cursor(last: stored.Suppression) -> str:
    """The length of the address goes before it: it may have a bar in it, and so may the tenant's id."""
    return f"{len(last.address)}|{last.address}|{last.tenant_id}"


def _place(cursor: str) -> tuple[str, str]:
    """The address and the tenant that a cursor names. Raises errors.InvalidQuery."""
    written = _CURSOR.fullmatch(cursor)
    length = int(written[1]) if written else 0
    if written is None or written[2][length : length + 1] != "|":
        raise paging.unknown_cursor()
    return written[2][:length], written[2][length + 1 :]


_CURSOR = re.compile(r"([0-9]{1,4})\|(.*)", re.DOTALL)


@post(_PATH, status_code=201, opt={"tag": TAG, "body": NewSuppression})
@in_thread
def create_suppression(request: Call) -> Suppression:
    """Let nothing be sent to an address any more, not even what is planned already."""
    request.refuse_query()
    given, who, now = request.read_object(), request.principal, request.services.now()
    address, reason = suppressing.define(given, request.services.settings.default_region or None)
    with request.services.database.writing() as connection:
        stored.put(connection, who.workspace_id, who.tenant_id, [(address, reason)], now)
    return _shown(stored.Suppression(address, who.tenant_id or "", reason, now))


@delete(f"{_PATH}/{{address:str}}", opt={"tag": TAG})
@in_thread
def delete_suppression(request: Call) -> None:
    """Let an address be written to again."""
    request.refuse_query()
    who, region = request.principal, request.services.settings.default_region or None
    written = request.part("address")
    try:
        address = suppressing.check_address(written, "address", region)
    except errors.InvalidInput:
        address = written
    with request.services.database.writing() as connection:
        if not stored.delete(connection, who.workspace_id, who.tenant_id, address):
            raise errors.NotFound(f"{written!r} is not suppressed")


@get(f"{_PATH}/export", media_type=_CSV, opt={"tag": TAG, "media": _CSV})
@in_thread
def export_suppressions(request: Call) -> Stream:
    """Suppressions as CSV, streamed."""
    request.refuse_query()
    who = request.principal
    # Not line by line: each piece of a stream goes from a thread to the loop.
    pieces = stored.written(request.services.database, who.workspace_id, who.tenant_id)
    disposition = 'attachment; filename="suppressions.csv"'
    return Stream(pieces, media_type=_CSV, headers={"content-disposition": disposition})


@post(f"{_PATH}/import", status_code=200, opt={"tag": TAG, "takes": _CSV})
@in_thread
def import_suppressions(request: Call) -> Response[Imported]:
    """Bring in suppressions as CSV with a column `address` and, if wanted, `reason`: all rows or none."""
    request.refuse_query()
    who, services = request.principal, request.services
    try:
        text = request.content.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.InvalidInput.at("", "is no text in UTF-8") from None
    found = suppressing.read_csv(csv.DictReader(io.StringIO(text)), services.settings.default_region or None)
    with services.database.writing() as connection:
        stored.put(connection, who.workspace_id, who.tenant_id, found, services.now())
    return Response(Imported(len(found)))


def _shown(one: stored.Suppression) -> Suppression:
    return Suppression(one.address, one.reason, one.tenant_id or None, schedule.write_instant(one.created_at))


HANDLERS = (
    list_suppressions,
    create_suppression,
    delete_suppression,
    export_suppressions,
    import_suppressions,
)
