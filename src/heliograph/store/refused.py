"""Answers and debts that turns refused five times and set aside: tried again, or dropped at an operator's word.

Law: what is tried again comes as if it had just been laid into its inbox. Of what is dropped a run that waits for it is
told that it was skipped, so that nothing waits for ever; what cannot even be told goes without a word.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import batches, effects, ids, plans, requested
from heliograph.store import answers, rows, schema

_INBOX = schema.inbox.c
_MOST_TRIES = 5
_decode = msgspec.json.Decoder(list[Any]).decode
DROPPED = "dropped by an operator"
_ANSWERS, _ASKER = 3, slice(5, 8)
"""Where a profile that is to be written says whether somebody waits for it, and who: (run, visit, ordinal)."""


class Refused(NamedTuple):
    """One row of an inbox that was set aside."""

    id: bytes
    kind: int
    run_id: bytes | None
    attempts: int

    @property
    def what(self) -> str:
        """What it is for: `reply`, `deliver`, `tag`, `join` or another word of effects.Inbox."""
        return effects.Inbox(self.kind).name.lower()

    @property
    def created_at(self) -> int:
        """When it was decided on (µs)."""
        return ids.created_at(self.id)


def listed(connection: sa.Connection, workspace_id: int, limit: int, after: bytes = b"") -> list[Refused]:
    """What was set aside in a workspace, oldest first, at most so many, beyond the id `after`."""
    query = sa.select(*(_INBOX[name] for name in Refused._fields)).where(*_set_aside(workspace_id))
    if after:
        query = query.where(_INBOX.id > after)
    found = connection.execute(query.order_by(_INBOX.id, _INBOX.kind).limit(limit))
    return [Refused._make(row) for row in found]


def retry(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], _now: int) -> int:
    """Let turns try these again, five times more; gives how many ids of them were set aside."""
    changed = (
        sa.update(schema.inbox)
        .where(*_set_aside(workspace_id), _INBOX.id.in_(list(chosen)))
        .values(attempts=0)
        .returning(_INBOX.id)
    )
    return len(set(connection.execute(changed).scalars()))


def drop(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], _now: int) -> int:
    """Let these end here; gives how many ids of them were set aside."""
    removed = (
        sa.delete(schema.inbox)
        .where(*_set_aside(workspace_id), _INBOX.id.in_(list(chosen)))
        .returning(_INBOX.id, _INBOX.kind, _INBOX.run_id, _INBOX.body)
    )
    found = connection.execute(removed).all()
    told = [word for row in found if (word := _word(workspace_id, row)) is not None]
    answers.put(connection, schema.inbox, told)
    return len({row.id for row in found})


def _set_aside(workspace_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return _INBOX.workspace_id == workspace_id, _INBOX.attempts >= _MOST_TRIES


def _word(workspace_id: int, row: Any) -> dict[str, Any] | None:
    """What the run that waits for this is told; None where none does, or where it was this word that was refused."""
    if row.kind == effects.Inbox.MADE:
        return _nothing_made(workspace_id, row)
    ended = _ended(row)
    if ended is None or ended.run_id is None:
        return None
    word = answers.reply(workspace_id, ended, plans.Status.SKIPPED, DROPPED)
    return None if row.kind == effects.Inbox.REPLY and _bytes(row.body) == word["body"] else word


def _nothing_made(workspace_id: int, row: Any) -> dict[str, Any] | None:
    """A run that is not told how many answers its request brings, hears that there are none."""
    try:
        body = requested.write(requested.Made(int(_decode(row.body)[0]), ()))
    except (msgspec.MsgspecError, TypeError, ValueError, IndexError):
        return None
    word = {"partition": ids.partition_of(row.run_id), "workspace_id": workspace_id, "id": row.id}
    word |= {"kind": row.kind, "run_id": row.run_id, "body": body, "attempts": 0}
    return None if _bytes(row.body) == body else word


def _ended(row: Any) -> answers.Ended | None:
    try:
        values = _decode(row.body)
        if row.kind == effects.Inbox.REPLY:
            return answers.Ended(
                row.id, ids.partition_of(row.id), row.run_id, int(values[0]), int(values[1]), None
            )
        if row.kind == effects.Inbox.DELIVER:
            message = rows.Message(*values)
            run_id = None if message.run_id is None else ids.parse(str(message.run_id))
            return answers.Ended(row.id, message.partition, run_id, message.visit, message.ordinal, None)
        if row.kind == effects.Inbox.JOIN:
            join = batches.read_join(row.body)
            return answers.Ended(row.id, ids.partition_of(row.id), join.run_id, join.visit, 0, None)
        if row.kind == effects.Inbox.THROTTLE or (row.kind == effects.Inbox.PROFILE and values[_ANSWERS]):
            run_id, visit, ordinal = values[1:4] if row.kind == effects.Inbox.THROTTLE else values[_ASKER]
            return answers.Ended(row.id, ids.partition_of(row.id), ids.parse(run_id), visit, ordinal, None)
    except (msgspec.MsgspecError, TypeError, ValueError, IndexError):
        pass
    return None


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body
