"""Worker processes beside the web (PostgreSQL): started again when they die, ended with whoever started them.

Law: a worker holds the reading end of a pipe that this process alone keeps open; when this process is gone, however it
went, the pipe says so and the worker ends by itself. Workers are in sessions of their own, so that Ctrl-C reaches them
through here alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Mapping

import structlog

from heliograph.engine import restarts

_log = structlog.get_logger(__name__)


class Crew:
    """So many worker processes."""

    def __init__(self, size: int, environment: Mapping[str, str]):
        """`environment` tells the workers their settings."""
        self._size, self._environment = size, environment
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep them at work until stopped; returns when all have ended."""
        await asyncio.gather(*(self._keep(number) for number in range(self._size)))

    def stop(self) -> None:
        """Tell them to finish what is under way and end."""
        self._stopping.set()
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                child.terminate()

    async def _keep(self, number: int) -> None:
        pauses = restarts.Pauses()
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            child = self._children[number] = await self._start()
            if self._stopping.is_set():
                child.terminate()
            code = await child.wait()
            if self._stopping.is_set():
                return
            pause = pauses.after(loop.time() - began)
            _log.error("worker_ended", worker=number + 1, code=code, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "heliograph",
            "worker",
            "--while-stdin-is-open",
            stdin=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
