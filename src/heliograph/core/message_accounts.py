"""The history of a message in Courier's words: what was asked for, and what each attempt came to.

Law: told from one row of the ledger and what was asked, and nothing else; the same row tells the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import ids, messages, reports, routes
from heliograph.core.messages import State

_decode = msgspec.json.Decoder().decode


class Asked(NamedTuple):
    """What the ledger says of a message."""

    id: bytes
    channel: str
    contact_id: str | None
    address: str | None
    template_id: str | None
    template_version: int | None
    data: bytes | str | None
    state: int
    settled_at: int | None
    error: str | None
    route: bytes | str | None = None


def history(
    row: Asked,
    event_type: str | None,
    attempts: Sequence[messages.Attempt],
    known: reports.Known = reports.NOTHING,
) -> list[dict[str, Any]]:
    """The entries, oldest first; `ts` is in milliseconds since 1970 UTC."""
    return [
        *_asked(row, event_type),
        *_told_in_order(row, attempts),
        *_ended(row, attempts),
        *_reported(row, attempts, known),
        *_escalated(routes.read(row.route), known),
    ]


def _asked(row: Asked, event_type: str | None) -> Iterator[dict[str, Any]]:
    at = ids.created_at(row.id) // 1000
    data = _decode(row.data) if row.data else {}
    follows, _ = routes.followed(row.route)
    yield {
        "type": "ENQUEUED",
        "ts": at,
        "event": event_type or row.template_id or "",
        "recipient": row.contact_id or row.address or "",
        "data": data.get("data") or {},
        "profile": data.get("profile") or data.get("contact") or {},
        "override": {},
        **({} if follows is None else {"follows": follows}),
    }
    if row.template_id is not None:
        yield {
            "type": "MAPPED",
            "ts": at,
            "event_id": event_type or row.template_id,
            "notification_id": row.template_id,
            "version": f"v{row.template_version or 0:03}",
        }


def _told_in_order(row: Asked, attempts: Sequence[messages.Attempt]) -> list[dict[str, Any]]:
    """By which channel it goes, which were passed by, and what each attempt came to, as it happened."""
    route = routes.read(row.route)
    told = [*_passed(row, route.passed)]
    if row.address is not None:
        at = (route.since or ids.created_at(row.id)) // 1000
        told.append({"type": "ROUTED", "ts": at, "channel": {"id": row.channel}, "address": row.address})
    told += _tried(row, attempts)
    return sorted(told, key=lambda one: int(one["ts"])) if route.since else told


def _passed(row: Asked, passed: Sequence[routes.Passed]) -> Iterator[dict[str, Any]]:
    for one in passed:
        yield {
            "type": "FILTERED",
            "ts": (one.at or ids.created_at(row.id)) // 1000,
            "channel": {"id": one.channel},
            "reason": _WHY.get(one.why, "FILTERED"),
            "error": f"{one.why}: {one.text}" if one.text else one.why,
        }


_WHY: Mapping[str, str] = {
    messages.OPTED_OUT: "UNSUBSCRIBED",
    messages.SUPPRESSED: "UNSUBSCRIBED",
    messages.NO_PROVIDER: "NO_PROVIDERS",
    routes.NO_ADDRESS: "NO_CHANNELS",
}
"""Why a channel was passed by, in Courier's words."""


def _tried(row: Asked, attempts: Sequence[messages.Attempt]) -> Iterator[dict[str, Any]]:
    for one in attempts:
        if one.code not in ("unrenderable", "malformed", messages.QUIET_HOURS):
            yield {"type": "RENDERED", "ts": one.at // 1000, "channel": {"id": one.channel or row.channel}}
        if one.code == messages.QUIET_HOURS:
            yield {"type": "DELAYED", "ts": one.at // 1000, "reason": one.code, "error": _error(one)}
            continue
        told = {
            "ts": (one.settled_at or one.at) // 1000,
            "channel": {"id": one.channel or row.channel},
            "integration": {"id": one.provider, "provider": one.provider},
        }
        if one.outcome == "accepted":
            yield {"type": "SENT", **told, "reference": {"id": one.reference}}
        elif one.outcome == "uncertain":
            yield {"type": "SENT", **told, "uncertain": True, "error": one.text}
        elif one.outcome == "temporary":
            yield {"type": "DELAYED", **told, "error": _error(one)}
        else:
            yield {"type": "UNDELIVERABLE", **told, "reason": "PROVIDER_ERROR", "error": _error(one)}


def _error(one: messages.Attempt) -> str:
    return f"{one.code}: {one.text}" if one.code else one.text


def _ended(row: Asked, attempts: Sequence[messages.Attempt]) -> Iterator[dict[str, Any]]:
    """How it ended, where no attempt says so."""
    state = State(row.state)
    said = {State.UNROUTABLE, State.CANCELED, State.HELD, State.CAPPED}
    if state is State.FAILED and (not attempts or attempts[-1].outcome != "permanent"):
        said.add(State.FAILED)
    if state in said:
        at = ids.created_at(row.id) if row.settled_at is None else row.settled_at
        yield {"type": messages.COURIER_STATUS[state], "ts": at // 1000, "error": row.error}


def _reported(row: Asked, attempts: Sequence[messages.Attempt], known: reports.Known) -> list[dict[str, Any]]:
    """What reports have told, in the order in which it happened."""
    last = attempts[-1] if attempts else None
    provider = (
        {"id": "", "provider": ""} if last is None else {"id": last.provider, "provider": last.provider}
    )
    way = {"channel": {"id": row.channel}, "integration": provider}
    told = known.told
    found: list[tuple[int | None, str, dict[str, Any]]] = [
        (known.delivered_at, "DELIVERED", {"reference": {"id": None if last is None else last.reference}}),
        (known.opened_at, "OPENED", {}),
        (known.clicked_at, "CLICKED", {"links": list(told.links)}),
        (told.complained_at, "COMPLAINED", {}),
    ]
    if told.bounce is not None:
        more = {"reason": "BOUNCED", "bounce": told.bounce.kind, "error": told.bounce.words}
        found.append((told.bounce.at, "UNDELIVERABLE", more))
    ordered = sorted(((at, name, more) for at, name, more in found if at is not None), key=lambda one: one[0])
    return [{"type": name, "ts": at // 1000, **way, **more} for at, name, more in ordered]


def _escalated(route: routes.Route, known: reports.Known) -> Iterator[dict[str, Any]]:
    """That a message was followed by another because nobody took notice of it, or will not be."""
    ended, terms = route.escalated, route.escalation
    if ended is None or terms is None:
        return
    ts = ended.at // 1000
    if ended.by is None:
        error = f"canceled: it is not followed by {', '.join(ended.left)}"
        yield {"type": messages.COURIER_STATUS[State.CANCELED], "ts": ts, "error": error}
        return
    told = {"message_id": ended.by, "criteria": terms.criterion, "escalation": terms.after}
    bounce = known.told.bounce
    is_lost = known.is_lost and bounce is not None and bounce.at <= ended.at
    why = "it bounced for good" if is_lost else f"not {terms.criterion} within {terms.after} ms"
    yield {"type": "ESCALATED", "ts": ts, **told, "error": why}
