"""Lists as people manage them, and who is on them.

Law: whoever changes who is on a list takes the turns' lock on the partitions of these contacts first, in ascending
order (engine.md E16). A list belongs to the tenant whose key made it; to every other tenant it does not exist. One
that was deleted keeps its subscribers for `restore`; who writes to it instead begins it anew, with nobody on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import ids, lists, rules
from heliograph.store import database, list_rows, schema, workspaces

_LISTS = schema.lists.c
_SUBSCRIPTIONS = schema.subscriptions.c
_CONTACTS = schema.contacts.c
_fields = (
    _LISTS.id,
    _LISTS.number,
    _LISTS.tenant_id,
    _LISTS.name,
    _LISTS.preferences,
    _LISTS.created_at,
    _LISTS.updated_at,
    _LISTS.deleted_at,
)
_AT_ONCE = 500
"""Lists that one statement looks at for those that a pattern means, and contacts that one asks about."""


class List(NamedTuple):
    """A list as people read it."""

    id: str
    number: int
    tenant_id: str | None
    name: str
    preferences: dict[str, Any] | None
    created_at: int
    updated_at: int
    deleted_at: int | None = None


class Subscriber(NamedTuple):
    """A contact on a list."""

    partition: int
    user_id: str
    preferences: dict[str, Any] | None
    created_at: int


class Membership(NamedTuple):
    """A list that a contact is on."""

    list: List
    preferences: dict[str, Any] | None


class Wish(NamedTuple):
    """Somebody is to be on a list; None leaves the preferences as they are."""

    list_id: str
    user_id: str
    preferences: Mapping[str, Any] | None


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────


def page(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    pattern: lists.Pattern | None,
    after: str,
    limit: int,
) -> list[List]:
    """The next lists in the order of their ids, at most `limit`, of those that a pattern means."""
    found: list[List] = []
    while len(found) < limit:
        query = _visible(workspace_id, tenant_id).where(_LISTS.id > after).order_by(_LISTS.id).limit(_AT_ONCE)
        if pattern is not None:
            query = query.where(_LISTS.id.startswith(pattern.prefix, autoescape=True))
        looked_at = [_list(row) for row in connection.execute(query)]
        found += [one for one in looked_at if pattern is None or pattern.matches(one.id)]
        if len(looked_at) < _AT_ONCE:
            break
        after = looked_at[-1].id
    return found[:limit]


def read(connection: sa.Connection, workspace_id: int, tenant_id: str | None, list_id: str) -> List | None:
    """A list; None where this tenant (None: the whole workspace) sees none."""
    row = connection.execute(_visible(workspace_id, tenant_id).where(_LISTS.id == list_id)).one_or_none()
    return None if row is None else _list(row)


def by_number(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, number: int
) -> List | None:
    """The list that has this number; None where this tenant (None: the whole workspace) sees none."""
    row = connection.execute(_visible(workspace_id, tenant_id).where(_LISTS.number == number)).one_or_none()
    return None if row is None else _list(row)


def tenants(connection: sa.Connection, workspace_id: int, list_ids: Collection[str]) -> dict[str, str | None]:
    """The tenants of these lists, by id, as far as they are there."""
    if not list_ids:
        return {}
    query = _visible(workspace_id, None).where(_LISTS.id.in_(list_ids))
    return {row.id: row.tenant_id for row in connection.execute(query)}


def put(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    list_id: str,
    name: str,
    preferences: Mapping[str, Any] | None,
    now: int,
) -> List:
    """Create a list, or replace what one says; who is on it stays.

    Raises errors.NotFound where the list is another tenant's.
    """
    before = _ensure(connection, workspace_id, tenant_id, list_id, now)
    made = before._replace(name=name, preferences=dict(preferences) if preferences else None, updated_at=now)
    connection.execute(
        sa.update(schema.lists)
        .where(_LISTS.workspace_id == workspace_id, _LISTS.id == list_id)
        .values(name=name, preferences=_written(preferences), updated_at=now)
    )
    return made


def delete(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, list_id: str, now: int
) -> List | None:
    """Delete a list, until it is restored; None where this tenant sees none."""
    found = read(connection, workspace_id, tenant_id, list_id)
    if found is not None:
        _set_deleted(connection, workspace_id, list_id, now, now)
    return found


def restore(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, list_id: str, now: int
) -> bool:
    """Bring a deleted list back, with its subscribers; False where there is none, deleted or not."""
    found = _whole(connection, workspace_id, list_id)
    if found is None or tenant_id not in (None, found.tenant_id):
        return False
    if found.deleted_at is not None:
        _set_deleted(connection, workspace_id, list_id, None, now)
    return True


def _set_deleted(
    connection: sa.Connection, workspace_id: int, list_id: str, deleted_at: int | None, now: int
) -> None:
    connection.execute(
        sa.update(schema.lists)
        .where(_LISTS.workspace_id == workspace_id, _LISTS.id == list_id)
        .values(deleted_at=deleted_at, updated_at=now)
    )


def _ensure(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, list_id: str, now: int
) -> List:
    """The list of this id, made where there is none; one that was deleted begins anew, with nobody on it."""
    found = _whole(connection, workspace_id, list_id)
    if found is not None and tenant_id not in (None, found.tenant_id):
        raise errors.NotFound(f"there is no list {list_id!r}")
    if found is not None and found.deleted_at is None:
        return found
    if found is not None:
        gone = connection.execute(
            sa.delete(schema.lists).where(
                _LISTS.workspace_id == workspace_id, _LISTS.id == list_id, _LISTS.deleted_at.is_not(None)
            )
        )
        # Where two begin it anew at once, the second finds the first one's list, and leaves those who are on it.
        if gone.rowcount:
            connection.execute(
                sa.delete(schema.subscriptions).where(
                    _SUBSCRIPTIONS.workspace_id == workspace_id, _SUBSCRIPTIONS.list_id == list_id
                )
            )
    number = workspaces.next_number(connection, workspace_id, "lists") if found is None else found.number
    made = List(list_id, number, tenant_id, list_id, None, now, now)
    connection.execute(
        _MAKE,
        {
            "workspace_id": workspace_id,
            "id": list_id,
            "number": number,
            "tenant_id": tenant_id,
            "name": list_id,
            "now": now,
        },
    )
    # Two who make the same list at once: the other one's is there, and the same.
    return _whole(connection, workspace_id, list_id) or made


_MAKE = sa.text(
    "INSERT INTO lists (workspace_id, id, number, tenant_id, name, created_at, updated_at)"
    " VALUES (:workspace_id, :id, :number, :tenant_id, :name, :now, :now) ON CONFLICT DO NOTHING"
)


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = sa.select(*_fields).where(_LISTS.workspace_id == workspace_id, _LISTS.deleted_at.is_(None))
    return query if tenant_id is None else query.where(_LISTS.tenant_id == tenant_id)


def _whole(connection: sa.Connection, workspace_id: int, list_id: str) -> List | None:
    query = sa.select(*_fields).where(_LISTS.workspace_id == workspace_id, _LISTS.id == list_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _list(row)


def _list(row: Sequence[Any]) -> List:
    found = List._make(row)
    return found._replace(preferences=_read(row[4]))


def _read(preferences: bytes | str | None) -> dict[str, Any] | None:
    return None if preferences is None else msgspec.json.decode(preferences)


def _written(preferences: Mapping[str, Any] | None) -> bytes | None:
    return msgspec.json.encode(preferences) if preferences else None


# ── who is on them ──────────────────────────────────────────────────────────────────────────────────


def subscribers(
    connection: sa.Connection, workspace_id: int, list_id: str, after: tuple[int, str], limit: int
) -> list[Subscriber]:
    """The next who are on a list, in the order of (partition, user_id)."""
    place = _SUBSCRIPTIONS
    query = (
        sa.select(place.partition, place.user_id, place.preferences, place.created_at)
        .where(
            place.workspace_id == workspace_id,
            place.list_id == list_id,
            sa.tuple_(place.partition, place.user_id) > after,
        )
        .order_by(place.partition, place.user_id)
        .limit(limit)
    )
    return [
        Subscriber(row.partition, row.user_id, _read(row.preferences), row.created_at)
        for row in connection.execute(query)
    ]


def memberships(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str, after: str, limit: int
) -> list[Membership]:
    """The next lists that somebody is on, in the order of their ids."""
    query = (
        _visible(workspace_id, tenant_id)
        .add_columns(_SUBSCRIPTIONS.preferences)
        .join(
            schema.subscriptions,
            (_SUBSCRIPTIONS.workspace_id == _LISTS.workspace_id) & (_SUBSCRIPTIONS.list_id == _LISTS.id),
        )
        .where(_SUBSCRIPTIONS.user_id == user_id, _SUBSCRIPTIONS.list_id > after)
        .order_by(_SUBSCRIPTIONS.list_id)
        .limit(limit)
    )
    return [Membership(_list(row[:-1]), _read(row[-1])) for row in connection.execute(query)]


def subscribe(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    wishes: Iterable[Wish],
    now: int,
    *,
    overwrites: str | None = None,
) -> None:
    """Put people on lists, which are made where there are none; nobody else stays on the list `overwrites`.

    Raises errors.NotFound where a list or a contact is another tenant's.
    """
    last = {(wish.list_id, wish.user_id): wish for wish in wishes}
    wanted = [_row(workspace_id, wish, now) for wish in last.values()]
    named = {wish.list_id for wish in last.values()} | ({overwrites} if overwrites is not None else set())
    partitions = {row.partition for row in wanted} if overwrites is None else range(ids.PARTITIONS)
    with store.writing() as connection:
        store.lock_partitions(connection, [*partitions])
        if tenant_id is not None:
            _refuse_others(connection, workspace_id, tenant_id, {row.user_id for row in wanted})
        for list_id in sorted(named):
            _ensure(connection, workspace_id, tenant_id, list_id, now)
        driver = connection.connection.driver_connection
        if overwrites is not None:
            there = {
                (workspace_id, overwrites, one.partition, one.user_id)
                for one in subscribers(connection, workspace_id, overwrites, (-1, ""), 1 << 31)
            }
            store.hot.drop_subscriptions(driver, there - {row[:4] for row in wanted})
        store.hot.put_subscriptions(driver, wanted)


def unsubscribe(
    store: database.Database, workspace_id: int, tenant_id: str | None, list_id: str, user_id: str
) -> bool:
    """Take somebody off a list; False where this tenant sees no such list, or they are not on it."""
    partition = rules.partition_of_person(workspace_id, user_id)
    with store.writing() as connection:
        store.lock_partitions(connection, (partition,))
        if read(connection, workspace_id, tenant_id, list_id) is None:
            return False
        gone = connection.execute(
            sa.delete(schema.subscriptions).where(
                _SUBSCRIPTIONS.workspace_id == workspace_id,
                _SUBSCRIPTIONS.list_id == list_id,
                _SUBSCRIPTIONS.partition == partition,
                _SUBSCRIPTIONS.user_id == user_id,
            )
        )
    return bool(gone.rowcount)


def leave_all(store: database.Database, workspace_id: int, tenant_id: str | None, user_id: str) -> None:
    """Take somebody off every list that this tenant sees."""
    theirs = sa.select(_LISTS.id).where(_LISTS.workspace_id == workspace_id, _LISTS.deleted_at.is_(None))
    if tenant_id is not None:
        theirs = theirs.where(_LISTS.tenant_id == tenant_id)
    with store.writing() as connection:
        store.lock_partitions(connection, (rules.partition_of_person(workspace_id, user_id),))
        connection.execute(
            sa.delete(schema.subscriptions).where(
                _SUBSCRIPTIONS.workspace_id == workspace_id,
                _SUBSCRIPTIONS.user_id == user_id,
                _SUBSCRIPTIONS.list_id.in_(theirs),
            )
        )


def _row(workspace_id: int, wish: Wish, now: int) -> list_rows.Subscription:
    return list_rows.Subscription(
        workspace_id,
        wish.list_id,
        rules.partition_of_person(workspace_id, wish.user_id),
        wish.user_id,
        list_rows.BY_API,
        _written(wish.preferences),
        now,
        now,
    )


def _refuse_others(connection: sa.Connection, workspace_id: int, tenant_id: str, wanted: set[str]) -> None:
    """Raises errors.NotFound where one of these contacts is another tenant's."""
    listed = sorted(wanted)
    for first in range(0, len(listed), _AT_ONCE):
        query = sa.select(_CONTACTS.user_id).where(
            _CONTACTS.workspace_id == workspace_id,
            _CONTACTS.user_id.in_(listed[first : first + _AT_ONCE]),
            _CONTACTS.tenant_id.is_distinct_from(tenant_id),
        )
        other = connection.execute(query.limit(1)).scalar_one_or_none()
        if other is not None:
            raise errors.NotFound(f"there is no profile {other!r}")
