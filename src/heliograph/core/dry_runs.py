"""Dry run: what a rule would make of an event, with nothing done and nobody told.

Law: it is judged by what judges events: the same gates, the same conditions, and `runs.advance`, the one function
that moves runs. What the run asks for is filled here and answered as if all went well, so every action is shown; what
cannot be known beforehand (a rollout without a subject) is called unknown and keeps nobody back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import (
    conditions,
    destinations,
    effects,
    explain,
    messages,
    plans,
    renderings,
    rules,
    runs,
    schedule,
    templates,
)

Contents = Callable[[str, int, Sequence[Any] | None], renderings.Design]
"""(template, version, brand and its version) to what there is to draw; raises errors.NotFound."""


class Admission(NamedTuple):
    """What becomes of a message before it goes."""

    channel: str
    address: str
    refusal: str | None = None
    """Why it goes nowhere: it is not wanted, or its recipient has had enough; None: it goes."""
    waits_until: int | None = None
    """When the quiet hours end through which it waits; None: it is not quiet."""
    may_go_on: bool = True
    """Whether it may still be wanted on its next way, where it was refused."""
    fault: str | None = None
    """Why nobody could take it."""


class Outside(NamedTuple):
    """What is asked while the actions are taken."""

    contents: Contents
    admission: Callable[[effects.Deliver], Admission]


_AS_WRITTEN = frozenset(
    (
        "type",
        "on_error",
        "target",
        "steps",
    )
)
"""Fields of actions that are no texts."""
_VALUES = frozenset(("body", "data", "fields", "payload"))
"""Fields of actions in which a text that is one output alone keeps its type."""


GateState = explain.GateState


class DryRun(msgspec.Struct, kw_only=True):
    """What a rule would make of an event."""

    matched: bool
    """Whether the conditions hold, whatever the gates say."""
    would_execute: bool
    """Whether the actions would be taken now: the conditions hold and no gate is closed."""
    reasons: list[str]
    """The gates that are closed, in their order, and `conditions` where those do not hold."""
    gates: list[GateState]
    trace: list[explain.Leaf]
    """What every condition saw."""
    actions: list[dict[str, Any]]
    """Where it matched: each action with its texts filled, and in `outcome` what would become of it."""


class Subject(NamedTuple):
    """Whom an event is about, and when the rule last matched for them."""

    contact_id: str | None
    conversation_id: str | None
    matched_at: int | None

    @property
    def is_known(self) -> bool:
        """Whether there is anybody."""
        return self.contact_id is not None or self.conversation_id is not None


def rehearse(
    rule: rules.Rule,
    actions: Sequence[Mapping[str, Any]],
    facts: conditions.Facts,
    scene: plans.Scene,
    subject: Subject,
    paused: bool,
    outside: Outside,
) -> DryRun:
    """What the rule would make of the event now; `actions` is its actions as they are written."""
    matched = conditions.holds(rule.condition, facts)
    gates = list(_gates(rule, subject, paused, scene.now))
    reasons: list[str] = [gate.gate.value for gate in gates if gate.state == "closed"]
    return DryRun(
        matched=matched,
        would_execute=matched and not reasons,
        reasons=reasons if matched else [*reasons, "conditions"],
        gates=gates,
        trace=[
            explain.Leaf(**leaf)
            for leaf in conditions.trace_json(rule.condition, conditions.observe(rule.condition, facts))
        ],
        actions=_Rehearsal(rule.plan, scene, outside).shown(actions) if matched else [],
    )


# ── gates ───────────────────────────────────────────────────────────────────────────────────────────


def _gates(rule: rules.Rule, subject: Subject, paused: bool, now: int) -> Iterator[GateState]:
    state = rules.effective_state(rule, paused, now)
    for gate in (rules.Gate.PAUSED, rules.Gate.INACTIVE, rules.Gate.SNOOZED, rules.Gate.SCHEDULE):
        yield GateState(gate=gate, state="closed" if gate.value in state.reasons else "open")
    yield _rollout(rule, subject)
    yield _cooldown(rule, subject, now)


def _rollout(rule: rules.Rule, subject: Subject) -> GateState:
    if 0 < rule.rollout_percentage < 100 and not subject.is_known:
        note = f"on for {rule.rollout_percentage} of 100: give contact_id or conversation_id"
        return GateState(gate=rules.Gate.ROLLOUT, state="unknown", note=note)
    if rule.rollout_percentage in (0, 100):
        return GateState(gate=rules.Gate.ROLLOUT, state="open" if rule.rollout_percentage else "closed")
    name = rules.subject_of(subject.contact_id, subject.conversation_id, None)
    return explain.rollout(rule.id, rule.rollout_percentage, name, is_open=rules.rolled_out(rule, name))


def _cooldown(rule: rules.Rule, subject: Subject, now: int) -> GateState:
    if not rule.cooldown_secs:
        return GateState(gate=rules.Gate.COOLDOWN, state="open")
    if not subject.is_known:
        return GateState(gate=rules.Gate.COOLDOWN, state="unknown", note="give contact_id or conversation_id")
    if subject.matched_at is None:
        return GateState(gate=rules.Gate.COOLDOWN, state="open", note="has not matched for this subject yet")
    name = rules.cooldown_subject(subject.contact_id, subject.conversation_id)
    if rules.cooling(rule, subject.matched_at, now):
        return explain.cooling(name, subject.matched_at, rule.cooldown_secs)
    note = f"matched for {name} at {schedule.write_instant(subject.matched_at)}"
    return GateState(gate=rules.Gate.COOLDOWN, state="open", note=note)


# ── actions ─────────────────────────────────────────────────────────────────────────────────────────


class _Rehearsal:
    """The actions of one plan, taken with answers that are made up."""

    def __init__(self, plan: plans.Plan, scene: plans.Scene, outside: Outside):
        self._plan, self._scene, self._outside = plan, scene, outside
        self._deliveries: dict[int, list[dict[str, Any]]] = {}

    def shown(self, actions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Each action as it would be taken."""
        records: tuple[runs.Record, ...] = ()
        raised = None
        try:
            records = self._taken()
        except errors.HeliographError as fault:
            # What raises when it is taken fails the decision of the whole event: no action is taken then.
            raised = _told(fault)
        return [
            self._outcome(index, action, records[index] if index < len(records) else None, raised)
            for index, action in enumerate(actions)
        ]

    def _outcome(
        self, index: int, action: Mapping[str, Any], record: runs.Record | None, raised: str | None
    ) -> dict[str, Any]:
        filled, missing, unfilled = self._filled(action)
        outcome = {
            "status": "not_attempted" if record is None else plans.Status(record.status).name.lower(),
            "error": (record.error if record else raised) or unfilled,
            "missing": missing,
            "deliveries": self._deliveries.get(index, []),
        }
        return {**filled, "outcome": outcome}

    def _taken(self) -> tuple[runs.Record, ...]:
        """The records of a run in which the outside answers at once, and well wherever it can."""
        plan, scene = self._plan, self._scene
        moved = runs.advance(plan, (), (), scene, scene.now)
        while replies := [
            self._reply(visit, ordinal, effect)
            for visit, ordinal, effect in moved.asked
            if isinstance(effect, (effects.Deliver, effects.Start))
        ]:
            moved = runs.advance(plan, moved.records, replies, scene, scene.now)
        return moved.records

    def _reply(self, visit: int, ordinal: int, effect: effects.Deliver | effects.Start) -> runs.Reply:
        if isinstance(effect, effects.Start):
            return runs.Reply(visit, ordinal, plans.Status.SUCCEEDED, None, None)
        shown, error = self._delivery(effect)
        self._deliveries.setdefault(visit, []).append(shown)
        if error:
            return runs.Reply(visit, ordinal, plans.Status.FAILED, None, error)
        if effect.kind is not effects.Kind.MESSAGE:
            return runs.Reply(visit, ordinal, plans.Status.SUCCEEDED, None, None)
        found = self._outside.admission(effect)
        shown |= {"channel": found.channel, "address": found.address}
        if found.waits_until is not None:
            shown |= {"waits": messages.QUIET_HOURS, "until": schedule.write_instant(found.waits_until)}
        if found.fault:
            return runs.Reply(visit, ordinal, plans.Status.FAILED, None, found.fault)
        status = plans.Status.SKIPPED if found.refusal else plans.Status.SUCCEEDED
        return runs.Reply(visit, ordinal, status, None, found.refusal)

    # ── texts ───────────────────────────────────────────────────────────────────────────────────────

    def _delivery(self, effect: effects.Deliver) -> tuple[dict[str, Any], str | None]:
        """What would be handed over, and why it could not be."""
        shown: dict[str, Any] = {"channel": effect.channel}
        if effect.kind is effects.Kind.MESSAGE:
            shown |= {"contact_id": effect.contact_id, "address": effect.address}
        context = {**self._scene.context, **effect.data}
        try:
            shown |= self._content(effect, context)
        except errors.HeliographError as fault:
            return shown, effect.fault or _told(fault)
        return shown, effect.fault or (_call_fault(shown) if effect.kind is effects.Kind.CALL else None)

    def _content(self, effect: effects.Deliver, context: templates.Context) -> dict[str, Any]:
        now = self._scene.now
        if effect.kind is effects.Kind.CALL:
            content = dict(effect.content or {})
            parts = {name: content[name] for name in ("url", "headers", "body")}
            filled: dict[str, Any] = templates.compile_value(parts).fill(context, now)
            url, headers = templates.text_of(filled["url"]), _as_texts(filled["headers"])
            return {**content, **filled, "url": url, "headers": headers}
        filled_texts = self._texts(effect, effect.data).fill(context, now)
        made = {"subject": filled_texts.subject or self._scene.default_subject, "text": filled_texts.text}
        return made if filled_texts.html is None else {**made, "html": filled_texts.html}

    def _texts(self, effect: effects.Deliver, data: Mapping[str, Any]) -> renderings.Content:
        if effect.template_id is None or effect.template_version is None:
            written = effect.content or {}
            return renderings.of_texts(written["subject"], written["text"], written.get("html"))
        brand = None if effect.content is None else effect.content.get("brand")
        return self._outside.contents(effect.template_id, effect.template_version, brand).content(data)

    def _filled(self, action: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], str | None]:
        """An action with its texts filled, the paths that were missing, and why it could not be filled."""
        context: dict[str, Any] = dict(self._scene.context)
        shown: dict[str, Any] = {}
        missing: list[str] = []
        # An action's own data goes first: its other texts see it.
        for name in sorted(action, key=lambda name: name != "data"):
            value = action[name]
            if value is None or name in _AS_WRITTEN or isinstance(value, (bool, int, float)):
                shown[name] = value
                continue
            compiled: templates.Text | templates.Value
            try:
                if isinstance(value, str) and name not in _VALUES:
                    compiled = templates.compile_text(value, name)
                else:
                    compiled = templates.compile_value(value, name)
                filled = compiled.fill(context, self._scene.now)
                shown[name] = filled if name in _VALUES else _as_texts(filled)
            except errors.HeliographError as fault:
                return {**action, **shown}, missing, _told(fault)
            missing += templates.missing(compiled, context)
            if name == "data":
                context["data"] = shown[name]
        return {name: shown[name] for name in action}, list(dict.fromkeys(missing)), None


def _as_texts(filled: Any) -> Any:
    """What was filled where texts are wanted, alone, in a list or in an object."""
    if isinstance(filled, dict):
        return {name: templates.text_of(one) for name, one in filled.items()}
    return [templates.text_of(one) for one in filled] if isinstance(filled, list) else filled


def _call_fault(request: Mapping[str, Any]) -> str | None:
    """Why a call that is filled could not be made, or None."""
    fault = destinations.url_fault(request["url"]) or destinations.break_fault(request["url"])
    if fault is not None:
        return f"url: {fault}"
    faults = (destinations.header_fault(str(name), str(value)) for name, value in request["headers"].items())
    return next((f"headers: {fault}" for fault in faults if fault is not None), None)


def _told(fault: errors.HeliographError) -> str:
    return "; ".join(map(str, fault.faults)) or fault.message
