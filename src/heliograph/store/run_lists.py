"""Lists of runs: all of them, those of a rule, those of an event.

Law: reading alone. Runs lie in the order of their making; those of a rule are walked by its index, those of an event
lie side by side. Only runs of rules are listed, and of the triggers of journeys, which are rules of one action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import runs
from heliograph.store import history, listings, schema

_RUNS, _EVENTS, _AUTOMATIONS = schema.runs.c, schema.events.c, schema.automations.c
_RULE, _JOURNEY = "rule", "journey"
_COLUMNS = (_RUNS.id, _RUNS.outcome, _RUNS.start_key, _RUNS.event_id)


class Filter(NamedTuple):
    """Which runs are asked for; None = any."""

    rule_id: bytes | None = None
    event_id: bytes | None = None
    matched: bool | None = None
    executed: bool | None = None


def listed(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, chosen: Filter
) -> listings.Listed | None:
    """The runs that pass a filter; None where there is nothing that could have any."""
    kind = None if chosen.rule_id is None else kind_of(connection, workspace_id, chosen.rule_id)
    within = _within(connection, workspace_id, tenant_id, chosen, kind)
    if within is None:
        return None

    def candidates(order: listings.Order, from_cursor: bool, look: int, looks: bool) -> sa.Select[Any]:
        query = sa.select(*(_COLUMNS if looks else _COLUMNS[:1])).where(
            *within, *order.bounds(_RUNS.id, from_cursor=from_cursor)
        )
        return query.order_by(order.along(_RUNS.id)).limit(look)

    side_by_side = tenant_id is None and chosen.rule_id is None
    # A rule's runs lie apart, each on a page of its own.
    look = listings.COUNTED if side_by_side else listings.LOOK * 3 // 4
    filters = _filters(workspace_id, tenant_id, chosen, kind)
    return listings.Listed(candidates, filters, _key, _kind, look)


def _within(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, chosen: Filter, kind: str | None
) -> list[sa.ColumnElement[bool]] | None:
    """Where the runs lie; `kind` is that of the rule which is named."""
    if chosen.event_id is not None:
        span = history.span_of_event(connection, workspace_id, tenant_id, chosen.event_id)
        if span is None:
            return None
        found = [
            _RUNS.workspace_id == workspace_id,
            _RUNS.id.between(*span),
            _RUNS.event_id == chosen.event_id,
        ]
        return found if chosen.rule_id is None else [*found, _RUNS.automation_id == chosen.rule_id]
    if chosen.rule_id is None:
        return [_RUNS.workspace_id == workspace_id]
    # The workspace stands in the rule: named again, SQLite would walk the whole table, which is in order, too.
    return None if kind is None else [_RUNS.automation_id == chosen.rule_id]


def kind_of(connection: sa.Connection, workspace_id: int, automation_id: bytes) -> str | None:
    """Whether it is a rule or a journey, by its trigger, that meets or met events under this id; None: neither."""
    query = sa.select(_AUTOMATIONS.kind).where(
        _AUTOMATIONS.id == automation_id,
        _AUTOMATIONS.workspace_id == workspace_id,
        _AUTOMATIONS.kind.in_((_RULE, _JOURNEY)),
    )
    return connection.execute(query).scalar_one_or_none()


def _filters(
    workspace_id: int, tenant_id: str | None, chosen: Filter, kind: str | None
) -> Callable[[Any], list[sa.ColumnElement[bool]]]:
    def filters(row: Any) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = []
        # Under a journey's id lie the runs of its trigger, and all of its own.
        if chosen.event_id is None and (chosen.rule_id is None or kind == _JOURNEY):
            found += [row.start_key.is_(None), row.event_id.is_not(None)]
        for sort, wanted in (("matched", chosen.matched), ("executed", chosen.executed)):
            if wanted is not None:
                holds = _kind(sort, row)
                assert holds is not None
                found.append(holds if wanted else sa.not_(holds))
        if tenant_id is not None:
            of_event = (_EVENTS.workspace_id == workspace_id) & (_EVENTS.id == row.event_id)
            found.append(sa.select(_EVENTS.tenant_id).where(of_event).scalar_subquery() == tenant_id)
        return found

    return filters


def _kind(sort_by: str, row: Any) -> sa.ColumnElement[bool] | None:
    if sort_by == "matched":
        return row.outcome.in_([*map(int, runs.MATCHED)])  # type: ignore[no-any-return]
    return row.outcome == int(runs.Outcome.EXECUTED)  # type: ignore[no-any-return]


def _key(sort_by: str, row: Any) -> sa.ColumnElement[Any]:
    holds = _kind(sort_by, row)
    assert holds is not None
    return sa.case((holds, 1), else_=0)
