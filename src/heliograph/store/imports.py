"""People by the thousand: profiles merged into what is known, with a few statements for all of them.

Law: as a profile's write over HTTP (people.py), the partitions are locked first, and what is changed is read under the
lock. Whoever imports keeps where they stand in the same transaction, so a row is never taken twice nor left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import ids, people, rules
from heliograph.store import database, schema, workspaces

_CONTACTS = schema.contacts.c
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_AT_ONCE = 1_000
"""Keys in one IN list."""

_CHANGE = (
    sa.update(schema.contacts)
    .where(
        _CONTACTS.workspace_id == sa.bindparam("of_workspace"), _CONTACTS.user_id == sa.bindparam("of_user")
    )
    .values(profile=sa.bindparam("profile"), updated_at=sa.bindparam("updated_at"))
)


class Tally(NamedTuple):
    """What became of people's profiles."""

    made: int
    changed: int
    unchanged: int

    def __add__(self, other: Any) -> Tally:
        """Both together."""
        return Tally(*map(sum, zip(self, other, strict=True)))


NOBODY = Tally(0, 0, 0)


def merge_profiles(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    given: Mapping[str, Mapping[str, Any]],
    now: int,
) -> Tally:
    """Merge cleaned profiles, by user_id, into what is stored; who is not there is made.

    The connection is one of `store.writing()`. A profile that says nothing new is not written.
    """
    places = {user_id: _partition(workspace_id, user_id) for user_id in given}
    store.lock_partitions(connection, set(places.values()))
    stored = dict(_stored(connection, workspace_id, list(given)))
    fresh = [user_id for user_id in given if user_id not in stored]
    changed = {
        user_id: merged
        for user_id, profile in stored.items()
        if (merged := people.merge("overwrite", profile, given[user_id])) != profile
    }
    _change(connection, workspace_id, changed, now)
    numbers = workspaces.next_numbers(connection, workspace_id, "contacts", len(fresh))
    made = [
        {
            "workspace_id": workspace_id,
            "user_id": user_id,
            "partition": places[user_id],
            "number": number,
            "tenant_id": None,
            "profile": _encode(given[user_id]),
            "tags": b"[]",
            "created_at": now,
            "updated_at": now,
        }
        for user_id, number in zip(fresh, numbers, strict=True)
    ]
    if made:
        connection.execute(sa.insert(schema.contacts), made)
    return Tally(len(made), len(changed), len(stored) - len(changed))


def _partition(workspace_id: int, user_id: str) -> int:
    return ids.partition_of_subject(workspace_id, rules.cooldown_subject(user_id, None))


def _stored(
    connection: sa.Connection, workspace_id: int, user_ids: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for first in range(0, len(user_ids), _AT_ONCE):
        query = sa.select(_CONTACTS.user_id, _CONTACTS.profile).where(
            _CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id.in_(user_ids[first : first + _AT_ONCE])
        )
        for user_id, profile in connection.execute(query):
            yield user_id, _decode(profile)


def _change(
    connection: sa.Connection, workspace_id: int, changed: Mapping[str, Mapping[str, Any]], now: int
) -> None:
    if changed:
        connection.execute(
            _CHANGE,
            [
                {
                    "of_workspace": workspace_id,
                    "of_user": user_id,
                    "profile": _encode(profile),
                    "updated_at": now,
                }
                for user_id, profile in changed.items()
            ],
        )
