"""A library that connects and reads files by itself, held to what it may while it works for a workspace.

Law: Python asks before a socket is connected, a file opened or a program started, whoever's code does it (PEP 578). In
the thread that works for a workspace each address is judged in the instant it is connected to, whatever led there
(redirects, names that change); no file is opened but the library's own, no program started. Nobody else is hindered.
A request that was begun and had no answer is remembered, which the library keeps to itself.
"""

from __future__ import annotations

import functools
import importlib
import mimetypes
import os
import socket
import sys
import sysconfig
import zoneinfo
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar

from heliograph import guard

_Result = TypeVar("_Result")

_RESOLVING = frozenset(("socket.getaddrinfo", "socket.gethostbyname"))
_CONNECTING = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))
_STARTING = frozenset(("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"))
_ASKING = "http.client.send"
_TUNNEL = b"CONNECT "
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")


class _Watch:
    """What the work of one message may do, and what it wanted."""

    def __init__(self, guarded: guard.Guard):
        self._guard = guarded
        self._resolved = ""
        self.refusal: str | None = None
        self.is_begun = False
        """Whether the request under way has been written, at least in part."""
        self.is_lost = False
        """Whether one was, and no whole answer came."""

    def see(self, event: str, given: tuple[Any, ...]) -> None:
        """Raises PermissionError, as the system itself does, where something is not allowed."""
        if event in _RESOLVING:
            self._resolved = given[0].lower() if isinstance(given[0], str) else ""
        elif event in _CONNECTING:
            self._connect(given[1])
        elif event == "open":
            self._open(given[0], given[2])
        elif event == _ASKING:
            # What asks a proxy for a way says nothing to the service yet.
            asks_a_proxy = isinstance(given[1], bytes) and given[1].startswith(_TUNNEL)
            self.is_begun = self.is_begun or not asks_a_proxy
        elif event in _STARTING:
            raise PermissionError("no program is started for a message")

    def _connect(self, place: Any) -> None:
        if not isinstance(place, tuple):
            # A socket of this machine's own.
            self.refusal = "no such socket is connected to for a message"
            raise PermissionError(self.refusal)
        address, port = str(place[0]), int(place[1])
        # A name that is connected to as it is was resolved by nobody who could be asked.
        self.judge((self._resolved if guard.is_literal(address) else "") or address, port, [address])

    def judge(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Raises PermissionError where one of a host's addresses is not to be reached."""
        try:
            self._guard.judge(host, port, addresses)
        except guard.Forbidden as refused:
            self.refusal = str(refused)
            raise PermissionError(self.refusal) from None

    def _open(self, path: Any, flags: int) -> None:
        if isinstance(path, int):
            return
        real = os.path.realpath(os.fsdecode(path))
        if flags & _WRITING or not (real in _files() or real.startswith(_folders())):
            raise PermissionError("no file is opened for a message")


_watch: ContextVar[_Watch | None] = ContextVar("_watch", default=None)


def held(guarded: guard.Guard, work: Callable[[], _Result]) -> _Result:
    """What `work` returns, done in this thread; raises guard.Forbidden where it wanted to connect beyond the guard."""
    _listen()
    watch = _Watch(guarded)
    mark = _watch.set(watch)
    try:
        return work()
    finally:
        _watch.reset(mark)
        if watch.refusal is not None:
            # Whatever the library made of it.
            raise guard.Forbidden(watch.refusal)


def is_lost() -> bool:
    """Whether the work that is held here has begun a request to which no whole answer came."""
    watch = _watch.get()
    return watch is not None and watch.is_lost


def look(host: object, port: object) -> None:
    """Judge a host that somebody else is to connect to, as far as it is one and its name is known here."""
    watch = _watch.get()
    if watch is None or not isinstance(host, str) or not host:
        return
    place, host = port if isinstance(port, int) else 0, host.strip("[]").lower()
    try:
        found = socket.getaddrinfo(host, place or None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    watch.judge(host, place, [str(one[4][0]) for one in found])


def _heard(event: str, given: tuple[Any, ...]) -> None:
    watch = _watch.get()
    if watch is not None:
        watch.see(event, given)


@functools.cache
def _listen() -> None:
    """From now on, for as long as the process lives: a hook cannot be taken away."""
    _folders(), _files()
    sys.addaudithook(_heard)
    sessions: Any = importlib.import_module("requests").Session
    sessions.send = _followed(sessions.send)


def _followed(send: Callable[..., _Result]) -> Callable[..., _Result]:
    """A session's `send` by which it is known whether what it began was answered: the library makes of all a no."""

    @functools.wraps(send)
    def followed(*given: Any, **named: Any) -> _Result:
        watch = _watch.get()
        if watch is None:
            return send(*given, **named)
        watch.is_begun = False
        try:
            return send(*given, **named)
        except Exception:
            watch.is_lost = watch.is_lost or watch.is_begun
            raise

    return followed


@functools.cache
def _folders() -> tuple[str, ...]:
    """Where programs lie that are imported when they are first needed, and what they know of zones."""
    paths = {*(sysconfig.get_path(name) for name in _PATHS), *zoneinfo.TZPATH}
    return tuple(os.path.realpath(path) + os.sep for path in paths)


@functools.cache
def _files() -> frozenset[str]:
    return frozenset(map(os.path.realpath, mimetypes.knownfiles))
