"""What is passed on of a batch's items when it is released (journeys.md J3, J4, A15 to A18).

Law: which items are looked at is known from the batch alone; `count` is the true number whatever is retained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from heliograph.core import batches, values


def to_pass_on(batch: batches.Batch) -> batches.Span:
    """Which items are looked at when it is released: those that may be retained."""
    first, last = batch.owner_item, batch.next_item - 1
    room = batch.retain_count + (last - first + 1 - batch.size)
    if batch.retain_type == "first":
        last = min(last, first + room - 1)
    elif batch.retain_type == "last":
        first = max(first, last - room + 1)
    return batches.Span(batch.workspace_id, batch.id, first, last)


def retained(batch: batches.Batch, items: Iterable[batches.Item]) -> list[batches.Item]:
    """The items that are passed on, in their order (A15), as far as they are not too large together."""
    ordered = sorted(items, key=lambda item: item.number)
    if batch.retain_type in batches.SORTED:
        ordered = _ranked(ordered, batch.sort_key or "", batch.retain_type == "highest")
    chosen = ordered[-batch.retain_count :] if batch.retain_type == "last" else ordered[: batch.retain_count]
    kept, room = [], batches.MOST_BYTES
    for item in chosen:
        room -= len(item.data)
        if room < 0:
            break
        kept.append(item)
    return kept


def gained(batch: batches.Batch, items: Sequence[batches.Item]) -> dict[str, Any]:
    """What the owner's data gains: under the category, how many there were and what was retained (J4, A18)."""
    return {
        batch.category_key: {"count": batch.size, "items": [msgspec.Raw(_bytes(item.data)) for item in items]}
    }


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _ranked(items: Sequence[batches.Item], sort_key: str, is_descending: bool) -> list[batches.Item]:
    """By what stands at the path: numbers, then texts, then the rest, then those that have nothing there (A17).

    A key that has dots in it is that key before it is a path.
    """
    decode, path = msgspec.json.Decoder().decode, sort_key.split(".")
    ranks: tuple[list[tuple[Any, batches.Item]], ...] = ([], [], [], [])
    for item in items:
        data = decode(item.data)
        value = data[sort_key] if sort_key in data else values.at(data, path)
        ranks[_rank(value)].append((value, item))
    for comparable in ranks[:2]:
        # Python keeps the order of equals, in reverse too: ties stay in order of arrival.
        comparable.sort(key=lambda pair: pair[0], reverse=is_descending)
    return [item for rank in ranks for _, item in rank]


def _rank(value: Any) -> int:
    if value is None:
        return 3
    if isinstance(value, bool):
        return 2
    return 0 if isinstance(value, int | float) else 1 if isinstance(value, str) else 2
