"""Rows for the store's tests: whole and valid, each made from a number."""

from typing import Any

from heliograph.core import effects, ids, messages, runs
from heliograph.store import rows

NOW = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC (µs)."""
SECOND = 1_000_000
RULE = ids.mint(NOW, 1, 0, 7)
OTHER_RULE = ids.mint(NOW, 2, 0, 8)


def event(
    number: int, *, workspace: int = 1, contact: str | None = "ana", at: int = NOW, **changed: Any
) -> rows.Event:
    """The `number`-th event; larger numbers came later."""
    partition = ids.partition_of_subject(workspace, f"contact:{contact}")
    made = rows.Event(
        workspace,
        ids.mint(at, number, partition, number),
        partition,
        None,
        "order_placed",
        contact,
        None,
        "api",
        None,
        None,
        0,
        b'{"total":12}',
        None,
    )
    return made._replace(**changed)


def crowd(first: int, count: int, *, workspace: int = 1) -> list[rows.Event]:
    """So many events, each of another contact."""
    return [event(n, workspace=workspace, contact=f"c{n}") for n in range(first, first + count)]


def run(number: int, of: rows.Event, **changed: Any) -> rows.Run:
    """A run of an event that waits for an answer."""
    made = rows.Run(
        of.workspace_id,
        ids.of_run(of.id, number, ids.head(NOW)),
        RULE,
        1,
        of.id,
        None,
        runs.Status.WAITING,
        runs.Outcome.PENDING,
        None,
        b"[1]",
        b"[2]",
    )
    return made._replace(**changed)


def message(number: int, of: rows.Event | None = None, *, workspace: int = 1, **changed: Any) -> rows.Message:
    """A planned e-mail to a contact, in the partition of the contact."""
    partition = ids.partition_of_subject(workspace, "contact:ana") if of is None else of.partition
    made = rows.Message(
        workspace if of is None else of.workspace_id,
        ids.mint(NOW, number, partition, number),
        partition,
        None,
        effects.Kind.MESSAGE,
        "email",
        RULE,
        None if of is None else ids.of_run(of.id, 0, ids.head(NOW)),
        0,
        0,
        None if of is None else of.id,
        "ana" if of is None else of.contact_id,
        "ana@example.com",
        None,
        None,
        b'{"subject":"s","text":"t"}',
        None,
        messages.State.PLANNED,
        None,
        None,
        None,
    )
    return made._replace(**changed)


def due(one: rows.Message, at: int = NOW) -> tuple[int, int, bytes, int]:
    """The place of a message in line for delivery."""
    return one.partition, one.workspace_id, one.id, at


def reply(number: int, *, workspace: int = 1, attempts: int = 0, contact: str = "ana") -> rows.Inbox:
    """An answer that lies in an inbox."""
    partition = ids.partition_of_subject(workspace, f"contact:{contact}")
    identity = ids.mint(NOW, number, partition, number)
    return rows.Inbox(
        partition, workspace, identity, effects.Inbox.REPLY, identity, b"[0,0,2,null,null]", attempts
    )


def timer(number: int, wake_at: int = NOW, *, workspace: int = 1, contact: str = "ana") -> rows.Timer:
    """A timer of an event that is tried again."""
    partition = ids.partition_of_subject(workspace, f"contact:{contact}")
    return rows.Timer(
        partition, wake_at, workspace, effects.Timer.EVENT, ids.mint(NOW, number, partition, number)
    )


def contact(user_id: str, *, workspace: int = 1, **changed: Any) -> rows.Contact:
    """A contact as a turn writes it."""
    partition = ids.partition_of_subject(workspace, f"contact:{user_id}")
    made = rows.Contact(workspace, user_id, partition, None, b'{"email":"a@b.example"}', b'["vip"]', NOW, NOW)
    return made._replace(**changed)


def conversation(identity: str, *, workspace: int = 1, **changed: Any) -> rows.Conversation:
    """A conversation as a turn writes it."""
    partition = ids.partition_of_subject(workspace, f"conversation:{identity}")
    made = rows.Conversation(
        workspace, identity, partition, None, b"{}", b'["urgent"]', NOW, NOW,
        "ana", "email", "pending", "high", "maya", "billing",
    )  # fmt: skip
    return made._replace(**changed)
