"""Explain: what is stored of an event, its runs and its messages, in the form in which people read it.

Law: values in, values out. The runs' records keep numbers and packed traces; here they meet the definition of their
version again and become words. These types are the wire forms of rules.md 3.3 (instants as ISO 8601 text, ids as
UUIDs), shared by the API and the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from heliograph.core import conditions, messages, plans, pseudonyms, rules, runs, schedule

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


class GateState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether one gate let the event pass."""

    gate: rules.Gate
    state: Literal["open", "closed", "unknown"]
    note: str | None = None
    """What it went by, where there is more to say."""
    bucket: int | None = None
    """Of a rollout: the subject's place from 0 to 9999; the gate is open below a hundred times the percentage."""
    matched_at: Instant | None = None
    """Of a cooldown that was closed: when the rule had matched for this subject before."""
    open_at: Instant | None = None
    """Of a cooldown that was closed: when it is over."""


class Result(msgspec.Struct, kw_only=True):
    """Why a run ended as it did."""

    outcome: Outcome
    reason: str | None
    """The gate that held a skipped run back: `rollout` or `cooldown`."""
    gates: list[GateState]
    """The rule's rollout and cooldown, where it has them; the gates before those were open, or there were no run."""
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
    channel: str | None = None
    """By which channel, of a message that may go by several."""


class OutgoingMessage(msgspec.Struct, kw_only=True):
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
    state: Literal[
        "planned",
        "held",
        "accepted",
        "failed",
        "unroutable",
        "canceled",
        "uncertain",
        "delivered",
        "bounced",
        "delayed",
        "capped",
        "simulated",
    ]
    possibly_repeated: bool
    attempts: list[Attempt]
    error: str | None
    created_at: Instant
    settled_at: Instant | None
    followed_by: str | None
    """The message by which it was followed, because nobody took notice of it in time."""


Decision = Literal[
    "pending", "executed", "failed", "not_matched", "skipped", "not_considered", "not_decided", "waiting"
]


class RuleAccount(msgspec.Struct, kw_only=True):
    """What became of one rule for an event, and why."""

    rule_id: str
    rule_name: str
    """Its name at that moment."""
    rule_version: int
    kind: Literal["rule", "journey"]
    """A journey's trigger is a rule, too."""
    priority: int
    decision: Decision
    """The outcome of its run; without one `not_considered`, or `not_decided` or `waiting` as the event itself is."""
    reason: str | None
    """In one word, what kept it from acting; null where it acted, or its conditions did not hold."""
    why: str
    """The same as a sentence."""
    stopped_by: str | None
    """The rule that matched before it and has `stop_on_match`."""
    run_id: str | None
    run: Run | None


class Explanation(msgspec.Struct, kw_only=True):
    """An event from its arrival to the answers of the outside."""

    event: Event
    rules: list[RuleAccount]
    """Every rule of its type, as it was at that moment, in the order of evaluation."""
    messages: list[OutgoingMessage]

    @property
    def runs(self) -> list[Run]:
        """The runs, in the order in which the rules were evaluated."""
        return [one.run for one in self.rules if one.run is not None]


# ── from records to words ───────────────────────────────────────────────────────────────────────────


class Subject(NamedTuple):
    """Whom a run counts for, by its rule and event."""

    rule_id: bytes
    event_id: bytes
    contact_id: str | None
    conversation_id: str | None


def result(
    definition: rules.Definition,
    outcome: int,
    reason: str | None,
    trace: bytes | None,
    records: Sequence[runs.Record],
    subject: Subject,
) -> Result:
    """A run's `result`: its packed trace and its records, read by the definition of the run's version."""
    condition = conditions.parse(definition.conditions)
    seen = conditions.trace_json(condition, conditions.unpack(trace)) if trace else []
    matched = outcome in runs.MATCHED
    gate, matched_at = rules.read_skip(reason)
    return Result(
        outcome=runs.Outcome(outcome).name.lower(),  # type: ignore[arg-type]
        reason=gate,
        gates=_gates(definition, subject, gate, matched_at),
        conditions=[Leaf(**leaf) for leaf in seen],
        actions=_actions(definition, records) if matched else [],
    )


def _gates(
    definition: rules.Definition, subject: Subject, closed: str | None, matched_at: int | None
) -> list[GateState]:
    found = []
    if definition.rollout_percentage < 100:
        found.append(_rollout(definition, subject, is_open=closed != rules.Gate.ROLLOUT))
    if definition.cooldown_secs and closed != rules.Gate.ROLLOUT:
        found.append(_cooldown(definition, subject, matched_at, is_open=closed != rules.Gate.COOLDOWN))
    return found


def _rollout(definition: rules.Definition, subject: Subject, *, is_open: bool) -> GateState:
    if subject.contact_id is not None and pseudonyms.is_name(subject.contact_id):
        # The bucket was that of an id which is kept nowhere any more.
        note = f"contact:{subject.contact_id} was deleted: their bucket is not known any more"
        return GateState(gate=rules.Gate.ROLLOUT, state="open" if is_open else "closed", note=note)
    name = rules.subject_of(subject.contact_id, subject.conversation_id, subject.event_id)
    return rollout(subject.rule_id, definition.rollout_percentage, name, is_open=is_open)


def rollout(rule_id: bytes, percentage: int, name: str, *, is_open: bool) -> GateState:
    """A rollout as it meets the subject of this name."""
    place = rules.bucket(rule_id, name)
    note = f"{name} has bucket {place}, on below {percentage * 100}"
    return GateState(gate=rules.Gate.ROLLOUT, state="open" if is_open else "closed", note=note, bucket=place)


def _cooldown(
    definition: rules.Definition, subject: Subject, matched_at: int | None, *, is_open: bool
) -> GateState:
    if is_open or matched_at is None:
        return GateState(gate=rules.Gate.COOLDOWN, state="open" if is_open else "closed")
    name = rules.cooldown_subject(subject.contact_id, subject.conversation_id) or "this rule as a whole"
    return cooling(name, matched_at, definition.cooldown_secs)


def cooling(name: str, matched_at: int, seconds: int) -> GateState:
    """A cooldown that holds a rule back for the subject of this name."""
    gate = GateState(gate=rules.Gate.COOLDOWN, state="closed")
    gate.matched_at, gate.open_at = instant(matched_at), instant(matched_at + seconds * 1_000_000)
    gate.note = f"matched for {name} at {gate.matched_at}, over at {gate.open_at}"
    return gate


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
        channel=one.channel,
    )


def instant(at: int | None) -> Instant | None:
    """An instant (µs) as text, where there is one."""
    return None if at is None else schedule.write_instant(at)
