"""The secret headers of webhook recipients: locked where a request is taken in, opened where its message is written.

Law: they lie locked in the request, the users of bulk jobs and the messages that they become, each for its own URL; so
they go with these, and nothing else has to be kept or forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import hooks, requests
from heliograph.store import safe as safes
from heliograph.store import schema

_decode = msgspec.json.Decoder().decode
_headers = msgspec.json.Decoder(dict[str, str]).decode
_HOLDERS = (
    (schema.requests, ("body",)),
    (schema.bulk_users, ("said",)),
    (schema.messages, ("content", "route")),
)
"""Where they lie, by table and columns."""
_MARK = '"locked":"locked:1:'


def sealed(safe: safes.Safe, workspace_id: int, said: requests.Request) -> requests.Request:
    """A request whose secrets are locked. Raises errors.NoSecretKey."""
    if not any(one.secret for one in said.to):
        return said
    to = tuple(recipient(safe, workspace_id, one) for one in said.to)
    return msgspec.structs.replace(said, to=to)


def recipient(safe: safes.Safe, workspace_id: int, to: requests.To) -> requests.To:
    """A recipient whose secrets are locked. Raises errors.NoSecretKey."""
    return requests.sealed(to, lambda secret, url: safe.lock(secret, _place(workspace_id, url)))


def opened(safe: safes.Safe, workspace_id: int, found: hooks.Sealed) -> Mapping[str, str]:
    """The headers. Raises errors.NoSecretKey or errors.WrongSecretKey."""
    return _headers(safe.open(found.locked, _place(workspace_id, found.to)))


def relock(connection: sa.Connection, safe: safes.Safe, workspace_id: int) -> int:
    """Lock a workspace's by the key that locks now, where another did; gives how many. Raises errors.WrongSecretKey."""
    count = 0
    for table, names in _HOLDERS:
        keys = list(table.primary_key.columns)
        for name in names:
            column = table.c[name]
            holds = sa.cast(column, sa.Text).like(f"%{_MARK}%")
            query = sa.select(*keys, column).where(table.c.workspace_id == workspace_id, holds)
            for row in connection.execute(query).all():
                whole = _decode(row[-1])
                before = count
                for one in _locked(whole):
                    if not safe.is_current(one["locked"]):
                        place = _place(workspace_id, one["to"])
                        one["locked"] = safe.lock(safe.open(one["locked"], place), place)
                        count += 1
                if count > before:
                    mine = [key == value for key, value in zip(keys, row[:-1], strict=True)]
                    connection.execute(
                        sa.update(table).where(*mine).values({name: msgspec.json.encode(whole)})
                    )
    return count


def _locked(given: Any) -> Iterator[dict[str, Any]]:
    """What is locked in a document."""
    if isinstance(given, list):
        for one in given:
            yield from _locked(one)
    elif isinstance(given, dict):
        if given.keys() == {"to", "locked"}:
            yield given
            return
        for one in given.values():
            yield from _locked(one)


def _place(workspace_id: int, url: str) -> str:
    return f"{workspace_id}/webhook recipient/{url}"
