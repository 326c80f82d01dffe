"""Webhook secrets: by what a workspace signs what it sends to other programs (core/signatures.py).

Law: a secret is kept locked (as it is, where no key is set), and shown by a command alone, never over HTTP. One that
was replaced signs beside the new one for a while, so that a receiver can change over without losing anything.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import schedule, signatures
from heliograph.store import safe as safes
from heliograph.store import schema

_WORKSPACES = schema.workspaces.c
_OCTETS = 24
_OVERLAP = schedule.DAY
"""For how long (µs) a secret that was replaced still signs."""


class _Secret(msgspec.Struct):
    secret: str
    until: int | None = None


_kept = msgspec.json.Decoder(list[_Secret])


def draw(connection: sa.Connection, workspace_id: int, safe: safes.Safe) -> None:
    """Give a workspace its first secret, where it has none."""
    connection.execute(
        sa.update(schema.workspaces)
        .where(_WORKSPACES.id == workspace_id, _WORKSPACES.webhook_secrets.is_(None))
        .values(webhook_secrets=_encoded([_new()], workspace_id, safe))
    )


def read(connection: sa.Connection, workspace_id: int, now: int, safe: safes.Safe) -> list[str]:
    """The secrets that sign now, the newest first; none in a workspace that never had one.

    Raises errors.NoSecretKey or errors.WrongSecretKey.
    """
    stored = _stored(connection, workspace_id)
    return [_opened(one, workspace_id, safe) for one in stored if one.until is None or now < one.until]


def replace(connection: sa.Connection, workspace_id: int, now: int, safe: safes.Safe) -> str:
    """A new secret, which signs from now on; the one before it does for another day."""
    before = [
        _Secret(_opened(one, workspace_id, safe), now + _OVERLAP if one.until is None else one.until)
        for one in _stored(connection, workspace_id)
        if one.until is None or now < one.until
    ]
    made = _new()
    _keep(connection, workspace_id, [made, *before], safe)
    return made.secret


def relock(connection: sa.Connection, safe: safes.Safe, workspace_id: int, *, plain_only: bool) -> int:
    """Lock a workspace's secrets by the key that locks now, or only those that are not locked; gives how many."""
    stored = _stored(connection, workspace_id)
    wanted = [
        one
        for one in stored
        if not safes.is_locked(one.secret) or not (plain_only or safe.is_current(one.secret))
    ]
    if wanted:
        whole = [_Secret(_opened(one, workspace_id, safe), one.until) for one in stored]
        _keep(connection, workspace_id, whole, safe)
    return len(wanted)


def _new() -> _Secret:
    return _Secret(signatures.write_secret(secrets.token_bytes(_OCTETS)))


def _place(workspace_id: int) -> str:
    return f"{workspace_id}/webhook_secrets"


def _opened(one: _Secret, workspace_id: int, safe: safes.Safe) -> str:
    return safe.open(one.secret, _place(workspace_id)) if safes.is_locked(one.secret) else one.secret


def _encoded(found: list[_Secret], workspace_id: int, safe: safes.Safe) -> Any:
    if safe.has_key:
        found = [_Secret(safe.lock(one.secret, _place(workspace_id)), one.until) for one in found]
    return msgspec.json.encode(found)


def _keep(connection: sa.Connection, workspace_id: int, found: list[_Secret], safe: safes.Safe) -> None:
    connection.execute(
        sa.update(schema.workspaces)
        .where(_WORKSPACES.id == workspace_id)
        .values(webhook_secrets=_encoded(found, workspace_id, safe))
    )


def _stored(connection: sa.Connection, workspace_id: int) -> list[_Secret]:
    stored = connection.execute(
        sa.select(_WORKSPACES.webhook_secrets).where(_WORKSPACES.id == workspace_id)
    ).scalar_one()
    return [] if stored is None else _kept.decode(stored)
