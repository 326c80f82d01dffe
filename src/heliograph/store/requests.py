"""Requests to send as they are taken in and read, and what was archived (core.requests).

Law: a request is stored with its timer in one transaction, so one that was answered is sent; whoever asks again with
the same key is told of the first. What it names is looked for before, by whom it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import effects, ids, messages, requested, requests, routing_trees
from heliograph.store import (
    answers,
    brands,
    courier_audiences,
    erasure_rows,
    lists,
    providers,
    request_rows,
    routing_checks,
    routing_strategies,
    rows,
    schema,
    templates,
    timers,
    waiting_requests,
)

_REQUESTS = schema.requests.c
_ARCHIVES = schema.archives.c
_TENANTS = schema.tenants.c
_MESSAGES = schema.messages.c
_MOST_TRACED = 1_000
_FIELDS = tuple(_REQUESTS[name] for name in request_rows.Request._fields)


# ── taking in ───────────────────────────────────────────────────────────────────────────────────────


def check(
    connection: sa.Connection, workspace_id: int, given: requests.Request, path: str = "message"
) -> requests.Request:
    """The request as its workspace reads it: with the channels of the providers that it lists.

    Raises errors.InvalidInput for what it names and there is not.
    """
    faults = [*_faults(connection, workspace_id, given, path)]
    if faults:
        raise errors.InvalidInput(faults=faults)
    named = next(routing_trees.open_names(given.routing.root, ""), None)
    return given if named is None else requests.placed(given, providers.channels(connection, workspace_id))


def _faults(
    connection: sa.Connection, workspace_id: int, given: requests.Request, path: str
) -> Iterator[errors.Fault]:
    bound = given.tenant_id if given.is_bound else None
    if given.template is not None:
        stored = templates.read(connection, workspace_id, given.template)
        if stored is None or stored.archived_at is not None:
            yield errors.Fault(f"{path}.template", f"there is no template {given.template!r}")
    if given.brand is not None and brands.read(connection, workspace_id, given.brand) is None:
        yield errors.Fault(f"{path}.brand_id", f"there is no brand {given.brand!r}")
    yield from routing_checks.faults(connection, workspace_id, given.routing, path)
    strategy = given.routing.strategy
    if strategy is not None and routing_strategies.read(connection, workspace_id, strategy) is None:
        yield errors.Fault(f"{path}.routing.strategy_id", f"there is no routing strategy {strategy!r}")
    if given.tenant_id is not None and bound is None:
        yield from _tenant_faults(connection, workspace_id, given.tenant_id, f"{path}.context.tenant_id")
    yield from _recipient_faults(connection, workspace_id, given, path)


def _recipient_faults(
    connection: sa.Connection, workspace_id: int, given: requests.Request, path: str
) -> Iterator[errors.Fault]:
    bound = given.tenant_id if given.is_bound else None
    for place, one in enumerate(given.to):
        at = f"{path}.to[{place}]" if len(given.to) > 1 else f"{path}.to"
        if one.tenant_id is not None and one.tenant_id != bound:
            yield from _tenant_faults(connection, workspace_id, one.tenant_id, f"{at}.tenant_id")
        if one.member_of is not None and bound is None:
            yield from _tenant_faults(connection, workspace_id, one.member_of, f"{at}.filters[0].value")
        if one.list_id is not None and lists.read(connection, workspace_id, bound, one.list_id) is None:
            yield errors.Fault(f"{at}.list_id", f"there is no list {one.list_id!r}")
        if one.audience_id is not None and (
            courier_audiences.read(connection, workspace_id, bound, one.audience_id) is None
        ):
            yield errors.Fault(f"{at}.audience_id", f"there is no audience {one.audience_id!r}")


def check_tenants(connection: sa.Connection, workspace_id: int, named: Mapping[str, str]) -> None:
    """Raises errors.InvalidInput for those of these tenants that there are not; each with the place that names it."""
    query = sa.select(_TENANTS.id).where(_TENANTS.workspace_id == workspace_id, _TENANTS.id.in_([*named]))
    known = set(connection.execute(query).scalars()) if named else set()
    faults = [
        errors.Fault(path, f"there is no tenant {one!r}") for one, path in named.items() if one not in known
    ]
    if faults:
        raise errors.InvalidInput(faults=faults)


def _tenant_faults(
    connection: sa.Connection, workspace_id: int, tenant_id: str, path: str
) -> Iterator[errors.Fault]:
    query = sa.select(_TENANTS.id).where(_TENANTS.workspace_id == workspace_id, _TENANTS.id == tenant_id)
    if connection.execute(query).one_or_none() is None:
        yield errors.Fault(path, f"there is no tenant {tenant_id!r}")


def profile(connection: sa.Connection, workspace_id: int, given: requests.Request) -> dict[str, Any]:
    """What is stored of the one person whom a request is for, where its delay goes by their clock."""
    stored: dict[str, Any] = {}
    one = given.to[0]
    if given.is_single and one.user_id is not None and given.delay.until is not None:
        contacts = schema.contacts.c
        query = sa.select(contacts.profile, contacts.tenant_id).where(
            contacts.workspace_id == workspace_id, contacts.user_id == one.user_id
        )
        row = connection.execute(query).one_or_none()
        if row is not None and (not given.is_bound or row.tenant_id == given.tenant_id):
            stored = msgspec.json.decode(row.profile)
    return stored


def put(connection: sa.Connection, row: request_rows.Request) -> bytes:
    """Take a request in; gives its id, or that of the one that was taken in with its start key."""
    if row.start_key is not None:
        query = sa.select(_REQUESTS.id).where(
            _REQUESTS.workspace_id == row.workspace_id, _REQUESTS.start_key == row.start_key
        )
        found: bytes | None = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return found
    connection.execute(sa.insert(schema.requests).values(**row._asdict()))
    timer = rows.Timer(row.partition, row.due_at, row.workspace_id, int(effects.Timer.REQUEST), row.id)
    timers.put(connection, [timer])
    return row.id


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> request_rows.Request | None:
    """A request; None where this tenant (None: the whole workspace) sees none."""
    query = sa.select(*_FIELDS).where(_REQUESTS.workspace_id == workspace_id, _REQUESTS.id == identity)
    if tenant_id is not None:
        query = query.where(_REQUESTS.tenant_id == tenant_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else request_rows.Request._make(row)


def traced(
    connection: sa.Connection, workspace_id: int, trace_id: str, identity: bytes | None
) -> Sequence[bytes]:
    """The ids of the newest requests with this trace id, or of the one that has this id; a thousand at most."""
    clauses = [_REQUESTS.trace_id == trace_id]
    if identity is not None:
        clauses.append(_REQUESTS.id == identity)
    found: list[bytes] = []
    for clause in clauses:
        query = sa.select(_REQUESTS.id).where(_REQUESTS.workspace_id == workspace_id, clause)
        found += connection.execute(query.order_by(_REQUESTS.id.desc()).limit(_MOST_TRACED)).scalars()
    return found


def cancel(connection: sa.Connection, workspace_id: int, identity: bytes, now: int, reason: str) -> bool:
    """Let a request that no turn has taken up become one message that is canceled; False where there is none.

    The caller keeps turns out of its partition.
    """
    row = read(connection, workspace_id, None, identity)
    if row is None:
        return False
    timers = schema.timers.c
    waits = sa.delete(schema.timers).where(
        waiting_requests.IS_REQUEST, timers.workspace_id == workspace_id, timers.id == identity
    )
    if not connection.execute(waits).rowcount:
        return False
    canceled = waiting_requests.as_canceled(row, now)._replace(error=reason)
    asked_by = requests.stored(row.body).asked_by
    run_id = None if asked_by is None else ids.parse(asked_by[0])
    if asked_by is not None and run_id is not None:
        canceled = canceled._replace(run_id=run_id, visit=asked_by[1])
        _tell(connection, canceled, reason)
    connection.execute(sa.insert(schema.messages).values(**canceled._asdict()))
    return True


def cancel_of(connection: sa.Connection, whose: erasure_rows.Whose, now: int, reason: str) -> None:
    """Cancel every request that waits to write to somebody alone; the caller keeps turns out of their partition."""
    for identity in waiting_requests.of_person(connection, whose):
        cancel(connection, whose.workspace_id, identity, now, reason)


def _tell(connection: sa.Connection, canceled: rows.Message, reason: str) -> None:
    """Let the run that asked for a request hear that it is one message, which was canceled."""
    ended = answers.Ended._make(getattr(canceled, name) for name in answers.Ended._fields)
    answers.tell(connection, canceled.workspace_id, [ended], messages.State.CANCELED, reason)
    assert canceled.run_id is not None
    told = (canceled.contact_id, canceled.address, ids.text(canceled.id))
    word = {
        "partition": ids.partition_of(canceled.run_id),
        "workspace_id": canceled.workspace_id,
        "id": canceled.id,
        "kind": effects.Inbox.MADE,
        "run_id": canceled.run_id,
        "body": requested.write(requested.Made(canceled.visit, (told,))),
        "attempts": 0,
    }
    answers.put(connection, schema.inbox, [word])


# ── archiving ───────────────────────────────────────────────────────────────────────────────────────


def archive(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes, now: int
) -> bool:
    """List the messages of a request no more; False where this tenant sees none. A message is a request too."""
    is_there = read(connection, workspace_id, tenant_id, identity) is not None
    if not is_there:
        query = sa.select(_MESSAGES.tenant_id).where(
            _MESSAGES.workspace_id == workspace_id,
            sa.or_(
                _MESSAGES.id == identity,
                sa.and_(_MESSAGES.automation_id == identity, _MESSAGES.run_id.is_(None)),
            ),
        )
        found = connection.execute(query.limit(1)).one_or_none()
        is_there = found is not None and tenant_id in (None, found.tenant_id)
    if is_there:
        connection.execute(_ARCHIVE, {"workspace_id": workspace_id, "request_id": identity, "at": now})
    return is_there


_ARCHIVE = sa.text(
    "INSERT INTO archives (workspace_id, request_id, archived_at) VALUES (:workspace_id, :request_id, :at)"
    " ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("request_id", type_=schema.Identity()))


def is_archived(workspace_id: int) -> sa.ColumnElement[bool]:
    """Whether a message of the ledger is archived, itself or with its request."""
    query = sa.select(sa.literal(1)).where(
        _ARCHIVES.workspace_id == workspace_id,
        sa.or_(
            _ARCHIVES.request_id == _MESSAGES.id,
            _ARCHIVES.request_id == _MESSAGES.request_id,
            sa.and_(_ARCHIVES.request_id == _MESSAGES.automation_id, _MESSAGES.run_id.is_(None)),
        ),
    )
    return sa.exists(query.correlate(schema.messages))
