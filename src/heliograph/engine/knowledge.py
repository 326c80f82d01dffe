"""Knowledge: what turns know of definitions, compiled once for each version (a chapter of the turn).

Law: a turn goes by the versions that it read when it took what is due; a run by the plan that it started with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from heliograph.core import effects, journeys, plans, runs, steps
from heliograph.engine import known_plans, match
from heliograph.store import database, definitions, rows

Invoke = Callable[[match.Workspace, plans.Invocation], effects.Start | str]


class Knowledge:
    """The definitions that the turns of one connection have looked up."""

    def __init__(self, store: database.Database, invoke: Invoke):
        """`invoke` gives the start of a journey that a rule's action asks for, or why there is none."""
        self._store, self._invoke = store, invoke
        self.workspaces: dict[int, match.Workspace] = {}
        """By id, in the version that was looked up last."""
        self._looked_up: set[int] = set()
        """Those whose definitions are those of the present turn."""
        self._plans = known_plans.KnownPlans()

    def forget_looks(self) -> None:
        """A turn begins: whatever is known may be out of date."""
        self._looked_up.clear()

    def know(self, workspace_id: int, version: int) -> match.Workspace:
        """A workspace in this version of its definitions."""
        known = self.workspaces.get(workspace_id)
        if known is None or known.version != version:
            with self._store.reading() as connection:
                loaded = definitions.load(connection, workspace_id)
            known = match.Workspace(workspace_id, loaded, self._invoke)
            self.workspaces[workspace_id] = known
        self._looked_up.add(workspace_id)
        return known

    def listens(self, workspace_id: int, tenant_id: str | None, event_type: str) -> bool:
        """Whether any rule or journey waits for events of this type (engine.md E10)."""
        if workspace_id not in self._looked_up:
            with self._store.reading() as connection:
                version = definitions.version(connection, workspace_id)
            self.know(workspace_id, version)
        return self.workspaces[workspace_id].trigger(tenant_id, event_type) is not None

    def going_on(self, found: Iterable[rows.Run]) -> set[tuple[int, bytes]]:
        """The events of those of these runs of rules that have a step left, which looks at its event."""
        events, known = set(), dict[tuple[bytes, int, bytes | str | None], bool]()
        for row in found:
            if row.event_id is None:
                continue
            key = (row.automation_id, row.version, row.state)
            goes_on = known.get(key)
            if goes_on is None:
                plan = self.plan(row)
                goes_on = known[key] = plan is not None and len(runs.read(row.state)) < len(plan.steps)
            if goes_on:
                events.add((row.workspace_id, row.event_id))
        return events

    def plan(self, row: rows.Run) -> plans.Plan | None:
        """The plan that a run started with, whatever became of its automation since."""
        key = (row.automation_id, row.version)
        known = self._plans.get(key)
        if known is not None:
            return known
        plan = self.workspaces[row.workspace_id].plan(*key)
        if plan is None:
            with self._store.reading() as connection:
                stored = definitions.version_of(connection, *key)
            if stored is None or (rule := journeys.rule_in(stored)) is None:
                return None
            plan = plans.plan(steps.parse(rule.actions))
        self._plans.put(key, plan)
        return plan
