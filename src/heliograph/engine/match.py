"""Match: which rules an event meets, gate by gate, and the runs that come of it (a chapter of the turn).

Law: all rules of an event see the state as it was before the event's first action (engine.md E9); nothing is
written here, what came of the event is handed back as a value. Definitions are read once for each version.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import (
    alerts,
    conditions,
    effects,
    ids,
    journeys,
    plans,
    runs,
    schedule,
    templates,
    tenants,
)
from heliograph.core import rules as rule_book
from heliograph.core.steps import lists, messaging
from heliograph.engine import bounds, wishes
from heliograph.engine import desk as desks
from heliograph.store import definitions, rows

_RECORDS = frozenset({"contact", "conversation"})
_PAUSE_LOOKS = 60 * schedule.SECOND
"""So long after a pause what is tried again may still wait."""
_decode = msgspec.json.Decoder().decode
_journey = msgspec.json.Decoder(journeys.Definition)


class Trigger(NamedTuple):
    """The rules that one event type meets, in order, with the function that judges them all at once."""

    rules: tuple[rule_book.Rule, ...]
    judge: conditions.Judge
    reads: frozenset[str]
    """Which roots the rules' conditions or actions read: only those records are loaded."""
    has_cooldowns: bool
    has_gates: bool
    """Whether any rule has a rollout or a cooldown."""
    lists: frozenset[str]
    """The lists that the rules' actions name."""
    list_texts: tuple[templates.Text, ...]
    """The texts by which they name others."""
    traces: dict[bytes, Callable[[conditions.Facts], bytes]]
    """The functions that trace a rule's conditions, by rule, made when they are first needed."""

    def trace(self, rule: rule_book.Rule, facts: conditions.Facts) -> bytes:
        """The whole trace of a rule's conditions."""
        compiled = self.traces.get(rule.id)
        if compiled is None:
            compiled = self.traces[rule.id] = conditions.compile_trace(rule.condition)
        return compiled(facts)


class Watched(NamedTuple):
    """A rule of which somebody is told when it is alarming."""

    tenant_id: str | None
    created_at: int
    definition: rule_book.Definition
    settings: Mapping[str, Any]
    """Its alert settings, with every default."""


class Workspace:
    """The definitions of one workspace in one version, compiled as they are first needed."""

    def __init__(
        self,
        identity: int,
        stored: definitions.Definitions,
        invoke: Callable[[Workspace, plans.Invocation], effects.Start | str],
    ):
        """`invoke` gives the start of a journey."""
        self._invoke = invoke
        self.id, self.version = identity, stored.version
        self.library = stored.library
        self.pause_ended_at = stored.pause_ended_at
        self.default_subject: str = (_decode(stored.settings) or {}).get("default_subject", "")
        self.definitions = stored
        self.wishes = wishes.Wishes(stored, asks=(_decode(stored.settings) or {}).get("consents", False))
        self.zone: str | None = (_decode(stored.settings) or {}).get("timezone")
        self.team = plans.Team(stored.agents, stored.divisions)
        self._stored, self._stored_journeys = stored.rules, stored.journeys
        self._journeys: dict[str, tuple[str | None, journeys.Journey]] | None = None
        self._rules: dict[bytes, rule_book.Rule] = {}
        self._triggers: dict[tuple[str | None, str], Trigger | None] = {}

    def invoke(self, asked: plans.Invocation) -> effects.Start | str:
        """The start of a journey that a rule's action asks for, or why there is none."""
        return self._invoke(self, asked)

    def trigger(self, tenant_id: str | None, event_type: str) -> Trigger | None:
        """The rules for an event of this type and tenant; None where there are none."""
        key = (tenant_id, event_type)
        if key not in self._triggers:
            self._triggers[key] = self._compile(tenant_id, event_type)
        return self._triggers[key]

    def journey(self, tenant_id: str | None, name: str) -> journeys.Journey | None:
        """The published journey of this id or alias that runs of this tenant may start: its own, or the workspace's."""
        if self._journeys is None:
            self._journeys = {}
            for one in self._stored_journeys:
                definition = _journey.decode(one.definition)
                if definition.status == "published":
                    made = journeys.Journey(one.id, one.version, definition)
                    names = (definition.alias, definition.id)
                    self._journeys |= {key: (one.tenant_id, made) for key in names if key}
        owner, found = self._journeys.get(name, (None, None))
        return found if tenants.reaches(tenant_id, owner) else None

    @functools.cached_property
    def watched(self) -> Mapping[bytes, Watched]:
        """The rules of which somebody is told when they are alarming."""
        return {
            stored.id: Watched(stored.tenant_id, stored.created_at, definition, settings)
            for listening in self._listening.values()
            for stored, definition in listening
            if alerts.is_told(settings := alerts.effective(definition.alert_settings))
        }

    def is_paused(self, now: int) -> bool:
        """Whether the workspace's rules stand still."""
        until = self.definitions.paused_until
        return self.definitions.is_paused and (until is None or now < until)

    def looks_after_pause_at(self, now: int) -> int | None:
        """While rules stand still, when to see whether they still do; None where they do not."""
        if not self.is_paused(now):
            return None
        return min(now + _PAUSE_LOOKS, self.definitions.paused_until or now + _PAUSE_LOOKS)

    @functools.cached_property
    def _listening(self) -> Mapping[str, list[tuple[definitions.StoredRule, rule_book.Definition]]]:
        return _by_type((*self._stored, *self._stored_journeys))

    def _compile(self, tenant_id: str | None, event_type: str) -> Trigger | None:
        # A workspace's own rules see every event; a tenant's see that tenant's alone (E14).
        ready = [
            self._ready(stored, definition)
            for stored, definition in self._listening.get(event_type, ())
            if stored.tenant_id in (None, tenant_id)
        ]
        listening = [rule for rule in ready if rule.is_active]
        if not listening:
            return None
        listening.sort(key=rule_book.order)
        reads = frozenset().union(*(conditions.roots_read(rule.condition) for rule in listening))
        reads = reads.union(*(_reads(step) for rule in listening for step in rule.plan.steps))
        return Trigger(
            tuple(listening),
            conditions.compile_judge([rule.condition for rule in listening]),
            reads,
            any(rule.cooldown_secs for rule in listening),
            any(rule.has_gates for rule in listening),
            frozenset().union(*(lists.named(rule.plan) for rule in listening)),
            tuple(text for rule in listening for text in lists.texts(rule.plan)),
            {},
        )

    def plan(self, automation_id: bytes, version: int) -> plans.Plan | None:
        """The plan of a rule, where it still stands in this version."""
        rule = self._rules.get(automation_id)
        return rule.plan if rule is not None and rule.version == version else None

    def _ready(self, stored: definitions.StoredRule, definition: rule_book.Definition) -> rule_book.Rule:
        rule = self._rules.get(stored.id)
        if rule is None:
            rule = rule_book.ready(stored.id, stored.version, stored.tenant_id, stored.created_at, definition)
            self._rules[stored.id] = rule
        return rule


def _by_type(
    stored: Iterable[definitions.StoredRule],
) -> dict[str, list[tuple[definitions.StoredRule, rule_book.Definition]]]:
    """The rules by the type of event that they listen to: one that cannot be made ready stops its own type alone."""
    found: dict[str, list[tuple[definitions.StoredRule, rule_book.Definition]]] = {}
    for rule in stored:
        definition = journeys.rule_in(rule.definition)
        if definition is None:
            continue
        found.setdefault(definition.trigger_type, []).append((rule, definition))
    return found


def _reads(step: plans.Step) -> frozenset[str]:
    """The records that a step looks at; of a call it is known, anything else may write them or fill a template."""
    return step.reads if isinstance(step, messaging.CallWebhook) else _RECORDS


class Made(NamedTuple):
    """What an event came to: rows that stand as they are, and effects that the turn carries out."""

    runs: list[tuple[Any, ...]]
    """Rows of rows.Run, of rules that matched."""
    passed: list[tuple[int, bytes, bytes, int, bytes, int, str | None, bytes]]
    """The runs of the others, as rows.Writes.passed_runs has them."""
    asked: list[tuple[bytes, bytes, int, int, effects.Effect]]
    """(run_id, rule_id, visit, ordinal, effect), in order."""
    matched: list[tuple[bytes, str]]
    """(rule_id, cooldown subject) of every rule with a cooldown that matched."""


# Bound to columns a hundred thousand times a second, where an enum's member costs three times a number.
_NOT_MATCHED, _SKIPPED = int(runs.Outcome.NOT_MATCHED), int(runs.Outcome.SKIPPED)


def match(
    trigger: Trigger, event: rows.Event, scene: plans.Scene, cooldowns: Mapping[Any, int], head: bytes
) -> Made:
    """Meet every rule of the event's type, in order; `cooldowns` is (workspace, rule, subject) to last match."""
    made = Made([], [], [], [])
    facts = facts_of(scene)
    gates = _Gates(event, cooldowns, scene.now) if trigger.has_gates else None
    workspace_id, event_id = event.workspace_id, event.id
    packed: dict[int, bytes] = {}
    place = ids.run_place(event_id)
    for rule, failing in zip(trigger.rules, trigger.judge(facts), strict=True):
        if rule.is_timed and rule_book.closed_by(rule, scene.now) is not None:
            continue
        run_id = head + place.to_bytes(8, "big")
        place += ids.NEXT_RUN
        skipped = gates.skips(rule) if gates is not None and rule.has_gates else None
        if skipped is None and failing is None:
            _start(made, event, run_id, rule, scene, trigger.trace(rule, facts))
            if gates is not None and rule.cooldown_secs:
                made.matched.append((rule.id, gates.cooldown_subject))
            if rule.stop_on_match:
                break
            continue
        outcome, reason = (_NOT_MATCHED, None) if skipped is None else (_SKIPPED, skipped)
        if skipped is not None:
            trace = trigger.trace(rule, facts)
        elif (known := packed.get(id(failing))) is not None:
            # Candidates of one index entry share their failing leaf: it is packed once.
            trace = known
        else:
            assert failing is not None
            trace = packed[id(failing)] = conditions.pack_failing(failing)
        made.passed.append((workspace_id, run_id, rule.id, rule.version, event_id, outcome, reason, trace))
    return made


class _Gates:
    """The gates that leave a run saying `skipped`: rollout, then cooldown."""

    __slots__ = ("cooldown_subject", "cooldowns", "event", "now", "subject")

    def __init__(self, event: rows.Event, cooldowns: Mapping[Any, int], now: int):
        self.event, self.cooldowns, self.now = event, cooldowns, now
        self.subject = rule_book.subject_of(event.contact_id, event.conversation_id, event.id)
        self.cooldown_subject = rule_book.cooldown_subject(event.contact_id, event.conversation_id)

    def skips(self, rule: rule_book.Rule) -> str | None:
        """Which of them is closed to this event, as a run keeps it."""
        if not rule_book.rolled_out(rule, self.subject):
            return rule_book.write_skip(rule_book.Gate.ROLLOUT, None)
        matched_at = self.cooldowns.get((self.event.workspace_id, rule.id, self.cooldown_subject))
        if not rule_book.cooling(rule, matched_at, self.now):
            return None
        return rule_book.write_skip(rule_book.Gate.COOLDOWN, matched_at)


def _start(
    made: Made, event: rows.Event, run_id: bytes, rule: rule_book.Rule, scene: plans.Scene, trace: bytes
) -> None:
    scene.rule_id = rule.id
    status, outcome, state, asked = runs.begin(rule.plan, scene, scene.now)
    made.runs.append(
        (
            event.workspace_id,
            run_id,
            rule.id,
            rule.version,
            event.id,
            None,
            status,
            outcome,
            None,
            trace,
            state,
        )
    )
    for visit, ordinal, effect in asked:
        made.asked.append((run_id, rule.id, visit, ordinal, effect))


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


def scene_of(
    workspace: Workspace,
    event: rows.Event,
    desk: desks.Desk,
    limits: bounds.Limits,
) -> plans.Scene:
    """What the rules of an event see: the event, and the records as they stand on the desk."""
    payload = _decode(event.payload)
    previous = _decode(event.previous) if event.previous is not None else payload.get("previous")
    contact, conversation = event.contact_id, event.conversation_id
    stored = None if conversation is None else desk.conversations.get((event.workspace_id, conversation))
    conversation_is_foreign = stored is not None and event.tenant_id not in (None, stored.tenant_id)
    contact_is_foreign = contact is not None and _is_foreign(event, contact, desk)
    return plans.Scene(
        b"",
        event.id,
        event.event_type,
        event.source,
        event.channel_source or channel_of(None if conversation_is_foreign else stored, payload),
        contact,
        conversation,
        event.tenant_id,
        event.depth,
        payload,
        previous if isinstance(previous, dict) else None,
        _contact(event, desk, is_foreign=contact_is_foreign),
        _conversation(event, desk, is_foreign=conversation_is_foreign),
        workspace.default_subject or limits.default_subject,
        workspace.library,
        limits.default_region,
        desk.now,
        workspace.invoke,
        team=workspace.team,
        conversation_is_foreign=conversation_is_foreign,
        contact_is_foreign=contact_is_foreign,
        lists=desk.lists.get(event.workspace_id, plans.NO_LISTS),
    )


def _is_foreign(event: rows.Event, contact_id: str, desk: desks.Desk) -> bool:
    """Whether a tenant's event names somebody who is another's, or the workspace's own."""
    if event.tenant_id is None:
        return False
    stored = desk.contacts.get((event.workspace_id, contact_id))
    return stored is not None and stored.tenant_id != event.tenant_id


def _contact(event: rows.Event, desk: desks.Desk, *, is_foreign: bool) -> Mapping[str, Any] | None:
    if event.contact_id is None:
        return None
    if is_foreign:
        return {"id": event.contact_id}
    return desk.contact(event.workspace_id, event.contact_id)


def _conversation(event: rows.Event, desk: desks.Desk, *, is_foreign: bool) -> Mapping[str, Any] | None:
    if event.conversation_id is None:
        return None
    if is_foreign:
        return {"id": event.conversation_id}
    return desk.conversation(event.workspace_id, event.conversation_id)


def channel_of(stored: rows.Conversation | None, payload: Mapping[str, Any]) -> str | None:
    """The channel of an event that names none itself: its conversation's, else what its payload says (R8)."""
    if stored is not None and stored.channel is not None:
        return stored.channel
    said = payload.get("channel_source")
    return said if isinstance(said, str) else None
