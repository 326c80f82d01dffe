"""Providers as people manage them and as deliveries read them.

Law: secrets are locked before they are stored, each in its own place. Each function works in the caller's transaction;
one that writes raises the workspace's `definitions_version` first, by which deliveries read them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import ids, providers
from heliograph.store import identities, numbered, schema, workspaces
from heliograph.store import safe as safes

_PROVIDERS = schema.providers.c
_MOST_NAMED = 20
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Provider(NamedTuple):
    """A provider as it is stored."""

    id: str
    number: int
    version: int
    channel: str
    provider: str
    title: str
    alias: str | None
    position: int
    enabled: bool
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    """Locked, by the name of the setting."""
    created_at: int
    updated_at: int

    @property
    def name(self) -> str:
        """What it is called where attempts are kept."""
        return providers.name_of(self.provider, self.number, self.alias)


def _provider(row: Sequence[Any]) -> Provider:
    found = Provider._make(row)
    return found._replace(
        enabled=bool(found.enabled),
        settings=_decode(row[Provider._fields.index("settings")]),
        secrets=_decode(row[Provider._fields.index("secrets")]),
    )


_table = numbered.Table(schema.providers, Provider._fields, _provider)
read, lock, listed = _table.read, _table.lock, _table.listed


def named(connection: sa.Connection, name: str) -> list[tuple[int, Provider]]:
    """(workspace, provider) of those of any workspace that have this id or alias, a few at most."""
    query = (
        sa.select(*(_PROVIDERS[field] for field in Provider._fields), _PROVIDERS.workspace_id)
        .where((_PROVIDERS.id == name) | (_PROVIDERS.alias == name))
        .order_by(_PROVIDERS.workspace_id, _PROVIDERS.number)
        .limit(_MOST_NAMED)
    )
    return [(row.workspace_id, _provider(row[:-1])) for row in connection.execute(query)]


def channels(connection: sa.Connection, workspace_id: int) -> dict[str, str]:
    """The channel of each of a workspace's own providers, by its name."""
    query = sa.select(_PROVIDERS.provider, _PROVIDERS.number, _PROVIDERS.alias, _PROVIDERS.channel)
    found = connection.execute(query.where(_PROVIDERS.workspace_id == workspace_id))
    return {providers.name_of(row.provider, row.number, row.alias): row.channel for row in found}


def sends(connection: sa.Connection, workspace_id: int, channel: str) -> bool:
    """Whether a workspace has a provider of its own for a channel."""
    query = sa.select(_PROVIDERS.id).where(
        _PROVIDERS.workspace_id == workspace_id, _PROVIDERS.channel == channel, _PROVIDERS.enabled
    )
    return connection.execute(query.limit(1)).first() is not None


def in_order(connection: sa.Connection, workspace_id: int) -> tuple[tuple[str, int], ...]:
    """Id and version of the providers that are enabled, in the order in which those of a channel are asked."""
    found = connection.execute(
        sa.select(_PROVIDERS.id, _PROVIDERS.version)
        .where(_PROVIDERS.workspace_id == workspace_id, _PROVIDERS.enabled)
        .order_by(_PROVIDERS.position, _PROVIDERS.number)
    )
    return tuple((row.id, row.version) for row in found)


def hears(connection: sa.Connection, workspace_id: int) -> bool:
    """Whether a workspace has set up who reports on its e-mails, by a provider that may be there for that alone."""
    mail = [one for one in listed(connection, workspace_id) if one.channel == "email"]
    return any(providers.reports(one.provider, one.settings) for one in mail)


def opened(safe: safes.Safe, workspace_id: int, stored: Provider) -> dict[str, str]:
    """Its secrets in the clear. Raises errors.NoSecretKey or errors.WrongSecretKey."""
    return {
        name: safe.open(locked, _place(workspace_id, stored.id, name))
        for name, locked in stored.secrets.items()
    }


def defined(safe: safes.Safe, workspace_id: int, stored: Provider) -> providers.Definition:
    """What a provider says, its secrets in the clear. Raises errors.NoSecretKey or errors.WrongSecretKey."""
    return providers.Definition(
        provider=stored.provider,
        title=stored.title,
        alias=stored.alias,
        settings=dict(stored.settings),
        secrets=opened(safe, workspace_id, stored),
        position=stored.position,
        enabled=stored.enabled,
    )


def create(
    connection: sa.Connection,
    safe: safes.Safe,
    workspace_id: int,
    definition: providers.Definition,
    now: int,
    identity: str | None = None,
) -> Provider:
    """Store a new provider, the version raised before it. Raises errors.Conflict where its alias is taken."""
    if identity is None:
        identity = ids.text(identities.fresh(now))
    _refuse_taken(connection, workspace_id, identity, definition)
    number = workspaces.next_number(connection, workspace_id, "providers")
    made = _as_stored(safe, workspace_id, (identity, number, 1), definition, (now, now))
    connection.execute(sa.insert(schema.providers).values(workspace_id=workspace_id, **_values(made)))
    return made


def change(
    connection: sa.Connection,
    safe: safes.Safe,
    workspace_id: int,
    stored: Provider,
    definition: providers.Definition,
    now: int,
) -> Provider:
    """Store what a provider, read by `lock`, says from now on; one that says nothing new is left alone."""
    if definition == defined(safe, workspace_id, stored):
        return stored
    _refuse_taken(connection, workspace_id, stored.id, definition)
    head = (stored.id, stored.number, stored.version + 1)
    made = _as_stored(safe, workspace_id, head, definition, (stored.created_at, max(now, stored.updated_at)))
    _update(connection, workspace_id, made)
    return made


def delete(connection: sa.Connection, workspace_id: int, stored: Provider) -> None:
    """Delete a provider that was read by `lock`; what it has in hand it still hands over."""
    for table in (schema.provider_rates, schema.provider_days):
        connection.execute(
            sa.delete(table).where(table.c.workspace_id == workspace_id, table.c.provider_id == stored.id)
        )
    connection.execute(
        sa.delete(schema.providers).where(_PROVIDERS.workspace_id == workspace_id, _PROVIDERS.id == stored.id)
    )


def relock(connection: sa.Connection, safe: safes.Safe, workspace_id: int) -> int:
    """Lock the secrets of a workspace's providers by the key that locks now; gives of how many."""
    count = 0
    for one in listed(connection, workspace_id):
        if not all(safe.is_current(locked) for locked in one.secrets.values()):
            definition = defined(safe, workspace_id, one)
            head = (one.id, one.number, one.version)
            times = (one.created_at, one.updated_at)
            _update(connection, workspace_id, _as_stored(safe, workspace_id, head, definition, times))
            count += 1
    return count


def _place(workspace_id: int, identity: str, name: str) -> str:
    return f"{workspace_id}/providers/{identity}/{name}"


def _as_stored(
    safe: safes.Safe,
    workspace_id: int,
    head: tuple[str, int, int],
    said: providers.Definition,
    times: tuple[int, int],
) -> Provider:
    """Its row; `head` is id, number and version."""
    locked = {
        name: safe.lock(secret, _place(workspace_id, head[0], name)) for name, secret in said.secrets.items()
    }
    channel = providers.channel_of(said.provider)
    return Provider(
        *head,
        channel,
        said.provider,
        said.title,
        said.alias,
        said.position,
        said.enabled,
        said.settings,
        locked,
        *times,
    )


def _values(made: Provider) -> dict[str, Any]:
    return {
        **made._asdict(),
        "settings": msgspec.json.encode(made.settings),
        "secrets": msgspec.json.encode(made.secrets),
    }


def _update(connection: sa.Connection, workspace_id: int, made: Provider) -> None:
    connection.execute(
        sa.update(schema.providers)
        .where(_PROVIDERS.workspace_id == workspace_id, _PROVIDERS.id == made.id)
        .values(**_values(made))
    )


def _refuse_taken(
    connection: sa.Connection, workspace_id: int, identity: str, definition: providers.Definition
) -> None:
    """No two providers of a workspace have one alias, so that an attempt says whose it was."""
    if definition.alias is None:
        return
    for one in listed(connection, workspace_id):
        if one.id != identity and one.name == definition.alias:
            raise errors.Conflict(f"there is a provider {one.name!r} already: take another alias")
