"""Match: which rules an event meets, gate by gate, and the runs that come of it (a chapter of the turn).

Law: all rules of an event see the state as it was before the event's first action (engine.md E9); nothing is
written here, what came of the event is handed back as a value. Definitions are read once for each version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import conditions, effects, ids, plans, rules, runs
from heliograph.store import definitions, rows

DAY = 86_400_000_000
_decode = msgspec.json.Decoder().decode
_definition = msgspec.json.Decoder(rules.Definition)


class Trigger(NamedTuple):
    """The rules that one event type meets, in order, with the function that judges them all at once."""

    rules: tuple[rules.Rule, ...]
    judge: conditions.Judge
    reads: frozenset[str]
    """Which roots the rules' conditions or actions read: only those records are loaded."""
    has_cooldowns: bool


class Workspace:
    """The definitions of one workspace in one version, compiled as they are first needed."""

    def __init__(self, identity: int, stored: definitions.Definitions):
        self.id, self.version = identity, stored.version
        self.template_versions = stored.template_versions
        self.control_updated_at = stored.control_updated_at
        self.default_subject: str = (_decode(stored.settings) or {}).get("default_subject", "")
        self._stored = stored.rules
        self._by_type: dict[str, list[rules.Rule]] | None = None
        self._triggers: dict[tuple[str | None, str], Trigger | None] = {}
        self._plans: dict[tuple[bytes, int], plans.Plan] = {}

    def trigger(self, tenant_id: str | None, event_type: str) -> Trigger | None:
        """The rules for an event of this type and tenant; None where there are none."""
        key = (tenant_id, event_type)
        if key not in self._triggers:
            self._triggers[key] = self._compile(tenant_id, event_type)
        return self._triggers[key]

    def _compile(self, tenant_id: str | None, event_type: str) -> Trigger | None:
        if self._by_type is None:
            self._by_type = {}
            for stored in self._stored:
                rule = rules.ready(
                    stored.id, stored.version, stored.tenant_id, stored.created_at, _definition.decode(stored.definition)
                )
                if rule.is_active:
                    self._by_type.setdefault(rule.trigger_type, []).append(rule)
        # A workspace's own rules see every event; a tenant's see that tenant's alone (E14).
        listening = [r for r in self._by_type.get(event_type, ()) if r.tenant_id in (None, tenant_id)]
        if not listening:
            return None
        listening.sort(key=rules.order)
        reads = frozenset().union(*(conditions.roots_read(rule.condition) for rule in listening))
        if any(step.kind != "call_webhook" for rule in listening for step in rule.plan.steps):
            reads |= {"contact", "conversation"}
        return Trigger(
            tuple(listening),
            conditions.compile_judge([rule.condition for rule in listening]),
            reads,
            any(rule.cooldown_secs for rule in listening),
        )

    def plan(self, automation_id: bytes, version: int) -> plans.Plan | None:
        """The plan of a rule, where it still stands in this version."""
        if not self._plans:
            self._plans = {
                (rule.id, rule.version): rule.plan for found in (self._by_type or {}).values() for rule in found
            }
        return self._plans.get((automation_id, version))


class Made(NamedTuple):
    """What an event came to: rows that stand as they are, and effects that the turn carries out."""

    runs: list[rows.Run]
    asked: list[tuple[bytes, bytes, int, int, effects.Effect]]
    """(run_id, rule_id, visit, ordinal, effect), in order."""
    matched: list[tuple[bytes, str]]
    """(rule_id, cooldown subject) of every rule with a cooldown that matched."""
    counts: list[tuple[bytes, runs.Outcome]]
    """(rule_id, outcome) of every run."""


def match(trigger: Trigger, event: rows.Event, scene: plans.Scene, cooldowns: Mapping[Any, int], head: bytes) -> Made:
    """Meet every rule of the event's type, in order; `cooldowns` is (workspace, rule, subject) to last match."""
    made = Made([], [], [], [])
    verdicts = trigger.judge(facts_of(scene))
    subject = rules.subject_of(event.contact_id, event.conversation_id, event.id)
    cooldown_subject = rules.cooldown_subject(event.contact_id, event.conversation_id)
    packed: dict[int, bytes] = {}
    ordinal = -1
    for index, rule in enumerate(trigger.rules):
        if rules.closed_by(rule, scene.now) is not None:
            continue
        ordinal += 1
        run_id = ids.of_run(event.id, ordinal, head)
        skipped = None
        if rule.rollout_percentage < 100 and not rules.rolled_out(rule, subject):
            skipped = rules.Gate.ROLLOUT
        elif rule.cooldown_secs and rules.cooling(
            rule, cooldowns.get((event.workspace_id, rule.id, cooldown_subject)), scene.now
        ):
            skipped = rules.Gate.COOLDOWN
        failing = verdicts[index]
        if skipped is not None:
            trace = conditions.pack_trace(conditions.observe(rule.condition, facts_of(scene)))
            made.runs.append(_row(event, run_id, rule, runs.Status.DONE, runs.Outcome.SKIPPED, skipped.value, trace, None))
            made.counts.append((rule.id, runs.Outcome.SKIPPED))
        elif failing is not None:
            # Candidates of one index entry share their failing leaf: it is packed once.
            trace = packed.get(id(failing)) or packed.setdefault(id(failing), conditions.pack_failing(failing))
            made.runs.append(_row(event, run_id, rule, runs.Status.DONE, runs.Outcome.NOT_MATCHED, None, trace, None))
            made.counts.append((rule.id, runs.Outcome.NOT_MATCHED))
        else:
            _start(made, event, run_id, rule, scene)
            if rule.cooldown_secs:
                made.matched.append((rule.id, cooldown_subject))
            if rule.stop_on_match:
                break
    return made


def _start(made: Made, event: rows.Event, run_id: bytes, rule: rules.Rule, scene: plans.Scene) -> None:
    scene.rule_id = rule.id
    moved = runs.advance(rule.plan, (), (), scene, scene.now)
    trace = conditions.pack_trace(conditions.observe(rule.condition, facts_of(scene)))
    made.runs.append(_row(event, run_id, rule, moved.status, moved.outcome, None, trace, runs.write(moved.records)))
    made.asked.extend((run_id, rule.id, visit, ordinal, effect) for visit, ordinal, effect in moved.asked)
    made.counts.append((rule.id, moved.outcome))


def _row(
    event: rows.Event,
    run_id: bytes,
    rule: rules.Rule,
    status: int,
    outcome: int,
    reason: str | None,
    trace: bytes,
    state: bytes | None,
) -> rows.Run:
    return rows.Run(
        event.workspace_id, run_id, rule.id, rule.version, event.id, None, status, outcome, reason, trace, state
    )


def facts_of(scene: plans.Scene) -> conditions.Facts:
    """What conditions see of a scene."""
    return conditions.Facts(
        scene.event_type,
        scene.source,
        scene.channel_source,
        scene.payload,
        scene.previous,
        scene.contact,
        scene.conversation,
    )
