"""Askings: what started runs have asked for, found again from their records, and taken back (a chapter of started.py).

Law: ids are told from the run and its records alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from heliograph.core import effects, ids, plans, rules, runs
from heliograph.engine import batch_words, looking, mailing, run
from heliograph.engine import desk as desks
from heliograph.store import fanout_rows, rows


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
                desk.cancel_by_token(row.workspace_id, None, fanout_rows.token_of(identity))
            request_id = request_id_of(start, row.id, visit, record)
            if request_id is not None and plans.MADE not in record.output:
                recall(desk, start.workspace_id, request_id)
                continue
            for message_id in message_ids(start, row.id, visit, record):
                stop_message(desk, start.workspace_id, start.partition, message_id)


def cancel(desk: desks.Desk, row: rows.Run, start: rows.Start, reason: str = "canceled") -> None:
    """Let a run end here."""
    status, outcome = int(runs.Status.CANCELED), int(runs.Outcome.SKIPPED)
    desk.put_run(row._replace(status=status, outcome=outcome, reason=reason))
    records = runs.read(row.state)
    stop_messages(desk, row, start, records)
    batch_words.leave(desk, row, records)


def reason_in(inbox: rows.Inbox) -> str:
    """Why a run is canceled: an inbox row says it where it was not asked for."""
    told = msgspec.json.decode(inbox.body)
    return told if isinstance(told, str) else "canceled"


def recall(desk: desks.Desk, workspace_id: int, request_id: bytes) -> None:
    """Let a request to send be taken back by the partition whose it is; where it was taken up, the run hears of it."""
    partition, kind = ids.partition_of(request_id), int(effects.Inbox.RECALL)
    desk.writes.inbox.append(rows.Inbox(partition, workspace_id, request_id, kind, None, b"null", 0))


def stop_message(desk: desks.Desk, workspace_id: int, here: int, message_id: bytes) -> None:
    """Let a message go out no more, unless somebody holds it; `here` is the partition that this turn has."""
    partition = ids.partition_of(message_id)
    if partition == here:
        desk.cancel_message(workspace_id, message_id)
        return
    kind = int(effects.Inbox.CANCEL)
    desk.writes.inbox.append(rows.Inbox(partition, workspace_id, message_id, kind, None, b"null", 0))


def messages_of(start: rows.Start) -> Callable[[bytes, int, runs.Record], list[bytes]]:
    """The messages of any step of this run, as `known_by` tells them."""
    return lambda run_id, visit, record: known_by(start, run_id, visit, record)


def known_by(start: rows.Start, run_id: bytes, visit: int, record: runs.Record) -> list[bytes]:
    """By what the messages of a step are found: its messages; of one that may make many, its request (A58)."""
    identity = mailing_id(run_id, visit, record) or request_id_of(start, run_id, visit, record)
    return message_ids(start, run_id, visit, record) if identity is None else [identity]


def mailing_id(run_id: bytes, visit: int, record: runs.Record) -> bytes | None:
    """The id of the effect by which a step asked for a mailing; None for any other step."""
    if not isinstance(record.output, dict) or plans.MAILING not in record.output:
        return None
    return mailing.identity_of(run_id, visit, ids.head(record.started_at))


def request_id_of(start: rows.Start, run_id: bytes, visit: int, record: runs.Record) -> bytes | None:
    """The request to send that a step asked for; None for any other step."""
    if not isinstance(record.output, dict) or plans.REQUESTED not in record.output:
        return None
    return request_id(start, run_id, visit, ids.head(record.started_at), record.output[plans.REQUESTED])


def request_id(start: rows.Start, run_id: bytes, visit: int, head: bytes, subject: str | None) -> bytes:
    """The id of the request to send that the step of a visit, taken at the instant of `head`, asks for.

    It lies where its one recipient is decided, `subject`; one for many lies with its run.
    """
    partition = start.partition
    if subject is not None and subject != start.contact_id:
        partition = rules.partition_of_person(start.workspace_id, subject)
    return ids.of_effect(run_id, visit, 0, head, partition)


def walks_of(record: runs.Record) -> list[bytes]:
    """The fan-outs of a step's request that have not ended."""
    if not isinstance(record.output, dict):
        return []
    found = [ids.parse(name) for name in record.output.get(plans.WALKS, ()) if name not in record.output]
    return [one for one in found if one is not None]


def message_ids(start: rows.Start, run_id: bytes, visit: int, record: runs.Record) -> list[bytes]:
    """The messages that a step of a started run asked for: it names their recipients in its record, in order.

    Of one whose key was used before, those of the step that had it.
    """
    asked = request_id_of(start, run_id, visit, record)
    if asked is not None:
        made = record.output.get(plans.MADE)
        found = [asked] if made is None else [ids.parse(one[2]) for one in made]
        return [one for one in found if one is not None]
    output = record.output if isinstance(record.output, dict) else {}
    if plans.MESSAGE_IDS in output:
        return [one for name in output[plans.MESSAGE_IDS] if (one := ids.parse(name)) is not None]
    named = output.get(plans.RECIPIENTS)
    if not named:
        return []
    head = ids.head(record.started_at)
    return [
        ids.of_effect(run_id, visit, ordinal, head, run.place_of(start, contact_id, address))
        for ordinal, (contact_id, address) in enumerate(named)
    ]
