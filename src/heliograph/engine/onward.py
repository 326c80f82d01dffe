"""Onward: a message leaves the way that it goes for the next one of its route (a corner of the ledger).

Law: pure. It stays the same row, under the same id; what is said of it on one way alone goes and comes with the way.
"""

from __future__ import annotations

import msgspec

from heliograph.core import effects, messages, reports, routes
from heliograph.store import request_rows, rows

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def moved(message: rows.Message, way: routes.Way, before: routes.Route, after: routes.Route) -> rows.Message:
    """A message as it stands on its next way."""
    content = routes.content({} if message.content is None else _decode(message.content), before, way)
    return message._replace(
        channel=way.channel,
        address=way.address,
        content=_encode(content) if content else None,
        route=routes.write(after),
    )


def passed_by(message: rows.Message, why: str, text: str, now: int) -> rows.Message | None:
    """A message on its next way, because nothing goes by the one that it is on; None where it has no other."""
    if message.route is None:
        return None
    before = routes.read(message.route)
    if not routes.is_open(before, now):
        return None
    way, after = routes.onward(before, now, routes.Passed(message.channel, why, text, now))
    if was_let_go(message):
        after = msgspec.structs.replace(after, is_fresh=True)
    return moved(message, way, before, after)


def was_let_go(message: rows.Message) -> bool:
    """Whether a delivery had it in hand before; what waits for the end of quiet hours is in another state."""
    return message.state == messages.State.PLANNED and message.attempts is not None


def may_be_out(message: rows.Message) -> bool:
    """Whether an answer was lost on the channel that it is on: then a report may say that it was handed over."""
    return messages.was_lost(messages.read_attempts(message.attempts), message.channel)


def counted(message: rows.Message) -> rows.Message:
    """A message that was let go on the way that it is on."""
    route = msgspec.structs.replace(routes.read(message.route), is_fresh=False)
    return message._replace(route=routes.write(route))


def is_fresh(message: rows.Message) -> bool:
    """Whether it came to its way from another one on which it had been let go."""
    return message.route is not None and routes.read(message.route).is_fresh


def escalation(
    message: rows.Message, route: routes.Route, now: int, known: reports.Known = reports.NOTHING
) -> rows.Timer | None:
    """When it is looked at whether anybody took notice of a message that was handed over, or may have been.

    By what is `known` of it that may be decided: then it is looked at now.
    """
    if route.escalation is None or not routes.escalates(route, now):
        return None
    at = now if known.is_lost else now + route.escalation.after * 1000
    return rows.Timer(message.partition, at, message.workspace_id, int(effects.Timer.ESCALATION), message.id)


def place(message: rows.Message) -> request_rows.Moved:
    """The way that a message is on, as it is stored."""
    route, content = _octets(message.route), _octets(message.content)
    return request_rows.Moved(message.channel, message.address or "", content, route)


def _octets(stored: bytes | str | None) -> bytes | None:
    return stored.encode() if isinstance(stored, str) else stored
