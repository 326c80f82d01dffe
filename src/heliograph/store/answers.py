"""What runs and campaigns are told from outside of turns: that a message ended at an operator's word, or that they do.

Law: it is laid into the inbox in the transaction that ends the message, as a turn lays an answer there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import effects, ids, messages, plans
from heliograph.store import columns, schema

_MESSAGES = schema.messages.c


class Ended(NamedTuple):
    """A message that ended, as far as whoever asked for it is concerned."""

    id: bytes
    partition: int
    run_id: bytes | None
    visit: int
    ordinal: int
    automation_id: bytes | None


COLUMNS = tuple(_MESSAGES[name] for name in Ended._fields)


def change(
    connection: sa.Connection,
    workspace_id: int,
    chosen: Iterable[bytes],
    before: messages.State,
    after: messages.State,
    **values: Any,
) -> list[Ended]:
    """Those of these messages that stood so, with their new state and these values."""
    changed = (
        sa.update(schema.messages)
        .where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.id.in_(list(chosen)),
            _MESSAGES.state == before,
        )
        .values(state=after, **values)
        .returning(*COLUMNS)
    )
    return [Ended._make(row) for row in connection.execute(changed)]


def tell(
    connection: sa.Connection,
    workspace_id: int,
    ended: Iterable[Ended],
    state: messages.State,
    error: str | None,
) -> None:
    """Tell the runs and the campaigns that wait for these messages that they ended so."""
    status = messages.reply_of(state)
    assert status is not None
    told = []
    for one in ended:
        if one.run_id is not None:
            told.append(reply(workspace_id, one, status, error))
        elif one.automation_id is not None:
            told.append(_job(workspace_id, one, one.automation_id, state))
    put(connection, schema.inbox, told)


def reply(workspace_id: int, ended: Ended, status: plans.Status, error: str | None) -> dict[str, Any]:
    """The answer that a run finds in its inbox."""
    assert ended.run_id is not None
    return {
        "partition": ids.partition_of(ended.run_id),
        "workspace_id": workspace_id,
        "id": ended.id,
        "kind": effects.Inbox.REPLY,
        "run_id": ended.run_id,
        "body": messages.answer_body(ended.visit, ended.ordinal, status, None, error),
        "attempts": 0,
    }


def _job(workspace_id: int, ended: Ended, automation_id: bytes, state: messages.State) -> dict[str, Any]:
    return {
        "partition": ended.partition,
        "workspace_id": workspace_id,
        "id": ended.id,
        "kind": effects.Inbox.JOB,
        "run_id": None,
        "body": messages.job_body(automation_id, ended.visit, state),
        "attempts": 0,
    }


def cancel_runs(connection: sa.Connection, workspace_id: int, found: Iterable[bytes], body: bytes) -> None:
    """Lay a cancel into the inboxes of these runs; one that lies there already, or was set aside, is tried anew.

    `body` is the JSON of why.
    """
    lay(connection, workspace_id, effects.Inbox.CANCEL, {identity: identity for identity in found}, body)


def lay(
    connection: sa.Connection,
    workspace_id: int,
    kind: effects.Inbox,
    found: Mapping[bytes, bytes | None],
    body: bytes,
    *,
    instead: bool = False,
) -> None:
    """Lay a word of this kind into the inboxes of these: by id, and the run that it is for.

    One that lies there already, or was set aside, is tried anew; it says what it said, or `instead` what is said now.
    """
    values = [
        {
            "partition": ids.partition_of(identity),
            "workspace_id": workspace_id,
            "id": identity,
            "kind": kind,
            "run_id": run_id,
            "body": body,
            "attempts": 0,
        }
        for identity, run_id in sorted(found.items())
    ]
    if values:
        insert = columns.inserting(connection, schema.inbox)
        changed = {"attempts": 0, **({"body": insert.excluded.body} if instead else {})}
        key = schema.QUEUE_KEYS[connection.dialect.name]["inbox"]
        connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), values)


def let_go(connection: sa.Connection, workspace_id: int, found: Iterable[Ended]) -> None:
    """Let the next turn ask about these messages whether they are still wanted, and wanted now: if so they go."""
    lay(connection, workspace_id, effects.Inbox.LET_GO, {one.id: None for one in found}, b"null")


def put(connection: sa.Connection, table: sa.Table, values: list[dict[str, Any]]) -> None:
    """Insert rows, where there are any."""
    if values:
        connection.execute(sa.insert(table), values)
