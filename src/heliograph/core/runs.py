"""Run: one execution of a plan, its states as a table, and `advance`, the one function that moves all runs.

Law: `advance` is pure. It goes on until it must wait or has ended; it names effects by their key and never asks
for one twice, because the visit that asked for it is in the run's records.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import effects, messages, plans, schedule


class Status(IntEnum):
    """How a run stands."""

    WAITING = 1
    DONE = 2
    FAILED = 3
    CANCELED = 4
    HELD = 5
    """It was to go on too long ago; an operator lets it go or drops it (engine.md E33)."""
    THROTTLED = 6
    """It was one too many, and ended where it was to pass."""


TRANSITIONS: Mapping[Status | None, frozenset[Status]] = {
    None: frozenset({Status.WAITING, Status.DONE, Status.FAILED}),
    Status.WAITING: frozenset(
        {Status.WAITING, Status.DONE, Status.FAILED, Status.CANCELED, Status.HELD, Status.THROTTLED}
    ),
    Status.HELD: frozenset({Status.WAITING, Status.CANCELED}),
    # Of a batch's items, the run of the oldest goes on when the owner was canceled.
    Status.DONE: frozenset({Status.WAITING}),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.THROTTLED: frozenset(),
}
"""Where a run may go; None is before it exists."""

IN_PROGRESS = frozenset({Status.WAITING, Status.HELD})
"""What a cancel still reaches."""


class Outcome(IntEnum):
    """What a rule's run says of the rule (rules.md C4): the first three have matched."""

    PENDING = 1
    EXECUTED = 2
    FAILED = 3
    NOT_MATCHED = 4
    SKIPPED = 5


MATCHED = frozenset({Outcome.PENDING, Outcome.EXECUTED, Outcome.FAILED})


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one visit left: everything that a replay or an explanation needs."""

    status: int
    """plans.Status"""
    started_at: int
    settled_at: int | None = None
    output: Any = None
    error: str | None = None
    asked: int = 0
    """How many answers it waits for in all."""
    answered: int = 0
    skipped: int = 0
    """How many of the answers said that nothing was to be sent (consent, caps)."""


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The answer to one effect."""

    visit: int
    ordinal: int
    status: plans.Status
    """SUCCEEDED, FAILED or SKIPPED"""
    output: Any
    error: str | None


class Moved(msgspec.Struct, frozen=True, gc=False):
    """A run after `advance`, and what it asks for: (visit, ordinal, effect)."""

    status: Status
    outcome: Outcome
    records: tuple[Record, ...]
    asked: list[tuple[int, int, effects.Effect]]
    goes_on: bool = False
    """Whether the next step is to be taken by the next turn, as this one has not read what it looks at."""


def may_go_on(plan: plans.Plan, records: Sequence[Record]) -> bool:
    """Whether a run takes a step now: there is one, and it need not wait for one before it."""
    taken = len(records)
    if taken >= len(plan.steps):
        return False
    for visit, held in plan.holding:
        if visit >= taken:
            break
        if records[visit].status in held:
            return False
    return True


def would_go_on(plan: plans.Plan, records: Sequence[Record], replies: Sequence[Reply], now: int) -> bool:
    """Whether a run takes a step once it has taken in these answers."""
    if len(records) >= len(plan.steps):
        return False
    told = [reply.visit for reply in replies]
    for visit, held in plan.holding:
        # What was not answered stands as before.
        if visit < len(records) and visit not in told and records[visit].status in held:
            return False
    return may_go_on(plan, take_in(records, replies, now))


def advance(
    plan: plans.Plan, records: Sequence[Record], replies: Sequence[Reply], scene: plans.Scene | None, now: int
) -> Moved:
    """Take in what was answered, then take steps until one must be waited for or none is left.

    `scene` may be None where it does not go on (`may_go_on`): there is nothing to look at then.
    """
    return go_on(plan, take_in(records, replies, now), scene, now)


def begin(
    plan: plans.Plan, scene: plans.Scene, now: int
) -> tuple[int, int, bytes, list[tuple[int, int, effects.Effect]]]:
    """Let a rule's run take its first steps: (status, outcome, state, asked), as `advance` and `write` give them.

    Most plans have one step, and how such a run is kept that leaves nothing to be read is known by a few numbers.
    """
    if len(plan.steps) != 1:
        moved = advance(plan, (), (), scene, now)
        return int(moved.status), int(moved.outcome), write(moved.records), moved.asked
    step = _taken(plan.steps[0], scene)
    asked = [(0, ordinal, effect) for ordinal, effect in enumerate(step.effects)]
    if step.output is None and step.error is None and step.end is None:
        return *_began(step.status, len(asked), now), asked
    record = _begun(step, now)
    status, outcome = _standing(1, (record,)) if step.end is None else _ENDS[step.end]
    return int(status), int(outcome), write((record,)), asked


@functools.lru_cache(64)
def _began(status: plans.Status, asked: int, now: int) -> tuple[int, int, bytes]:
    """How a run of one step is kept that left nothing to be read: (status, outcome, state)."""
    is_settled = status is not plans.Status.PENDING
    record = Record(int(status), now, now if is_settled else None, asked=0 if is_settled else asked)
    stands, outcome = _standing(1, (record,))
    return int(stands), int(outcome), write((record,))


def _taken(step: plans.Step, scene: plans.Scene) -> plans.Outcome:
    if scene.contact_is_deleted:
        return plans.Outcome(plans.Status.SKIPPED, error=messages.CONTACT_DELETED)
    try:
        return step.take(scene)
    except errors.RenderFailed as fault:
        # A text that cannot be filled fails its action, and neither the others nor the event (rules.md C30).
        return plans.failed(fault.message)


def go_on(plan: plans.Plan, records: Sequence[Record], scene: plans.Scene | None, now: int) -> Moved:
    """Take steps, as `advance` does, where what was answered stands in the records already."""
    made = list(records)
    # It is the last one where it is: nothing was taken after it.
    if made and is_throttled(made[-1]):
        return Moved(Status.THROTTLED, Outcome.SKIPPED, tuple(made), [])
    asked: list[tuple[int, int, effects.Effect]] = []
    steps = plan.steps
    while may_go_on(plan, made):
        assert scene is not None
        visit = len(made)
        if scene.started is not None:
            scene.started.look(visit, made)
        try:
            outcome = _taken(steps[visit], scene)
        except plans.Unseen:
            return Moved(Status.WAITING, Outcome.PENDING, tuple(made), asked, True)
        made.append(_begun(outcome, now))
        for ordinal, effect in enumerate(outcome.effects):
            asked.append((visit, ordinal, effect))
        if outcome.end is not None:
            return Moved(*_ENDS[outcome.end], tuple(made), asked)
    status, told = _standing(len(plan.steps), made)
    return Moved(status, told, tuple(made), asked)


def is_throttled(record: Record) -> bool:
    """Whether a step ended its run, which was one too many."""
    return isinstance(record.output, dict) and record.output.get(plans.THROTTLED) is True


def take_in(records: Sequence[Record], replies: Sequence[Reply], now: int) -> list[Record]:
    """The records after these answers."""
    made = list(records)
    for reply in replies:
        made[reply.visit] = _answered(made[reply.visit], reply, now)
    return made


_ENDS: Mapping[plans.End, tuple[Status, Outcome]] = {
    plans.End.FAILED: (Status.FAILED, Outcome.FAILED),
    plans.End.CANCELED: (Status.CANCELED, Outcome.SKIPPED),
}


def woken(records: Sequence[Record], at: int) -> tuple[Reply, ...]:
    """What a run is told by a timer that was set for the instant `at`: whether its step has waited long enough."""
    last = len(records) - 1
    if last < 0 or records[last].status != _PENDING:
        return ()
    wakes_at = waits_until(records[last])
    if wakes_at is None or wakes_at > at:
        return ()
    return (Reply(last, 0, plans.Status.SUCCEEDED, None, None),)


def waits_until(record: Record) -> int | None:
    """Until when (µs) a step waits; None where what it waits for is not time."""
    found = record.output.get(plans.WAKES_AT) if isinstance(record.output, dict) else None
    return schedule.parse_instant(found, plans.WAKES_AT) if isinstance(found, str) else found


def _begun(outcome: plans.Outcome, now: int) -> Record:
    settled = outcome.status is not plans.Status.PENDING
    return Record(
        int(outcome.status),
        now,
        now if settled else None,
        outcome.output,
        outcome.error,
        0 if settled else _asked(outcome),
    )


_UNTOLD = 1 << 30
"""More answers than any request to send brings: how many they are is heard later than the first of them may be."""


def _asked(outcome: plans.Outcome) -> int:
    is_open = isinstance(outcome.output, dict) and plans.REQUESTED in outcome.output
    return _UNTOLD if is_open else len(outcome.effects)


def requested(
    records: Sequence[Record], visit: int, output: Mapping[str, Any], asked: int, now: int
) -> tuple[Record, ...]:
    """The records after a step has heard what its request has become, which brings it so many answers."""
    before = records[visit]
    if before.asked != _UNTOLD:
        return tuple(records)
    status, error = plans.Status(before.status), before.error
    all_skipped = before.skipped == before.answered
    if before.answered >= asked:
        status = _settled(error is not None and not all_skipped, all_skipped)
    elif all_skipped:
        error = None
    made = msgspec.structs.replace(
        before,
        status=int(status),
        settled_at=now if status.settled else None,
        output=_with(before.output, dict(output)),
        error=error,
        asked=asked,
    )
    return (*records[:visit], made, *records[visit + 1 :])


def _answered(record: Record, reply: Reply, now: int) -> Record:
    if record.answered >= record.asked:
        return record
    answered = record.answered + 1
    skipped = record.skipped + (reply.status is plans.Status.SKIPPED)
    is_untold = record.asked == _UNTOLD
    # Of answers before it is heard how many follow, why nothing was to be sent is kept: they may be all there are.
    error = None if is_untold and record.skipped == record.answered else record.error
    if reply.status is plans.Status.FAILED:
        error = error or reply.error or "failed"
    elif is_untold and skipped == answered:
        error = reply.error
    status = record.status
    if answered == record.asked:
        status = int(_settled(error is not None, skipped == answered))
        if status == plans.Status.SKIPPED:
            error = reply.error
    return Record(
        status,
        record.started_at,
        None if status == _PENDING else now,
        _with(record.output, reply.output),
        error,
        record.asked,
        answered,
        skipped,
    )


def _with(left: Any, told: Any) -> Any:
    """What a step left, and what it is told: what it had read stays (engine.md E6)."""
    if isinstance(left, dict) and isinstance(told, dict):
        return {**left, **told}
    return left if told is None else told


def _settled(failed: bool, all_skipped: bool) -> plans.Status:
    if failed:
        return plans.Status.FAILED
    return plans.Status.SKIPPED if all_skipped else plans.Status.SUCCEEDED


_PENDING, _FAILED = int(plans.Status.PENDING), int(plans.Status.FAILED)


def _standing(steps: int, made: Sequence[Record]) -> tuple[Status, Outcome]:
    has_failed = len(made) < steps
    for record in made:
        if record.status == _PENDING:
            return Status.WAITING, Outcome.PENDING
        if record.status == _FAILED:
            has_failed = True
    return Status.DONE, Outcome.FAILED if has_failed else Outcome.EXECUTED


# ── a run whose item is in a batch ──────────────────────────────────────────────────────────────────


def noted(records: Sequence[Record], visit: int, output: Mapping[str, Any]) -> tuple[Record, ...]:
    """The step has heard something, and waits on; one that had its end waits again."""
    return _put(records, visit, output, plans.Status.PENDING, None)


def passed_on(
    records: Sequence[Record], visit: int, output: Mapping[str, Any], now: int
) -> tuple[Record, ...]:
    """The step has its end: another run goes on with what it brought."""
    return _put(records, visit, output, plans.Status.SUCCEEDED, now)


def _put(
    records: Sequence[Record],
    visit: int,
    output: Mapping[str, Any],
    status: plans.Status,
    settled_at: int | None,
) -> tuple[Record, ...]:
    before = records[visit]
    answered = before.asked if status.settled else 0
    made = msgspec.structs.replace(
        before,
        status=int(status),
        settled_at=settled_at,
        output=_with(before.output, dict(output)),
        answered=answered,
    )
    return (*records[:visit], made, *records[visit + 1 :])


# ── how a run is kept ───────────────────────────────────────────────────────────────────────────────

_records = msgspec.json.Decoder(tuple[Record, ...])
_encoder = msgspec.json.Encoder()


def write(records: Sequence[Record]) -> bytes:
    """The records as they are stored."""
    return _encoder.encode(records)


_REMEMBERED, _SHORT = 1_024, 2_048
"""So many states are remembered, of so many characters at most: a turn reads the same one again and again."""


def read(state: bytes | str | None) -> tuple[Record, ...]:
    """The records of a stored run: values, which nobody changes."""
    if not state:
        return ()
    return _remembered(state) if len(state) <= _SHORT else _records.decode(state)


_remembered = functools.lru_cache(_REMEMBERED)(_records.decode)
