"""What a message said and what became of it: `/messages/{id}/output` and `/history`, in Courier's shape.

Law: the texts are rendered again from what the message was pinned to (engine.md E20), so they are those that were sent.
The history is told from the ledger; nothing is kept for it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get

from heliograph import errors
from heliograph.core import message_accounts, renderings
from heliograph.store import messages as ledger
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Messages"


class HistoryQuery(msgspec.Struct):
    """Which entries are told."""

    type: str | None = None


class Block(msgspec.Struct):
    """A paragraph."""

    text: str
    type: str


class OutputContent(msgspec.Struct):
    """What a person reads."""

    blocks: list[Block]
    body: str
    html: str
    subject: str
    text: str
    title: str


class Output(msgspec.Struct):
    """A message as one channel shows it."""

    channel: str
    channel_id: str
    content: OutputContent


class Outputs(msgspec.Struct):
    """A message as it was rendered; empty where it could not be."""

    results: list[Output]


class History(msgspec.Struct):
    """What became of a message, oldest first; each entry has its `type` and its `ts` in milliseconds."""

    results: list[dict[str, Any]]


@get("/messages/{message_id:str}/output", opt={"tag": TAG})
@in_thread
def read_output(request: Call) -> Response[Outputs]:
    """Read what a message says, as it is or was rendered for its channel."""
    ignored = request.ignore_query()
    sent, made = _rendered(request)
    if made is None:
        return Response(Outputs([]), headers=ignored_header(ignored))
    subject = made.subject or request.services.settings.default_subject
    blocks = [Block(part, "text") for part in made.text.strip().split("\n\n") if part]
    content = OutputContent(blocks, made.text, made.html or "", subject, made.text, subject)
    output = Output(sent.row.channel, sent.row.channel, content)
    return Response(Outputs([output]), headers=ignored_header(ignored))


@get("/messages/{message_id:str}/history", opt={"tag": TAG, "query": HistoryQuery})
@in_thread
def read_history(request: Call) -> Response[History]:
    """Read what became of a message, step by step."""
    query, ignored = request.read_courier_query(HistoryQuery)
    sent = _found(request)[0]
    asked = message_accounts.Asked(*(getattr(sent.row, name) for name in message_accounts.Asked._fields))
    with request.services.database.reading() as connection:
        asked = asked._replace(data=ledger.said_of(connection, sent.row))
    told = message_accounts.history(asked, sent.event_type, sent.attempts, sent.known)
    wanted = None if query.type is None else query.type.upper()
    chosen = [one for one in told if wanted in (None, one["type"])]
    return Response(History(chosen), headers=ignored_header(ignored))


def _found(request: Call) -> tuple[ledger.Sent, Any]:
    identity, who = request.identity("message_id"), request.principal
    with request.services.database.reading() as connection:
        found = ledger.read_message(
            connection, who.workspace_id, who.tenant_id, identity, request.services.now()
        )
        sent = request.there(found, "message", "message_id")
        return sent, ledger.event_of(connection, sent.row)


def _rendered(request: Call) -> tuple[ledger.Sent, renderings.Rendered | None]:
    """The message and its texts; None where they cannot be filled, which its error says."""
    sent, event = _found(request)
    if sent.row.content is None and sent.row.template_version is None:
        # What a request says is laid down when it is due.
        return sent, None
    at = sent.attempts[-1].at if sent.attempts else sent.created_at
    try:
        return sent, request.services.renders.render(sent.row, event, at)
    except errors.HeliographError:
        return sent, None


HANDLERS = (read_output, read_history)
