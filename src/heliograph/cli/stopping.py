"""How a running process is told to end: by a signal, or because whoever started it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any

import typer

from heliograph.cli import terminal

_INTERRUPTED, _STUCK = 130, 1
_AT_LEAST, _MARGIN = 60.0, 15.0
"""Seconds: a database whose host is silent is given up before the first; the second is for all but deliveries."""

Follow = Annotated[bool, typer.Option("--while-stdin-is-open", hidden=True, help="End when stdin is closed.")]


class Early:
    """Whether this process was told to end before its loop could hear it; a second time ends it as it stands."""

    def __init__(self) -> None:
        self.is_told = False
        for number in _heard():
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: object) -> None:
        if self.is_told and number != signal.SIGHUP:
            os._exit(_INTERRUPTED)
        self.is_told = True


def _heard() -> list[signal.Signals]:
    """The signals that end this process; not that of a terminal that is closed, where `nohup` has it passed over."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangs_up else [])]


@contextlib.contextmanager
def bounded(lease: float) -> Iterator[threading.Timer]:
    """What ends this process as it stands, once started, if it has not come to its end by itself within a while.

    A server that takes what it is told and answers nothing is waited for without end, and by threads that cannot be
    told. Deliveries in flight are waited for as long as their `lease`, in seconds.
    """
    timer = threading.Timer(max(_AT_LEAST, lease) + _MARGIN, _end)
    timer.daemon = True
    try:
        yield timer
    finally:
        timer.cancel()


def _end() -> None:
    terminal.say("ended as it stands, for something did not answer: everything that was accepted is kept")
    os._exit(_STUCK)


def run(
    work: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    *,
    follow: bool,
    bound: threading.Timer,
    early: Early | None = None,
) -> None:
    """Run a loop that works until the event it is given is set.

    The first SIGTERM, SIGINT or SIGHUP sets it, a second one of the first two ends the process as it stands. With
    `follow` it is also set when stdin is closed: the other end of it is held by whoever started this process. Where it
    was told `early`, nothing begins. Once it is set, `bound` says how long the end may take.
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(work, follow, bound, early))


async def _until_told(
    work: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    follow: bool,
    bound: threading.Timer,
    early: Early | None,
) -> None:
    stop = asyncio.Event()

    def hear(number: int = signal.SIGTERM) -> None:
        if stop.is_set():
            if number == signal.SIGHUP:
                return  # a terminal that is closed may say so more than once
            os._exit(_INTERRUPTED)
        stop.set()
        terminal.say("stopping: what is under way comes to its end (again: at once)")

    # The loop is told of every signal since it runs: had it handlers too, it would hear the one of `early` once more.
    if early is not None and early.is_told:
        hear()
        return
    for number in _heard():
        asyncio.get_running_loop().add_signal_handler(number, hear, number)
    if follow:
        _follow_stdin(stop)
    watching = asyncio.create_task(_watch(stop, bound))
    await work(stop)
    if stop.is_set():
        await watching


async def _watch(stop: asyncio.Event, bound: threading.Timer) -> None:
    await stop.wait()
    bound.start()


def _follow_stdin(stop: asyncio.Event) -> None:
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def hear() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, hear)
