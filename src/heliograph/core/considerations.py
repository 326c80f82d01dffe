"""Considerations: what became of each rule for one event, also of those that left no run, and why.

Law: it speaks of the moment of the decision, by the rules as they were then (engine.md E27). A run says for itself why
it ended as it did; where there is none, the gates are asked again about that moment, in their order: the rule's own
ones, then whether a rule before it had stopped the event (rules.md C2, C3). Of an event that waits, every rule waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from heliograph.core import control, explain, ids, rules, schedule

STOPPED = "stopped_by_rule"
_NOT_DECIDED = "event_failed"
_UNKNOWN = "unknown"


class Candidate(NamedTuple):
    """A rule, or the trigger of a journey, that listened to the event's type."""

    id: bytes
    kind: Literal["rule", "journey"]
    version: int
    created_at: int
    definition: rules.Definition


class Moment(NamedTuple):
    """The event as it stands, and when it was decided."""

    event: explain.Event
    decided_at: int | None
    """None while it waits."""
    pause: control.Control | None
    """The workspace's control record, where it is what the event waits for."""


def accounts(
    moment: Moment, candidates: Iterable[Candidate], runs: Sequence[explain.Run]
) -> list[explain.RuleAccount]:
    """What became of each of these rules, in the order of evaluation."""
    by_rule = {run.rule_id: run for run in runs}
    stopper: Candidate | None = None
    found = []
    for one in sorted(candidates, key=_order):
        run = by_rule.get(ids.text(one.id))
        if run is not None:
            found.append(_account(one, run.result.outcome, run.result.reason, _why_run(run), run=run))
            if run.matched and one.definition.stop_on_match:
                stopper = one
        elif moment.decided_at is None:
            found.append(_account(one, "waiting", *_why_waiting(moment)))
        elif moment.event.status == "failed":
            why = f"the event could not be decided: {moment.event.error}"
            found.append(_account(one, "not_decided", _NOT_DECIDED, why))
        else:
            found.append(_not_considered(one, moment.event, moment.decided_at, stopper))
    return found


def _order(one: Candidate) -> tuple[int, int, bytes]:
    return one.definition.priority, one.created_at, one.id


def _account(
    one: Candidate,
    decision: explain.Decision,
    reason: str | None,
    why: str,
    *,
    stopped_by: Candidate | None = None,
    run: explain.Run | None = None,
) -> explain.RuleAccount:
    return explain.RuleAccount(
        rule_id=ids.text(one.id),
        rule_name=one.definition.name,
        rule_version=one.version,
        kind=one.kind,
        priority=one.definition.priority,
        decision=decision,
        reason=reason,
        why=why,
        stopped_by=None if stopped_by is None else ids.text(stopped_by.id),
        run_id=None if run is None else run.id,
        run=run,
    )


# ── rules that left no run ──────────────────────────────────────────────────────────────────────────


def _not_considered(
    one: Candidate, event: explain.Event, decided_at: int, stopper: Candidate | None
) -> explain.RuleAccount:
    if event.error is not None:
        word = event.error.partition(":")[0].replace(" ", "_")
        return _account(one, "not_considered", word, _WITHOUT_RULES.get(word, event.error))
    definition = one.definition
    timetable = schedule.parse(definition.schedule_settings, "schedule_settings")
    gate = rules.closed(definition.is_active, definition.snoozed_until, timetable, decided_at)
    if gate is not None:
        return _account(one, "not_considered", gate.value, _why_closed(gate, definition))
    if stopper is not None:
        why = f"the rule {stopper.definition.name!r} before it matched and has stop_on_match"
        return _account(one, "not_considered", STOPPED, why, stopped_by=stopper)
    return _account(one, "not_considered", _UNKNOWN, "nothing that is stored says why it left no run")


_WITHOUT_RULES: Mapping[str, str] = {
    "expired_while_paused": "the event waited through a pause for too long, and met no rule any more",
    "contact_deleted": "whom the event is about was deleted before it was decided, and it met no rule any more",
}


def _why_closed(gate: rules.Gate, definition: rules.Definition) -> str:
    if gate is rules.Gate.SNOOZED:
        return f"it was snoozed until {explain.instant(definition.snoozed_until)}"
    if gate is rules.Gate.SCHEDULE:
        zone = (definition.schedule_settings or {}).get("timezone") or "UTC"
        return f"it was outside its schedule (times of {zone})"
    return "it was switched off"


def _why_waiting(moment: Moment) -> tuple[str, str]:
    event, pause = moment.event, moment.pause
    if pause is not None:
        until = "" if pause.paused_until is None else f" until {explain.instant(pause.paused_until)}"
        because = "" if pause.pause_reason is None else f": {pause.pause_reason}"
        return rules.Gate.PAUSED.value, f"the workspace is paused{until}{because}"
    if event.error is not None and event.error.startswith("held"):
        return "held", f"{event.error}; an operator lets it go or drops it"
    if event.error is not None:
        return "retry", f"it is tried again at {event.available_at}, after: {event.error}"
    return "in_line", "it is in line to be decided"


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────


def _why_run(run: explain.Run) -> str:
    result = run.result
    if result.outcome == "skipped":
        closed = next((gate for gate in result.gates if gate.state == "closed"), None)
        return (closed and closed.note) or f"its {result.reason} held it back"
    if result.outcome == "not_matched":
        return _why_not_matched(result.conditions)
    acting = [action for action in result.actions if action.status in ("failed", "pending")]
    if result.outcome == "failed":
        told = [f"action {one.index + 1} {one.type}: {one.error}" for one in acting if one.status == "failed"]
        return f"its conditions held; {'; '.join(told)}"
    if result.outcome == "pending":
        told = [f"action {one.index + 1} {one.type}" for one in acting if one.status == "pending"]
        return f"its conditions held; it waits for {' and '.join(told)}"
    return "its conditions held, and its actions are done"


def _why_not_matched(leaves: Sequence[explain.Leaf]) -> str:
    if not leaves:
        return "its conditions did not hold"
    # A leaf below a `none` fails its group where it holds.
    told = [
        f"{leaf.field} {leaf.operator}{'' if leaf.value is None else f' {_json(leaf.value)}'}"
        f" {'holds' if leaf.result else 'does not hold'}: {leaf.note or f'saw {_json(leaf.observed)}'}"
        for leaf in leaves
    ]
    return "; ".join(told)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
