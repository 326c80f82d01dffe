"""A crew of real processes that can be killed, and a sender that does not give up.

Law: whatever dies, the sender knows what was acknowledged; everything else is asked of the ledger and the sink.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from heliograph import deliveries
from tests import environment

PATIENCE = 300.0
"""Seconds after which a crew that makes no progress has failed."""


class Place(NamedTuple):
    """Where a crew works."""

    database_url: str
    smtp: int
    folder: Path


class Member:
    """One process: it is started, killed and started again with the same command."""

    def __init__(self, place: Place, name: str, *command: str):
        self.name, self._command, self._place = name, command, place
        self._log = (place.folder / f"{name}.log").open("ab")
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Begin, or begin again."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "heliograph", *self._command],
            env=environment.for_program(
                database_url=self._place.database_url,
                smtp_url=f"smtp://127.0.0.1:{self._place.smtp}?connections=4",
                lease_seconds=2,
                delivery_attempts=1000,
                log_level="warning",
            ),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self._place.folder,
        )

    @property
    def pid(self) -> int:
        """The present process."""
        assert self._child is not None
        return self._child.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def end(self) -> None:
        """End it however it stands."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGCONT)
            self._child.kill()
            self._child.wait()
        self._log.close()


class Outpost:
    """The process that delivers for a server: that one starts it again when it is killed."""

    def __init__(self, server: Member):
        self._server = server

    def kill(self) -> None:
        """End it as a power cut would, where it is there just then."""
        for child in outposts(self._server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def start(self) -> None:
        """Its server does."""

    def end(self) -> None:
        """It leaves with its server."""


Victim = Member | Outpost


def outposts(pid: int) -> list[int]:
    """The processes that deliver for this one."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if deliveries.__name__ in _command_of(child)]
    except FileNotFoundError:
        return []


def _command_of(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sender(threading.Thread):
    """Posts batches of events until each is acknowledged, whoever dies meanwhile."""

    def __init__(self, ports: Sequence[int], key: str, batches: Sequence[list[dict[str, Any]]]):
        super().__init__(daemon=True)
        self._ports, self._key, self._batches = ports, key, batches
        self.acknowledged: list[list[str]] = []
        self.fault: str | None = None

    def run(self) -> None:
        """Post them all."""
        try:
            for number, batch in enumerate(self._batches):
                self.acknowledged.append(self._posted(number, batch))
        except Exception as fault:  # noqa: BLE001 - the test shows it
            self.fault = repr(fault)

    def _posted(self, number: int, batch: list[dict[str, Any]]) -> list[str]:
        body = json.dumps(batch)
        deadline = time.monotonic() + PATIENCE
        turn = number
        while time.monotonic() < deadline:
            turn += 1
            port = self._ports[turn % len(self._ports)]
            try:
                status, answer = self._post(port, body)
            except (OSError, http.client.HTTPException):
                threading.Event().wait(0.02)
                continue
            if status == 202:
                return [str(identity) for identity in json.loads(answer)["ids"]]
            assert status in (429, 500, 503), (status, answer)
            threading.Event().wait(0.02)
        raise TimeoutError(f"batch {number} was never acknowledged")

    def _post(self, port: int, body: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request("POST", "/api/automation/events", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def until(holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something holds; a crew that never gets there has failed."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never: {what}")
        threading.Event().wait(0.02)


def kill_at_random(
    members: Sequence[Victim], kills: int, progress: Callable[[], int], whole: int, seed: int
) -> None:
    """Kill one of the members each time progress passes a random mark, and start it again."""
    chance = random.Random(seed)
    for mark in sorted(chance.randrange(1, max(2, int(whole * 0.95))) for _ in range(kills)):
        until(lambda mark=mark: progress() >= mark, f"progress {mark} of {whole}")  # type: ignore[misc]
        victim = chance.choice(members)
        victim.kill()
        victim.start()
