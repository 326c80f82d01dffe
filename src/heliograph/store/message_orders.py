"""What people order about one message: that it does not go out, or goes out once more.

Law: what was handed over, or is in somebody's hands, cannot be called back. Sent again, a message is a new one, with an
id of its own and the old one's in it; whoever asked for the first is told nothing of it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import effects, ids, messages, routes
from heliograph.core.messages import State
from heliograph.store import answers, database, identities, request_rows, requests, rows, schema

_MESSAGES = schema.messages.c
_encode = msgspec.json.Encoder().encode
_CANCELED = "canceled"
_MAY_BE_FOLLOWED = messages.TAKEN | {State.UNCERTAIN}
_ENDED = messages.TAKEN | {State.FAILED, State.UNROUTABLE, State.CANCELED, State.CAPPED, State.SIMULATED}


def cancel(store: database.Database, workspace_id: int, message_id: bytes, now: int) -> bool:
    """Let a message that waits go out no more, and tell who waits for it; False where nothing could be stopped.

    Of one that was handed over, what would follow it where nobody takes notice; what follows it already is stopped
    in its place.
    """
    with store.writing() as connection:
        store.lock_partitions(connection, (ids.partition_of(message_id),))
        query = sa.select(*answers.COLUMNS, _MESSAGES.route, _MESSAGES.state).where(
            _MESSAGES.workspace_id == workspace_id, _MESSAGES.id == message_id
        )
        before = connection.execute(query).one_or_none()
        if before is None:
            return requests.cancel(connection, workspace_id, message_id, now, _CANCELED)
        if before.state == State.CANCELED:
            return True
        store.hot.cancel_messages(connection.connection.driver_connection, now, [(workspace_id, message_id)])
        after = connection.execute(query).one()
        if after.state == State.CANCELED:
            ended = answers.Ended._make(after[:-2])
            answers.tell(connection, workspace_id, [ended], State.CANCELED, _CANCELED)
            return True
        route = routes.read(after.route)
        if route.escalation is not None and route.ways and after.state in _MAY_BE_FOLLOWED:
            written = routes.write(routes.called_off(route, now))
            mine = (_MESSAGES.workspace_id == workspace_id, _MESSAGES.id == message_id)
            connection.execute(sa.update(schema.messages).where(*mine).values(route=written))
            return True
    by = None if route.escalated is None or route.escalated.by is None else ids.parse(route.escalated.by)
    return by is not None and cancel(store, workspace_id, by, now)


def resend(store: database.Database, row: rows.Message, shown: str, now: int) -> bytes:
    """Lay a message into its recipient's inbox, to be sent again; gives the id of the new one.

    `shown` is its own id as it is shown.

    Raises errors.Conflict where the message may still go out, says nothing, or has no address.
    """
    if row.state not in _ENDED:
        raise errors.Conflict("this message has not ended: it may still be sent")
    if row.content is None and not row.template_version:
        # It was canceled before anybody took it up, or its template is a draft.
        raise errors.Conflict(
            "this message was never written, so there is nothing to send again: ask for it anew"
        )
    if row.address is None:
        raise errors.Conflict("this message has no address to be sent to")
    identity = identities.fresh(now, row.partition)
    again = row._replace(
        id=identity,
        automation_id=None,
        run_id=None,
        visit=0,
        ordinal=0,
        state=int(State.PLANNED),
        settled_at=None,
        attempts=None,
        error=None,
        request_id=None,
        route=None,
    )
    with store.writing() as connection:
        answers.put(
            connection,
            schema.inbox,
            [
                {
                    "partition": row.partition,
                    "workspace_id": row.workspace_id,
                    "id": identity,
                    "kind": effects.Inbox.REPEAT,
                    "run_id": None,
                    "body": _encode((_written(again), shown)),
                    "attempts": 0,
                }
            ],
        )
    return identity


def _written(row: rows.Message) -> list[Any]:
    """A row as an inbox holds it."""
    found: list[Any] = []
    for name, value in row._asdict().items():
        if not isinstance(value, bytes):
            found.append(value)
        else:
            found.append(ids.text(value) if name in request_rows.MESSAGE_IDENTITIES else value.decode())
    return found
