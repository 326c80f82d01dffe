"""Trials: templates that are sent to whoever writes them.

Law: a trial is a planned message that no run and no automation asked for, and stands in line like any other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import effects, ids, message_templates, messages, rules
from heliograph.store import answers, identities, rows, schema, templates

_CHANNEL = "email"


class Trial(NamedTuple):
    """What is sent to whom."""

    workspace_id: int
    tenant_id: str | None
    address: str
    template: templates.Template
    version: int | None
    """None: the draft, which goes along as it is."""
    look: dict[str, Any] | None
    data: dict[str, Any]


def plan(connection: sa.Connection, trial: Trial, now: int) -> str:
    """Put a trial into the ledger and in line; gives the message's id."""
    partition = rules.partition_of_person(trial.workspace_id, trial.address)
    identity = identities.fresh(now, partition)
    is_draft = trial.version is None
    content = {**(_written(trial.template.draft) if is_draft else {}), **(trial.look or {})}
    message = rows.Message(
        trial.workspace_id,
        identity,
        partition,
        trial.tenant_id,
        int(effects.Kind.MESSAGE),
        _CHANNEL,
        None,
        None,
        0,
        0,
        None,
        None,
        trial.address,
        None if is_draft else trial.template.id,
        trial.version,
        msgspec.json.encode(content) if content else None,
        msgspec.json.encode(trial.data),
        int(messages.State.PLANNED),
        None,
        None,
        None,
    )
    connection.execute(sa.insert(schema.messages).values(**message._asdict()))
    line = {"partition": partition, "workspace_id": trial.workspace_id, "message_id": identity, "due_at": now}
    answers.put(connection, schema.send_due, [line])
    return ids.text(identity)


def _written(said: message_templates.Said) -> dict[str, Any]:
    """A draft as a message's own content."""
    return message_templates.content_of(said)
