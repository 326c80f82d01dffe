"""Turns as a worker takes them, at their own pace, until nothing is left to decide; nothing is handed over meanwhile.

Law: what housekeeping does beside a worker, in a thread of its own, is done here too: without it the database would
copy its log within some turn's commit, which is not the turn's own time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from heliograph import app
from heliograph.engine import housekeeping


class Taken(NamedTuple):
    """What they came to."""

    inputs: int
    seconds: float
    longest: float
    """The longest turn (s)."""


def taken(application: app.App) -> Taken:
    """Take turns until one finds nothing and says that there is no more."""
    turns = application.turns(application.session())
    inputs, longest = 0, 0.0
    with _swept(application):
        began = ended = time.perf_counter()
        while (report := turns.take()).more or report.inputs:
            longest = max(longest, time.perf_counter() - ended)
            ended = time.perf_counter()
            inputs += report.inputs
    return Taken(inputs, ended - began, longest)


@contextlib.contextmanager
def _swept(application: app.App) -> Iterator[None]:
    is_over = threading.Event()

    def sweep() -> None:
        while not is_over.wait(housekeeping.TIDY_SECONDS):
            with contextlib.closing(application.store.session()) as session:
                session.hot.tidy(session.connection)

    broom = threading.Thread(target=sweep)
    broom.start()
    try:
        yield
    finally:
        is_over.set()
        broom.join()
