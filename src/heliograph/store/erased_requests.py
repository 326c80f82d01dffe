"""Taking somebody who was deleted out of requests to send, and out of the users of bulk jobs (a part of erasures.py).

Law: a request is for others too, and goes out to them as before. A bulk job may have any number of users, and anybody
may be named in any of them: they are looked through while others write, and only those who name somebody are locked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import pseudonyms, requests
from heliograph.store import departures, schema

_REQUESTS, _USERS = schema.requests.c, schema.bulk_users.c
_AT_ONCE, _LOOKED_AT = 100, 1_000
_JOBS_TENANT = (
    sa.select(schema.bulk_jobs.c.tenant_id)
    .where(schema.bulk_jobs.c.workspace_id == _USERS.workspace_id, schema.bulk_jobs.c.id == _USERS.job_id)
    .scalar_subquery()
)
_CALLED = ("user_id", "recipient")
_decode, _encode = msgspec.json.decode, msgspec.json.encode


class _Asked(NamedTuple):
    """A table of what was asked for."""

    table: sa.Table
    key: Sequence[sa.Column[Any]]
    """By what a row is known in its workspace, the id of what was asked first."""
    texts: Sequence[sa.Column[Any]]
    """What of it may name somebody: JSON, or nothing."""
    tenant: sa.ColumnElement[Any]
    """Whose it is."""


_TABLES = (
    _Asked(schema.requests, (_REQUESTS.id,), (_REQUESTS.body,), _REQUESTS.tenant_id),
    _Asked(schema.bulk_users, (_USERS.job_id, _USERS.ordinal), (_USERS.given, _USERS.said), _JOBS_TENANT),
)

Keys = Sequence[Sequence[tuple[Any, ...]]]
"""The keys of rows, by table."""


def naming(connection: sa.Connection, cohort: Sequence[departures.Erasure], reached: bytes) -> Keys:
    """The rows from where these have come to up to a place that name any of them."""
    scrubbers = [(one, pseudonyms.Scrubber(one.who, as_written=True)) for one in cohort]
    found: list[list[tuple[Any, ...]]] = []
    for asked in _TABLES:
        width, first = len(asked.key), asked.key[0]
        rows = sa.select(*asked.key, asked.tenant, *asked.texts).where(
            asked.table.c.workspace_id == cohort[0].workspace_id, first > cohort[0].reached, first <= reached
        )
        found.append([])
        for row in connection.execute(rows, execution_options={"yield_per": _LOOKED_AT}):
            texts = pseudonyms.together([_decode(text) for text in row[width + 1 :] if text is not None])
            if any(one.is_of(row[width]) and scrubber.changes(texts) for one, scrubber in scrubbers):
                found[-1].append(tuple(row[:width]))
    return found


def scrub(connection: sa.Connection, cohort: Sequence[departures.Erasure], keys: Keys) -> None:
    """Take these out of the rows that name them."""
    scrubbers = [(one, pseudonyms.Scrubber(one.who, as_written=True)) for one in cohort]
    for asked, chosen in zip(_TABLES, keys, strict=True):
        width, mine = len(asked.key), asked.table.c.workspace_id == cohort[0].workspace_id
        for start in range(0, len(chosen), _AT_ONCE):
            these = sa.or_(*(_is(asked, key) for key in chosen[start : start + _AT_ONCE]))
            rows = sa.select(*asked.key, asked.tenant, *asked.texts).where(mine, these)
            for row in connection.execute(rows).all():
                before = [None if text is None else _decode(text) for text in row[width + 1 :]]
                after = before
                for one, scrubber in scrubbers:
                    if row[0] <= one.last and one.is_of(row[width]):
                        after = scrubber.value(after)
                        _take_addresses(after, {one.user_id, one.who.name})
                if after != before:
                    texts = [None if value is None else _encode(value) for value in after]
                    values = dict(zip(asked.texts, texts, strict=True))
                    connection.execute(
                        sa.update(asked.table).where(mine, _is(asked, row[:width])).values(values)
                    )


def _is(asked: _Asked, key: tuple[Any, ...]) -> sa.ColumnElement[bool]:
    """Column by column: SQLite before 3.45 finds no row by several columns in a list of values."""
    return sa.and_(*(column == value for column, value in zip(asked.key, key, strict=True)))


def _take_addresses(asked: Sequence[Any], names: Collection[str]) -> None:
    """Take from a request, or a user of a bulk job, the addresses at which somebody of these names was to be reached.

    `asked` is what a row says, and is no one else's.
    """
    to = [one for one in asked if isinstance(one, dict)]
    # A request says `to` whom it goes, and so may a user of a bulk job, who else is one.
    to += [inner for one in to for inner in _listed(one.get("to"))]
    for one in to:
        # What somebody else wrote there may be no text.
        if any(one.get(key) == name for key in _CALLED for name in names):
            for key in ("profile", "sealed", *requests.PROFILE):
                one.pop(key, None)


def _listed(to: Any) -> list[dict[str, Any]]:
    return [one for one in (to if isinstance(to, list) else [to]) if isinstance(one, dict)]
