"""Crowds: the people whom a mailing walks over, in the order of their ids (a chapter of walks.py).

Law: a walk gives so many people, or the last there are; somebody on several lists is given once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from heliograph.engine import courses, fanout
from heliograph.store import list_rows

_LEAST_AT_ONCE = 64
"""The fewest people who are read of one of several lists."""


def walk_of(connection: Any, hot: ModuleType, body: courses.Body) -> fanout.Walk[list_rows.Subscriber]:
    """The walk over those whom a mailing may be for."""
    if body.audience is not None:
        return lambda workspace_id, partition, after, limit: [
            list_rows.Subscriber(one.user_id, None, one.tenant_id, one.profile, one.tags)
            for one in hot.walk_contacts(connection, workspace_id, partition, after, limit)
        ]
    if len(body.lists) == 1:
        list_id = body.lists[0]
        return lambda workspace_id, *place: hot.walk_subscribers(connection, workspace_id, list_id, *place)

    def walk(workspace_id: int, partition: int, after: str, limit: int) -> list[list_rows.Subscriber]:
        found: list[list_rows.Subscriber] = []
        at_once = max(_LEAST_AT_ONCE, limit // len(body.lists))
        while len(found) < limit:
            read = {
                list_id: hot.walk_subscribers(connection, workspace_id, list_id, partition, after, at_once)
                for list_id in body.lists
            }
            some, is_last = _together(read, at_once)
            found += some
            if is_last:
                break
            after = some[-1].user_id
        return found[:limit]

    return walk


def _together(
    read: Mapping[str, Sequence[list_rows.Subscriber]], at_once: int
) -> tuple[list[list_rows.Subscriber], bool]:
    """The people of several lists, as far as all of them were read, and whether these are the last."""
    cut = [people[-1].user_id for people in read.values() if len(people) == at_once]
    until = min(cut, default=None)
    whole: dict[str, list_rows.Subscriber] = {}
    for list_id, people in read.items():
        for one in people:
            if until is None or one.user_id <= until:
                before = whole.get(one.user_id, one)
                whole[one.user_id] = before._replace(by_list={**before.by_list, list_id: one.preferences})
    return [whole[user_id] for user_id in sorted(whole)], until is None
