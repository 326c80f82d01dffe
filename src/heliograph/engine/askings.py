"""Askings: what started runs have asked for, found again from their records, and taken back (a chapter of started.py).

Law: ids are told from the run and its records alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from heliograph.core import effects, ids, plans, runs
from heliograph.engine import desk as desks
from heliograph.engine import looking, mailing, run
from heliograph.store import rows


def origin_of(start: rows.Start, depth: int = 0) -> looking.Origin:
    """What the effects of this run inherit from."""
    return looking.Origin(start.workspace_id, start.partition, start.tenant_id, start.contact_id, depth)


def stop_messages(
    desk: desks.Desk, row: rows.Run, start: rows.Start, records: Collection[runs.Record]
) -> None:
    """Let nothing that its pending steps asked for go out any more."""
    for visit, record in enumerate(records):
        if record.status == plans.Status.PENDING:
            identity = mailing_id(row.id, visit, record)
            if identity is not None:
                desk.writes.launches.append(rows.TokenCancel(row.workspace_id, mailing.token_of(identity)))
            for message_id in message_ids(start, row.id, visit, record):
                _stop_message(desk, start, message_id)


def _stop_message(desk: desks.Desk, start: rows.Start, message_id: bytes) -> None:
    partition = ids.partition_of(message_id)
    if partition == start.partition:
        desk.cancel_message(start.workspace_id, message_id)
        return
    kind = int(effects.Inbox.CANCEL)
    desk.writes.inbox.append(rows.Inbox(partition, start.workspace_id, message_id, kind, None, b"null", 0))


def messages_of(start: rows.Start) -> Callable[[bytes, int, runs.Record], list[bytes]]:
    """The messages of any step of this run."""
    return lambda run_id, visit, record: message_ids(start, run_id, visit, record)


def mailing_id(run_id: bytes, visit: int, record: runs.Record) -> bytes | None:
    """The id of the effect by which a step asked for a mailing; None for any other step."""
    if not isinstance(record.output, dict) or plans.MAILING not in record.output:
        return None
    return mailing.identity_of(run_id, visit, ids.head(record.started_at))


def message_ids(start: rows.Start, run_id: bytes, visit: int, record: runs.Record) -> list[bytes]:
    """The messages that a step of a started run asked for: it names their recipients in its record, in order."""
    named = record.output.get(plans.RECIPIENTS) if isinstance(record.output, dict) else None
    if not named:
        return []
    head, origin = ids.head(record.started_at), origin_of(start)
    return [
        ids.of_effect(run_id, visit, ordinal, head, run.place_of(origin, contact_id, address))
        for ordinal, (contact_id, address) in enumerate(named)
    ]
