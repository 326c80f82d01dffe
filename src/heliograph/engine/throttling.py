"""Throttling: who may pass, group by group (a chapter of the turn).

Law: a group belongs to one partition, whose turns decide who passes, in the order in which they come; what they wrote
down is when the last ones passed, no further back than the longest period that was asked for. The run hears of it by
the inbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import effects, ids, messages, plans
from heliograph.core.steps import throttling
from heliograph.engine import desk as desks
from heliograph.store import rows, step_rows

_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """A run asks whether it may pass."""

    group: str
    run_id: bytes
    visit: int
    ordinal: int
    max_allowed: int
    period: int
    """Microseconds."""


def ask(
    desk: desks.Desk,
    owner: tuple[int, str | None],
    key: tuple[bytes, int, int],
    effect: effects.Throttle,
) -> None:
    """Ask the partition of a group whether a run may pass; `owner` is (workspace, tenant)."""
    workspace_id, tenant_id = owner
    run_id, visit, ordinal = key
    group = _encode([tenant_id, *effect.group]).decode()
    partition = ids.partition_of_subject(workspace_id, f"throttle:{group}")
    body = _encode([group, ids.text(run_id), visit, ordinal, effect.max_allowed, effect.period])
    identity = ids.of_effect(run_id, visit, ordinal, desk.head, partition)
    kind = int(effects.Inbox.THROTTLE)
    desk.writes.inbox.append(rows.Inbox(partition, workspace_id, identity, kind, None, body, 0))


def asked_in(inbox: rows.Inbox) -> Asked:
    """What an inbox row of kind THROTTLE asks."""
    group, run_id, *rest = msgspec.json.decode(inbox.body)
    return Asked(group, ids.parse(run_id) or b"", *rest)


def groups_of(taken: Sequence[rows.Inbox]) -> set[tuple[int, str]]:
    """The groups that a turn's inputs are about: (workspace, group)."""
    return {
        (inbox.workspace_id, asked_in(inbox).group) for inbox in taken if inbox.kind == effects.Inbox.THROTTLE
    }


def decide(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Let a run pass, or not."""
    asked = asked_in(inbox)
    key = (inbox.workspace_id, asked.group)
    passes, matters_until = desk.passes.get(key, ((), 0))
    passed = sum(at > desk.now - asked.period for at in passes)
    is_free = passed < asked.max_allowed
    if is_free:
        # Steps of several periods may share a group: who passed is known for as long as the longest of them.
        kept_for = max(asked.period, matters_until - passes[-1]) if passes else asked.period
        since = desk.now - kept_for
        passes = [*(at for at in passes if at > since), desk.now][-throttling.MOST_ALLOWED :]
        passed, matters_until = passed + 1, desk.now + kept_for
        desk.passes[key] = passes, matters_until
        desk.writes.kept.passes[key] = step_rows.Passes(*key, _encode(passes), matters_until)
    output: dict[str, Any] = {plans.THROTTLED: not is_free, "passed": passed}
    body = messages.answer_body(asked.visit, asked.ordinal, plans.Status.SUCCEEDED, output, None)
    partition, kind = ids.partition_of(asked.run_id), int(effects.Inbox.REPLY)
    desk.writes.inbox.append(rows.Inbox(partition, inbox.workspace_id, inbox.id, kind, asked.run_id, body, 0))
