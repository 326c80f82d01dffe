"""Birthdays by day: kept by everybody who writes profiles, so that a day's are found without a look at all people.

Law: whoever writes a profile calls `note` with what it said before and what it says now; a birthday that stays costs
nothing. What is new sets a timer in its partition, one for each second: it may be today's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from heliograph.core import effects, ids, people, schedule
from heliograph.store import calendar_rows, rows, schema, timers


def note(
    writes: rows.Writes, contact: rows.Contact, before: Mapping[str, Any], after: Mapping[str, Any], now: int
) -> None:
    """Put down what a new profile makes of its contact's birthday."""
    was, birthday = people.birthday_of(before), people.birthday_of(after)
    if was == birthday:
        return
    key = (contact.workspace_id, contact.user_id)
    writes.birthdays.pop(key, None)
    if was is not None:
        writes.forgotten_birthdays.append((contact.workspace_id, contact.partition, was, contact.user_id))
    if birthday is not None:
        writes.birthdays[key] = calendar_rows.Birthday(
            contact.workspace_id, contact.partition, birthday, contact.user_id, contact.tenant_id, now
        )
        timer = _timer(contact.workspace_id, contact.partition, now)
        if timer not in writes.timers[-1:]:
            writes.timers.append(timer)


def known_between(timer: rows.Timer) -> tuple[int, int]:
    """From which instant up to but without which the birthdays became known that a timer is about."""
    # Its id has the end of that second: it may have been put off since.
    until = ids.created_at(timer.id)
    return until - schedule.SECOND, until


def _timer(workspace_id: int, partition: int, now: int) -> rows.Timer:
    wake_at = now // schedule.SECOND * schedule.SECOND + schedule.SECOND
    identity = ids.mint(wake_at, 0, partition, 0)
    return rows.Timer(partition, wake_at, workspace_id, int(effects.Timer.BIRTHDAYS), identity)


def write(connection: sa.Connection, writes: rows.Writes) -> None:
    """Store what was noted, beside a profile that is written by hand."""
    there = schema.birthdays.c
    for workspace_id, partition, birthday, user_id in writes.forgotten_birthdays:
        connection.execute(
            sa.delete(schema.birthdays).where(
                there.workspace_id == workspace_id,
                there.partition == partition,
                there.birthday == birthday,
                there.user_id == user_id,
            )
        )
    for one in writes.birthdays.values():
        connection.execute(sa.insert(schema.birthdays).values(**one._asdict()))
    timers.put(connection, writes.timers)
