"""Sending: `POST /send`, and `/requests/{id}/archive`, in Courier's shape (courier-wire.md 2.1).

Law: a request is checked whole, and answered when it is stored: from then on it is sent, whatever happens.
"""

from __future__ import annotations

import functools
import re
import secrets
from typing import Any

import msgspec
from litestar import Response, post, put

from heliograph import errors
from heliograph.core import ids, requests, rules
from heliograph.store import identities, recipient_secrets, request_rows
from heliograph.store import requests as store
from heliograph.web import auth, courier, message_shapes
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Sending"
_RECIPIENT = re.compile(r"message\.to(?:\[([0-9]+)\])?\.(.+)")
_MOST_BYTES = 6 * 1024 * 1024


class SendBody(msgspec.Struct):
    """What is sent, and to whom."""

    message: message_shapes.MessageToSend


class Sent(msgspec.Struct):
    """The request that was taken in: for one recipient, their message has its id."""

    request_id: str = msgspec.field(name="requestId")


@post("/send", status_code=200, opt={"tag": TAG, "body": SendBody})
@in_thread
def send(request: Call) -> Response[Sent]:
    """Send a message to somebody, to several, to a list, to the lists of a pattern, or to an audience."""
    ignored = request.ignore_query()
    if len(request.content.body) > _MOST_BYTES:
        raise errors.TooLarge(f"a request to send takes at most {_MOST_BYTES // 1024**2} MiB")
    services, who = request.services, request.principal
    given = request.read_object()
    said, strangers = requests.read(given, services.settings.default_region or None)
    said = courier.bound(said, who)
    said = recipient_secrets.sealed(services.database.safe, who.workspace_id, said)
    as_given = functools.partial(_as_given, given["message"]["to"])
    with errors.placed(as_given), services.database.writing() as connection:
        said = store.check(connection, who.workspace_id, said)
        now = services.now()
        stored = store.profile(connection, who.workspace_id, said)
        due_at = requests.due_at(said, stored, now)
        identity = store.put(connection, _row(said, who, now, due_at, request.content.start_key))
    request.wake()
    return Response(Sent(ids.wire(identity)), headers=ignored_header([*ignored, *strangers]))


def _as_given(to: Any, path: str) -> str:
    """Where the request says what stands at this place of it as it was read: a recipient's tenant has three names."""
    found = _RECIPIENT.fullmatch(path)
    if found is None:
        return path
    number, rest = int(found[1] or 0), found[2]
    one = to[number] if isinstance(to, list) else to
    if rest == "tenant_id" and not one.get("tenant_id"):
        rest = "context.tenant_id" if (one.get("context") or {}).get("tenant_id") else "account_id"
    return f"message.to[{number}].{rest}" if isinstance(to, list) else f"message.to.{rest}"


def _row(
    said: requests.Request, who: auth.Principal, now: int, due_at: int, start_key: str | None
) -> request_rows.Request:
    subject = said.subject
    partition = (
        secrets.randbelow(ids.PARTITIONS)
        if subject is None
        else rules.partition_of_person(who.workspace_id, subject)
    )
    identity = identities.fresh(now, partition)
    return request_rows.Request(
        who.workspace_id,
        identity,
        partition,
        said.tenant_id,
        requests.write(said),
        due_at,
        said.event,
        said.trace_id,
        msgspec.json.encode(said.tags) if said.tags else None,
        start_key,
    )


@put("/requests/{request_id:str}/archive", status_code=202, opt={"tag": TAG})
@in_thread
def archive(request: Call) -> Response[None]:
    """Archive a request: its messages are listed no more."""
    ignored = request.ignore_query()
    identity, who = request.identity("request_id"), request.principal
    with request.services.database.writing() as connection:
        now = request.services.now()
        if not store.archive(connection, who.workspace_id, who.tenant_id, identity, now):
            raise errors.NotFound(f"there is no request {request.part('request_id')!r}")
    return Response(None, headers=ignored_header(ignored))


HANDLERS = (send, archive)
