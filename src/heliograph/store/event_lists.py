"""Lists of events: all of them, those of a rule, of a conversation, of a payload.

Law: reading alone. What leads to events is the table itself, which is in the order of their creation, or places
(store/places.py) as far as those are filled and the newest rows beyond; of events that are not processed, an index
and the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import events, ids
from heliograph.store import listings, places, run_lists, schema

_EVENTS, _RUNS, _DUE = schema.events.c, schema.runs.c, schema.due.c
_DECISIONS, _PLACES = schema.decisions.c, schema.event_places.c
_COLUMNS = (_EVENTS.id, _EVENTS.event_type, _EVENTS.source, _EVENTS.tenant_id, _EVENTS.conversation_id)
_STATES = {
    "pending": (events.State.PENDING, events.State.HELD),
    "processing": (events.State.PROCESSING,),
    "processed": (events.State.PROCESSED,),
    "failed": (events.State.FAILED,),
}
_OF_RULE = (_RUNS.event_id.is_not(None), _RUNS.start_key.is_(None))
"""The runs that met an event: a journey's own have a start key, though an event may have started them."""
_NEVER = 2**62
_IN_LINE = 500
"""How many events in line a walk looks at on PostgreSQL, where it has to look at as many in each partition."""
_NEWEST = 2_000
"""How many of the newest payloads are looked at that no place was made for yet."""
_decode = msgspec.json.Decoder().decode


class Filter(NamedTuple):
    """Which events are asked for; None = any."""

    rule_id: bytes | None = None
    conversation_id: str | None = None
    payload_hash: str | None = None
    """64 hexadecimal digits in lower case."""
    status: str | None = None
    event_type: str | None = None
    source: str | None = None


_Source = Callable[[listings.Order, bool, int], list[sa.Select[Any]]]
"""(order, whether the cursor counts, how many) gives the walks that lead to the events, each selecting `id`."""


def listed(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, chosen: Filter
) -> listings.Listed | None:
    """The events that pass a filter; None where there is nothing that could have any."""
    if chosen.rule_id is not None and run_lists.kind_of(connection, workspace_id, chosen.rule_id) is None:
        return None
    source = _source(connection, workspace_id, chosen)

    def candidates(order: listings.Order, from_cursor: bool, look: int, looks: bool) -> sa.Select[Any]:
        if source is None:
            bounds = order.bounds(_EVENTS.id, from_cursor=from_cursor)
            query = sa.select(*(_COLUMNS if looks else _COLUMNS[:1])).where(
                _EVENTS.workspace_id == workspace_id, *bounds
            )
            return query.order_by(order.along(_EVENTS.id)).limit(look)
        walks = listings.merged(order, look, source(order, from_cursor, look))
        if not looks:
            return walks
        found = walks.subquery()
        return sa.select(*_COLUMNS).join_from(
            found, schema.events, (_EVENTS.workspace_id == workspace_id) & (_EVENTS.id == found.c.id)
        )

    def key(sort_by: str, row: Any) -> sa.ColumnElement[Any]:
        return _key(workspace_id, sort_by, row)

    filters = _filters(connection, workspace_id, tenant_id, chosen)
    in_lines = (
        connection.dialect.name == "postgresql" and chosen.status == "pending" and _is_unsettled(chosen)
    )
    look = _IN_LINE if in_lines else listings.LOOK
    if chosen.rule_id is not None and _is_unsettled(chosen):
        # Each of them is fetched, and asked whether the rule had a run for it.
        look = min(look, listings.LOOK // 2)
    return listings.Listed(candidates, filters, key, lambda _sort, _row: None, look)


# ── what leads to events ────────────────────────────────────────────────────────────────────────────


def _source(connection: sa.Connection, workspace_id: int, chosen: Filter) -> _Source | None:
    if chosen.conversation_id is not None:
        return _of_conversation(connection, workspace_id, chosen.conversation_id)
    if chosen.payload_hash is not None:
        return _of_payload(connection, workspace_id, chosen.payload_hash)
    if _is_unsettled(chosen):
        return _unsettled(connection.dialect.name, workspace_id, str(chosen.status))
    if chosen.rule_id is not None:
        return _of_rule(connection, workspace_id, chosen.rule_id)
    return None


def _is_unsettled(chosen: Filter) -> bool:
    """Whether it is how they stand that leads to the events."""
    named = (chosen.conversation_id, chosen.payload_hash)
    return chosen.status not in (None, "processed") and named == (None, None)


def _placed(workspace_id: int, kind: places.Kind, key: bytes) -> list[sa.ColumnElement[bool]]:
    return [_PLACES.workspace_id == workspace_id, _PLACES.kind == int(kind), _PLACES.key == key]


def _walks(order: listings.Order, from_cursor: bool, *parts: tuple[Any, Any]) -> list[sa.Select[Any]]:
    """(column of ids, conditions) becomes a walk."""
    return [
        sa.select(column.label("id"))
        .where(*conditions, *order.bounds(column, from_cursor=from_cursor))
        .order_by(order.along(column))
        for column, conditions in parts
    ]


def _of_conversation(connection: sa.Connection, workspace_id: int, conversation_id: str) -> _Source:
    kind = places.Kind.CONVERSATION
    mark = places.mark(connection, workspace_id, kind)
    placed = _placed(workspace_id, kind, places.conversation_key(conversation_id))
    beyond = [
        _EVENTS.workspace_id == workspace_id,
        _EVENTS.id > mark,
        _EVENTS.conversation_id == conversation_id,
    ]
    return _with_newest(connection, placed, _EVENTS.id, beyond)


def _with_newest(
    connection: sa.Connection, placed: Sequence[Any], column: Any, beyond: Sequence[Any]
) -> _Source:
    """What has places, and what lies beyond the mark, where there is any."""
    parts = [(_PLACES.event_id, placed)]
    if connection.execute(sa.select(column).where(*beyond).limit(1)).first() is not None:
        parts.append((column, beyond))
    return lambda order, counts, _look: _walks(order, counts, *parts)


def _of_payload(connection: sa.Connection, workspace_id: int, payload_hash: str) -> _Source:
    kind = places.Kind.PAYLOAD
    mark = places.mark(connection, workspace_id, kind)
    newest = connection.execute(
        sa.select(_EVENTS.id, _EVENTS.payload)
        .where(_EVENTS.workspace_id == workspace_id, _EVENTS.id > mark)
        .order_by(_EVENTS.id.desc())
        .limit(_NEWEST)
    )
    beyond = [row.id for row in newest if events.fingerprint(_decode(row.payload)) == payload_hash]
    placed = _placed(workspace_id, kind, places.payload_key(payload_hash))
    conditions = [_EVENTS.workspace_id == workspace_id, _EVENTS.id.in_(beyond)]
    return _with_newest(connection, placed, _EVENTS.id, conditions)


def _of_rule(connection: sa.Connection, workspace_id: int, rule_id: bytes) -> _Source:
    mark = places.mark(connection, workspace_id, places.Kind.RULE)
    placed = _placed(workspace_id, places.Kind.RULE, rule_id)
    beyond = [_RUNS.automation_id == rule_id, _RUNS.id > mark, *_OF_RULE]
    return _with_newest(connection, placed, _RUNS.event_id, beyond)


def _unsettled(dialect: str, workspace_id: int, status: str) -> _Source:
    states = [int(state) for state in _STATES[status]]
    decided = [
        [
            _DECISIONS.workspace_id == workspace_id,
            _DECISIONS.status == state,
            sa.text("decisions.status <> 3"),
        ]
        for state in states
    ]
    parts: list[tuple[Any, Any]] = [(_DECISIONS.event_id, conditions) for conditions in decided]
    if status != "pending":
        return lambda order, counts, _look: _walks(order, counts, *parts)
    in_line = [_DUE.workspace_id == workspace_id]
    if dialect == "sqlite":
        return lambda order, counts, _look: _walks(order, counts, *parts, (_DUE.event_id, in_line))

    def walks(order: listings.Order, from_cursor: bool, look: int) -> list[sa.Select[Any]]:
        found = _walks(order, from_cursor, *parts)
        bounds = [*in_line, *order.bounds(_DUE.event_id, from_cursor=from_cursor)]
        # Who counts, or sorts by something else, asks for no order: any will do.
        line = (
            _heads(order, bounds, look)
            if from_cursor
            else sa.select(_DUE.event_id.label("id")).where(*bounds)
        )
        return [*found, line]

    return walks


def _heads(order: listings.Order, bounds: Sequence[Any], look: int) -> sa.Select[Any]:
    """The events in line on PostgreSQL, where each partition has a line of its own: all their heads, merged."""
    partitions = (
        sa.func.generate_series(0, ids.PARTITIONS - 1)
        .table_valued("number", name="partitions")
        .render_derived()
    )
    heads = (
        sa.select(_DUE.event_id.label("id"))
        .where(_DUE.partition == partitions.c.number, *bounds)
        .order_by(order.along(_DUE.event_id))
        .limit(look)
        .lateral("heads")
    )
    return sa.select(heads.c.id).join_from(partitions, heads, sa.true()).order_by(order.along(heads.c.id))


# ── filters and orders ──────────────────────────────────────────────────────────────────────────────


def _filters(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, chosen: Filter
) -> Callable[[Any], list[sa.ColumnElement[bool]]]:
    by_rule, by_status = None, _is_unsettled(chosen)
    if chosen.rule_id is not None and (chosen.payload_hash is not None or by_status):
        by_rule = chosen.rule_id, places.mark(connection, workspace_id, places.Kind.RULE)

    def filters(row: Any) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = [
            column == value
            for column, value in (
                (row.event_type, chosen.event_type),
                (row.source, chosen.source),
                (row.tenant_id, tenant_id),
                (row.conversation_id, chosen.conversation_id),
            )
            if value is not None
        ]
        if chosen.status is not None and not by_status:
            states = [int(state) for state in _STATES[chosen.status]]
            found.append(_state(workspace_id, row).in_(states))
        if by_rule is not None:
            found.append(_met(workspace_id, *by_rule, row))
        return found

    return filters


def _met(workspace_id: int, rule_id: bytes, mark: bytes, row: Any) -> sa.ColumnElement[bool]:
    """Whether a rule has a run for the event."""
    placed = _placed(workspace_id, places.Kind.RULE, rule_id)
    # An EXISTS would let PostgreSQL read all of the rule's places at once.
    of_rule = (
        sa.select(_PLACES.event_id).where(*placed, _PLACES.event_id == row.id).limit(1).scalar_subquery()
    )
    beyond = sa.select(_RUNS.event_id).where(_RUNS.automation_id == rule_id, _RUNS.id > mark)
    return sa.or_(of_rule.is_not(None), row.id.in_(beyond.where(*_OF_RULE)))


def _decision(workspace_id: int, row: Any, column: Any) -> Any:
    of_event = (_DECISIONS.workspace_id == workspace_id) & (_DECISIONS.event_id == row.id)
    return sa.select(column).where(of_event).scalar_subquery()


def _state(workspace_id: int, row: Any) -> Any:
    return sa.func.coalesce(_decision(workspace_id, row, _DECISIONS.status), int(events.State.PENDING))


def _key(workspace_id: int, sort_by: str, row: Any) -> sa.ColumnElement[Any]:
    if sort_by == "attempts":
        return sa.func.coalesce(_decision(workspace_id, row, _DECISIONS.attempts), 0)
    if sort_by == "processed_at":
        # What is not processed yet comes after everything that is.
        return sa.func.coalesce(_decision(workspace_id, row, _DECISIONS.decided_at), _NEVER)
    if sort_by == "status":
        state = _state(workspace_id, row)
        return sa.case((state == int(events.State.HELD), int(events.State.PENDING)), else_=state)
    found: sa.ColumnElement[Any] = _decision(workspace_id, row, _DECISIONS.available_at)
    return found
