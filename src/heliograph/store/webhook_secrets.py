"""Webhook secrets: by what a workspace signs what it sends to other programs (core/signatures.py).

Law: a secret is kept as it is, since both sides need it; it is shown by a command alone, never over HTTP. One that was
replaced signs beside the new one for a while, so that a receiver can change over without losing anything.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import schedule, signatures
from heliograph.store import schema

_WORKSPACES = schema.workspaces.c
_OCTETS = 24
_OVERLAP = schedule.DAY
"""For how long (µs) a secret that was replaced still signs."""


class _Secret(msgspec.Struct):
    secret: str
    until: int | None = None


_kept = msgspec.json.Decoder(list[_Secret])


def drawn() -> bytes:
    """A new workspace's secrets, as they are stored."""
    return msgspec.json.encode([_new()])


def read(connection: sa.Connection, workspace_id: int, now: int) -> list[str]:
    """The secrets that sign now, the newest first; none in a workspace that never had one."""
    return [one.secret for one in _stored(connection, workspace_id) if one.until is None or now < one.until]


def replace(connection: sa.Connection, workspace_id: int, now: int) -> str:
    """A new secret, which signs from now on; the one before it does for another day."""
    before = [
        _Secret(one.secret, now + _OVERLAP if one.until is None else one.until)
        for one in _stored(connection, workspace_id)
        if one.until is None or now < one.until
    ]
    made = _new()
    kept: Any = msgspec.json.encode([made, *before])
    connection.execute(
        sa.update(schema.workspaces).where(_WORKSPACES.id == workspace_id).values(webhook_secrets=kept)
    )
    return made.secret


def _new() -> _Secret:
    return _Secret(signatures.write_secret(secrets.token_bytes(_OCTETS)))


def _stored(connection: sa.Connection, workspace_id: int) -> list[_Secret]:
    stored = connection.execute(
        sa.select(_WORKSPACES.webhook_secrets).where(_WORKSPACES.id == workspace_id)
    ).scalar_one()
    return [] if stored is None else _kept.decode(stored)
