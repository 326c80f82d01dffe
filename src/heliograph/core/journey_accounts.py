"""What is told of a journey's run: how it stands, and what became of each step (journeys.md 1.1, 1.11).

Law: read from the run's records and nothing else; a step that was not reached is told too (A41).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import fetches, frames, journey_starts, plans, runs, schedule, step_keys
from heliograph.core.steps import sending

_UNTOLD = (
    *(plans.RECIPIENTS, plans.NOWHERE_BOUND, plans.GAINED, fetches.FETCHED),
    *(plans.REQUESTED, plans.MADE, plans.WALKS),
)
STATUSES = ("PROCESSING", "PROCESSED", "WAITING", "CANCELED", "ERROR", "THROTTLED", "NOT PROCESSED")
"""Every status that a run can have on the wire."""


class StepError(msgspec.Struct):
    """Why a step failed."""

    message: str


class StepAccount(msgspec.Struct):
    """What became of one step."""

    action: str
    status: str
    step_id: str
    ref: str | None
    message_id: str | None
    created_at: str | None
    updated_at: str | None
    error: StepError | None
    skip_reason: str | None
    explain: dict[str, Any]
    """What it waits for, whom it wrote to, what it read."""


class RunAccount(NamedTuple):
    """How a run stands."""

    status: str
    """One of STATUSES."""
    source: tuple[str, ...]
    """What started it."""
    journey: str | None
    steps: tuple[str, ...]
    """The status of every step that was reached."""


def run_of(status: int, records: Sequence[runs.Record], body: journey_starts.Body) -> RunAccount:
    """How a run stands that was started with this."""
    steps = tuple(map(frames.status_of, records))
    return RunAccount(status_of(status, records), body.source, body.journey, steps)


def status_of(status: int, records: Sequence[runs.Record]) -> str:
    """How a run stands, on the wire."""
    if status == runs.Status.HELD:
        return frames.WAITING
    if status == runs.Status.WAITING:
        return frames.WAITING if any(map(_waits, records)) else "PROCESSING"
    return {
        runs.Status.DONE: "PROCESSED",
        runs.Status.FAILED: "ERROR",
        runs.Status.CANCELED: "CANCELED",
        runs.Status.THROTTLED: frames.THROTTLED,
    }[runs.Status(status)]


def _waits(record: runs.Record) -> bool:
    return frames.status_of(record) == frames.WAITING


def wanted(names: Sequence[str]) -> set[runs.Status]:
    """The states of runs that have one of these statuses, or may have it."""
    found = set()
    for name in names:
        if name in ("PROCESSING", frames.WAITING):
            found |= {runs.Status.WAITING, runs.Status.HELD}
        found |= {
            state
            for state, told in (
                (runs.Status.DONE, "PROCESSED"),
                (runs.Status.FAILED, "ERROR"),
                (runs.Status.CANCELED, "CANCELED"),
                (runs.Status.THROTTLED, frames.THROTTLED),
            )
            if told == name
        }
    return found


class Named(NamedTuple):
    """What a step is called."""

    kind: str
    ref: str | None
    is_to_several: bool = False
    """Whether it writes to several people by itself."""


def as_written(steps: Sequence[Mapping[str, Any]]) -> list[Named]:
    """Steps as they are stored: they were checked when they came in.

    They are not read again: where somebody was deleted, what stands for an address in them is none (engine.md E22).
    """
    return [Named(one["action"], one.get("ref"), _is_to_several(one.get("message"))) for one in steps]


def _is_to_several(message: object) -> bool:
    """Whether a step has a message of each of several people; one that asks for a request has that for all of them."""
    if not isinstance(message, dict) or not isinstance(message.get("to"), list):
        return False
    return len(message["to"]) > 1 and sending.is_plain(message)


def steps_of(
    steps: Sequence[Named],
    status: int,
    records: Sequence[runs.Record],
    sent: Sequence[Sequence[str]],
) -> list[StepAccount]:
    """What became of each step; `sent` is the ids of the messages of each step that was reached."""
    made = []
    for visit, step in enumerate(steps):
        if visit < len(records):
            made.append(_account(visit, step, status, records[visit], sent[visit]))
        else:
            told = "CANCELED" if status == runs.Status.CANCELED else frames.NOT_REACHED
            made.append(
                StepAccount(step.kind, told, _step_id(visit), step.ref, None, None, None, None, None, {})
            )
    return made


def _account(visit: int, step: Named, status: int, record: runs.Record, sent: Sequence[str]) -> StepAccount:
    told = frames.status_of(record)
    if status == runs.Status.CANCELED and told in (frames.WAITING, frames.UNDER_WAY):
        told = "CANCELED"
    output = record.output if isinstance(record.output, dict) else {}
    untold = {*_UNTOLD, *output.get(plans.WALKS, ())}
    explain = {name: value for name, value in output.items() if name not in untold}
    if counts := plans.walked_in(output):
        explain["counts"] = counts
    if plans.MADE in output:
        explain["recipients"] = [
            {"user_id": user_id, "email": address, "message_id": message_id}
            for user_id, address, message_id in output[plans.MADE]
        ]
    if isinstance(output.get(fetches.FETCHED), dict):
        explain["keys"] = sorted(output[fetches.FETCHED])
    recipients = output.get(plans.RECIPIENTS)
    if recipients is not None:
        explain["recipients"] = [
            {"user_id": user_id, "email": address, "message_id": message_id}
            for (user_id, address), message_id in zip(recipients, sent, strict=False)
        ]
    skipped = record.status == plans.Status.SKIPPED
    failed = record.status == plans.Status.FAILED
    return StepAccount(
        step.kind,
        told,
        _step_id(visit),
        step.ref,
        _message_of(step, output.get(plans.MESSAGE_IDS) or sent),
        schedule.write_instant(record.started_at),
        schedule.write_instant(record.settled_at or record.started_at),
        StepError(record.error or "failed") if failed else None,
        _skipped(record, output, skipped=skipped),
        explain,
    )


def _message_of(step: Named, found: Sequence[str]) -> str | None:
    """The message of a step that wrote to one person, or of the one whose key it had; the first stands for all.

    Copies and further channels have messages of their own behind it. A step that names several people has none.
    """
    return found[0] if found and not step.is_to_several else None


def _skipped(record: runs.Record, output: Mapping[str, Any], *, skipped: bool) -> str | None:
    if step_keys.REPEATS in output:
        return f"idempotency key already used by run {output[step_keys.REPEATS]}"
    return (record.error or "its messages were not to go out") if skipped else None


def _step_id(visit: int) -> str:
    return f"steps[{visit}]"
