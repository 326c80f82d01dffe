"""Reports as they come in: laid into the inboxes of their messages, those of one request in one transaction.

Law: what is taken in is durable before it is answered. A report of a message that is not there, or is another
workspace's, is passed over; what the rest change, the turns of their partitions decide (engine/reporting.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from heliograph.core import effects, ids, reports
from heliograph.store import answers, consent, database, schema

_MESSAGES = schema.messages.c
_KEYS_AT_ONCE = 500
Told = tuple[bytes, reports.Report]
"""(message_id, what is told of it)"""


def take_in(store: database.Database, workspace_id: int, told: Sequence[Told], now: int) -> int:
    """Take in what is told of messages of this workspace; gives of how many of the reports the message is there."""
    with store.writing() as connection:
        there = _there(connection, workspace_id, {message_id for message_id, _ in told})
        found = [one for one in told if one[0] in there]
        if any(report.what in (reports.What.BOUNCED, reports.What.COMPLAINED) for _, report in found):
            # An address may come to be one that nothing is sent to: turns ask for those from now on.
            consent.note(connection, workspace_id)
        answers.put(
            connection,
            schema.inbox,
            [
                {
                    "partition": ids.partition_of(message_id),
                    "workspace_id": workspace_id,
                    "id": ids.mint(now, place, ids.partition_of(message_id), secrets.randbits(36)),
                    "kind": effects.Inbox.REPORT,
                    "run_id": None,
                    "body": reports.write(message_id, report),
                    "attempts": 0,
                }
                for place, (message_id, report) in enumerate(found)
            ],
        )
    return len(found)


def _there(connection: sa.Connection, workspace_id: int, asked: Collection[bytes]) -> set[bytes]:
    ordered, there = sorted(asked), set()
    for first in range(0, len(ordered), _KEYS_AT_ONCE):
        query = sa.select(_MESSAGES.id).where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.kind == effects.Kind.MESSAGE,
            _MESSAGES.id.in_(ordered[first : first + _KEYS_AT_ONCE]),
        )
        there |= {*connection.execute(query).scalars()}
    return there
