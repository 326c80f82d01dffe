"""Campaign: the fan-out door's automation, `one_time`: what it may say, and what it needs to run.

Law: nothing here knows where campaigns are kept: whoever asks looks up what a campaign refers to, and hands it in as
`Known`. This module is also the door to campaign_states.py, which holds how a campaign stands and moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import campaign_states, documents, ids, readers, schedule, segments

State = campaign_states.State
TRANSITIONS = campaign_states.TRANSITIONS
BY_PEOPLE = campaign_states.BY_PEOPLE
STATUSES = campaign_states.STATUSES
Standing = campaign_states.Standing
Progress = campaign_states.Progress

set_by_people = campaign_states.set_by_people
refusal = campaign_states.refusal
stopped = campaign_states.stopped
at_time = campaign_states.at_time
next_look = campaign_states.next_look
failed = campaign_states.failed
added = campaign_states.added
progressed = campaign_states.progressed

TRIGGER_TYPE: Final = "one_time"
SEND: Final = "send_communication"
WRITABLE: Final = (
    "name",
    "description",
    "trigger_type",
    "trigger_metadata",
    "action_data",
    "include_segments",
    "exclude_segments",
)
"""The fields that create and PATCH take; `status` is moved, not written."""

_MOST_ACTIONS, _MOST_SEGMENTS = 20, 100


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as people write and read it."""

    name: str
    description: str | None = None
    trigger_type: str = TRIGGER_TYPE
    trigger_metadata: dict[str, Any] | None = None
    action_data: list[dict[str, Any]] = []
    include_segments: list[str] = []
    exclude_segments: list[str] = []


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any]) -> Definition:
    """A new campaign from a request's body. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    if "name" not in given:
        faults.append(errors.Fault("name", "is required"))
    found, more = readers.checked(given, _FIELDS)
    if faults or more:
        raise errors.InvalidInput(faults=[*faults, *more])
    return Definition(**found)


def change(stored: Definition, given: Mapping[str, Any]) -> Definition:
    """A stored campaign with the given fields replaced, each whole. Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, (*WRITABLE, "status"), "")
    found, more = readers.checked(given, _FIELDS)
    if faults or more:
        raise errors.InvalidInput(faults=[*faults, *more])
    return msgspec.structs.replace(stored, **found)


def _trigger_type(value: object, path: str) -> str:
    if value == TRIGGER_TYPE:
        return TRIGGER_TYPE
    raise errors.InvalidInput.at(path, f'is "{TRIGGER_TYPE}", the one trigger that there is')


def _trigger(value: object, path: str) -> dict[str, Any] | None:
    if value is None:
        return None
    reader = readers.Reader(value, path, ("trigger_type", "scheduled_at", "timezone"))
    reader.take("trigger_type", _trigger_type, TRIGGER_TYPE)
    zone = reader.take("timezone", schedule.check_zone, None)
    if "timezone" not in {fault.path.rpartition(".")[2] for fault in reader.faults}:
        # With a zone that is none, whether the time lacks one cannot be said.
        reader.take("scheduled_at", lambda text, place: schedule.parse_local(text, zone, place), None)
    reader.close()
    assert isinstance(value, Mapping)
    return {
        "trigger_type": TRIGGER_TYPE,
        "scheduled_at": value.get("scheduled_at"),
        "timezone": value.get("timezone"),
    }


def _actions(value: object, path: str) -> list[dict[str, Any]]:
    return list(readers.each(value, path, _action, "actions", _MOST_ACTIONS))


def _action(value: object, path: str) -> dict[str, Any]:
    reader = readers.Reader(value, path, ("action_type", "action_metadata"))
    kind = reader.need("action_type", _action_type, SEND)
    metadata = reader.need("action_metadata", _metadata, {})
    reader.close()
    return {"action_type": kind, "action_metadata": metadata}


def _action_type(value: object, path: str) -> str:
    if value == SEND:
        return SEND
    if isinstance(value, str):
        raise errors.InvalidInput.at(path, documents.unknown("action type", value, (SEND,)))
    raise errors.InvalidInput.at(path, f'is "{SEND}"')


def _metadata(value: object, path: str) -> dict[str, Any]:
    reader = readers.Reader(value, path, ("communication_group_id",))
    group = reader.need("communication_group_id", _identity, "")
    reader.close()
    return {"communication_group_id": group}


def _identity(value: object, path: str) -> str:
    if isinstance(value, str) and 0 < len(value) <= 255:
        return value
    raise errors.InvalidInput.at(path, "is an id, as text")


def _segments(value: object, path: str) -> list[str]:
    if value is None:
        return []
    return list(dict.fromkeys(readers.each(value, path, _identity, "segments", _MOST_SEGMENTS)))


_FIELDS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "name": readers.name,
    "description": readers.description,
    "trigger_type": _trigger_type,
    "trigger_metadata": _trigger,
    "action_data": _actions,
    "include_segments": _segments,
    "exclude_segments": _segments,
}


def due_at(definition: Definition) -> int | None:
    """When it is to run; None: as soon as it is activated. An offset decides, else the zone (A6)."""
    trigger = definition.trigger_metadata or {}
    written = trigger.get("scheduled_at")
    if written is None:
        return None
    return schedule.parse_local(written, trigger.get("timezone"), "trigger_metadata.scheduled_at")


def groups_of(definition: Definition) -> list[str]:
    """The ids of the communication groups that its actions name, in order."""
    return [action["action_metadata"]["communication_group_id"] for action in definition.action_data]


def partition_of(workspace_id: int, automation_id: bytes) -> int:
    """The partition in which a campaign's own turns are taken."""
    return ids.partition_of_subject(workspace_id, f"automation:{ids.text(automation_id)}")


# ── what it refers to ───────────────────────────────────────────────────────────────────────────────


class Known(NamedTuple):
    """What there is of all that a campaign refers to."""

    segments: Mapping[str, str]
    """The status of each segment, by id; all_users is among them."""
    groups: Mapping[str, str | None]
    """Why each group cannot be sent yet (None: it can), by id."""


def dangling(definition: Definition, known: Known, before: Definition | None = None) -> list[errors.Fault]:
    """What it refers to that is not there, or that is deactivated and was not referred to `before` (A22)."""
    faults = []
    for name in ("include_segments", "exclude_segments"):
        kept = set() if before is None else {*before.include_segments, *before.exclude_segments}
        for index, identity in enumerate(getattr(definition, name)):
            status = known.segments.get(identity)
            place = f"{name}[{index}]"
            if status is None:
                faults.append(errors.Fault(place, f"there is no segment {identity!r}"))
            elif status != "active" and identity not in kept:
                faults.append(
                    errors.Fault(place, f"the segment {identity!r} is deactivated: take another one")
                )
    for index, identity in enumerate(groups_of(definition)):
        if identity not in known.groups:
            place = f"action_data[{index}].action_metadata.communication_group_id"
            faults.append(errors.Fault(place, f"there is no communication group {identity!r}"))
    return faults


def unready(definition: Definition, known: Known, now: int) -> list[errors.Fault]:
    """What keeps a campaign from being activated (A5, A8, A11, A22)."""
    faults = dangling(definition, known)
    if not definition.include_segments:
        faults.append(
            errors.Fault(
                "include_segments", f'names at least one segment: everybody is in "{segments.ALL_USERS}"'
            )
        )
    if not definition.action_data:
        faults.append(errors.Fault("action_data", f"has at least one action, such as {SEND}"))
    for index, identity in enumerate(groups_of(definition)):
        fault = known.groups.get(identity)
        if fault is not None:
            place = f"action_data[{index}].action_metadata.communication_group_id"
            faults.append(errors.Fault(place, f"the communication group {identity!r} {fault}"))
    at = due_at(definition)
    if at is not None and at < now:
        faults.append(
            errors.Fault(
                "trigger_metadata.scheduled_at",
                "is in the past: take an instant to come, or null for at once",
            )
        )
    return faults
