"""People as they are read and written over HTTP.

Law: a write takes the turns' lock on the contact's partition first, so no turn decides on a profile that changes under
it (engine.md E16), and reads what it changes under that lock. A contact belongs to the tenant whose key made it; to
every other tenant it does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import device_tokens, documents, notices, people, pseudonyms, rules, schedule
from heliograph.store import (
    birthdays,
    database,
    definitions,
    departures,
    erasure_rows,
    rows,
    schema,
    telling,
    workspaces,
)

_CONTACTS, _TOKENS = schema.contacts.c, schema.device_tokens.c
_token = msgspec.json.Decoder(device_tokens.Token)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Contact(NamedTuple):
    """A person as they are kept."""

    user_id: str
    number: int
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
    with store.writing() as connection:
        stored = _locked(store, connection, workspace_id, user_id)
        _refuse_strangers(stored, tenant_id, user_id)
        profile = people.merge(strategy, stored.profile if stored else {}, given)
        _write(connection, _Owned(workspace_id, tenant_id, user_id), stored, profile, None, now)


def create_contact(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    profile: Mapping[str, Any],
    tags: Sequence[str],
    now: int,
) -> Contact:
    """A new contact, of this tenant; `profile` was cleaned. Raises errors.Conflict where there is one."""
    with store.writing() as connection:
        stored = _locked(store, connection, workspace_id, user_id)
        if stored is not None and tenant_id not in (None, stored.tenant_id):
            raise errors.Conflict(f"the id {user_id!r} is taken: choose another one")
        if stored is not None:
            raise errors.Conflict(f"the contact {user_id!r} is there already: change it with PATCH")
        return _write(connection, _Owned(workspace_id, tenant_id, user_id), None, profile, tags, now)


def change_contact(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    profile: Mapping[str, Any],
    tags: Sequence[str] | None,
    now: int,
) -> Contact | None:
    """Set attributes of a contact, and its tags where they are given; None where this tenant sees none."""
    with store.writing() as connection:
        stored = _locked(store, connection, workspace_id, user_id)
        if stored is None or tenant_id not in (None, stored.tenant_id):
            return None
        merged = people.merge("overwrite", stored.profile, profile)
        return _write(connection, _Owned(workspace_id, tenant_id, user_id), stored, merged, tags, now)


def change_profile(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    now: int,
) -> bool:
    """Write what `change` makes of a profile; False where this tenant sees no such contact. What it raises goes out."""
    with store.writing() as connection:
        stored = _locked(store, connection, workspace_id, user_id)
        if stored is None or tenant_id not in (None, stored.tenant_id):
            return False
        profile = change(stored.profile)
        _write(connection, _Owned(workspace_id, tenant_id, user_id), stored, profile, None, now)
    return True


def write_within(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    now: int,
) -> None:
    """Write what `change` makes of a profile, in the caller's transaction; a contact that is not there is made.

    One of which nothing changes is left alone. Raises errors.NotFound where the contact is another tenant's.
    """
    stored = _locked(store, connection, workspace_id, user_id)
    _refuse_strangers(stored, tenant_id, user_id)
    before = stored.profile if stored else {}
    profile = change(before)
    if not documents.is_same(profile, before):
        _write(connection, _Owned(workspace_id, tenant_id, user_id), stored, profile, None, now)


def read_own(connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str) -> None:
    """Raises errors.NotFound where a contact is another tenant's; one that is not there is nobody's."""
    _refuse_strangers(_find(connection, workspace_id, user_id), tenant_id, user_id)


def _refuse_strangers(stored: Contact | None, tenant_id: str | None, user_id: str) -> None:
    if stored is not None and tenant_id not in (None, stored.tenant_id):
        raise errors.NotFound(f"there is no profile {user_id!r}")


def delete_contact(
    store: database.Database, workspace_id: int, tenant_id: str | None, user_id: str, now: int
) -> bool:
    """Delete a contact; False where this tenant sees none.

    Their runs end, what is planned for them goes out no more, and history forgets them (store/departures.py). Their
    lists and preferences stay, for whoever comes back under the same id.
    """
    with store.writing() as connection:
        stored = _locked(store, connection, workspace_id, user_id)
        if stored is None or tenant_id not in (None, stored.tenant_id):
            return False
        partition = rules.partition_of_person(workspace_id, user_id)
        kept = rows.Contact(workspace_id, user_id, partition, stored.tenant_id, b"", b"", now, now)
        noted = rows.Writes()
        birthdays.note(noted, kept, stored.profile, {}, now)
        birthdays.write(connection, noted)
        connection.execute(
            sa.delete(schema.contacts).where(
                _CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id
            )
        )
        connection.execute(
            sa.delete(schema.device_tokens).where(
                schema.device_tokens.c.workspace_id == workspace_id, schema.device_tokens.c.user_id == user_id
            )
        )
        whose = erasure_rows.Whose(workspace_id, user_id, tenant_id)
        departures.begin(store, connection, whose, stored.profile, now)
    return True


def _locked(
    store: database.Database, connection: sa.Connection, workspace_id: int, user_id: str
) -> Contact | None:
    """A contact that is about to be written: no turn looks at it until the transaction ends."""
    store.lock_partitions(connection, (rules.partition_of_person(workspace_id, user_id),))
    return _find(connection, workspace_id, user_id)


class _Owned(NamedTuple):
    """Who is written, and the tenant of whoever writes."""

    workspace_id: int
    tenant_id: str | None
    user_id: str


def _write(
    connection: sa.Connection,
    key: _Owned,
    stored: Contact | None,
    profile: Mapping[str, Any],
    tags: Sequence[str] | None,
    now: int,
) -> Contact:
    """Let a contact be like this, with its birthday, and tell who listens."""
    workspace_id, tenant_id, user_id = key
    if stored is None and pseudonyms.is_name(user_id):
        raise errors.InvalidInput.at("user_id", pseudonyms.RESERVED)
    partition = rules.partition_of_person(workspace_id, user_id)
    owner = tenant_id if stored is None else stored.tenant_id
    now = now if stored is None else schedule.later(now, stored.updated_at)
    before: Mapping[str, Any] = stored.profile if stored else {}
    if people.PUSH_TOKEN in before.keys() - profile.keys():
        profile = _reached(connection, key, profile)
    kept = rows.Contact(workspace_id, user_id, partition, owner, b"", b"", now, now)
    noted = rows.Writes()
    birthdays.note(noted, kept, before, profile, now)
    birthdays.write(connection, noted)
    tags_before = stored.tags if stored else []
    tags = tags_before if tags is None else list(tags)
    encoded = _encode(profile)
    if len(encoded) > max(people.MAX_BYTES, len(_encode(before))):
        raise errors.TooLarge(people.TOO_LARGE)
    written = {"profile": encoded, "tags": _encode(tags), "updated_at": now}
    if stored is not None:
        made = stored._replace(profile=dict(profile), tags=list(tags), updated_at=now)
        connection.execute(
            sa.update(schema.contacts)
            .where(_CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id)
            .values(**written)
        )
    else:
        number = workspaces.next_number(connection, workspace_id, "contacts")
        made = Contact(user_id, number, tenant_id, dict(profile), list(tags), now, now)
        connection.execute(
            sa.insert(schema.contacts).values(
                **written,
                workspace_id=workspace_id,
                user_id=user_id,
                partition=partition,
                number=number,
                tenant_id=tenant_id,
                created_at=now,
            )
        )
    told = notices.of_contact(stored and stored.profile, profile, tags_before, tags)
    if told:
        listens = telling.listening(connection, workspace_id, notices.OF_CONTACTS + notices.OF_SEGMENTS)
        if any(listens.hears(owner, event_type) for event_type in notices.OF_SEGMENTS):
            moving = definitions.moving(connection, workspace_id)
            told += moving.moves(user_id, owner, stored and stored.profile, profile)
        telling.tell(connection, telling.About(workspace_id, owner, user_id), told, now, listens)
    return made


def _reached(connection: sa.Connection, key: _Owned, profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile that says no more where push messages go, as the person's devices have it."""
    query = (
        sa.select(_TOKENS.token, _TOKENS.body)
        .where(_TOKENS.workspace_id == key.workspace_id, _TOKENS.user_id == key.user_id)
        .order_by(_TOKENS.registered_at.desc(), _TOKENS.token)
    )
    devices = [(row.token, _token.decode(row.body)) for row in connection.execute(query)]
    return device_tokens.reached(profile, devices, ())


FIELDS = tuple(_CONTACTS[name] for name in Contact._fields)


def of_row(row: Any) -> Contact:
    """A contact of a row that has FIELDS."""
    return Contact(
        row.user_id,
        row.number,
        row.tenant_id,
        _decode(row.profile),
        _decode(row.tags),
        row.created_at,
        row.updated_at,
    )


def _find(connection: sa.Connection, workspace_id: int, user_id: str) -> Contact | None:
    query = sa.select(*FIELDS).where(_CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else of_row(row)
