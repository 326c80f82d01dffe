"""Backtest: the events of the last days, read again a bite at a time, meet a rule.

Law: reading only. Each bite is a short look at the database, with a rest behind it, so that whoever works beside it is
not held up; what is in memory does not grow with the number of events. What comes of it is `core.backtests`' to decide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import backtests, conditions, ids, journeys, rules, schedule, statistics
from heliograph.engine import desk, match
from heliograph.store import automations, backtest_notes, database, definitions, identities, rows, spans
from heliograph.store import statistics as stored_statistics

EVENTS_AT_ONCE, BYTES_AT_ONCE = 500, 4 << 20
"""A bite is so many events at most, with payloads of so many bytes."""
_decode = msgspec.json.Decoder().decode


class Order(msgspec.Struct, frozen=True):
    """A backtest as it is handed to whoever runs it; all of it is checked."""

    workspace_id: int
    tenant_id: str | None
    """Who asks: a tenant sees its own people, events and rules; None = the whole workspace."""
    rule_tenant: str | None
    rule_id: bytes
    is_stored: bool
    version: int
    created_at: int
    definition: rules.Definition
    first_day: int
    last_day: int
    now: int

    @property
    def days(self) -> statistics.Window:
        """The days of UTC."""
        return statistics.Window(self.first_day, self.last_day)


class Progress(msgspec.Struct, frozen=True):
    """How far it has come."""

    looked_at: int
    """Events of any type."""
    of: int
    """About how many there are."""


def order(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, given: Mapping[str, Any], now: int
) -> Order:
    """What a request asks for. Raises errors.InvalidInput and errors.NotFound."""
    asked = backtests.ask(given)
    days = statistics.window(now, asked.days)
    if asked.rule_id is None:
        definition = backtests.definition(None, asked.fields)
        fresh = identities.fresh(now)
        return Order(workspace_id, tenant_id, tenant_id, fresh, False, 0, now, definition, *days, now)
    stored = automations.read_rule(connection, workspace_id, tenant_id, asked.rule_id)
    if stored is None:
        raise errors.NotFound(f"there is no rule {ids.text(asked.rule_id)!r}")
    definition = backtests.definition(stored.definition, asked.fields)
    return Order(
        workspace_id,
        tenant_id,
        stored.tenant_id,
        stored.id,
        True,
        stored.version,
        stored.created_at,
        definition,
        *days,
        now,
    )


def run(
    store: database.Database, asked: Order, rest: Callable[[float], None], stopwatch: Callable[[], float]
) -> Iterator[Progress | backtests.Backtest]:
    """Progress, bite by bite, and then the answer; `rest(seconds)` is called after a bite that took so long."""
    rule = rules.ready(asked.rule_id, asked.version, asked.rule_tenant, asked.created_at, asked.definition)
    with store.reading() as connection:
        total = stored_statistics.event_counts(connection, asked.workspace_id, None, asked.days).total
        others = _others(definitions.load(connection, asked.workspace_id).rules, rule)
    with (
        contextlib.closing(backtest_notes.Notes()) as notes,
        contextlib.closing(store.reader()) as session,
    ):
        trial = backtests.Trial(rule, others, asked.days, notes)
        reader = _Reader(session, asked, trial)
        yield Progress(0, total)
        while (looked_at := reader.bite(stopwatch, rest)) is not None:
            yield Progress(looked_at, max(total, looked_at))
        yield trial.told(ids.text(asked.rule_id) if asked.is_stored else None, asked.tenant_id)


def _others(stored: Sequence[definitions.StoredRule], rule: rules.Rule) -> list[rules.Rule]:
    """The rules that listen to the same events."""
    found = []
    for one in stored:
        definition = journeys.rule_in(one.definition)
        if definition is not None and definition.trigger_type == rule.trigger_type and definition.is_active:
            found.append(rules.ready(one.id, one.version, one.tenant_id, one.created_at, definition))
    return found


class _Reader:
    """Goes through the events of the days, oldest first."""

    def __init__(self, session: database.Session, asked: Order, trial: backtests.Trial):
        self._session, self._asked, self._trial = session, asked, trial
        self._span = spans.Span(
            asked.workspace_id,
            asked.rule_tenant,
            asked.definition.trigger_type,
            ids.head(asked.first_day * schedule.DAY) + bytes(8),
            ids.head(asked.now) + b"\xff" * 8,
        )
        self._looked_at = 0

    def bite(self, stopwatch: Callable[[], float], rest: Callable[[float], None]) -> int | None:
        """The next events; gives how many were looked at so far, None where there were no more."""
        began = stopwatch()
        records = _Records(self._session.hot, self._asked)
        # Nothing is decided within a look: who has the lowest priority might stand still in it for long.
        with self._session.looking() as connection:
            passed = self._session.hot.read_span(connection, self._span, EVENTS_AT_ONCE, BYTES_AT_ONCE)
            records.read(connection, passed.events, self._trial.reads)
        met = [_happened(event, records) for event in passed.events]
        matched = [event for event in met if self._trial.take(event)]
        if matched and self._trial.reads_late:
            with self._session.looking() as connection:
                records.read(connection, matched, self._trial.reads_late)
            matched = [_seen(event, records) for event in matched]
        for event in matched:
            self._trial.compare(event)
        if passed.last is None:
            return None
        self._span = self._span._replace(after=passed.last)
        self._looked_at += passed.looked_at
        rest(stopwatch() - began)
        return self._looked_at


class _Records:
    """Contacts and conversations of a bite, as they are now and as conditions see them."""

    def __init__(self, hot: Any, asked: Order):
        self._hot, self._asked = hot, asked
        self._contacts: dict[tuple[int, str], rows.Contact] = {}
        self._conversations: dict[tuple[int, str], rows.Conversation] = {}
        self._roots: dict[tuple[str, str | None], Mapping[str, Any]] = {}

    def read(
        self,
        connection: Any,
        found: Sequence[rows.Event] | Sequence[backtests.Happened],
        roots: frozenset[str],
    ) -> None:
        """Look up whom these events are about."""
        workspace_id = self._asked.workspace_id
        people = {(workspace_id, one.contact_id) for one in found if one.contact_id is not None}
        talks = {(workspace_id, one.conversation_id) for one in found if one.conversation_id is not None}
        if "contact" in roots and people:
            self._contacts = self._hot.read_contacts(connection, people)
        if "conversation" in roots and talks:
            self._conversations = self._hot.read_conversations(connection, talks)
        self._roots.clear()

    def contact(self, user_id: str | None, tenant_id: str | None) -> Mapping[str, Any] | None:
        """A contact, where the tenant that asks may see it, and so may whose event it is; else `{id}` alone."""
        if user_id is None:
            return None
        key = (user_id, tenant_id)
        if key not in self._roots:
            row = self._contacts.get((self._asked.workspace_id, user_id))
            seen = row if row is not None and self._shows(row.tenant_id, tenant_id) else None
            self._roots[key] = desk.root(user_id, seen and seen.profile, seen and seen.tags)
        return self._roots[key]

    def conversation(self, identity: str, tenant_id: str | None) -> rows.Conversation | None:
        """A conversation, where the tenant that asks may see it, and so may whose event it is."""
        row = self._conversations.get((self._asked.workspace_id, identity))
        return row if row is not None and self._shows(row.tenant_id, tenant_id) else None

    def _shows(self, owner: str | None, tenant_id: str | None) -> bool:
        return all(who in (None, owner) for who in (self._asked.tenant_id, tenant_id))


def _happened(event: rows.Event, records: _Records) -> backtests.Happened:
    facts = conditions.Facts(
        event.event_type,
        event.source,
        event.channel_source,
        _decode(event.payload),
        None if event.previous is None else _decode(event.previous),
        None,
        None,
    )
    named = event.channel_source is not None
    met = backtests.Happened(
        event.id, event.tenant_id, event.contact_id, event.conversation_id, facts, names_channel=named
    )
    return _seen(met, records)


def _seen(event: backtests.Happened, records: _Records) -> backtests.Happened:
    """The event with the records as they are known."""
    facts, identity = event.facts, event.conversation_id
    row = None if identity is None else records.conversation(identity, event.tenant_id)
    channel = facts.channel_source if event.names_channel else match.channel_of(row, facts.payload)
    return event._replace(
        facts=msgspec.structs.replace(
            facts,
            channel_source=channel,
            contact=records.contact(event.contact_id, event.tenant_id),
            conversation=None if identity is None else desk.conversation_root(identity, row),
        )
    )
