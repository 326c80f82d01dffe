"""People by the thousand: profiles merged into what is known, with a few statements for all of them.

Law: as a profile's write over HTTP (people.py), the partitions are locked first, and what is changed is read under the
lock; rows are written as a turn writes them. A profile that says nothing new is left alone. How far an import has come
is written with the rows: broken off at any moment, it goes on with the next row, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import documents, notices, people, rules, schedule, segment_moves
from heliograph.store import birthdays, database, rows, telling

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Tally(NamedTuple):
    """What became of people's profiles."""

    made: int
    changed: int
    unchanged: int


def merge_profiles(
    session: database.Session,
    workspace_id: int,
    given: Mapping[str, Mapping[str, Any]],
    now: int,
    progress: Callable[[Tally], tuple[str, str]] | None = None,
    listens: telling.Listening = telling.NOBODY,
    groups: segment_moves.Groups = segment_moves.NOBODY,
) -> Tally:
    """Merge cleaned profiles, by user_id, into what is stored; who is not there is made, and who listens is told.

    In the same transaction the fact (name, value) is kept that `progress` makes of what became of them.
    """
    places = {user_id: rules.partition_of_person(workspace_id, user_id) for user_id in given}
    writes = rows.Writes()
    told: list[rows.Event] = []

    def tell(
        contact: rows.Contact, before: Mapping[str, Any] | None, after: Mapping[str, Any], at: int
    ) -> None:
        tags = _decode(contact.tags)
        moves = groups.moves(contact.user_id, contact.tenant_id, before, after)
        for notice in (*notices.of_contact(before, after, tags, tags), *moves):
            if listens.hears(contact.tenant_id, notice.event_type):
                about = telling.About(workspace_id, contact.tenant_id, contact.user_id)
                told.append(telling.event_of(about, notice, at, len(told)))

    with session.transaction() as connection:
        session.hot.lock_partitions(connection, set(places.values()))
        stored = session.hot.read_contacts(connection, {(workspace_id, user_id) for user_id in given})
        for user_id, profile in given.items():
            key = (workspace_id, user_id)
            before = stored.get(key)
            if before is None:
                new = rows.Contact(*key, places[user_id], None, _encode(profile), b"[]", now, now)
                writes.contacts[key] = new
                birthdays.note(writes, new, {}, profile, now)
                tell(new, None, profile, now)
                continue
            known = _decode(before.profile)
            merged = people.merge("overwrite", known, profile)
            if not documents.is_same(merged, known):
                at = schedule.later(now, before.updated_at)
                writes.contacts[key] = before._replace(profile=_encode(merged), updated_at=at)
                birthdays.note(writes, before, known, merged, at)
                tell(before, known, merged, at)
        if writes.contacts:
            session.hot.write(connection, writes, sorted(set(places.values())), now)
        if told:
            session.hot.accept(connection, told, [])
        made = len(given) - len(stored)
        changed = len(writes.contacts) - made
        tally = Tally(made, changed, len(stored) - changed)
        if progress is not None:
            session.hot.keep_fact(connection, *progress(tally))
    return tally
