"""Requests to send that no turn has taken up, listed as the messages that they are going to be.

Law: reading alone. A request waits as long as its timer is set: a turn takes that away in the transaction that writes
the messages, so nothing is missing between the two. One for many people stands there once, by its own id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import effects, ids, messages, requests, routing_trees, rules
from heliograph.store import erasure_rows, message_rows, request_rows, rows, schema

_REQUESTS, _TIMERS, _ARCHIVES = schema.requests.c, schema.timers.c, schema.archives.c
_FIELDS = tuple(_REQUESTS[name] for name in request_rows.Request._fields)
_AT_ONCE = 500
_MOST_NAMED = 10
"""People who are named of a request for many."""
IS_REQUEST = schema.timers_are(effects.Timer.REQUEST)


def listed(
    connection: sa.Connection, workspace_id: int, chosen: message_rows.Filter, limit: int, now: int
) -> list[message_rows.Sent]:
    """The newest requests that wait and pass a filter at an instant (µs), at most `limit`."""
    if chosen.providers is not None or chosen.references is not None:
        return []
    found: list[message_rows.Sent] = []
    query = _query(workspace_id, chosen, now).order_by(_TIMERS.id.desc()).limit(max(limit, _AT_ONCE))
    before = chosen.before
    while len(found) < limit:
        page = [
            request_rows.Request._make(row)
            for row in connection.execute(query if before is None else query.where(_TIMERS.id < before))
        ]
        found += (_sent(row, now) for row in page if _is_meant(row, chosen))
        if len(page) < max(limit, _AT_ONCE):
            break
        before = page[-1].id
    return found[:limit]


def as_message(row: request_rows.Request) -> rows.Message:
    """The message that a request is as long as it waits: to nobody yet, where it is for many."""
    said = requests.stored(row.body)
    one = said.to[0] if said.is_single else requests.To()
    return rows.Message(
        row.workspace_id,
        row.id,
        row.partition,
        one.tenant_id or said.tenant_id,
        int(effects.Kind.MESSAGE),
        next(iter(routing_trees.named(said.routing.root)), "email"),
        None,
        None,
        0,
        0,
        None,
        one.user_id,
        said.subject if one.user_id is None else None,
        said.template,
        None,
        None,
        None,
        int(messages.State.PLANNED),
        None,
        None,
        None,
        row.id,
    )


def as_canceled(row: request_rows.Request, now: int) -> rows.Message:
    """The message that a request is which was taken back before anybody took it up."""
    return as_message(row)._replace(state=int(messages.State.CANCELED), settled_at=now, error="canceled")


def _sent(row: request_rows.Request, now: int) -> message_rows.Sent:
    told = _told(requests.stored(row.body))
    return message_rows.Sent(as_message(row), row.event, (), is_delayed=now < row.due_at, recipients=told)


def recipients(
    connection: sa.Connection, workspace_id: int, identities: Collection[bytes]
) -> dict[bytes, str]:
    """Whom requests are for, in words, by their ids."""
    whose = _REQUESTS.workspace_id == workspace_id, _REQUESTS.id.in_(identities)
    found = connection.execute(sa.select(_REQUESTS.id, _REQUESTS.body).where(*whose))
    return {row.id: _told(requests.stored(row.body)) for row in found}


def of_person(connection: sa.Connection, whose: erasure_rows.Whose) -> list[bytes]:
    """The ids of the requests that wait to write to somebody alone."""
    workspace_id, user_id, tenant_id = whose
    partition = rules.partition_of_person(workspace_id, user_id)
    written = msgspec.json.encode(user_id).decode()
    query = (
        sa.select(_REQUESTS.id, _REQUESTS.body)
        .join_from(
            schema.timers,
            schema.requests,
            (_REQUESTS.workspace_id == _TIMERS.workspace_id) & (_REQUESTS.id == _TIMERS.id),
        )
        .where(IS_REQUEST, _TIMERS.workspace_id == workspace_id, _TIMERS.partition == partition)
        .where(schema.is_reached(_REQUESTS.tenant_id, tenant_id))
        .where(sa.cast(_REQUESTS.body, sa.Text).contains(written, autoescape=True))
    )
    found = [(row.id, requests.stored(row.body)) for row in connection.execute(query)]
    return [identity for identity, said in found if said.is_single and said.to[0].user_id == user_id]


def _told(said: requests.Request) -> str:
    named = [*_named(said)]
    told = ", ".join(named[:_MOST_NAMED])
    if len(named) > _MOST_NAMED:
        told += f" and {len(named) - _MOST_NAMED} more"
    return told


def _named(said: requests.Request) -> Iterator[str]:
    """Whom a request is for: people as they are known, groups by their ids and patterns."""
    for one in said.to:
        yield one.list_id or one.list_pattern or one.audience_id or requests.known_as(one) or ""


# ── which ───────────────────────────────────────────────────────────────────────────────────────────


def _query(workspace_id: int, chosen: message_rows.Filter, now: int) -> sa.Select[Any]:
    """The requests that may be meant, by their columns and by the words that must stand in their bodies."""
    is_due = _REQUESTS.due_at <= now
    query = (
        sa.select(*_FIELDS)
        .join_from(
            schema.timers,
            schema.requests,
            (_REQUESTS.workspace_id == _TIMERS.workspace_id) & (_REQUESTS.id == _TIMERS.id),
        )
        .where(IS_REQUEST, _TIMERS.workspace_id == workspace_id)
    )
    if chosen.message_id is not None:
        query = query.where(_TIMERS.id == chosen.message_id)
    if chosen.event_type is not None:
        query = query.where(_REQUESTS.event == chosen.event_type)
    if chosen.created_after is not None:
        query = query.where(_TIMERS.id >= ids.head(chosen.created_after) + bytes(8))
    if chosen.statuses is not None:
        words = (("DELAYED", ~is_due), ("ENQUEUED", is_due))
        query = query.where(
            sa.or_(sa.false(), *(clause for word, clause in words if word in chosen.statuses))
        )
    if chosen.trace is not None:
        identity = ids.parse(chosen.trace) or ids.of_wire(chosen.trace)
        by_id = sa.false() if identity is None else _TIMERS.id == identity
        query = query.where((_REQUESTS.trace_id == chosen.trace) | by_id)
    if chosen.tags is not None:
        query = query.where(tagged(chosen.tags))
    if not chosen.archived:
        archived = sa.exists().where(
            _ARCHIVES.workspace_id == _REQUESTS.workspace_id, _ARCHIVES.request_id == _REQUESTS.id
        )
        query = query.where(~archived)
    said = sa.cast(_REQUESTS.body, sa.Text)
    for word in (chosen.recipient, chosen.template_id, chosen.tenant_id, chosen.list_id):
        if word is not None:
            query = query.where(said.contains(msgspec.json.encode(word).decode(), autoescape=True))
    return query


def tagged(tags: Collection[str]) -> sa.ColumnElement[bool]:
    """What requests meet that have any of these tags."""
    written = sa.cast(_REQUESTS.tags, sa.Text)
    words = [written.contains(msgspec.json.encode(tag).decode(), autoescape=True) for tag in tags]
    return sa.or_(sa.false(), *words)


def _is_meant(row: request_rows.Request, chosen: message_rows.Filter) -> bool:
    """Whether a request passes what its body says of it."""
    said = requests.stored(row.body)
    return (
        (chosen.template_id is None or said.template == chosen.template_id)
        and (chosen.list_id is None or any(one.list_id == chosen.list_id for one in said.to))
        and (chosen.recipient is None or any(requests.known_as(one) == chosen.recipient for one in said.to))
        and (
            chosen.tenant_id is None
            or all((one.tenant_id or said.tenant_id) == chosen.tenant_id for one in said.to)
        )
    )
