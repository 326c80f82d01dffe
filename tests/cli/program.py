"""The program as its users meet it: commands in this process, servers in processes of their own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx2

from heliograph import cli
from tests import environment

ENDS_WITHIN = 60
"""Seconds after which a process that should have ended counts as stuck; nothing waits for it otherwise."""


class Told(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The answer, line by line."""
        return self.out.splitlines()


Tell = Callable[..., Told]


class Served:
    """A running `heliograph serve`."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        self.said: list[str] = []
        ready = self.hear("ready: ")
        self.url = ready.split()[1].removesuffix("/api/automation,")

    def hear(self, beginning: str) -> str:
        """The next line that begins so; what comes before it is kept in `said`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line.startswith(beginning):
                return line.rstrip()
        raise AssertionError("\n".join(("it ended, having said:", *self.said)))

    def hear_all(self) -> str:
        """Everything until it and whatever it started have closed their output."""
        assert self.process.stdout is not None
        self.said += [line.rstrip() for line in self.process.stdout]
        return "\n".join(self.said)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN)

    def client(self, key: str) -> httpx2.Client:
        """A program that speaks to it."""
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=ENDS_WITHIN)


def start(*arguments: str, **settings: Any) -> subprocess.Popen[str]:
    """The program in a process of its own, with nothing set but these settings."""
    return subprocess.Popen(
        [sys.executable, "-m", "heliograph", *arguments],
        # A process less for each server: those with one are tested by themselves (tests/engine/test_outposts.py).
        env=environment.for_program(**{"delivery": "beside", **settings}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def served(url: str, *arguments: str, **settings: Any) -> Iterator[Served]:
    """`heliograph serve` on a port that is free; killed at the end if it is still there."""
    with start("serve", "--port", "0", *arguments, database_url=url, **settings) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


def tell(arguments: tuple[str, ...], captured: Callable[[], Any]) -> Told:
    """One command in this process."""
    code = cli.run(arguments)
    said = captured()
    return Told(code, said.out, said.err)
