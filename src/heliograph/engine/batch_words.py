"""What runs and batches say to each other, by way of the inbox (a chapter of the turn).

Law: a run says once what it brings, and hears once what becomes of it; what it has heard stands in its record. Each
word is unique on the run's step and its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heliograph.core import batches, effects, ids, plans, runs, schedule
from heliograph.engine import desk as desks
from heliograph.store import rows

Key = tuple[int, bytes]

WORDS = frozenset({effects.Inbox.JOINED, effects.Inbox.OWNER, effects.Inbox.RELEASED})
"""What runs hear of batches."""
OWNER = "owner_run_id"
"""By what a step names the run that owns its batch, where that is another one."""

# ── what is said ────────────────────────────────────────────────────────────────────────────────────


def described(batch: batches.Batch) -> dict[str, Any]:
    """What a step says of its batch."""
    told = {
        "id": ids.text(batch.id),
        "batch_id": batch.batch_key,
        "scope": batch.scope,
        "category_key": batch.category_key,
        "opened_at": schedule.write_instant(batch.opened_at),
    }
    return told if batch.user_id is None else told | {"user_id": batch.user_id}


def joined(batch: batches.Batch, item: batches.Item) -> dict[str, Any]:
    """What the step says that brought an item."""
    told = described(batch) | {"owner": item.number == batch.owner_item, "item": item.number}
    return told if told["owner"] else told | {OWNER: ids.wire(batch.owner_run_id)}


def tell(
    desk: desks.Desk,
    kind: effects.Inbox,
    item: batches.Item,
    told: dict[str, Any],
    data: dict[str, Any] | None = None,
) -> None:
    """Let the run of an item hear something; `data` is what its own data gain."""
    word = batches.Word(item.visit, item.batch_id, item.number, told, data)
    partition = ids.partition_of(item.run_id)
    identity = ids.of_effect(item.run_id, item.visit, 0, desk.head, partition)
    desk.writes.inbox.append(
        rows.Inbox(partition, item.workspace_id, identity, int(kind), item.run_id, batches.write(word), 0)
    )


# ── what runs say ───────────────────────────────────────────────────────────────────────────────────


def join(
    desk: desks.Desk,
    origin_of: tuple[int, str | None],
    run_id: bytes,
    visit: int,
    effect: effects.JoinBatch,
) -> None:
    """Send a run's item to the batch of its group; `origin_of` is the run's workspace and tenant."""
    workspace_id, tenant_id = origin_of
    said = batches.asked(run_id, visit, tenant_id, effect)
    partition = batches.partition_of(workspace_id, said)
    # Items come to their batch in the order in which their runs were moved.
    identity = ids.in_order(ids.of_effect(run_id, visit, 0, desk.head, partition), desk.debts)
    desk.debts += 1
    desk.writes.inbox.append(
        rows.Inbox(partition, workspace_id, identity, int(effects.Inbox.JOIN), None, batches.write(said), 0)
    )


def answer(desk: desks.Desk, kind: effects.Inbox, run: Key, visit: int, batch_id: bytes, item: int) -> None:
    """Tell a batch that its owner has the items (TAKEN), or that a run in it was canceled (LEAVE)."""
    partition = ids.partition_of(batch_id)
    identity = ids.of_effect(run[1], visit, 0, desk.head, partition)
    body = batches.write(batches.Leave(batch_id, item))
    desk.writes.inbox.append(rows.Inbox(partition, run[0], identity, int(kind), None, body, 0))


def leave(desk: desks.Desk, row: rows.Run, records: Sequence[runs.Record]) -> None:
    """Take the item of a run that was canceled out of its batch.

    Where the run has not heard yet which one that is, its answer to what it hears will do it.
    """
    for visit, record in enumerate(records):
        told = _told(record) if record.status == plans.Status.PENDING else {}
        if "id" in told:
            batch_id = ids.parse(told["id"])
            assert batch_id is not None
            answer(desk, effects.Inbox.LEAVE, (row.workspace_id, row.id), visit, batch_id, told["item"])


# ── what runs hear ──────────────────────────────────────────────────────────────────────────────────


def release_in(records: Sequence[runs.Record], word: batches.Word) -> runs.Reply:
    """The answer that a release brings to the step that waits for it."""
    output = {plans.BATCH: _anew(_told(records[word.visit]), word), plans.GAINED: word.data}
    return runs.Reply(word.visit, 0, plans.Status.SUCCEEDED, output, None)


def foreseen(row: rows.Run, handed: rows.Inbox, now: int) -> rows.Run:
    """The run as it will be when it has taken in what it is handed."""
    records = runs.read(row.state)
    reply = release_in(records, batches.read_word(handed.body))
    return row._replace(state=runs.write(runs.take_in(records, (reply,), now)))


def note(desk: desks.Desk, row: rows.Run, records: Sequence[runs.Record], word: batches.Word) -> None:
    """Let a run go on waiting as the owner, or end where another run goes on with its item."""
    record = records[word.visit]
    if isinstance(record.output, dict) and plans.GAINED in record.output:
        # It has the items: what it hears now was said before, and had to be taken in once more.
        return
    before = _told(record)
    output = {plans.BATCH: _anew(before, word)}
    if word.told["owner"]:
        status, outcome = runs.Status.WAITING, runs.Outcome.PENDING
        made = runs.noted(records, word.visit, output)
    elif before.get("owner") or record.status != plans.Status.PENDING:
        return
    else:
        status, outcome = runs.Status.DONE, runs.Outcome.EXECUTED
        made = runs.passed_on(records, word.visit, output, desk.now)
    desk.put_run(row._replace(status=int(status), outcome=int(outcome), state=runs.write(made)))


def _anew(before: dict[str, Any], word: batches.Word) -> dict[str, Any]:
    """What a step says of its batch once it has heard this: one that owns it names no other owner."""
    kept = {name: said for name, said in before.items() if name != OWNER or not word.told["owner"]}
    return {**kept, **word.told}


def _told(record: runs.Record) -> dict[str, Any]:
    found = record.output.get(plans.BATCH) if isinstance(record.output, dict) else None
    return found if isinstance(found, dict) else {}
