"""Requested: requests to send that steps of runs ask for, and what these runs hear of them (a chapter of the turn).

Law: a step asks by one row and one timer, written with the run; from then on it is a request like any other. The run
hears once what it has become, and of each message how it ended, in whatever order; one that was canceled answers by
stopping what was made.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from heliograph.core import effects, ids, requested, requests, runs
from heliograph.engine import askings
from heliograph.engine import desk as desks
from heliograph.store import request_rows, rows

_encode = msgspec.json.Encoder().encode

WORDS = frozenset({effects.Inbox.MADE})
"""What runs hear of their requests."""


def begin(desk: desks.Desk, start: rows.Start, key: tuple[bytes, int], asked: effects.SendRequest) -> None:
    """Take in the request that a step asks for; `key` is (run, visit)."""
    run_id, visit = key
    said = msgspec.structs.replace(asked.said, asked_by=(ids.text(run_id), visit))
    identity = askings.request_id(start, run_id, visit, desk.head, said.subject)
    row = request_rows.Request(
        *(start.workspace_id, identity, ids.partition_of(identity), said.tenant_id, requests.write(said)),
        *(asked.due_at, said.event, said.trace_id, _encode(said.tags) if said.tags else None, None),
    )
    desk.writes.bulk.requests.append(row)
    desk.writes.timers.append(timer_of(row))
    desk.goes_on = desk.goes_on or asked.due_at <= desk.now


def timer_of(row: request_rows.Request) -> rows.Timer:
    """What wakes a request, until a turn takes it up."""
    return rows.Timer(row.partition, row.due_at, row.workspace_id, int(effects.Timer.REQUEST), row.id)


def tell(
    desk: desks.Desk,
    workspace_id: int,
    request_id: bytes,
    run_id: bytes,
    visit: int,
    messages: Sequence[rows.Message],
    walks: Sequence[bytes],
) -> None:
    """Let the run that asked for a request hear what it has become."""
    made = requested.Made(
        visit,
        tuple((one.contact_id, one.address, ids.text(one.id)) for one in messages),
        tuple(map(ids.text, walks)),
    )
    partition, kind = ids.partition_of(run_id), int(effects.Inbox.MADE)
    body = requested.write(made)
    desk.writes.inbox.append(rows.Inbox(partition, workspace_id, request_id, kind, run_id, body, 0))


def stop(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """The run of a request was canceled meanwhile, or is forgotten: its messages go out no more."""
    assert inbox.run_id is not None
    here = ids.partition_of(inbox.run_id)
    for _, _, written in requested.read(inbox.body).messages:
        identity = ids.parse(written)
        if identity is not None:
            askings.stop_message(desk, inbox.workspace_id, here, identity)


def noted(row: rows.Run, inbox: rows.Inbox, now: int) -> tuple[runs.Record, ...]:
    """The records of a run that has heard what its request has become."""
    made = requested.read(inbox.body)
    return runs.requested(runs.read(row.state), made.visit, made.output, made.answers, now)
