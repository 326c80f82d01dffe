"""Conversations as they are read and written over HTTP, and the notes beside them.

Law: a write takes the turns' lock on the conversation's partition first, as a profile's does (people.py), so no turn
changes a conversation that changes under it; what the write comes to is told in the same transaction. A conversation
belongs to the tenant whose key or event made it; to every other tenant it does not exist.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import conversations, ids, notices, rules, schedule
from heliograph.store import database, schema, teams, telling, workspaces

_CONVERSATIONS, _NOTES = schema.conversations.c, schema.notes.c
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_JSON = ("attributes", "tags")


class Conversation(NamedTuple):
    """A conversation as it is kept."""

    id: str
    number: int
    tenant_id: str | None
    contact_id: str | None
    channel: str | None
    status: str
    priority: str
    agent_id: str | None
    division_id: str | None
    attributes: dict[str, Any]
    tags: list[str]
    created_at: int
    updated_at: int

    @property
    def fields(self) -> dict[str, Any]:
        """What can be written of it."""
        return {name: getattr(self, name) for name in conversations.WRITABLE}


class Note(NamedTuple):
    """What somebody noted down."""

    id: bytes
    author: str
    text: str


COLUMNS = tuple(_CONVERSATIONS[name] for name in Conversation._fields)


def of_row(row: Any) -> Conversation:
    """A conversation of a row that has COLUMNS."""
    kept = dict(zip(Conversation._fields, row, strict=True))
    return Conversation(**{**kept, **{name: _decode(kept[name]) for name in _JSON}})


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str
) -> Conversation | None:
    """A conversation; None where this tenant (None: the whole workspace) sees none."""
    found = _find(connection, workspace_id, identity)
    return found if found is not None and tenant_id in (None, found.tenant_id) else None


def create(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    identity: str,
    given: Mapping[str, Any],
    now: int,
) -> Conversation:
    """A new conversation. `given` was cleaned. Raises errors.Conflict, and InvalidInput for who is not known."""
    with store.writing() as connection:
        partition = _lock(store, connection, workspace_id, identity)
        stored = _find(connection, workspace_id, identity)
        if stored is not None and tenant_id not in (None, stored.tenant_id):
            raise errors.Conflict(f"the id {identity!r} is taken: choose another one")
        if stored is not None:
            raise errors.Conflict(f"the conversation {identity!r} is there already: change it with PATCH")
        fields = {**conversations.FRESH, **given}
        _check_assigned(connection, workspace_id, tenant_id, given)
        made = Conversation(
            identity,
            workspaces.next_number(connection, workspace_id, "conversations"),
            tenant_id,
            **fields,
            created_at=now,
            updated_at=now,
        )
        connection.execute(
            sa.insert(schema.conversations).values(
                **_values(made._asdict()), workspace_id=workspace_id, partition=partition
            )
        )
        _tell(connection, workspace_id, made, None, now)
    return made


def change(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    identity: str,
    given: Mapping[str, Any],
    now: int,
) -> Conversation | None:
    """Set these fields of a conversation; None where there is none. `given` was cleaned.

    Raises InvalidInput for an agent or a division that is not known.
    """
    with store.writing() as connection:
        _lock(store, connection, workspace_id, identity)
        stored = read(connection, workspace_id, tenant_id, identity)
        if stored is None:
            return None
        _check_assigned(connection, workspace_id, stored.tenant_id, given)
        now = schedule.later(now, stored.updated_at)
        made = stored._replace(**given, updated_at=now)
        connection.execute(
            sa.update(schema.conversations)
            .where(_CONVERSATIONS.workspace_id == workspace_id, _CONVERSATIONS.id == identity)
            .values(**_values({**given, "updated_at": now}))
        )
        _tell(connection, workspace_id, made, stored, now)
    return made


def _lock(store: database.Database, connection: sa.Connection, workspace_id: int, identity: str) -> int:
    subject = rules.cooldown_subject(None, identity)
    partition = ids.partition_of_subject(workspace_id, subject)
    store.lock_partitions(connection, (partition,))
    return partition


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _encode(value) if name in _JSON else value for name, value in fields.items()}


def _check_assigned(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, given: Mapping[str, Any]
) -> None:
    faults = [
        errors.Fault(name, f"there is no {name.removesuffix('_id')} {given[name]!r}")
        for name, table in (("agent_id", teams.AGENTS), ("division_id", teams.DIVISIONS))
        if given.get(name) is not None
        and not teams.is_known(connection, workspace_id, tenant_id, table, given[name])
    ]
    if faults:
        raise errors.InvalidInput(faults=faults)


def _tell(
    connection: sa.Connection, workspace_id: int, made: Conversation, before: Conversation | None, now: int
) -> None:
    told = notices.of_conversation(None if before is None else before.fields, made.fields)
    about = telling.About(workspace_id, made.tenant_id, made.contact_id, made.id, made.channel)
    telling.tell(connection, about, told, now)


def _find(connection: sa.Connection, workspace_id: int, identity: str) -> Conversation | None:
    row = connection.execute(
        sa.select(*COLUMNS).where(_CONVERSATIONS.workspace_id == workspace_id, _CONVERSATIONS.id == identity)
    ).one_or_none()
    return None if row is None else of_row(row)


# ── notes ───────────────────────────────────────────────────────────────────────────────────────────


def add_note(
    connection: sa.Connection, workspace_id: int, identity: str, author: str, text: str, now: int
) -> Note:
    """Note something down beside a conversation that is there."""
    made = Note(ids.mint(now, 0, 0, secrets.randbits(36)), author, text)
    connection.execute(
        sa.insert(schema.notes).values(workspace_id=workspace_id, conversation_id=identity, **made._asdict())
    )
    return made


def notes(
    connection: sa.Connection, workspace_id: int, identity: str, after: bytes | None, limit: int
) -> list[Note]:
    """What was noted beside a conversation, oldest first, from after a note on."""
    query = sa.select(_NOTES.id, _NOTES.author, _NOTES.text).where(
        _NOTES.workspace_id == workspace_id, _NOTES.conversation_id == identity
    )
    if after is not None:
        query = query.where(_NOTES.id > after)
    return [Note._make(row) for row in connection.execute(query.order_by(_NOTES.id).limit(limit))]
