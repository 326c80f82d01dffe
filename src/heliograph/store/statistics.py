"""Statistics: the counts that turns leave, summed; and counted anew from the rows that they speak of.

Law: rules are found first and each one's days by the key of its counts, so what a window costs grows with
rules and days, and never with runs. A recount walks the rows of one day at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import alerts, events, ids, runs, schedule, statistics
from heliograph.store import automations, schema

_RULES, _EVENTS = schema.rule_statistics.c, schema.event_statistics.c
_AUTOMATIONS = schema.automations.c


class EventCounts(NamedTuple):
    """How many events came in, and how many of them could not be decided."""

    total: int
    failed: int


# ── sums ────────────────────────────────────────────────────────────────────────────────────────────


def by_day(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    days: statistics.Window,
    rule_id: bytes | None = None,
) -> dict[int, statistics.Counts]:
    """The runs of each day that has any: of one rule, or of all that this tenant (None: the workspace) may see."""
    query = _counted(
        connection.dialect.name, workspace_id, _rules(workspace_id, tenant_id, rule_id), days, "day"
    )
    return {row[0]: _counts(row[1:]) for row in connection.execute(query)}


def by_rule(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, days: statistics.Window
) -> dict[bytes, statistics.Counts]:
    """The runs of each rule that has any in these days."""
    query = _counted(
        connection.dialect.name, workspace_id, _rules(workspace_id, tenant_id), days, "automation_id"
    )
    return {row[0]: _counts(row[1:]) for row in connection.execute(query)}


def _rules(workspace_id: int, tenant_id: str | None, rule_id: bytes | None = None) -> sa.Select[Any]:
    """The rules that are meant."""
    query = sa.select(_AUTOMATIONS.id).where(
        _AUTOMATIONS.workspace_id == workspace_id, _AUTOMATIONS.kind == "rule"
    )
    if tenant_id is not None:
        query = query.where(_AUTOMATIONS.tenant_id == tenant_id)
    return query if rule_id is None else query.where(_AUTOMATIONS.id == rule_id)


def _counted(
    dialect: str, workspace_id: int, rules: sa.Select[Any], days: statistics.Window, key: str
) -> sa.Select[Any]:
    """Sums by a column of the counts: rule by rule, each by the key of its counts, whatever a planner thinks of it."""
    within = (_RULES.workspace_id == workspace_id, _RULES.day.between(*days))
    names = statistics.Counts._fields
    if dialect == "sqlite":
        query = sa.select(_RULES[key], *(sa.func.sum(_RULES[name]) for name in names))
        return query.where(*within, _RULES.automation_id.in_(rules)).group_by(_RULES[key])
    named = rules.subquery()
    of_rule = sa.select(schema.rule_statistics).where(*within, _RULES.automation_id == named.c.id)
    found = of_rule.offset(0).lateral("counts")
    query = sa.select(found.c[key], *(sa.func.sum(found.c[name]) for name in names))
    return query.join_from(named, found, sa.true()).group_by(found.c[key])


def _counts(row: Sequence[Any]) -> statistics.Counts:
    # PostgreSQL sums whole numbers as decimals.
    return statistics.Counts(*map(int, row))


def event_counts(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, days: statistics.Window
) -> EventCounts:
    """The events that came in on these days: those that were looked at, and those in line, in one statement."""
    counted = sa.select(
        sa.func.coalesce(sa.func.sum(_EVENTS.total), 0), sa.func.coalesce(sa.func.sum(_EVENTS.failed), 0)
    ).where(_EVENTS.workspace_id == workspace_id, _EVENTS.day.between(*days))
    waiting = sa.select(sa.func.count()).where(
        schema.due.c.workspace_id == workspace_id, schema.due.c.event_id >= _first_id(days.first)
    )
    if tenant_id is not None:
        counted = counted.where(_EVENTS.tenant_id == tenant_id)
        waiting = waiting.where(
            schema.events.c.workspace_id == schema.due.c.workspace_id,
            schema.events.c.id == schema.due.c.event_id,
            schema.events.c.tenant_id == tenant_id,
        )
    row = connection.execute(counted.add_columns(waiting.scalar_subquery())).one()
    return EventCounts(int(row[0]) + int(row[2]), int(row[1]))


def _first_id(day: int) -> bytes:
    """The least id of a day."""
    return ids.head(day * schedule.DAY) + bytes(8)


# ── changed by people ───────────────────────────────────────────────────────────────────────────────

_CHANGE = sa.text(
    "INSERT INTO event_statistics (workspace_id, tenant_id, day, partition, total, processed, failed) VALUES"
    " (:workspace_id, :tenant_id, :day, :partition, :total, :processed, :failed)"
    " ON CONFLICT (workspace_id, tenant_id, day, partition) DO UPDATE SET"
    " total = event_statistics.total + excluded.total,"
    " processed = event_statistics.processed + excluded.processed,"
    " failed = event_statistics.failed + excluded.failed"
)


def recount(
    connection: sa.Connection,
    workspace_id: int,
    chosen: Collection[bytes],
    *,
    total: int = 0,
    processed: int = 0,
    failed: int = 0,
) -> None:
    """Add to the counts for each of these events, whose standing somebody has changed in this transaction."""
    columns = schema.events.c
    query = sa.select(columns.id, columns.tenant_id).where(
        columns.workspace_id == workspace_id, columns.id.in_(chosen)
    )
    changes = [
        {
            "workspace_id": workspace_id,
            "tenant_id": tenant_id or "",
            "day": ids.created_at(identity) // schedule.DAY,
            "partition": ids.partition_of(identity),
            "total": total,
            "processed": processed,
            "failed": failed,
        }
        for identity, tenant_id in sorted(map(tuple, connection.execute(query)))
    ]
    if changes:
        connection.execute(_CHANGE, changes)


# ── what is alarming ────────────────────────────────────────────────────────────────────────────────


class Alarm(NamedTuple):
    """A rule that is worth a look."""

    rule: automations.Rule
    settings: Mapping[str, Any]
    """Its alert settings, with every default."""
    counts: statistics.Counts
    verdict: statistics.Verdict


def alarms(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    now: int,
    given: Mapping[str, Any] | None = None,
) -> list[Alarm]:
    """The rules that are worth a look by their alert settings, before which `given` goes."""
    watched = [
        (rule, settings)
        for rule in automations.list_rules(connection, workspace_id, tenant_id)
        if (settings := {**alerts.effective(rule.definition.alert_settings), **(given or {})})["enabled"]
    ]
    counted = {}
    for length in {settings["window_days"] for _, settings in watched}:
        window = statistics.window(now, length)
        counted[length] = (
            by_rule(connection, workspace_id, tenant_id, window),
            by_rule(connection, workspace_id, tenant_id, statistics.preceding(window)),
        )
    found = []
    for rule, settings in watched:
        present, before = (by.get(rule.id, statistics.Counts()) for by in counted[settings["window_days"]])
        verdict = statistics.verdict(settings, present, before.matched)
        if verdict is not None:
            found.append(Alarm(rule, settings, present, verdict))
    return found


# ── counted anew ────────────────────────────────────────────────────────────────────────────────────


class Difference(NamedTuple):
    """One place at which the counts and the rows do not agree."""

    day: int
    what: str
    """A rule's id, or `events` and the tenant."""
    counted: tuple[int, ...]
    stored: tuple[int, ...]


def days_of(connection: sa.Connection, workspace_id: int) -> range:
    """The days from the first to the last of which a workspace has rows or counts."""
    found: list[int] = []
    for table in (schema.runs, schema.events):
        for way in (sa.asc, sa.desc):
            query = sa.select(table.c.id).where(table.c.workspace_id == workspace_id)
            identity = connection.execute(query.order_by(way(table.c.id)).limit(1)).scalar_one_or_none()
            found += [] if identity is None else [ids.created_at(identity) // schedule.DAY]
    for table in (schema.rule_statistics, schema.event_statistics):
        query = sa.select(sa.func.min(table.c.day), sa.func.max(table.c.day))
        found += [
            day
            for day in connection.execute(query.where(table.c.workspace_id == workspace_id)).one()
            if day is not None
        ]
    return range(min(found), max(found) + 1) if found else range(0)


def differences(connection: sa.Connection, workspace_id: int, day: int) -> Iterator[Difference]:
    """Where the counts of a day differ from its rows; the connection has looked at nothing yet."""
    if connection.dialect.name == "postgresql":
        # Two statements are to see the same moment.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    yield from _differing(
        day,
        {ids.text(key): value for key, value in _recounted_runs(connection, workspace_id, day).items()},
        {ids.text(key): value for key, value in _stored_runs(connection, workspace_id, day).items()},
        len(statistics.Counts._fields),
    )
    yield from _differing(
        day,
        _recounted_events(connection, workspace_id, day),
        _stored_events(connection, workspace_id, day),
        3,
    )


def _differing(
    day: int, counted: dict[str, tuple[int, ...]], stored: dict[str, tuple[int, ...]], width: int
) -> Iterator[Difference]:
    nothing = (0,) * width
    for key in sorted(counted.keys() | stored.keys()):
        one, other = counted.get(key, nothing), stored.get(key, nothing)
        if tuple(one) != tuple(other):
            yield Difference(day, key, tuple(one), tuple(other))


def _recounted_runs(connection: sa.Connection, workspace_id: int, day: int) -> dict[bytes, tuple[int, ...]]:
    columns = schema.runs.c
    # The trigger of a journey is a rule of one action, whose runs are counted by the journey's id (engine.md E11).
    of_trigger = columns.start_key.is_(None) & columns.event_id.is_not(None)
    query = (
        sa.select(columns.automation_id, columns.outcome, sa.func.count())
        .join_from(schema.runs, schema.automations, _AUTOMATIONS.id == columns.automation_id)
        .where(columns.workspace_id == workspace_id, *_of_day(columns.id, day))
        .where(sa.or_(_AUTOMATIONS.kind == "rule", of_trigger))
        .group_by(columns.automation_id, columns.outcome)
    )
    found: dict[bytes, statistics.Counts] = {}
    for automation_id, outcome, count in connection.execute(query):
        more = statistics.Counts(
            count,
            count * (outcome in runs.MATCHED),
            count * (outcome == runs.Outcome.EXECUTED),
            count * (outcome == runs.Outcome.PENDING),
        )
        found[automation_id] = found.get(automation_id, statistics.Counts()).plus(more)
    return dict(found)


def _stored_runs(connection: sa.Connection, workspace_id: int, day: int) -> dict[bytes, tuple[int, ...]]:
    query = (
        sa.select(_RULES.automation_id, *(sa.func.sum(_RULES[name]) for name in statistics.Counts._fields))
        .where(_RULES.workspace_id == workspace_id, _RULES.day == day)
        .group_by(_RULES.automation_id)
    )
    return {row[0]: tuple(map(int, row[1:])) for row in connection.execute(query)}


def _recounted_events(connection: sa.Connection, workspace_id: int, day: int) -> dict[str, tuple[int, ...]]:
    columns, decided = schema.events.c, schema.decisions.c
    query = (
        sa.select(columns.tenant_id, decided.status, sa.func.count())
        .join_from(
            schema.events,
            schema.decisions,
            (decided.workspace_id == columns.workspace_id) & (decided.event_id == columns.id),
        )
        .where(columns.workspace_id == workspace_id, *_of_day(columns.id, day))
        .group_by(columns.tenant_id, decided.status)
    )
    found: dict[str, tuple[int, ...]] = {}
    for tenant_id, status, count in connection.execute(query):
        key = _events_of(tenant_id or "")
        before = found.get(key, (0, 0, 0))
        more = (count, count * (status == events.State.PROCESSED), count * (status == events.State.FAILED))
        found[key] = tuple(one + other for one, other in zip(before, more, strict=True))
    return found


def _stored_events(connection: sa.Connection, workspace_id: int, day: int) -> dict[str, tuple[int, ...]]:
    query = (
        sa.select(_EVENTS.tenant_id, *map(sa.func.sum, (_EVENTS.total, _EVENTS.processed, _EVENTS.failed)))
        .where(_EVENTS.workspace_id == workspace_id, _EVENTS.day == day)
        .group_by(_EVENTS.tenant_id)
    )
    return {_events_of(row[0]): tuple(map(int, row[1:])) for row in connection.execute(query)}


def _events_of(tenant_id: str) -> str:
    return f"events of {tenant_id}" if tenant_id else "events"


def _of_day(column: Any, day: int) -> tuple[Any, Any]:
    return column >= _first_id(day), column < _first_id(day + 1)
