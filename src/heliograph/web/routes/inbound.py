"""Inbound: `/inbound/courier` and `/inbound/segment`, where other programs tell what happened (J18)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from litestar import Response, post

from heliograph import errors
from heliograph.core import inbound
from heliograph.store import people
from heliograph.web.calls import Call, ignored_header

TAG = "Inbound"
_COURIER = frozenset({"event", "messageId", "properties", "type", "userId"})


class Track(msgspec.Struct, kw_only=True):
    """Something happened: an event `custom.<its name>`."""

    event: str
    message_id: str = msgspec.field(name="messageId")
    """A repeat within a day is refused."""
    properties: dict[str, Any]
    type: Literal["track"]
    user_id: str | None = msgspec.field(name="userId", default=None)


class SegmentCall(msgspec.Struct, kw_only=True):
    """Segment's `identify` (somebody's profile) or `track` (something that happened)."""

    type: Literal["identify", "track"]
    user_id: str | None = msgspec.field(name="userId", default=None)
    event: str | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    message_id: str | None = msgspec.field(name="messageId", default=None)


class Received(msgspec.Struct):
    """It is kept."""

    message_id: str | None = msgspec.field(name="messageId")


@post("/inbound/courier", status_code=200, opt={"tag": TAG, "body": Track})
async def receive_courier(request: Call) -> Response[Received]:
    """Take in an event in Courier's words: what was sent before, by its `messageId`, is refused."""
    given = request.read_object()
    inbound.check_type(given, ("track",))
    faults = inbound.message_faults(given, required=True)
    if "properties" not in given:
        faults.append(errors.Fault("properties", "is required: an object"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    await _accept(request, inbound.arrival(given, "courier"), once=True)
    return Response(Received(given["messageId"]), headers=ignored_header([*(given.keys() - _COURIER)]))


@post("/inbound/segment", status_code=202, opt={"tag": TAG, "body": SegmentCall})
async def receive_segment(request: Call) -> Response[Received]:
    """Take in what Segment tells: who somebody is, or what they did. A repeat is taken for what it repeats."""
    given = request.read_object()
    if inbound.check_type(given, ("identify", "track")) == "track":
        await _accept(request, inbound.arrival(given, "segment"), once=False)
    else:
        await asyncio.to_thread(_identify, request, given)
    message_id = given.get("messageId")
    return Response(Received(message_id if isinstance(message_id, str) else None))


async def _accept(request: Call, event: bytes, *, once: bool) -> None:
    who, ingest, start_key = request.principal, request.services.ingest, request.content.start_key
    batch = ingest.read(event, "application/json", who.workspace_id, who.tenant_id)
    batch = batch if start_key is None else batch.keyed(start_key)
    try:
        await ingest.accept(batch._replace(once=once))
    except errors.Conflict:
        raise errors.Conflict("this messageId came before, within a day") from None


def _identify(request: Call, given: Mapping[str, Any]) -> None:
    who, services = request.principal, request.services
    user_id, traits = inbound.profile(given, services.settings.default_region or None)
    people.save_profile(
        services.database,
        who.workspace_id,
        who.tenant_id,
        user_id,
        traits,
        services.now(),
        strategy="overwrite",
    )
    request.wake()


HANDLERS = (receive_courier, receive_segment)
