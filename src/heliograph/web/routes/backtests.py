"""Backtest: `POST /api/automation/rules/backtest` (rules.md R82, R83).

Law: what is wrong is answered before anything runs. One that runs ends when the client goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.response import Response, Stream

from heliograph import errors
from heliograph.core import backtests
from heliograph.engine import backtest
from heliograph.engine import backtests as running
from heliograph.web.calls import Call

TAG = "Rules"
LINES = "application/x-ndjson"
_encode = msgspec.json.Encoder().encode


class BacktestRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A stored rule by its id, or what a new one would say; both: what is said goes before what is stored."""

    rule_id: str | msgspec.UnsetType | None = msgspec.UNSET
    rule: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    """Fields of a rule; `trigger_type` is required without `rule_id`."""
    days: Annotated[int, msgspec.Meta(ge=1, le=backtests.MOST_DAYS)] = backtests.DEFAULT_DAYS
    """Days of UTC, today among them."""


@post(
    "/api/automation/rules/backtest",
    status_code=200,
    opt={"tag": TAG, "body": BacktestRequest, "answer": backtests.Backtest, "told_in_lines": True},
)
async def backtest_rule(request: Call) -> Response[bytes] | Stream:
    """Tell what a rule would have made of the events of the last days, with nothing done.

    With `Accept: application/x-ndjson` it tells of its progress, a line each, and at last of its `result`.
    """
    request.refuse_query()
    given = request.read_object()
    asked = await asyncio.to_thread(_order, request, given)
    request.services.backtests.refuse_more()
    lines = request.services.backtests.run(asked)
    if LINES in request.headers.get("accept", ""):
        return Stream(_lines(lines), media_type=LINES)
    return Response(await _answer(request, lines), media_type="application/json")


def _order(request: Call, given: dict[str, Any]) -> backtest.Order:
    who = request.principal
    with request.services.database.reading() as connection:
        return backtest.order(connection, who.workspace_id, who.tenant_id, given, request.services.now())


async def _answer(request: Call, lines: AsyncGenerator[running.Told, None]) -> bytes:
    """The answer, waited for as long as the client waits."""
    whole = asyncio.create_task(_last(lines))
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((whole, gone), return_when=asyncio.FIRST_COMPLETED)
        if not whole.done():
            return b""  # nobody is there to read it
        return await whole
    finally:
        for task in (whole, gone):
            task.cancel()
        await asyncio.gather(whole, gone, return_exceptions=True)


async def _last(lines: AsyncGenerator[running.Told, None]) -> bytes:
    async with contextlib.aclosing(lines):
        async for told in lines:
            if result := bytes(told.result):
                return result
    raise errors.Unavailable


async def _gone(request: Call) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _lines(lines: AsyncGenerator[running.Told, None]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(lines):
        try:
            async for told in lines:
                yield _encode(told) + b"\n"
        except errors.HeliographError as fault:
            yield _encode(running.Told(fault=fault.message)) + b"\n"


HANDLERS = (backtest_rule,)
