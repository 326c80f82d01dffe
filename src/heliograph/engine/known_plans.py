"""Known plans: those of the versions of automations that runs began with, made ready once (a chapter of the turn).

Law: as many are known as have so many steps together, those that were asked for last: who publishes a journey again
and again fills no memory.
"""

from __future__ import annotations

from heliograph.core import plans

MOST_STEPS = 10_000
"""A step with conditions and texts of its own takes some kilobytes."""
Key = tuple[bytes, int]
"""An automation, and its version."""


class KnownPlans:
    """The plans that the turns of one connection have made ready."""

    def __init__(self) -> None:
        self._plans: dict[Key, plans.Plan] = {}
        self._steps = 0

    def get(self, key: Key) -> plans.Plan | None:
        """The plan of a version, where it is known."""
        plan = self._plans.pop(key, None)
        if plan is not None:
            self._plans[key] = plan
        return plan

    def put(self, key: Key, plan: plans.Plan) -> None:
        """Know the plan of a version that is not known yet."""
        self._plans[key] = plan
        self._steps += len(plan.steps)
        while self._steps > MOST_STEPS:
            self._steps -= len(self._plans.pop(next(iter(self._plans))).steps)
