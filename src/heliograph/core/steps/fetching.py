"""The step that asks another program for data: `fetch-data` (journeys.md J8, 1.7.2).

Law: the run waits for the answer, which is merged into its data; a fetch that failed is told of its step, and the run
goes on with the data that it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from heliograph.core import expressions, fetches, fields, frames, people, plans, step_keys

FIELDS = ("webhook", "merge_strategy", *step_keys.FIELDS)


class Fetch(NamedTuple):
    """Ask, and merge what was answered into the run's data."""

    path: str
    webhook: fetches.Webhook
    strategy: fields.Field | None
    once: step_keys.Once
    action: str = "fetch-data"
    blocks: bool = True

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        strategy = frozenset[str]() if self.strategy is None else self.strategy.reads
        return self.webhook.reads | self.once.reads | strategy

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's."""
        return ()

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Ask for it."""
        strategy = fetches.strategy_of(self.strategy, "replace", scope, f"{self.path}.merge_strategy")
        used = self.once.used(self.action, run, scope)
        if used is not None:
            told = {step_keys.REPEATS: used.run_id, fetches.FETCHED: used.answer}
            return plans.done(output={"merge_strategy": strategy, **told})
        request = self.webhook.request(scope, key=self.once.named(scope))
        output = {plans.REQUEST: fetches.told(request), "merge_strategy": strategy}
        output |= self.once.kept(self.action, scope)
        return plans.pending(fetches.asked(scene, request), output=output)

    def left(self, context: expressions.Context, output: dict[str, Any]) -> expressions.Context:
        """The run's context after it was answered."""
        data = people.merge(output["merge_strategy"], context.data, output[fetches.FETCHED])
        return msgspec.structs.replace(context, data=data)


def read_fetch(reader: frames.Reader) -> Fetch:
    """A `fetch-data` step."""
    strategy = fetches.read_strategy(reader, "merge_strategy")
    return Fetch(reader.path, fetches.read_webhook(reader), strategy, step_keys.read(reader))


KINDS = {"fetch-data": (read_fetch, FIELDS)}
