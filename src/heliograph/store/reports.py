"""Reports as they come in: laid into the inboxes of their messages, those of one request in one transaction.

Law: what is taken in is durable before it is answered. A report of a message that is not there, or is another
workspace's, is passed over; what the rest change, the turns of their partitions decide (engine/reporting.py).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from heliograph import errors
from heliograph.core import effects, ids, reports
from heliograph.store import answers, consent, database, request_keys, schema

_MESSAGES, _SOFT = schema.messages.c, schema.soft_bounces.c
_REFERENCES = schema.message_references.c
_KEYS_AT_ONCE = 500
_SCOPE = "reports"
"""What the keys of reports hold for."""
Told = tuple[bytes | tuple[str, ...], reports.Report]
"""(message_id, or by what its provider may have called it; what is told of it)"""


class Once(NamedTuple):
    """What tells one request from another: it is taken in once, and the same key never brings anything else."""

    key: str
    body: bytes
    expires_at: int


def take_in(
    store: database.Database,
    workspace_id: int,
    told: Sequence[Told],
    now: int,
    once: Once | None = None,
    tenant_id: str | None = None,
) -> int:
    """Take in what is told of messages of this workspace (or tenant); gives of how many the message is there.

    Raises errors.Forbidden where the key of `once` came with something else before.
    """
    with store.writing() as connection:
        if once is not None and not _is_first(connection, workspace_id, once, now):
            return 0
        called = _called(connection, workspace_id, [one for one, _ in told if isinstance(one, tuple)])
        known = [(one if isinstance(one, bytes) else called.get(one), report) for one, report in told]
        there = _there(connection, workspace_id, tenant_id, {one for one, _ in known if one is not None})
        found = [(one, report) for one, report in known if one is not None and one in there]
        found.sort(key=lambda one: one[1].what.rank)
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


def _is_first(connection: sa.Connection, workspace_id: int, once: Once, now: int) -> bool:
    """Whether this comes for the first time."""
    fingerprint = hashlib.sha256(once.body).digest()
    key = hashlib.sha256(once.key.encode("utf-8", "replace")).hexdigest()
    wanted = request_keys.Wanted(workspace_id, _SCOPE, key, fingerprint)
    if request_keys.note(connection, wanted, now, once.expires_at):
        return True
    if request_keys.fingerprint(connection, wanted) != fingerprint:
        raise errors.Forbidden("its signature was used before, for something else")
    return False


def _called(
    connection: sa.Connection, workspace_id: int, wanted: Collection[tuple[str, ...]]
) -> dict[tuple[str, ...], bytes]:
    """The messages that their providers call by any of these names, the first of them first."""
    ordered = sorted({name for names in wanted for name in names})
    known: dict[str, bytes] = {}
    for first in range(0, len(ordered), _KEYS_AT_ONCE):
        query = sa.select(_REFERENCES.reference, _REFERENCES.message_id).where(
            _REFERENCES.workspace_id == workspace_id,
            _REFERENCES.reference.in_(ordered[first : first + _KEYS_AT_ONCE]),
        )
        known |= {row.reference: row.message_id for row in connection.execute(query)}
    found: dict[tuple[str, ...], bytes] = {}
    for names in wanted:
        message_id = next((known[name] for name in names if name in known), None)
        if message_id is not None:
            found[names] = message_id
    return found


def _there(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, asked: Collection[bytes]
) -> set[bytes]:
    ordered, there = sorted(asked), set()
    for first in range(0, len(ordered), _KEYS_AT_ONCE):
        query = sa.select(_MESSAGES.id).where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.kind == effects.Kind.MESSAGE,
            _MESSAGES.id.in_(ordered[first : first + _KEYS_AT_ONCE]),
        )
        if tenant_id is not None:
            query = query.where(_MESSAGES.tenant_id == tenant_id)
        there |= {*connection.execute(query).scalars()}
    return there


# ── what addresses have to their account ────────────────────────────────────────────────────────────

Place = tuple[int, str]
"""(workspace_id, address)"""
FIRST: Place = (0, "")
"""Before every address."""


def forget_addresses(connection: sa.Connection, workspace_id: int, words: Collection[str]) -> None:
    """Forget the soft bounces of these addresses, however they are written."""
    written = {*words, *(word.lower() for word in words)}
    theirs = _SOFT.workspace_id == workspace_id, _SOFT.address.in_(written)
    connection.execute(sa.delete(schema.soft_bounces).where(*theirs))


def forget_old(store: database.Database, after: Place, now: int, at_most: int) -> tuple[int, Place]:
    """Look at so many addresses that follow, and forget those of which nothing counts any more.

    Gives how many went, and where to go on: FIRST at the end.
    """
    place: sa.ColumnElement[bool] = sa.tuple_(_SOFT.workspace_id, _SOFT.address) > after
    query = sa.select(_SOFT.workspace_id, _SOFT.address, _SOFT.bounced_at).where(place)
    with store.reading() as connection:
        page = connection.execute(query.order_by(_SOFT.workspace_id, _SOFT.address).limit(at_most)).all()
    old = [row for row in page if _is_over(row.bounced_at, now)]
    if old:
        with store.writing() as connection:
            for row in old:
                # One that bounced again in the meantime stays.
                as_seen = (_SOFT.workspace_id == row.workspace_id, _SOFT.address == row.address)
                connection.execute(
                    sa.delete(schema.soft_bounces).where(*as_seen, _SOFT.bounced_at == row.bounced_at)
                )
    return len(old), (page[-1][0], page[-1][1]) if len(page) == at_most else FIRST


def _is_over(stored: bytes | str, now: int) -> bool:
    account = reports.read_account(stored)
    return account is None or account.newest <= now - reports.SOFT_COUNTS_FOR
