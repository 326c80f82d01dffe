"""Budgets: what one turn spends on people's expressions (a part of started.py).

Law: once it is spent, runs wait for the next turn; the first of a turn never does (engine.md E30).
"""

from __future__ import annotations

from collections.abc import Callable

Key = tuple[int, bytes]

SCRIPTED_AT_MOST = 50_000
"""Microseconds that one turn spends on people's expressions before it lets runs wait for the next one."""


class Budget:
    """The time that one turn has for people's expressions: once it is spent, runs wait for the next turn (E30)."""

    def __init__(self, scripted: Callable[[], int]):
        """`scripted` tells how many microseconds were spent on them in all."""
        self._scripted, self._before = scripted, 0
        self._sent_away: set[Key] = set()
        self._is_first = True

    def begin(self) -> None:
        """Begin a turn."""
        self._before = self._scripted()
        self._sent_away.clear()
        self._is_first = True

    def begin_deciding(self) -> None:
        """What runs look at was read: from now on they take steps."""
        self._is_first = True

    def admits(self, key: Key) -> bool:
        """Whether a run has its share: the first to ask always does, and who was sent away stays so for this turn."""
        if key in self._sent_away:
            return False
        if not self._is_first and self._scripted() - self._before > SCRIPTED_AT_MOST:
            self._sent_away.add(key)
            return False
        self._is_first = False
        return True
