"""Device tokens as they are written and read (core.device_tokens).

Law: somebody's tokens and the address in their profile change in one transaction, under the lock of their partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import device_tokens
from heliograph.store import database, people, schema

_TOKENS = schema.device_tokens.c
_body = msgspec.json.Decoder(device_tokens.Token)
_encode = msgspec.json.Encoder().encode


class Whose(NamedTuple):
    """Whose tokens they are, and the tenant of whoever asks."""

    workspace_id: int
    tenant_id: str | None
    user_id: str


class Stored(NamedTuple):
    """A token as it is kept."""

    text: str
    token: device_tokens.Token
    registered_at: int
    expires_at: int | None


Changed = Callable[[Mapping[str, Stored]], Mapping[str, device_tokens.Token | None]]
"""Somebody's tokens to those that are to be otherwise; None: that is to go."""


def change(
    store: database.Database, whose: Whose, changed: Changed, now: int, *, registers: bool = True
) -> None:
    """Let tokens be as `changed` says, and be registered now if they are registered; what it raises goes out.

    Raises errors.NotFound where the person is another tenant's, InvalidInput where they would have too many.
    """
    with store.writing() as connection:

        def written(profile: dict[str, Any]) -> dict[str, Any]:
            before = {one.text: one for one in _listed(connection, whose)}
            wanted = changed(before)
            at = {} if registers else {text: one.registered_at for text, one in before.items()}
            _write(connection, whose, wanted, at, now)
            after = _listed(connection, whose)
            if len(after) > device_tokens.MOST:
                raise errors.InvalidInput.at("token", f"a person has at most {device_tokens.MOST} devices")
            return device_tokens.reached(profile, [(one.text, one.token) for one in after], before)

        people.write_within(
            store, connection, whose.workspace_id, whose.tenant_id, whose.user_id, written, now
        )


def listed(connection: sa.Connection, whose: Whose) -> Sequence[Stored]:
    """Somebody's tokens, the newest first. Raises errors.NotFound for another tenant's person."""
    people.read_own(connection, whose.workspace_id, whose.tenant_id, whose.user_id)
    return _listed(connection, whose)


def _listed(connection: sa.Connection, whose: Whose) -> Sequence[Stored]:
    query = (
        sa.select(_TOKENS.token, _TOKENS.body, _TOKENS.registered_at, _TOKENS.expires_at)
        .where(_TOKENS.workspace_id == whose.workspace_id, _TOKENS.user_id == whose.user_id)
        .order_by(_TOKENS.registered_at.desc(), _TOKENS.token)
    )
    return [
        Stored(row.token, _body.decode(row.body), row.registered_at, row.expires_at)
        for row in connection.execute(query)
    ]


def _write(
    connection: sa.Connection,
    whose: Whose,
    wanted: Mapping[str, device_tokens.Token | None],
    registered: Mapping[str, int],
    now: int,
) -> None:
    mine = (_TOKENS.workspace_id == whose.workspace_id, _TOKENS.user_id == whose.user_id)
    connection.execute(sa.delete(schema.device_tokens).where(*mine, _TOKENS.token.in_([*wanted])))
    rows = [
        {
            "workspace_id": whose.workspace_id,
            "user_id": whose.user_id,
            "token": text,
            "body": _encode(one),
            "registered_at": registered.get(text, now),
            "expires_at": device_tokens.expires_at(one, registered.get(text, now)),
        }
        for text, one in wanted.items()
        if one is not None
    ]
    if rows:
        connection.execute(sa.insert(schema.device_tokens), rows)


def forget(store: database.Database, now: int, at_most: int) -> int:
    """Let tokens go that have expired, of so many people; gives of how many."""
    query = (
        sa.select(_TOKENS.workspace_id, _TOKENS.user_id)
        .where(_TOKENS.expires_at <= now)
        .distinct()
        .limit(at_most)
    )
    with store.reading() as connection:
        found = connection.execute(query).all()

    def over(there: Mapping[str, Stored]) -> Mapping[str, None]:
        # Asked once more under the lock: one that is registered anew at this moment stays.
        return {
            text: None for text, one in there.items() if one.expires_at is not None and one.expires_at <= now
        }

    for row in found:
        change(store, Whose(row.workspace_id, None, row.user_id), over, now)
    return len(found)
