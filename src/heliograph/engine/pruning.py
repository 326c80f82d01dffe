"""Pruning: history that is older than is kept is walked along and forgotten (a corner of housekeeping).

Law: small steps, each on its own, so that no turn waits for them. A round goes on where the last one stood; now and
then one begins at the head, for what was not finished when it was passed.
"""

from __future__ import annotations

from collections.abc import Callable

from heliograph.store import database, retention

AT_ONCE = 100
"""Rows that a step looks at; an event's runs and messages come on top."""
FROM_THE_HEAD = 60
"""Every so many rounds one begins at the head."""


class Pruner:
    """Forgets what is finished and older than `keep` (µs)."""

    def __init__(self, store: database.Database, now: Callable[[], int], keep: int):
        self._store, self._now, self._keep = store, now, keep
        self._rounds = 0
        self._marks: dict[tuple[int, retention.Kind], bytes] = {}
        self._walks: list[tuple[int, retention.Kind]] = []

    def begin(self) -> None:
        """Begin a round."""
        if self._rounds % FROM_THE_HEAD == 0:
            self._marks.clear()
        self._rounds += 1
        workspaces = retention.workspaces(self._store)
        self._walks = [(workspace, kind) for workspace in workspaces for kind in retention.KINDS]

    def step(self) -> int | None:
        """One step of the round; gives how many events, runs and messages went. None at its end."""
        if not self._walks:
            return None
        walk = self._walks[0]
        before = self._now() - self._keep
        bite = retention.forget(self._store, *walk, self._marks.get(walk, retention.START), before, AT_ONCE)
        self._marks[walk] = bite.reached
        if not bite.more:
            del self._walks[0]
        return bite.forgotten
