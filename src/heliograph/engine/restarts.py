"""Restarts: how soon a process that ended by itself is started again."""

from __future__ import annotations

from typing import Final

FIRST: Final = 0.25
LONGEST: Final = 15.0
"""Seconds of the first pause, and of the longest."""
_SHORT_LIFE = 10.0
"""Seconds: what lived longer had no trouble in starting."""


class Pauses:
    """The pauses of one process: short at first, and twice as long after each short life."""

    def __init__(self) -> None:
        self._last = 0.0

    def after(self, life: float) -> float:
        """How many seconds to wait after a life of so many."""
        self._last = FIRST if life > _SHORT_LIFE else min(max(FIRST, self._last * 2), LONGEST)
        return self._last
