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

from heliograph import app, loading
from heliograph.engine import housekeeping

_IN_VAIN, _REST = 20, 0.005


class Taken(NamedTuple):
    """What they came to."""

    inputs: int
    seconds: float
    longest: float
    """The longest turn (s)."""
    busiest: float
    """The most processor time of a turn (s): what is left of the longest when the disk's answer is not counted."""


def taken(application: app.App) -> Taken:
    """Take turns until several in a row have found nothing: what is left may be in another worker's hands."""
    loading.settle_garbage()
    turns = application.turns(application.session())
    inputs, longest, busiest, vain = 0, 0.0, 0.0, 0
    with _swept(application):
        began = ended = time.perf_counter()
        while vain < _IN_VAIN:
            started, busy = time.perf_counter(), time.thread_time()
            report = turns.take()
            if report.more or report.inputs:
                ended, vain = time.perf_counter(), 0
                longest = max(longest, ended - started)
                busiest = max(busiest, time.thread_time() - busy)
                inputs += report.inputs
            else:
                vain += 1
                time.sleep(_REST)
    return Taken(inputs, ended - began, longest, busiest)


@contextlib.contextmanager
def _swept(application: app.App) -> Iterator[None]:
    is_over = threading.Event()

    def sweep() -> None:
        while not is_over.wait(housekeeping.TIDY_SECONDS):
            with contextlib.closing(application.store.session()) as session:
                session.tidy()

    broom = threading.Thread(target=sweep)
    broom.start()
    try:
        yield
    finally:
        is_over.set()
        broom.join()
