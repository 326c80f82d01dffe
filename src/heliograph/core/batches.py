"""Batches: items of many runs, collected by a group and released together (journeys.md 1.8, engine.md E18).

Law: the first item opens a batch and its run owns it. A batch is due at the earlier of (last item + wait_period) and
(first item + max_wait_period), or when it is full; what arrives from then on opens the next one. An owner that is
canceled leaves the batch as though its item had never joined: the run of the oldest other item owns it, with that
item's periods and moment. What is kept of the items changes with the latest call; `size` is always the true number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

from heliograph.core import effects, ids

# ── how a batch stands ──────────────────────────────────────────────────────────────────────────────


class State(IntEnum):
    """How a batch stands; once its owner has taken the items, it is gone."""

    OPEN = 1
    """It takes items."""
    RELEASED = 2
    """Its items are on their way to the owner."""
    HELD = 3
    """It was due too long ago; an operator lets it go or drops it (engine.md E33)."""
    LET_GO = 4
    """It was held, and an operator let it go: it is released with the next turn."""
    DROPPED = 5
    """It was held, and an operator dropped it: it ends with the next turn."""


TRANSITIONS: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.OPEN}),
    State.OPEN: frozenset({State.OPEN, State.RELEASED, State.HELD}),
    State.HELD: frozenset({State.HELD, State.RELEASED, State.LET_GO, State.DROPPED}),
    State.LET_GO: frozenset({State.LET_GO, State.RELEASED}),
    State.RELEASED: frozenset({State.RELEASED}),
    State.DROPPED: frozenset(),
}
"""Where a batch may go; None is before it exists."""

ORDERS: Final = ("first", "last", "highest", "lowest")
"""What `retain.type` may be."""
SORTED: Final = ("highest", "lowest")
"""Those that need a `sort_key`."""
SCOPES: Final = ("user", "global", "dynamic")
"""What `scope` may be."""
MOST_RETAINED: Final = 100
MOST_ITEMS: Final = 1_000_000
MOST_BYTES: Final = 4 * 1024 * 1024
"""Items are passed on until they are as large together (J9's bound on a run's data); `count` tells of all."""

MAX_ITEMS, WAIT_PERIOD, MAX_WAIT_PERIOD, BY_OPERATOR = (
    "max_items",
    "wait_period",
    "max_wait_period",
    "operator",
)
"""Why a batch is released."""


class Batch(NamedTuple):
    """A row of `batches`. Instants and spans are microseconds."""

    workspace_id: int
    id: bytes
    """It carries the partition, and the moment when the first item was on its way."""
    partition: int
    tenant_id: str | None
    group_id: bytes | None
    """Whose items it takes; None from when it takes no more."""
    batch_key: str
    scope: str
    user_id: str | None
    category_key: str
    state: int
    opened_at: int
    """When the owner's item joined."""
    last_at: int
    wait: int
    max_wait: int
    timer_at: int | None
    """Where its timer stands, never after it is due."""
    owner_run_id: bytes
    owner_visit: int
    owner_item: int
    next_item: int
    """The number of the item that joins next; the first one is 1."""
    size: int
    max_items: int | None
    retain_type: str
    retain_count: int
    sort_key: str | None
    released_at: int | None
    reason: str | None


class Item(NamedTuple):
    """A row of `batch_items`: what a run brought; `data` is JSON text, and empty where it was not read."""

    workspace_id: int
    batch_id: bytes
    number: int
    run_id: bytes
    visit: int
    joined_at: int
    wait: int
    max_wait: int
    data: bytes | str


class Span(NamedTuple):
    """Which items of a batch are looked at, by number, from the first to the last."""

    workspace_id: int
    batch_id: bytes
    first: int
    last: int


# ── what is said between runs and batches ───────────────────────────────────────────────────────────


class Join(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run's item on its way to the batch of its group."""

    run_id: bytes
    visit: int
    tenant_id: str | None
    batch_key: str
    scope: str
    user_id: str | None
    category_key: str
    wait: int
    max_wait: int
    max_items: int | None
    retain_type: str
    retain_count: int
    sort_key: str | None
    data: msgspec.Raw
    """JSON text, which nobody reads before the batch is released."""


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a run hears of the batch that its item is in."""

    visit: int
    batch_id: bytes
    item: int
    told: dict[str, Any]
    """What its step says of the batch from now on."""
    data: dict[str, Any] | None = None
    """With a release: what the run's data gains."""


class Leave(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An item is to be taken out: its run was canceled."""

    batch_id: bytes
    item: int


_encoder = msgspec.json.Encoder()
_join = msgspec.json.Decoder(Join)
_word = msgspec.json.Decoder(Word)
_leave = msgspec.json.Decoder(Leave)


def write(said: Join | Word | Leave) -> bytes:
    """As it lies in an inbox."""
    return _encoder.encode(said)


def read_join(body: bytes | str) -> Join:
    """A run's item."""
    return _join.decode(body)


def read_word(body: bytes | str) -> Word:
    """What a run is told."""
    return _word.decode(body)


def read_leave(body: bytes | str) -> Leave:
    """Who is to be taken out."""
    return _leave.decode(body)


def asked(run_id: bytes, visit: int, tenant_id: str | None, effect: effects.JoinBatch) -> Join:
    """What a step's effect says to the batch."""
    return Join(
        run_id,
        visit,
        tenant_id,
        effect.batch_key,
        effect.scope,
        effect.user_id,
        effect.category_key,
        effect.wait,
        effect.max_wait,
        effect.max_items,
        effect.retain_type,
        effect.retain_count,
        effect.sort_key,
        msgspec.Raw(_encoder.encode(effect.data)),
    )


def group_of(workspace_id: int, join: Join) -> bytes:
    """The 16 bytes of the group that an item belongs to: a tenant's items never meet those of others."""
    parts = (workspace_id, join.tenant_id, join.scope, join.batch_key, join.user_id, join.category_key)
    return hashlib.blake2b(_encoder.encode(parts), digest_size=16).digest()


def partition_of(workspace_id: int, join: Join) -> int:
    """The partition in which everything about a group's batches is decided."""
    return ids.partition_of_subject(workspace_id, f"batch:{group_of(workspace_id, join).hex()}")


# ── joining ─────────────────────────────────────────────────────────────────────────────────────────


def opened(workspace_id: int, identity: bytes, join: Join, now: int) -> Batch:
    """The batch that this item opens."""
    return Batch(
        workspace_id,
        identity,
        ids.partition_of(identity),
        join.tenant_id,
        group_of(workspace_id, join),
        join.batch_key,
        join.scope,
        join.user_id,
        join.category_key,
        int(State.OPEN),
        now,
        now,
        join.wait,
        join.max_wait,
        None,
        join.run_id,
        join.visit,
        1,
        2,
        1,
        join.max_items,
        join.retain_type,
        join.retain_count,
        join.sort_key,
        None,
        None,
    )


def joined(batch: Batch, join: Join, now: int) -> Batch:
    """The batch with this item too; what is kept, and how many make it full, is the latest call's to say (A51)."""
    return batch._replace(
        last_at=now,
        next_item=batch.next_item + 1,
        size=batch.size + 1,
        max_items=join.max_items,
        retain_type=join.retain_type,
        retain_count=join.retain_count,
        sort_key=join.sort_key,
    )


def owners_item(batch: Batch) -> Item:
    """The owner's item, without what it holds."""
    return Item(
        batch.workspace_id,
        batch.id,
        batch.owner_item,
        batch.owner_run_id,
        batch.owner_visit,
        batch.opened_at,
        batch.wait,
        batch.max_wait,
        b"",
    )


def latest_item(batch: Batch, join: Join, now: int) -> Item:
    """The item that joined last."""
    return Item(
        batch.workspace_id,
        batch.id,
        batch.next_item - 1,
        join.run_id,
        join.visit,
        now,
        join.wait,
        join.max_wait,
        bytes(join.data),
    )


# ── being due ───────────────────────────────────────────────────────────────────────────────────────


def due_at(batch: Batch) -> int:
    """When an open batch is to be released, if nothing more comes."""
    return min(batch.last_at + batch.wait, batch.opened_at + batch.max_wait)


def why_due(batch: Batch, now: int) -> str | None:
    """Why an open batch is to be released now; None where it is not."""
    if is_full(batch):
        return MAX_ITEMS
    if due_at(batch) > now:
        return None
    is_quiet = batch.last_at + batch.wait <= batch.opened_at + batch.max_wait
    return WAIT_PERIOD if is_quiet else MAX_WAIT_PERIOD


def is_full(batch: Batch) -> bool:
    """Whether it has as many items as it may."""
    return batch.max_items is not None and batch.size >= batch.max_items


def released(batch: Batch, reason: str, now: int) -> Batch:
    """Closed: what arrives from now on opens the next one."""
    return batch._replace(state=int(State.RELEASED), group_id=None, released_at=now, reason=reason)


def held(batch: Batch, reason: str) -> Batch:
    """Closed, and waiting for an operator, who releases it for this reason."""
    return batch._replace(state=int(State.HELD), group_id=None, reason=reason)


# ── leaving ─────────────────────────────────────────────────────────────────────────────────────────


def to_look_at(batch: Batch, leaving: Sequence[int]) -> list[Span]:
    """Which items must be known to take these out: themselves, and who may own the batch afterwards."""
    key = (batch.workspace_id, batch.id)
    spans = [Span(*key, number, number) for number in leaving if number != batch.owner_item]
    if batch.owner_item in leaving:
        missing = batch.next_item - batch.owner_item - batch.size
        spans.append(Span(*key, batch.owner_item, batch.owner_item + missing + len(leaving) + 1))
    return spans


def without(batch: Batch, number: int, others: Sequence[Item]) -> Batch | None:
    """The batch without this item, which is in it; None where it was the last one.

    `others` are its oldest other items, at least one of them where there are any.
    """
    if batch.size == 1:
        return None
    if number != batch.owner_item:
        return batch._replace(size=batch.size - 1)
    heir = min(others, key=lambda item: item.number)
    return batch._replace(
        size=batch.size - 1,
        opened_at=heir.joined_at,
        wait=heir.wait,
        max_wait=heir.max_wait,
        owner_run_id=heir.run_id,
        owner_visit=heir.visit,
        owner_item=heir.number,
    )
