"""API keys: made once, shown once, kept as a digest.

Law: the text of a key never reaches the database. It carries its row's id, by which it is found, and 32 random bytes
that nobody can guess; what is compared is the SHA-256 of the whole, in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.store import identities, schema, workspaces

PREFIX = "hg_"
_ID_BYTES, _SECRET_BYTES = 16, 32
_LENGTH = len(PREFIX) + (_ID_BYTES + _SECRET_BYTES) * 4 // 3
_KEYS = schema.api_keys.c
_folders = msgspec.json.Decoder(tuple[str, ...])


class Role(StrEnum):
    """What a key may do (engine.md E28)."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"
    INGEST = "ingest"


class Key(NamedTuple):
    """A key as it is kept: whom it speaks for and what it may do."""

    id: bytes
    workspace_id: int
    tenant_id: str | None
    """The tenant it is bound to; None = the whole workspace."""
    number: int
    name: str
    role: Role
    created_at: int
    revoked_at: int | None
    folders: tuple[str, ...] = ()
    """Of lists: those that it sees where its workspace keeps folders apart (core.folders)."""


def create(
    connection: sa.Connection,
    workspace_id: int,
    role: Role,
    name: str,
    now: int,
    tenant_id: str | None = None,
    folders: Sequence[str] = (),
) -> tuple[Key, str]:
    """Make a key; gives it with its text, which nobody can read again."""
    identity = identities.fresh(now)
    text = PREFIX + base64.urlsafe_b64encode(identity + secrets.token_bytes(_SECRET_BYTES)).decode()
    number = workspaces.next_number(connection, workspace_id, "api_keys")
    made = Key(identity, workspace_id, tenant_id, number, name, role, now, None, tuple(folders))
    kept = {**made._asdict(), "folders": msgspec.json.encode(folders) if folders else None}
    connection.execute(sa.insert(schema.api_keys).values(**kept, digest=digest(text)))
    return made, text


def digest(text: str) -> bytes:
    """What is kept of a key's text."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def find(connection: sa.Connection, text: str) -> Key | None:
    """The key of this text; None where there is none, or it was revoked."""
    identity = _id_in(text)
    if identity is None:
        return None
    row = connection.execute(
        sa.select(*_FIELDS, _KEYS.digest).where(_KEYS.id == identity, _KEYS.revoked_at.is_(None))
    ).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.digest), digest(text)):
        return None
    return _key(row[:-1])


def still(connection: sa.Connection, identity: bytes) -> Key | None:
    """The key of this id; None where there is none, or it was revoked."""
    row = connection.execute(
        sa.select(*_FIELDS).where(_KEYS.id == identity, _KEYS.revoked_at.is_(None))
    ).one_or_none()
    return None if row is None else _key(row)


def revoke(connection: sa.Connection, identity: bytes, now: int) -> bool:
    """Let a key count no more; whether there was one that did."""
    changed = connection.execute(
        sa.update(schema.api_keys)
        .where(_KEYS.id == identity, _KEYS.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return changed.rowcount == 1


def listed(connection: sa.Connection, workspace_id: int) -> list[Key]:
    """Every key of a workspace, the revoked ones too, oldest first."""
    found = connection.execute(
        sa.select(*_FIELDS).where(_KEYS.workspace_id == workspace_id).order_by(_KEYS.number)
    )
    return [_key(row) for row in found]


def any_there(connection: sa.Connection) -> bool:
    """Whether any key was ever made, in any workspace."""
    return connection.execute(sa.select(_KEYS.id).limit(1)).first() is not None


_FIELDS = tuple(_KEYS[name] for name in Key._fields)


def _key(row: sa.Row[tuple[object, ...]] | tuple[object, ...]) -> Key:
    key = Key._make(row)
    folders: bytes | None = row[-1]  # type: ignore[assignment]
    return key._replace(role=Role(key.role), folders=() if folders is None else _folders.decode(folders))


def _id_in(text: str) -> bytes | None:
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)[:_ID_BYTES]
    except (binascii.Error, ValueError):
        return None
