"""Replies: what whoever asked for a message is told of its end: the run, or the cursor of a fan-out.

Law: pure; what is told lies in an inbox row with the message's own id, so telling it twice tells it once.
"""

from __future__ import annotations

from typing import Any

from heliograph.core import effects, ids, messages, plans
from heliograph.store import rows

_REPLY, _JOB = int(effects.Inbox.REPLY), int(effects.Inbox.JOB)


def to_run(
    message: rows.Message, status: plans.Status, output: Any = None, error: str | None = None
) -> rows.Inbox:
    """What the run that asked for a message is told of it."""
    assert message.run_id is not None
    body = messages.answer_body(message.visit, message.ordinal, status, output, error)
    return rows.Inbox(
        ids.partition_of(message.run_id),
        message.workspace_id,
        message.id,
        _REPLY,
        message.run_id,
        body,
        0,
    )


def to_cursor(
    message: rows.Message, state: messages.State, *, before: messages.State | None = None
) -> rows.Inbox | None:
    """What the cursor that made a message is told of it; None where no fan-out made it.

    `before` is the state in which it was counted already.
    """
    if message.automation_id is None:
        return None
    body = messages.job_body(message.automation_id, message.visit, state, before=before)
    return rows.Inbox(message.partition, message.workspace_id, message.id, _JOB, None, body, 0)
