"""Processes that are killed before or after any of their commits, and what must hold however often that was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Literal

import hypothesis
from hypothesis import strategies as st

from heliograph import testing
from heliograph.core import ids, messages
from tests import environment, tables
from tests.engine import plays

EXAMPLES = 300 if environment.is_torture() else 6
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)

Moment = Literal["before", "after"] | None
"""When a commit is the last thing that a process does: before it took hold, or after, and nobody heard of it."""

# Most commits are survived, or no process would come far.
moment: st.SearchStrategy[Moment] = st.sampled_from((None,) * 5 + ("before", "after"))


class Killed(BaseException):
    """The process is gone."""


class Fragile:
    """The hot statements, but some commits are the last thing that the process does."""

    def __init__(self, hot: Any):
        self._hot = hot
        self.moments: list[Moment] = []
        self.kills = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hot, name)

    def commit(self, connection: Any) -> None:
        """Commit, unless it is the end."""
        moment = self.moments.pop(0) if self.moments else None
        if moment != "before":
            self._hot.commit(connection)
        if moment is not None:
            self.kills += 1
            raise Killed


class House:
    """A world whose processes die, and come back until nothing is left to do."""

    INPUTS = 5
    """What a turn takes."""

    def __init__(self, world: testing.World):
        self.world = world
        self.stage = plays.Stage(world)
        world.mailbox.answer = testing.accepted
        self.hot = Fragile(world._session.hot)
        world._session.hot = self.hot  # type: ignore[assignment]

    def empty(self) -> None:
        """Nothing is stored, nothing was received."""
        self.stage.clear()
        self.world.mailbox.received.clear()

    def begin(self) -> None:
        """What stands and comes in when a day begins."""
        raise NotImplementedError

    def outlives(
        self,
        check: Callable[[], None],
        *,
        least: int = EXAMPLES,
        examples: int = EXAMPLES,
        commits: tuple[int, int] = (20, 80),
    ) -> None:
        """Live the day again and again, killed at other commits, and `check` how it ends.

        What becomes of a commit is drawn for so many of them, the others are survived; more than `least` of all were
        the last thing that a process did.
        """

        @hypothesis.settings(max_examples=examples, phases=PHASES)
        @hypothesis.given(st.lists(moment, min_size=commits[0], max_size=commits[1]))
        def lived(moments: list[Moment]) -> None:
            self.begin()
            self.live(moments)
            check()

        lived()
        assert self.hot.kills > least

    def live(self, moments: list[Moment]) -> None:
        """Time passes, and processes end at these commits."""
        self.hot.moments = list(moments)
        while not self._ended():
            pass
        # Moments that nobody came to are not those of the next day's beginning.
        self.hot.moments = []

    def _ended(self) -> bool:
        """A process that starts, and works until it has nothing left to do or is killed."""
        self.world.turns = self.stage.turns(self.INPUTS)
        self.world.delivery = self.world.app.delivery(self.world._session)
        try:
            self.world.app.claims(self.world._session).adopt_all()
            self.pass_time()
        except Killed:
            return False
        return True

    def pass_time(self) -> None:
        """What a process lives through that is not killed."""
        self.world.pass_time(hours=1)

    def lost(self, found: Iterable[tables.Row]) -> int:
        """How many answers to messages were lost. Each went out once, or its repeat has a name, and no other did."""
        copies = Counter(mail.message_id for mail in self.world.mailbox.received)
        count = sum(answers_lost(row["id"], row["attempts"], copies) for row in found)
        assert not copies, "nobody received what the ledger does not know"
        return count


def answers_lost(message_id: bytes, attempts: bytes | str, copies: Counter[str], *, least: int = 1) -> int:
    """How many answers to a message were lost; it went out once, and once more at most for each.

    Its copies are taken away; there have to be `least` of them.
    """
    count = sum(attempt.outcome == "uncertain" for attempt in messages.read_attempts(attempts))
    assert least <= copies.pop(ids.text(message_id), 0) <= 1 + count
    return count
