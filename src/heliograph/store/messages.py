"""Messages: the ledger as it is read.

Law: reading alone. Lists are walks by key, newest first, so that a page costs what it shows; ids tell when a message
was made, and where the messages of an event lie.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from heliograph.core import effects, explain, ids, messages, routes, schedule
from heliograph.core import requests as core_requests
from heliograph.store import message_rows, report_rows, requests, rows, schema, waiting_requests

_MESSAGES = schema.messages.c
_EVENTS = schema.events.c
_FANOUTS = schema.fanouts.c
_REQUESTS = schema.requests.c
_EVENT = sa.func.coalesce(_REQUESTS.event, _EVENTS.event_type)
_WIDTH = len(rows.Message._fields)
_FIELDS = tuple(_MESSAGES[name] for name in (*rows.Message._fields, *report_rows.Reached._fields[2:]))
_SENDS_AT_ONCE = 200
"""The messages of so many sends to a list are looked through, one by one, before it is asked whether a page is full."""
_COUNTED = 42
"""The bits of an id below its counter, which a run and its messages have from their event."""


Filter: TypeAlias = message_rows.Filter
Sent: TypeAlias = message_rows.Sent


def read_message(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, message_id: bytes, now: int
) -> Sent | None:
    """A message to a person, or a request that waits; None where this tenant (None: the whole workspace) sees none."""
    chosen = Filter(message_id=message_id, tenant_id=tenant_id)
    found = list_messages(connection, workspace_id, chosen, 1, now)
    return found[0] if found else None


def list_messages(
    connection: sa.Connection, workspace_id: int, chosen: Filter, limit: int, now: int
) -> list[Sent]:
    """The newest messages to people that pass a filter at an instant (µs), at most `limit`; requests that wait too."""
    # These first: what a turn takes up meanwhile is then found twice, and not missed.
    waiting = waiting_requests.listed(connection, workspace_id, chosen, limit, now)
    there = _listed(connection, workspace_id, chosen, limit)
    taken_up = {sent.row.request_id for sent in there}
    found = [*there, *(sent for sent in waiting if sent.row.id not in taken_up)]
    found = sorted(found, key=lambda sent: sent.row.id, reverse=True)[:limit]
    # A request for many that was canceled is one message, to nobody yet.
    unnamed = [sent.row.id for sent in found if not sent.recipient and sent.row.id == sent.row.request_id]
    if not unnamed:
        return found
    told = waiting_requests.recipients(connection, workspace_id, unnamed)
    return [sent._replace(recipients=told.get(sent.row.id, sent.recipients)) for sent in found]


def _listed(connection: sa.Connection, workspace_id: int, chosen: Filter, limit: int) -> list[Sent]:
    """Those that stand in the ledger; not more than `limit` of each walk."""
    query = _query(workspace_id).where(_MESSAGES.kind == effects.Kind.MESSAGE, *_clauses(chosen))
    if not chosen.archived:
        query = query.where(~requests.is_archived(workspace_id))
    traced = [] if chosen.trace is None else _traced(connection, workspace_id, chosen.trace)
    found: dict[bytes, Sent] = {}
    for walk in _walks(connection, workspace_id, chosen, found, limit):
        for of_trace in traced or [sa.true()]:
            walked = query.where(of_trace, *walk).order_by(_MESSAGES.id.desc()).limit(limit)
            found |= {sent.row.id: sent for sent in _sent(connection.execute(walked))}
    return _with_runs(connection, workspace_id, list(found.values()))


def _walks(
    connection: sa.Connection, workspace_id: int, chosen: Filter, found: Collection[bytes], limit: int
) -> Iterator[Sequence[sa.ColumnElement[bool]]]:
    """What the rows of each walk meet: one of an index for each, not one OR, which would walk the whole ledger."""
    whose: list[list[sa.ColumnElement[bool]]] = [[]]
    if chosen.recipient is not None:
        to_address = _seldom(connection, _MESSAGES.address == chosen.recipient)
        whose = [
            [_seldom(connection, _MESSAGES.contact_id == chosen.recipient)],
            [_MESSAGES.contact_id.is_(None), to_address],
        ]
    if chosen.list_id is None:
        yield from whose
        return
    sends = _sends_to(connection, workspace_id, chosen.list_id, chosen.before)
    while some := list(itertools.islice(sends, _SENDS_AT_ONCE)):
        if len(found) >= limit:
            # An older send may write yet: all its messages that are newer than the last of the page belong on it.
            last = heapq.nlargest(limit, found)[-1]
            for of_mailing in _of_mailings(some):
                yield [of_mailing, _MESSAGES.id > last, *_any_of(whose)]
            continue
        for identity in some:
            for of_mailing in _of_mailings([identity]):
                yield [of_mailing, *_any_of(whose)]


def _any_of(whose: Sequence[Sequence[sa.ColumnElement[bool]]]) -> Iterator[sa.ColumnElement[bool]]:
    if any(whose):
        yield sa.or_(*(sa.and_(*clauses) for clauses in whose))


def _sends_to(
    connection: sa.Connection, workspace_id: int, list_id: str, before: bytes | None
) -> Iterator[bytes]:
    """By what the messages of sends to a list are known that began before an id, the newest first."""
    written = sa.cast(_FANOUTS.body, sa.Text)
    named = msgspec.json.encode(list_id).decode()
    query = sa.select(_FANOUTS.automation_id, _FANOUTS.body).where(
        _FANOUTS.workspace_id == workspace_id,
        sa.or_(
            written.contains(f'"list_id":{named}', autoescape=True),
            written.contains(f'"list_ids":[{named}]', autoescape=True),
        ),
    )
    if before is not None:
        query = query.where(_FANOUTS.created_at <= ids.created_at(before))
    query = query.order_by(_FANOUTS.created_at.desc(), _FANOUTS.id.desc()).limit(_SENDS_AT_ONCE)
    for first in itertools.count(0, _SENDS_AT_ONCE):
        some = connection.execute(query.offset(first)).all()
        for row in some:
            body = msgspec.json.decode(row.body)
            if list_id in (body.get("list_id"), *body.get("list_ids", ())):
                yield row.automation_id
        if len(some) < _SENDS_AT_ONCE:
            return


def _traced(connection: sa.Connection, workspace_id: int, trace: str) -> Sequence[sa.ColumnElement[bool]]:
    """What the messages of a trace meet, one way or another: a look of its own, so that each has its own index."""
    identity = ids.parse(trace) or ids.of_wire(trace)
    found = requests.traced(connection, workspace_id, trace, identity)
    if found or identity is None:
        return [_MESSAGES.request_id.in_(found)]
    return _of_mailings([identity])


def _of_mailings(identities: Sequence[bytes]) -> Sequence[sa.ColumnElement[bool]]:
    """What the messages of mailings meet: those that they made, and those of runs that they started for people."""
    return [
        _MESSAGES.automation_id.in_(identities) & _MESSAGES.run_id.is_(None),
        _MESSAGES.request_id.in_(identities),
    ]


def _with_runs(connection: sa.Connection, workspace_id: int, found: list[Sent]) -> list[Sent]:
    """The messages with the runs that sent them to a list, which stand with the fan-out."""
    askers = {
        ids.of_fanout(one.row.automation_id): one.row.automation_id
        for one in found
        if one.row.run_id is None and one.row.automation_id is not None
    }
    if not askers:
        return found
    query = sa.select(_FANOUTS.id, _FANOUTS.run_id).where(
        _FANOUTS.workspace_id == workspace_id, _FANOUTS.id.in_(list(askers)), _FANOUTS.run_id.is_not(None)
    )
    run_of = {askers[row.id]: row.run_id for row in connection.execute(query)}
    return [
        one._replace(row=one.row._replace(run_id=run_of[one.row.automation_id], automation_id=None))
        if one.row.run_id is None and one.row.automation_id in run_of
        else one
        for one in found
    ]


def _seldom(connection: sa.Connection, clause: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """A condition that few rows meet: SQLite keeps no statistics, and would rather walk a table that is in order."""
    if connection.dialect.name != "sqlite":
        return clause
    return sa.func.likelihood(clause, sa.literal_column("0.0001"))


def event_of(connection: sa.Connection, message: rows.Message) -> rows.Event | None:
    """The event that a message speaks of, where there is one."""
    if message.event_id is None:
        return None
    row = connection.execute(
        sa.select(*(_EVENTS[name] for name in rows.Event._fields)).where(
            _EVENTS.workspace_id == message.workspace_id, _EVENTS.id == message.event_id
        )
    ).one_or_none()
    return None if row is None else rows.Event._make(row)


def said_of(connection: sa.Connection, message: rows.Message) -> bytes | str | None:
    """What a message was asked with: its own data, or its request's, where its texts were filled as it was made."""
    if message.request_id is None or (message.data and msgspec.json.decode(message.data)):
        return message.data
    kept = requests.read(connection, message.workspace_id, None, message.request_id)
    if kept is None:
        return message.data
    asked = core_requests.stored(kept.body)
    theirs = asked.to if len(asked.to) == 1 else [to for to in asked.to if to.user_id == message.contact_id]
    to = theirs[0] if theirs else core_requests.To()
    return msgspec.json.encode({"data": {**asked.data, **to.data}, "profile": to.profile})


def of_event(
    connection: sa.Connection, workspace_id: int, event_id: bytes, instants: Iterable[int]
) -> list[explain.OutgoingMessage]:
    """What the runs of an event asked of the outside at these instants (µs), calls too, in the order it was asked."""
    counted = int.from_bytes(event_id[8:], "big") >> _COUNTED << _COUNTED
    first, last = counted.to_bytes(8, "big"), (counted | (1 << _COUNTED) - 1).to_bytes(8, "big")
    found: list[Sent] = []
    for at in sorted(set(instants)):
        head = ids.head(at)
        query = _query(workspace_id).where(
            _MESSAGES.id.between(head + first, head + last), _MESSAGES.event_id == event_id
        )
        found += _sent(connection.execute(query))
    found.sort(key=lambda sent: (sent.row.run_id or b"", sent.row.visit, sent.row.ordinal))
    return [explained(sent) for sent in found]


def named(connection: sa.Connection, workspace_id: int, name: str, at_most: int, now: int) -> list[Sent]:
    """The message with this id, else the newest of the request that has it, or that a provider calls by this name.

    By a provider's name all are looked through.
    """
    identity = ids.parse(name) or ids.of_wire(name)
    found = None if identity is None else read_message(connection, workspace_id, None, identity, now)
    if found is not None:
        return [found]
    of_request = [] if identity is None else _listed(connection, workspace_id, Filter(trace=name), at_most)
    if of_request:
        return sorted(of_request, key=lambda sent: sent.row.id, reverse=True)[:at_most]
    return list_messages(connection, workspace_id, Filter(references=[name]), at_most, now)


def _query(workspace_id: int) -> sa.Select[Any]:
    return (
        sa.select(*_FIELDS, _EVENT.label("event_type"))
        .join_from(
            schema.messages,
            schema.events,
            (_EVENTS.workspace_id == _MESSAGES.workspace_id) & (_EVENTS.id == _MESSAGES.event_id),
            isouter=True,
        )
        .join(
            schema.requests,
            (_REQUESTS.workspace_id == _MESSAGES.workspace_id) & (_REQUESTS.id == _MESSAGES.request_id),
            isouter=True,
        )
        .where(_MESSAGES.workspace_id == workspace_id)
    )


def _clauses(chosen: Filter) -> list[Any]:
    found = []
    for column, value in (
        (_MESSAGES.id, chosen.message_id),
        (_MESSAGES.tenant_id, chosen.tenant_id),
        (_MESSAGES.template_id, chosen.template_id),
        (_EVENT, chosen.event_type),
    ):
        if value is not None:
            found.append(column == value)
    if chosen.tags is not None:
        found.append(waiting_requests.tagged(chosen.tags))
    if chosen.statuses is not None:
        found.append(sa.or_(sa.false(), *_standing(chosen.statuses)))
    attempts = sa.cast(_MESSAGES.attempts, sa.Text)
    for name, values in (("provider", chosen.providers), ("reference", chosen.references)):
        if values is not None:
            words = [f'"{name}":{msgspec.json.encode(value).decode()}' for value in values]
            found.append(sa.or_(sa.false(), *(attempts.contains(word, autoescape=True) for word in words)))
    if chosen.created_after is not None:
        found.append(_MESSAGES.id >= ids.head(chosen.created_after) + bytes(8))
    if chosen.before is not None:
        found.append(_MESSAGES.id < chosen.before)
    return found


def _standing(statuses: Collection[str]) -> Iterator[sa.ColumnElement[bool]]:
    """What the rows meet that stand like one of these: what was opened or clicked is no longer only delivered."""
    plain = [
        state
        for state, word in messages.COURIER_STATUS.items()
        if word in statuses and state is not messages.State.DELIVERED
    ]
    if plain:
        yield _MESSAGES.state.in_([int(state) for state in plain])
    is_delivered = _MESSAGES.state == messages.State.DELIVERED
    is_opened, is_clicked = _MESSAGES.opened_at.is_not(None), _MESSAGES.clicked_at.is_not(None)
    if "CLICKED" in statuses:
        yield is_delivered & is_clicked
    if "OPENED" in statuses:
        yield is_delivered & is_opened & ~is_clicked
    if "DELIVERED" in statuses:
        yield is_delivered & ~is_opened & ~is_clicked


def _sent(found: Iterable[sa.Row[Any]]) -> list[Sent]:
    made = []
    for row in found:
        message = rows.Message._make(row[:_WIDTH])
        told = report_rows.Reached(message.workspace_id, message.id, *row[_WIDTH:-1]).known
        made.append(Sent(message, row.event_type, messages.read_attempts(message.attempts), told))
    return made


def explained(sent: Sent) -> explain.OutgoingMessage:
    """A message as a story tells it."""
    row = sent.row
    return explain.OutgoingMessage(
        id=ids.text(row.id),
        run_id=None if row.run_id is None else ids.text(row.run_id),
        action=row.visit,
        kind=effects.Kind(row.kind).name.lower(),  # type: ignore[arg-type]
        channel=row.channel,
        contact_id=row.contact_id,
        address=row.address,
        template_id=row.template_id,
        template_version=row.template_version,
        state=messages.State(row.state).name.lower(),  # type: ignore[arg-type]
        possibly_repeated=messages.possibly_repeated(sent.attempts),
        attempts=[explain.attempt(one) for one in sent.attempts],
        error=row.error,
        created_at=schedule.write_instant(sent.created_at),
        settled_at=explain.instant(row.settled_at),
        followed_by=routes.followed(row.route)[1],
    )
