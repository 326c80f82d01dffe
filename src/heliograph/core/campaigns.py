"""Campaign: the fan-out door's automation, `one_time`: what it may say, its seven states as a table, and its moves.

Law: people set draft, active and deactivated; every other state comes of time and of what became of the jobs
(segments-and-campaigns.md A1 to A5), and is decided here. Nothing here knows where campaigns are kept: references to
segments and groups are looked up by whoever asks, through `Known`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import documents, ids, readers, schedule, segments

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


class State(IntEnum):
    """How a campaign stands; its name in lower case is its `status` on the wire."""

    DRAFT = 1
    ACTIVE = 2
    """Enabled: it will run at its time, and may still be changed or called off."""
    SCHEDULED = 3
    """About to run: it can be changed no more."""
    RUNNING = 4
    """Its audience is judged, its jobs are made and sent."""
    COMPLETED = 5
    FAILED = 6
    DEACTIVATED = 7


TRANSITIONS: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.DRAFT}),
    State.DRAFT: frozenset({State.ACTIVE}),
    State.ACTIVE: frozenset({State.DRAFT, State.DEACTIVATED, State.SCHEDULED}),
    State.SCHEDULED: frozenset({State.RUNNING, State.FAILED}),
    State.RUNNING: frozenset({State.COMPLETED, State.FAILED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.DEACTIVATED: frozenset({State.DRAFT, State.ACTIVE}),
}
"""Where a campaign may go; None is before it exists."""

BY_PEOPLE: Final = frozenset({State.DRAFT, State.ACTIVE, State.DEACTIVATED})
"""What a client may set; a campaign in one of these may be changed."""

STATUSES: Final = tuple(state.name.lower() for state in State)


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
    found, more = _checked(given)
    if faults or more:
        raise errors.InvalidInput(faults=[*faults, *more])
    return Definition(**found)


def change(stored: Definition, given: Mapping[str, Any]) -> Definition:
    """A stored campaign with the given fields replaced, each whole. Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, (*WRITABLE, "status"), "")
    found, more = _checked(given)
    if faults or more:
        raise errors.InvalidInput(faults=[*faults, *more])
    return msgspec.structs.replace(stored, **found)


def _checked(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[errors.Fault]]:
    found: dict[str, Any] = {}
    faults: list[errors.Fault] = []
    for name, check in _FIELDS.items():
        if name in given:
            try:
                found[name] = check(given[name], name)
            except errors.InvalidInput as refusal:
                faults += refusal.faults
    return found, faults


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
    "name": segments.check_name,
    "description": segments.check_description,
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


def subject(automation_id: bytes) -> str:
    """Under what name a campaign's own turns are put into a partition."""
    return f"automation:{ids.text(automation_id)}"


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


# ── moving ──────────────────────────────────────────────────────────────────────────────────────────


class Standing(NamedTuple):
    """How a campaign stands."""

    state: State
    due_at: int | None = None
    """When it is to run; of a draft None."""
    started_at: int | None = None
    settled_at: int | None = None
    action: int = 0
    """The action whose jobs are made, or were made last."""
    error: str | None = None
    """Why it failed."""
    is_stopping: bool = False
    """Stopped, while jobs are still open: nobody hands over any of them."""


def set_by_people(standing: Standing, wanted: State, definition: Definition, now: int) -> Standing:
    """The standing after a client set a state. Raises errors.Conflict where it cannot go there."""
    if wanted not in BY_PEOPLE:
        raise errors.Conflict(
            f"nobody sets {wanted.name.lower()!r}: a campaign comes to it by itself; set draft, active or deactivated"
        )
    if wanted is not standing.state and wanted not in TRANSITIONS[standing.state]:
        raise errors.Conflict(refusal(standing.state, f"become {wanted.name.lower()!r}"))
    if wanted is not State.ACTIVE:
        return Standing(wanted)
    at = due_at(definition)
    if at is None and standing.state is State.ACTIVE and standing.due_at is not None:
        at = standing.due_at
    return Standing(State.ACTIVE, now if at is None else at)


def refusal(state: State, what: str) -> str:
    """Why a campaign in this state cannot do something."""
    hint = {
        State.SCHEDULED: "it is about to run",
        State.RUNNING: "it runs: it can be stopped",
        State.COMPLETED: "it has run: make a duplicate",
        State.FAILED: "it has ended: make a duplicate",
    }.get(state, f"from there it may go to {', '.join(_names(TRANSITIONS[state] & BY_PEOPLE))}")
    return f"a campaign that is {state.name.lower()!r} cannot {what}: {hint}"


def _names(states: frozenset[State]) -> list[str]:
    return [state.name.lower() for state in sorted(states)]


def stopped(standing: Standing, now: int) -> Standing:
    """The standing after somebody stopped it. Raises errors.Conflict where it does not run."""
    if standing.state is not State.RUNNING:
        raise errors.Conflict(
            f"a campaign that is {standing.state.name.lower()!r} cannot be stopped: only a running one can"
        )
    return standing._replace(state=State.FAILED, settled_at=now, error="stopped", is_stopping=True)


def at_time(standing: Standing, now: int, lock_window: int, grace: int) -> Standing:
    """The standing after the clock was looked at: scheduled shortly before it is due, then running (A1, A5)."""
    due_at = standing.due_at
    if due_at is None:
        return standing
    if standing.state is State.ACTIVE and now >= due_at - lock_window:
        standing = standing._replace(state=State.SCHEDULED)
    if standing.state is State.SCHEDULED and now >= due_at:
        if now - due_at > grace:
            return failed(standing, "missed_window", now)
        return standing._replace(state=State.RUNNING, started_at=now)
    return standing


def next_look(standing: Standing, lock_window: int) -> int | None:
    """When the clock is to be looked at next; None: nothing more comes of time."""
    if standing.due_at is None:
        return None
    if standing.state is State.ACTIVE:
        return max(0, standing.due_at - lock_window)
    return standing.due_at if standing.state is State.SCHEDULED else None


def failed(standing: Standing, error: str, now: int) -> Standing:
    """The standing of one that could not run."""
    return standing._replace(state=State.FAILED, settled_at=now, error=error)


class Progress(NamedTuple):
    """What has become of a campaign's people and jobs so far: sums."""

    partitions: int = 0
    """How many partitions are judged whole."""
    judged: int = 0
    """People who were looked at."""
    jobs: int = 0
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    uncertain: int = 0
    """Jobs of which nobody knows whether they were handed over, and which are not tried again."""
    error: str | None = None
    """Why the people of a partition could not be judged."""

    @property
    def pending(self) -> int:
        """Jobs that are not ended."""
        return self.jobs - self.sent - self.failed - self.skipped - self.uncertain


def added(parts: Sequence[Progress]) -> Progress:
    """The sums of these."""
    if not parts:
        return Progress()
    sums = [sum(column) for column in zip(*(part[:-1] for part in parts), strict=True)]
    error = next((part.error for part in parts if part.error is not None), None)
    return Progress._make((*sums, error))


def progressed(
    standing: Standing, latest: Progress, whole: Progress, partitions: int, actions: int, now: int
) -> Standing:
    """The standing after jobs were made or ended (A3, A4, A11); one whose `action` grew is to start that action.

    `latest` is the progress of its present action, `whole` of all of them.
    """
    all_made = latest.partitions >= partitions
    if standing.is_stopping:
        return standing._replace(is_stopping=not all_made or whole.pending > 0)
    if standing.state is not State.RUNNING:
        return standing
    if whole.error is not None:
        return failed(standing, whole.error, now)._replace(is_stopping=True)
    if all_made and standing.action + 1 < actions:
        return standing._replace(action=standing.action + 1)
    return _ended(standing, whole, now) if all_made and not whole.pending else standing


def _ended(standing: Standing, whole: Progress, now: int) -> Standing:
    if whole.failed and not (whole.sent or whole.uncertain):
        return failed(standing, "every job failed", now)
    return standing._replace(state=State.COMPLETED, settled_at=now)
