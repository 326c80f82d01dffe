"""What contacts want to hear of, as people write and read it (engine.md E14, E16).

Law: who writes takes the turns' lock on the contact's partition first, so that no turn decides on words that change
under it. The first word of a workspace is noted in its settings: until then, no turn asks for any.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import sqlalchemy as sa

from heliograph.core import consent, rules, schedule
from heliograph.store import consent_changes, database, schema, workspaces

_CONSENTS = schema.consents.c
_WORKSPACES = schema.workspaces.c
ASKED = "consents"
"""The key of a workspace's settings that says that somebody said something."""
_PUT = sa.text(
    "INSERT INTO consents (workspace_id, user_id, tenant_id, body, updated_at)"
    " VALUES (:workspace_id, :user_id, :tenant_id, :body, :now) ON CONFLICT (workspace_id, user_id, tenant_id)"
    " DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at"
).bindparams(sa.bindparam("body", type_=schema.Json()))


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str
) -> consent.Consent:
    """What somebody said to a tenant (None: to the workspace itself)."""
    return _stored(connection, workspace_id, tenant_id, user_id)[0]


def _stored(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str
) -> tuple[consent.Consent, int]:
    """The same, and when they said it."""
    row = connection.execute(
        sa.select(_CONSENTS.body, _CONSENTS.updated_at).where(
            _CONSENTS.workspace_id == workspace_id,
            _CONSENTS.user_id == user_id,
            _CONSENTS.tenant_id == (tenant_id or ""),
        )
    ).one_or_none()
    return (consent.read(None), 0) if row is None else (consent.read(row.body), row.updated_at)


def change(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    change: Callable[[consent.Consent], consent.Consent],
    now: int,
) -> tuple[consent.Consent, consent.Consent]:
    """Store what `change` makes of somebody's words; gives them as they were and as they are."""
    partition = rules.partition_of_person(workspace_id, user_id)
    with store.writing() as connection:
        note(connection, workspace_id)
        store.lock_partitions(connection, (partition,))
        before, said_at = _stored(connection, workspace_id, tenant_id, user_id)
        now = schedule.later(now, said_at)
        after = change(before)
        connection.execute(
            _PUT,
            {
                "workspace_id": workspace_id,
                "user_id": user_id,
                "tenant_id": tenant_id or "",
                "body": msgspec.json.encode(after),
                "now": now,
            },
        )
        changes = consent.changes(before, after)
        consent_changes.note(connection, workspace_id, tenant_id, user_id, changes, now)
    return before, after


def note(connection: sa.Connection, workspace_id: int) -> None:
    """Let turns ask from now on what the recipients of this workspace want."""
    if workspaces.settings(connection, workspace_id).get(ASKED):
        return
    workspaces.raise_version(connection, workspace_id)
    settings = {**workspaces.settings(connection, workspace_id), ASKED: True}
    connection.execute(
        sa.update(schema.workspaces)
        .where(_WORKSPACES.id == workspace_id)
        .values(settings=msgspec.json.encode(settings))
    )
