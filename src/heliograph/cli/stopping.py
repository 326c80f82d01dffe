"""How a running process is told to end: by a signal, or because whoever started it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from heliograph.cli import terminal

_INTERRUPTED = 130

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


def run(
    work: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *, follow: bool, early: Early | None = None
) -> None:
    """Run a loop that works until the event it is given is set.

    The first SIGTERM, SIGINT or SIGHUP sets it, a second one of the first two ends the process as it stands. With
    `follow` it is also set when stdin is closed: the other end of it is held by whoever started this process. Where it
    was told `early`, nothing begins.
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(work, follow, early))


async def _until_told(
    work: Callable[[asyncio.Event], Coroutine[Any, Any, None]], follow: bool, early: Early | None
) -> None:
    stop = asyncio.Event()

    def hear(number: int = signal.SIGTERM) -> None:
        if stop.is_set():
            if number == signal.SIGHUP:
                return  # a terminal that is closed may say so more than once
            os._exit(_INTERRUPTED)
        stop.set()
        terminal.say("stopping: what is under way comes to its end (again: at once)")

    for number in _heard():
        asyncio.get_running_loop().add_signal_handler(number, hear, number)
    if early is not None and early.is_told:
        hear()
        return
    if follow:
        _follow_stdin(stop)
    await work(stop)


def _follow_stdin(stop: asyncio.Event) -> None:
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def hear() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, hear)
