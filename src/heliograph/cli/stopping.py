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


def run(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *, follow: bool) -> None:
    """Run a loop that works until the event it is given is set.

    The first SIGTERM or SIGINT sets it, the second ends the process as it stands. With `follow` it is also set when
    stdin is closed: the other end of it is held by whoever started this process.
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(work, follow))


async def _until_told(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]], follow: bool) -> None:
    stop = asyncio.Event()

    def hear() -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()
        terminal.say("stopping: what is under way comes to its end (again: at once)")

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, hear)
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
