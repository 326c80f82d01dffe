"""Bulk jobs as they are taken in, run and read (core.bulk).

Law: users are added while a job has not begun, all of a call or none, and keep the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import bulk, effects, requests
from heliograph.store import bulk_rows, rows, schema, timers

_JOBS, _USERS = schema.bulk_jobs.c, schema.bulk_users.c
_FIELDS = tuple(_JOBS[name] for name in bulk_rows.Job._fields)
_encode = msgspec.json.Encoder().encode


class User(NamedTuple):
    """A user of a job, as they are told of."""

    ordinal: int
    given: str
    said: str | None
    request_id: bytes | None


def create(connection: sa.Connection, job: bulk_rows.Job) -> None:
    """Take a job in, unless it is there already."""
    if read(connection, job.workspace_id, None, job.id) is None:
        connection.execute(sa.insert(schema.bulk_jobs).values(**job._asdict()))


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> bulk_rows.Job | None:
    """A job; None where this tenant (None: the whole workspace) sees none."""
    query = sa.select(*_FIELDS).where(_JOBS.workspace_id == workspace_id, _JOBS.id == identity)
    if tenant_id is not None:
        query = query.where(_JOBS.tenant_id == tenant_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else bulk_rows.Job._make(row)


def add(connection: sa.Connection, job: bulk_rows.Job, users: Iterable[bulk.User]) -> bool:
    """Add users behind those who are there; False where the job has begun."""
    listed = [
        {"given": _encode(one.given), "said": None if one.to is None else requests.write(one.to)}
        for one in users
    ]
    received = _changed(connection, job, {"received": _JOBS.received + len(listed)})
    if received is None:
        return False
    key = {"workspace_id": job.workspace_id, "job_id": job.id}
    first = received - len(listed)
    connection.execute(
        sa.insert(schema.bulk_users),
        [{**key, "ordinal": first + place, **one} for place, one in enumerate(listed)],
    )
    return True


def run(connection: sa.Connection, job: bulk_rows.Job, now: int) -> None:
    """Let a job begin; one that has begun goes on as it is."""
    if _changed(connection, job, {"state": int(bulk.State.PROCESSING)}) is not None:
        kind = int(effects.Timer.BULK)
        timers.put(connection, [rows.Timer(job.partition, now, job.workspace_id, kind, job.id)])


def _changed(connection: sa.Connection, job: bulk_rows.Job, values: dict[str, object]) -> int | None:
    """Change a job that has not begun; gives how many users it has, None where it has begun."""
    change = (
        sa.update(schema.bulk_jobs)
        .where(
            _JOBS.workspace_id == job.workspace_id,
            _JOBS.id == job.id,
            _JOBS.state == int(bulk.State.CREATED),
        )
        .values(values)
        .returning(_JOBS.received)
    )
    found: int | None = connection.execute(change).scalar_one_or_none()
    return found


def users(connection: sa.Connection, job: bulk_rows.Job, first: int, limit: int) -> Sequence[User]:
    """So many users of a job from a place on, in their order."""
    query = (
        sa.select(_USERS.ordinal, _USERS.given, _USERS.said, _USERS.request_id)
        .where(_USERS.workspace_id == job.workspace_id, _USERS.job_id == job.id, _USERS.ordinal >= first)
        .order_by(_USERS.ordinal)
        .limit(limit)
    )
    return [User._make(row) for row in connection.execute(query)]
