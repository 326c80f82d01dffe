"""Explain: what is stored of an event, its runs and its messages, in the form in which people read it.

Law: values in, values out. The runs' records keep numbers and packed traces; here they meet the definition of their
version again and become words. These types are the wire forms of rules.md 3.3 (instants as ISO 8601 text, ids as
UUIDs), shared by the API and the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from heliograph.core import conditions, messages, plans, rules, runs, schedule

Instant = str
"""An instant as ISO 8601 with `Z`, in microseconds."""

EventStatus = Literal["pending", "processing", "processed", "failed"]
Outcome = Literal["pending", "executed", "failed", "not_matched", "skipped"]
ActionStatus = Literal["pending", "succeeded", "failed", "skipped", "not_attempted"]


class Event(msgspec.Struct, kw_only=True):
    """One event and what became of it."""

    id: str
    event_type: str
    contact_id: str | None
    conversation_id: str | None
    source: str
    channel_source: str | None
    payload: dict[str, Any]
    previous: dict[str, Any] | None
    payload_hash: str
    """SHA-256 of the payload's canonical JSON (RFC 8785), in hexadecimal digits."""
    status: EventStatus
    attempts: int
    available_at: Instant
    """When it is taken up next, or was first."""
    occurred_at: Instant | None
    created_at: Instant
    processed_at: Instant | None
    error: str | None


class Action(msgspec.Struct, kw_only=True):
    """What became of one action of a rule."""

    index: int
    type: str
    status: ActionStatus
    output: Any
    error: str | None
    duration_ms: float | None
    """From its beginning to its last answer; null while it waits."""


class Leaf(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one condition saw."""

    path: str
    field: str
    operator: str
    value: Any
    observed: Any
    result: bool
    note: str | None = None
    """Why it could not be compared, where that is so."""


class Result(msgspec.Struct, kw_only=True):
    """Why a run ended as it did."""

    outcome: Outcome
    reason: str | None
    """The gate that held a skipped run back: `rollout` or `cooldown`."""
    conditions: list[Leaf]
    """Every condition of a run that matched or was skipped; else the first that failed in each failed group."""
    actions: list[Action]


class Run(msgspec.Struct, kw_only=True):
    """One rule's decision on one event."""

    id: str
    event_id: str
    rule_id: str
    rule_name: str
    """The rule's name at the time of the run."""
    rule_version: int
    event_type: str
    event_source: str
    event_status: EventStatus
    conversation_id: str | None
    contact_id: str | None
    channel_source: str | None
    matched: bool
    executed: bool
    result: Result
    created_at: Instant


class Attempt(msgspec.Struct, kw_only=True):
    """One try to hand a message over."""

    at: Instant
    settled_at: Instant | None
    outcome: Literal["accepted", "temporary", "permanent", "uncertain"]
    provider: str
    code: str | None
    text: str
    reference: str | None


class Message(msgspec.Struct, kw_only=True):
    """One thing handed to the outside: a message to a person, or a call to another program."""

    id: str
    run_id: str | None
    action: int
    """The index of the action that asked for it."""
    kind: Literal["message", "call"]
    channel: str
    contact_id: str | None
    address: str | None
    template_id: str | None
    template_version: int | None
    state: Literal["planned", "held", "accepted", "failed", "unroutable", "canceled", "uncertain"]
    possibly_repeated: bool
    attempts: list[Attempt]
    error: str | None
    created_at: Instant
    settled_at: Instant | None


class Explanation(msgspec.Struct, kw_only=True):
    """An event from its arrival to the answers of the outside."""

    event: Event
    runs: list[Run]
    """In the order in which the rules were evaluated."""
    messages: list[Message]


# ── from records to words ───────────────────────────────────────────────────────────────────────────


def result(
    definition: rules.Definition,
    outcome: int,
    reason: str | None,
    trace: bytes | None,
    records: Sequence[runs.Record],
) -> Result:
    """A run's `result`: its packed trace and its records, read by the definition of the run's version."""
    condition = conditions.parse(definition.conditions)
    seen = conditions.trace_json(condition, conditions.unpack(trace)) if trace else []
    matched = outcome in runs.MATCHED
    return Result(
        outcome=runs.Outcome(outcome).name.lower(),  # type: ignore[arg-type]
        reason=reason,
        conditions=[Leaf(**leaf) for leaf in seen],
        actions=_actions(definition, records) if matched else [],
    )


def _actions(definition: rules.Definition, records: Sequence[runs.Record]) -> list[Action]:
    return [
        _action(index, str(action["type"]), records[index] if index < len(records) else None)
        for index, action in enumerate(definition.actions)
    ]


def _action(index: int, kind: str, record: runs.Record | None) -> Action:
    if record is None:
        return Action(
            index=index, type=kind, status="not_attempted", output=None, error=None, duration_ms=None
        )
    took = None if record.settled_at is None else (record.settled_at - record.started_at) / 1000
    return Action(
        index=index,
        type=kind,
        status=plans.Status(record.status).name.lower(),  # type: ignore[arg-type]
        output=record.output,
        error=record.error,
        duration_ms=took,
    )


def attempt(one: messages.Attempt) -> Attempt:
    """An attempt in words."""
    return Attempt(
        at=schedule.write_instant(one.at),
        settled_at=instant(one.settled_at),
        outcome=one.outcome,  # type: ignore[arg-type]
        provider=one.provider,
        code=one.code,
        text=one.text,
        reference=one.reference,
    )


def instant(at: int | None) -> Instant | None:
    """An instant (µs) as text, where there is one."""
    return None if at is None else schedule.write_instant(at)
