"""People as they are read and written over HTTP.

Law: a write takes the turns' lock on the contact's partition first, so no turn decides on a profile that changes under
it (engine.md E16), and reads what it changes under that lock. A contact belongs to the tenant whose key made it; to
every other tenant it does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import ids, people, rules
from heliograph.store import birthdays, database, rows, schema, workspaces

_CONTACTS = schema.contacts.c
_decode = msgspec.json.Decoder().decode


class Contact(NamedTuple):
    """A person as they are kept."""

    user_id: str
    tenant_id: str | None
    profile: dict[str, Any]
    tags: list[str]
    created_at: int
    updated_at: int


def read_contact(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str
) -> Contact | None:
    """A contact; None where this tenant (None: the whole workspace) sees none."""
    found = _find(connection, workspace_id, user_id)
    return found if found is not None and tenant_id in (None, found.tenant_id) else None


def save_profile(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    given: Mapping[str, Any],
    now: int,
    *,
    strategy: str,
) -> None:
    """Write a profile by a merge strategy of core.people; a contact that is not there is made, of this tenant.

    `given` was cleaned. Raises errors.NotFound where the contact is another tenant's.
    """
    partition = ids.partition_of_subject(workspace_id, rules.cooldown_subject(user_id, None))
    with store.writing() as connection:
        store.lock_partitions(connection, (partition,))
        stored = _find(connection, workspace_id, user_id)
        if stored is not None and tenant_id not in (None, stored.tenant_id):
            raise errors.NotFound(f"there is no profile {user_id!r}")
        profile = people.merge(strategy, stored.profile if stored else {}, given)
        owner = tenant_id if stored is None else stored.tenant_id
        kept = rows.Contact(workspace_id, user_id, partition, owner, b"", b"", now, now)
        noted = rows.Writes()
        birthdays.note(noted, kept, stored.profile if stored else {}, profile, now)
        birthdays.write(connection, noted)
        written = {"profile": msgspec.json.encode(profile), "updated_at": now}
        if stored is not None:
            connection.execute(
                sa.update(schema.contacts)
                .where(_CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id)
                .values(**written)
            )
            return
        connection.execute(
            sa.insert(schema.contacts).values(
                **written,
                workspace_id=workspace_id,
                user_id=user_id,
                partition=partition,
                number=workspaces.next_number(connection, workspace_id, "contacts"),
                tenant_id=tenant_id,
                tags=b"[]",
                created_at=now,
            )
        )


def _find(connection: sa.Connection, workspace_id: int, user_id: str) -> Contact | None:
    row = connection.execute(
        sa.select(
            _CONTACTS.user_id,
            _CONTACTS.tenant_id,
            _CONTACTS.profile,
            _CONTACTS.tags,
            _CONTACTS.created_at,
            _CONTACTS.updated_at,
        ).where(_CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id)
    ).one_or_none()
    if row is None:
        return None
    return Contact(
        row.user_id, row.tenant_id, _decode(row.profile), _decode(row.tags), row.created_at, row.updated_at
    )
