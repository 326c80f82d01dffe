"""Backtest: what a rule would have made of the events that came in over the last days, with nothing done.

Law: it is judged by what judges events: the same compiled conditions, the same gates, event after event in their order.
The schedule is asked about the instant of each event, a cooldown runs as it would have run, and a rule before this one
that stops on a match stops it here too; whether a rule sleeps or rests now says nothing about then (rules.md R83).
Of records the present state is all there is, so the answer says how many matches it could have decided.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from heliograph import errors
from heliograph.core import conditions, documents, explain, ids, rules, schedule, statistics

MOST_DAYS = 90
DEFAULT_DAYS = 7
SAMPLES = 10
MOST_OVERLAPS = 100
_RECORDS = ("contact", "conversation")
_CHANNEL = "channel_source"
_OF_EVENT = ("id",)
"""The key of a record that the event itself says, whatever is stored."""

Keeper = Literal["stopped_by_rule", "schedule", "rollout", "cooldown"]


class HeldBack(msgspec.Struct, kw_only=True):
    """How many events that matched each gate would have held back: each counts at the first that is closed."""

    stopped_by_rule: int = 0
    """A rule before it matched and stops there."""
    schedule: int = 0
    rollout: int = 0
    cooldown: int = 0


class PresentState(msgspec.Struct, kw_only=True):
    """What was judged by records as they are now, because nobody knows how they were then."""

    reads: list[str]
    """The records that the conditions look at: `contact`, `conversation`."""
    matches: int
    """How many matches another record could have made none."""


class Overlap(msgspec.Struct, kw_only=True):
    """Another active rule whose conditions hold for events that matched."""

    rule_id: str
    rule_name: str
    events: int


class Day(msgspec.Struct, kw_only=True):
    """One day of UTC."""

    date: str
    events: int
    matched: int
    executed: int


class Sample(msgspec.Struct, kw_only=True):
    """One event, with what every condition saw."""

    event_id: str
    created_at: explain.Instant
    matched: bool
    held_back: Keeper | None
    trace: list[explain.Leaf]


class Backtest(msgspec.Struct, kw_only=True):
    """What a rule would have made of the events of some days."""

    rule_id: str | None
    """Null where the rule is not stored."""
    days: int
    """Days of UTC, today among them."""
    events: int
    """How many events of its trigger type came in."""
    matched: int
    """For how many its conditions hold, whatever the gates say."""
    executed: int
    """For how many its actions would have been taken: no gate held them back."""
    contacts: int
    """How many different contacts those are about."""
    held_back: HeldBack
    present_state: PresentState
    overlaps: list[Overlap]
    """The other rules that match the same events, those with most first; a hundred at most."""
    daily: list[Day]
    """Each day, oldest first."""
    sample: list[Sample]
    """The newest events that matched, ten at most; where none did, the newest that did not."""


class Asked(NamedTuple):
    """What is to be tried: a stored rule, fields that go before what is stored or make a new one, over some days."""

    rule_id: bytes | None
    fields: dict[str, Any]
    days: int


def ask(given: Mapping[str, Any]) -> Asked:
    """What a request asks for: `rule_id`, `rule` or both, and `days`. Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, ("rule_id", "rule", "days"), "")
    text, fields, days = given.get("rule_id"), given.get("rule"), given.get("days", DEFAULT_DAYS)
    identity = ids.parse(text) if isinstance(text, str) else None
    if text is not None and identity is None:
        faults.append(errors.Fault("rule_id", "is the id of a rule, a UUID"))
    if fields is not None and not isinstance(fields, dict):
        faults.append(errors.Fault("rule", "takes an object with the fields of a rule"))
    elif text is None and fields is None:
        faults.append(
            errors.Fault("rule_id", "is required, unless `rule` says what a rule that is not stored says")
        )
    elif text is None and fields is not None and "trigger_type" not in fields:
        faults.append(errors.Fault("rule.trigger_type", "is required, unless rule_id names a stored rule"))
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MOST_DAYS:
        faults.append(errors.Fault("days", f"takes a whole number from 1 to {MOST_DAYS}"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Asked(identity, dict(fields or {}), days)


def definition(stored: rules.Definition | None, fields: Mapping[str, Any]) -> rules.Definition:
    """The rule that is tried: the given fields go before the stored ones. Raises errors.InvalidInput."""
    before = stored or rules.Definition(name="", trigger_type="", actions=[])
    with errors.placed("rule.{}".format):
        return rules.change(before, fields)


class Happened(NamedTuple):
    """An event that came in."""

    id: bytes
    tenant_id: str | None
    contact_id: str | None
    conversation_id: str | None
    facts: conditions.Facts
    names_channel: bool
    """Whether it said its channel itself: else that is its conversation's (R8)."""


class Notes(Protocol):
    """What is kept of subjects, who may be many; it is nobody else's."""

    def matched_at(self, rule_id: bytes, subject: str) -> int | None:
        """When a rule matched last for a subject."""

    def match(self, rule_id: bytes, subject: str, at: int) -> None:
        """A rule matched for a subject."""

    def meet(self, contact_id: str) -> None:
        """A contact would have been acted upon."""

    def met(self) -> int:
        """How many different contacts that were."""


class Trial:
    """A rule that goes through events, oldest first."""

    def __init__(self, rule: rules.Rule, others: Sequence[rules.Rule], days: statistics.Window, notes: Notes):
        """`others` are the rules that may act on the same events; those that rest are left out."""
        self._rule = rule._replace(is_active=True, snoozed_until=None)
        self._others = [other for other in others if other.is_active and other.id != rule.id]
        ahead = [o for o in self._others if o.stop_on_match and rules.order(o) < rules.order(rule)]
        # In their line: what one of them stops begins no cooldown of another.
        self._ahead = [other._replace(snoozed_until=None) for other in sorted(ahead, key=rules.order)]
        line = (*self._ahead, self._rule)
        self._judge = conditions.compile_judge([one.condition for one in line])
        self._judge_others: conditions.Judge | None = None
        self._days, self._notes = days, notes
        self.reads = _records_of(line)
        """The records that it looks at: `contact`, `conversation`."""
        self.reads_late = _records_of(self._others) - self.reads
        """The records that the other rules look at, of events that matched alone."""
        self._leaves = _leaves_of_records(rule.condition)
        self._tally: dict[int, list[int]] = {}
        self._held: Counter[str] = Counter()
        self._overlaps: Counter[bytes] = Counter()
        self._uncertain = 0
        self._matches: deque[tuple[Happened, Keeper | None]] = deque(maxlen=SAMPLES)
        self._misses: deque[Happened] = deque(maxlen=SAMPLES)

    def take(self, event: Happened) -> bool:
        """The next event; whether the rule's conditions hold for it."""
        at = ids.created_at(event.id)
        day = at // schedule.DAY
        tally = self._tally.get(day)
        if tally is None:
            tally = self._tally[day] = [0, 0, 0]
        tally[0] += 1
        found = self._judge(event.facts)
        stopped = bool(self._ahead) and self._stopped(event, at, found)
        if found[-1] is not None:
            self._misses.append(event)
            return False
        tally[1] += 1
        keeper: Keeper | None = "stopped_by_rule" if stopped else self._gate(self._rule, event, at)
        if keeper is None:
            tally[2] += 1
            if event.contact_id is not None:
                self._notes.meet(event.contact_id)
        else:
            self._held[keeper] += 1
        if self._leaves:
            self._uncertain += not self._is_certain(event)
        self._matches.append((event, keeper))
        return True

    def compare(self, event: Happened) -> None:
        """See which other rules match an event that matched."""
        if not self._others:
            return
        if self._judge_others is None:
            self._judge_others = conditions.compile_judge([other.condition for other in self._others])
        for other, failing in zip(self._others, self._judge_others(event.facts), strict=True):
            if failing is None and _sees(other, event):
                self._overlaps[other.id] += 1

    def told(self, rule_id: str | None, tenant_id: str | None) -> Backtest:
        """What came of it, as it is told to a tenant, who hears of its own rules alone (None: of all)."""
        sums = [sum(column) for column in zip(*self._tally.values(), strict=True)] or [0, 0, 0]
        days = self._days
        return Backtest(
            rule_id=rule_id,
            days=days.last - days.first + 1,
            events=sums[0],
            matched=sums[1],
            executed=sums[2],
            contacts=self._notes.met(),
            held_back=HeldBack(**self._held),
            present_state=PresentState(
                reads=sorted(self._records_read()),
                matches=self._uncertain,
            ),
            overlaps=list(self._told_overlaps(tenant_id)),
            daily=[_day(day, self._tally.get(day, (0, 0, 0))) for day in range(days.first, days.last + 1)],
            sample=list(self._told_samples()),
        )

    # ── gates ───────────────────────────────────────────────────────────────────────────────────────

    def _stopped(self, event: Happened, at: int, found: Sequence[conditions.Failing | None]) -> bool:
        """Whether a rule before this one would have matched, and stopped there."""
        return any(
            failing is None and _sees(rule, event) and self._gate(rule, event, at) is None
            for rule, failing in zip(self._ahead, found, strict=False)
        )

    def _gate(self, rule: rules.Rule, event: Happened, at: int) -> Keeper | None:
        """The gate that was closed to an event whose conditions hold; where none was, its cooldown begins."""
        if rule.is_timed and rules.closed_by(rule, at) is not None:
            return "schedule"
        if not rule.has_gates:
            return None
        if not rules.rolled_out(rule, rules.subject_of(event.contact_id, event.conversation_id, event.id)):
            return "rollout"
        if rule.cooldown_secs:
            subject = rules.cooldown_subject(event.contact_id, event.conversation_id)
            if rules.cooling(rule, self._notes.matched_at(rule.id, subject), at):
                return "cooldown"
            self._notes.match(rule.id, subject, at)
        return None

    def _is_certain(self, event: Happened) -> bool:
        """Whether it would have matched whatever the records that are there had said."""
        there = {
            "contact": event.facts.contact is not None,
            "conversation": event.facts.conversation is not None,
            "channel_source": event.facts.conversation is not None and not event.names_channel,
        }
        leaves = self._rule.condition.leaves
        unknown = frozenset(number for number in self._leaves if there[leaves[number].place.root])
        return not unknown or conditions.holds_whatever(self._rule.condition, event.facts, unknown)

    # ── what is told ────────────────────────────────────────────────────────────────────────────────

    def _records_read(self) -> set[str]:
        """The records that the rule's own conditions look at."""
        roots = {self._rule.condition.leaves[number].place.root for number in self._leaves}
        return {"conversation" if root == _CHANNEL else root for root in roots}

    def _told_overlaps(self, tenant_id: str | None) -> Iterator[Overlap]:
        names = {one.id: one.name for one in self._others if tenant_id in (None, one.tenant_id)}
        told = [pair for pair in self._overlaps.items() if pair[0] in names]
        found = sorted(told, key=lambda pair: (-pair[1], pair[0]))
        for identity, events in found[:MOST_OVERLAPS]:
            yield Overlap(rule_id=ids.text(identity), rule_name=names[identity], events=events)

    def _told_samples(self) -> Iterator[Sample]:
        shown: Sequence[tuple[Happened, Keeper | None]] = self._matches or [
            (one, None) for one in self._misses
        ]
        condition = self._rule.condition
        for event, keeper in reversed(shown):
            trace = conditions.trace_json(condition, conditions.observe(condition, event.facts))
            yield Sample(
                event_id=ids.text(event.id),
                created_at=schedule.write_instant(ids.created_at(event.id)),
                matched=bool(self._matches),
                held_back=keeper,
                trace=[explain.Leaf(**leaf) for leaf in trace],
            )


def _sees(rule: rules.Rule, event: Happened) -> bool:
    """Whether a rule hears of an event: a tenant's hears of that tenant's alone (engine.md E14)."""
    return rule.tenant_id in (None, event.tenant_id)


def _records_of(line: Sequence[rules.Rule]) -> frozenset[str]:
    roots = frozenset().union(*(conditions.roots_read(one.condition) for one in line))
    return frozenset(_RECORDS) & (roots | {"conversation"} if _CHANNEL in roots else roots)


def _leaves_of_records(condition: conditions.Condition) -> tuple[int, ...]:
    """The leaves that look at what is stored of a record."""
    return tuple(
        number
        for number, leaf in enumerate(condition.leaves)
        if leaf.place.root in (*_RECORDS, _CHANNEL) and leaf.place.keys[:1] != _OF_EVENT
    )


def _day(day: int, tally: Sequence[int]) -> Day:
    date = schedule.write_instant(day * schedule.DAY)[:10]
    return Day(date=date, events=tally[0], matched=tally[1], executed=tally[2])
