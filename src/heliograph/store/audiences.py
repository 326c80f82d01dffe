"""Audiences: who would receive something, as people are now.

Law: reading alone, a walk over everybody a few thousand at a time; the judge is the one that campaigns use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from heliograph.core import segments
from heliograph.store import segments as stored


class Question(NamedTuple):
    """Whom somebody asks for."""

    include: Sequence[segments.Owned]
    exclude: Sequence[segments.Owned]
    wanted: Callable[[stored.Person], bool]
    """Who of them is asked for."""


class Audience(NamedTuple):
    """An answer: how many there are, and those of one page."""

    total: int
    people: list[stored.Person]


def audience(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    question: Question,
    after: str | None,
    limit: int,
) -> Audience:
    """Who is in these segments and wanted: how many, and those who follow the person `after`."""
    is_in = segments.audience(
        segments.of_owned([one for one in question.include if one.definition.status == "active"]),
        segments.of_owned(question.exclude),
    )
    begin = (-1, "") if after is None else stored.place_of(workspace_id, after)
    count = 0
    page: list[stored.Person] = []
    for person in stored.people(connection, workspace_id, tenant_id):
        if is_in(person.seen, person.tenant_id) and question.wanted(person):
            count += 1
            if len(page) < limit and stored.place_of(workspace_id, person.user_id) > begin:
                page.append(person)
    return Audience(count, page)
