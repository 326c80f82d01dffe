"""The sandbox in which expressions of journeys run (engine.md E30).

Law: an expression sees what it is given and nothing else: no host, no clock, no dice, nothing that an earlier one left.
The realm is frozen before anything runs in it. It lives in a process of its own, because not everything that JavaScript
can be asked to do can be interrupted: what cannot be, ends that process and no other.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec

from heliograph.core import documents, expressions, scripts, values
from heliograph.javascript import child

SECONDS: Final = 0.3
"""How much processor time one expression may take."""
DATA: Final = 4 << 20
"""How much of a run's data one expression may read (A78)."""

STILL: Final = 30.0
"""For how many seconds the process may stand still, before it is ended and another one is asked."""

TOO_SLOW: Final = f"takes longer than {SECONDS * 1000:.0f} ms"
TOO_LARGE: Final = f"needs more than {child.MEMORY >> 20} MiB of memory"
TOO_DEEP: Final = f"gives a value that is nested deeper than {documents.MAX_DEPTH} levels"
TOO_MUCH: Final = f"reads more than {DATA >> 20} MiB of the run's data"
BROKEN: Final = "ended the sandbox in which it ran"

_CODES: Final = {name: code for code, name in enumerate(child.WANTS)}


class Sandbox:
    """Runs expressions, one at a time, in one realm; its process begins with the first of them."""

    def __init__(self, stopwatch: Callable[[], int], seconds: float = SECONDS, still: float = STILL) -> None:
        """`stopwatch` tells microseconds that have passed since whenever."""
        self.spent = 0
        """Microseconds that were spent on expressions in all: who has a budget looks before and after."""
        self._stopwatch, self._seconds, self._still = stopwatch, seconds, still
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def check(self, code: str) -> str | None:
        """Why this is no expression, or None. Runs nothing of it."""
        told = self._asked("check", code, "", 0, 0)
        return _fault(told[1:]) if told else None

    def evaluate(
        self, code: str, want: expressions.Want, given: Mapping[str, Any], now: int, seed: int
    ) -> expressions.Answer:
        """The value of an expression that was checked; the same for the same arguments, but for the last line."""
        text = _encoded(given)
        if len(text) > DATA:
            return expressions.Answer(None, TOO_MUCH)
        return _read(self._asked(want.value, code, text, now // 1000, seed))

    def close(self) -> None:
        """End the process; another begins with the next expression."""
        with self._lock:
            self._end()

    def _asked(self, want: str, code: str, text: str, now: int, seed: int) -> str:
        with self._lock:
            began = self._stopwatch()
            try:
                # Somebody else may have ended the process: that is not the expression's fault, the first time.
                for _ in range(2):
                    told = self._told(want, code, text, now, seed)
                    if told is not None:
                        return told
            finally:
                self.spent += self._stopwatch() - began
        return f"x{BROKEN}"

    def _told(self, want: str, code: str, text: str, now: int, seed: int) -> str | None:
        """The answer of the process, or None where it ended without one."""
        if self._process is None or self._process.owner != os.getpid():
            self._process = _Process(self._seconds, self._still)
        told = self._process.ask(want, code, text, now, seed)
        if told is None and self._end() == -signal.SIGPROF:
            return child.INTERRUPTED
        return told

    def _end(self) -> int | None:
        """How the process ended."""
        process, self._process = self._process, None
        return None if process is None else process.end()


class _Process:
    """A process in which expressions run."""

    def __init__(self, seconds: float, still: float) -> None:
        self._still = still
        self.owner = os.getpid()
        """Who started it: a copy of the program that was forked off starts one of its own."""
        program = str(resources.files(__package__).joinpath("child.py"))
        self._running = subprocess.Popen(  # noqa: S603 - our own program, by its path
            [sys.executable, "-I", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={},
        )
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._asked, self._answers = self._running.stdin.fileno(), self._running.stdout.fileno()
        os.set_blocking(self._asked, False)
        self.end = weakref.finalize(self, _ended, self._running)
        prelude = _prelude().encode()
        self._write(struct.pack("<d", seconds) + child.SIZE.pack(len(prelude)) + prelude)

    def ask(self, want: str, code: str, text: str, now: int, seed: int) -> str | None:
        """What it answers, or None where it has ended."""
        source, given = code.encode("utf-8", "replace"), text.encode()
        head = child.HEAD.pack(_CODES[want], float(now), seed & 0xFFFFFFFF, len(source), len(given))
        if not self._write(head + source + given):
            return None
        size = self._read(child.SIZE.size)
        if len(size) < child.SIZE.size:
            return None
        (length,) = child.SIZE.unpack(size)
        told = self._read(length)
        return told.decode() if len(told) == length else None

    def _write(self, message: bytes) -> bool:
        rest = memoryview(message)
        try:
            while rest and self._moves(self._asked, select.POLLOUT):
                rest = rest[os.write(self._asked, rest) :]
        except OSError:
            return False
        return not rest

    def _read(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size and self._moves(self._answers, select.POLLIN):
            part = os.read(self._answers, size - len(found))
            if not part:
                break
            found += part
        return bytes(found)

    def _moves(self, pipe: int, wanted: int) -> bool:
        """Whether it takes or gives something before it has stood still for too long, which ends it."""
        waiting = select.poll()
        waiting.register(pipe, wanted)
        if waiting.poll(self._still * 1000):
            return True
        self._running.kill()
        return False


def _ended(running: subprocess.Popen[bytes]) -> int:
    """How the process ended, which is made to where it has not."""
    for pipe in (running.stdin, running.stdout):
        assert pipe is not None
        with contextlib.suppress(OSError):  # there may be something left to be written, and nobody who reads
            pipe.close()
    try:
        return running.wait(5)
    except subprocess.TimeoutExpired:
        running.kill()
        return running.wait()


def _prelude() -> str:
    text = resources.files(__package__).joinpath("realm.js").read_text("utf-8")
    statuses, ranks = json.dumps(scripts.STATUSES), json.dumps(scripts.RANKS)
    return text.replace("@STATUSES@", statuses).replace("@RANKS@", ranks)


def _encoded(given: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(given).decode()
    except UnicodeEncodeError:
        return json.dumps(given)  # half a character


def _read(told: str) -> expressions.Answer:
    """The answer that the realm put into text."""
    match told[:1]:
        case "t" | "f":
            return expressions.Answer(told == "t")
        case "v":
            return _value(told[1:])
        case "u":
            return expressions.Answer(values.MISSING)
    return expressions.Answer(None, _fault(told[1:]))


def _value(told: str) -> expressions.Answer:
    try:
        value = json.loads(told)
    except RecursionError:
        return expressions.Answer(None, TOO_DEEP)
    if not documents.is_shallow(value):
        return expressions.Answer(None, TOO_DEEP)
    return expressions.Answer(_mended(value) if "\\ud" in told else value)


def _mended(value: Any) -> Any:
    """The value without halves of characters, which no text may have."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _fault(told: str) -> str:
    return {child.OUT_OF_MEMORY[1:]: TOO_LARGE, child.INTERRUPTED[1:]: TOO_SLOW}.get(told, told)
