"""How a running process is told to end."""

from __future__ import annotations

import asyncio
import os
import signal

from heliograph.cli import terminal

_INTERRUPTED = 130


def told_to_stop() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process as it stands."""
    stopping = asyncio.Event()

    def hear() -> None:
        if stopping.is_set():
            os._exit(_INTERRUPTED)
        stopping.set()
        terminal.say("stopping: what is under way comes to its end (again: at once)")

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, hear)
    return stopping
