"""Arrivals: what the body of a request to ingest may say (engine.md E8).

Law: all or nothing: one fault keeps a whole body out, and up to a hundred faults are told with their places.
Payloads stay the bytes that they came as.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import documents, events, ids, pseudonyms, rules, schedule

MOST_EVENTS = 10_000
MOST_BYTES = 8 * 1024 * 1024
MOST_FAULTS = 100
SOURCE = "api"
"""Where an event comes from that does not say it."""
NO_PAYLOAD = msgspec.Raw(b"{}")
_MOST_AHEAD = 5 * 60 * 1_000_000


class Arrival(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event as it is sent in (engine.md E8); null says of a field that it is not given."""

    event_type: str
    contact_id: str | None = None
    conversation_id: str | None = None
    source: str | None = SOURCE
    channel_source: str | None = None
    payload: msgspec.Raw = NO_PAYLOAD
    previous: msgspec.Raw = msgspec.Raw(b"null")
    occurred_at: str | None = None
    idempotency_key: str | None = None


class Ready(NamedTuple):
    """An arrival that breaks no rule."""

    arrival: Arrival
    partition: int
    occurred_at: int | None
    fingerprint: bytes | None
    """Of the payload, where the event has an idempotency key."""

    def known_by(self, key: str) -> Ready:
        """The same, under a key that stands for one event alone, so that its payload need not be compared."""
        return self._replace(
            arrival=msgspec.structs.replace(self.arrival, idempotency_key=key), fingerprint=b""
        )


_one = msgspec.json.Decoder(Arrival)
_many = msgspec.json.Decoder(list[Arrival])


def read(body: bytes, content_type: str, workspace_id: int, now: int) -> tuple[list[Ready], bool]:
    """The events of a body: one object, an array, or lines of JSON; and whether it was more than one."""
    if len(body) > MOST_BYTES:
        raise errors.TooLarge(f"the body has {len(body)} bytes; send at most {MOST_BYTES} at a time")
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if "ndjson" in kind or "jsonl" in kind:
        plain, body = _lines(body)
    elif kind in ("", "application/json") or kind.endswith("+json"):
        plain = documents.read(body)
    else:
        raise errors.UnsupportedMedia(
            f"this path takes JSON, or a line of it for each event, not {kind[:50]}:"
            " send Content-Type: application/json or application/x-ndjson"
        )
    is_array = isinstance(plain, list)
    if not is_array and not isinstance(plain, dict):
        raise errors.InvalidInput.at("", "takes an event object or an array of event objects")
    if is_array and len(plain) > MOST_EVENTS:
        raise errors.TooLarge(f"the array has {len(plain)} events; send at most {MOST_EVENTS} at a time")
    try:
        arrivals = _many.decode(body) if is_array else [_one.decode(body)]
    except msgspec.ValidationError:
        raise _faults_of(plain if is_array else [plain], is_array, now) from None
    return _ready(arrivals, plain if is_array else [plain], is_array, workspace_id, now), is_array


def _lines(body: bytes) -> tuple[Any, bytes]:
    """Lines of JSON as the array that they make, and its bytes; what is wrong is told of the line as it was sent."""
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    for number, line in lines:
        if not (line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}")):
            raise errors.MalformedJson(f"line {number} is not a JSON object")
    joined = b"[" + b",".join(line for _, line in lines) + b"]"
    try:
        made = documents.read(joined)
        # Two objects on a line, or one on two, read well where commas stand between the lines.
        if len(made) == len(lines):
            return made, joined
    except errors.MalformedJson:
        _refuse_lines(lines)
        raise
    _refuse_lines(lines)
    raise errors.MalformedJson


def _refuse_lines(lines: Sequence[tuple[int, bytes]]) -> None:
    for number, line in lines:
        try:
            documents.read(line)
        except errors.MalformedJson as refusal:
            told = refusal.message.removeprefix("line 1, ")
            raise errors.MalformedJson(f"line {number}, {told}") from None


def _faults_of(plain: Sequence[Any], is_array: bool, now: int) -> errors.InvalidInput:
    found: list[errors.Fault] = []
    for index, one in enumerate(plain):
        path = f"[{index}]" if is_array else ""
        if not isinstance(one, dict):
            found.append(errors.Fault(path, "takes an event object"))
            continue
        found += documents.unknown_keys(one, Arrival.__struct_fields__, path)
        known = {name: one[name] for name in Arrival.__struct_fields__ if name in one}
        try:
            arrival = _one.decode(msgspec.json.encode(known))
        except msgspec.ValidationError as fault:
            found.append(documents.fault_of(fault, path))
        else:
            found += [_fault(index, is_array, name, message) for name, message in _faults(arrival, one)]
            _, wrong = _occurred(arrival.occurred_at, now)
            found += [_fault(index, is_array, "occurred_at", wrong)] if wrong else []
        if len(found) >= MOST_FAULTS:
            break
    return errors.InvalidInput(faults=found[:MOST_FAULTS])


def _ready(
    arrivals: Sequence[Arrival],
    plain: Sequence[Mapping[str, Any]],
    is_array: bool,
    workspace_id: int,
    now: int,
) -> list[Ready]:
    made: list[Ready] = []
    found: list[errors.Fault] = []
    for index, arrival in enumerate(arrivals):
        if plain[index].get("payload", _EMPTY) is None:
            arrival.payload = NO_PAYLOAD
        for name, message in _faults(arrival, plain[index]):
            found.append(_fault(index, is_array, name, message))
        occurred_at, wrong = _occurred(arrival.occurred_at, now)
        if wrong:
            found.append(_fault(index, is_array, "occurred_at", wrong))
        if found:
            if len(found) >= MOST_FAULTS:
                break
            continue
        subject = rules.cooldown_subject(arrival.contact_id, arrival.conversation_id)
        keyed = arrival.idempotency_key is not None
        made.append(
            Ready(
                arrival,
                ids.partition_of_subject(workspace_id, subject),
                occurred_at,
                bytes.fromhex(events.fingerprint(plain[index].get("payload") or {})) if keyed else None,
            )
        )
    if found:
        raise errors.InvalidInput(faults=found[:MOST_FAULTS])
    return made


def _fault(index: int, is_array: bool, name: str, message: str) -> errors.Fault:
    return errors.Fault(f"[{index}].{name}" if is_array else name, message)


def _faults(arrival: Arrival, plain: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    fault = events.type_fault(arrival.event_type)
    if fault:
        found.append(("event_type", fault))
    if type(plain.get("payload", _EMPTY)) not in _OBJECT_OR_NULL:
        found.append(("payload", "takes an object"))
    elif len(bytes(arrival.payload)) > events.MOST_BYTES:
        found.append(("payload", events.TOO_LARGE))
    if type(plain.get("previous", _EMPTY)) not in _OBJECT_OR_NULL:
        found.append(("previous", "takes an object, or null"))
    elif len(bytes(arrival.previous)) > events.MOST_BYTES:
        found.append(("previous", events.TOO_LARGE))
    for name, value, most in (
        ("contact_id", arrival.contact_id, 255),
        ("conversation_id", arrival.conversation_id, 255),
        ("source", arrival.source, 255),
        ("channel_source", arrival.channel_source, 255),
        ("idempotency_key", arrival.idempotency_key, 128),
    ):
        if value is not None and (not 0 < len(value) <= most or "\x00" in value):
            found.append((name, f"takes a text of 1 to {most} characters, none of them NUL"))
    if pseudonyms.is_name(arrival.contact_id):
        found.append(("contact_id", pseudonyms.RESERVED))
    return found


_EMPTY: dict[str, Any] = {}
_OBJECT_OR_NULL = (dict, type(None))


def _occurred(written: str | None, now: int) -> tuple[int | None, str | None]:
    if written is None:
        return None, None
    try:
        at = schedule.parse_instant(written, "occurred_at")
    except errors.InvalidInput as fault:
        return None, fault.faults[0].message
    if at > now + _MOST_AHEAD:
        return None, "lies more than 5 minutes in the future"
    return at, None
