"""The demo's stage: the shop, its sinks, a real server, all in a temporary folder and gone when the block ends."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib import error, request

import heliograph
from heliograph import clock, errors, settings
from heliograph.cli import web
from heliograph.store import database, keys, workspaces

if TYPE_CHECKING:
    from examples.shop import sinks

_START_SECONDS = 60.0
_LOG = "server.log"
_WRITTEN_PORT = "127.0.0.1:8026"
"""Where the shop's rules call: the sinks listen on whatever port is free."""


class Stage(NamedTuple):
    """Everything the demo plays on."""

    folder: Path
    store: database.Database
    workspace_id: int
    address: web.Address
    key: str
    sinks: sinks.Running
    server: subprocess.Popen[bytes]

    @property
    def definitions(self) -> Path:
        """The shop's rules and templates."""
        return self.folder / "definitions"

    def check(self) -> None:
        """Raise errors.Unavailable, with what it said, where the server has ended."""
        if self.server.poll() is not None:
            raise errors.Unavailable(f"the server ended: {_last_words(self.folder)}")


def find_shop() -> Path:
    """The repository, which is made importable. Raises errors.NotFound where only the package is installed."""
    root = Path(heliograph.__file__).parents[2]
    if not (root / "examples" / "shop").is_dir():
        raise errors.NotFound(
            "the demo plays examples/shop, which is part of the repository and not of the installed package:"
            " clone it and type `make demo`"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return root


@contextlib.contextmanager
def set_up(play: str | None = None) -> Iterator[Stage]:
    """Start the sinks and the server, make a key; `play` is a clock for `serve --clock`."""
    root = find_shop()
    from examples.shop import sinks

    with tempfile.TemporaryDirectory(prefix="heliograph-demo-") as name, sinks.started() as running:
        folder = Path(name)
        _write_definitions(root / "examples" / "shop" / "definitions", folder / "definitions", running.http)
        chosen = _settings(folder, running)
        with _served(chosen, folder, play) as server:
            store = database.Database(chosen.database_url)
            try:
                owner, key = _make_key(store)
                yield Stage(folder, store, owner, web.Address(chosen.host, chosen.port), key, running, server)
            finally:
                store.close()


@contextlib.contextmanager
def _served(chosen: settings.Settings, folder: Path, play: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """`heliograph serve` in a process of its own, which ends with this one however that ends."""
    command = [sys.executable, "-m", "heliograph", "serve", "--while-stdin-is-open"]
    if play is not None:
        command += ["--clock", play]
    with (folder / _LOG).open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 it is this program itself
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=settings.environment(chosen)
        )
    assert server.stdin is not None
    try:
        _wait_until_ready(server, f"http://{chosen.host}:{chosen.port}/readyz", folder)
        yield server
    finally:
        server.stdin.close()
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _START_SECONDS:
        if server.poll() is not None:
            break
        with contextlib.suppress(error.URLError, OSError), request.urlopen(url, timeout=5):  # noqa: S310 http, as written above
            return
        time.sleep(0.05)
    raise errors.Unavailable(f"the server did not start: {_last_words(folder)}")


def _last_words(folder: Path) -> str:
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return " / ".join(line for line in lines if line.strip())[-500:] or "it said nothing"


def _make_key(store: database.Database) -> tuple[int, str]:
    now = clock.WallClock().now()
    with store.writing() as connection:
        owner = workspaces.ensure(connection, workspaces.DEFAULT, now)
        _, text = keys.create(connection, owner, keys.Role.ADMIN, "demo", now)
    return owner, text


def _free_port() -> int:
    with web.bound("127.0.0.1", 0) as place:
        return int(place.getsockname()[1])


def _settings(folder: Path, running: sinks.Running) -> settings.Settings:
    """The defaults, whatever is set outside, but for where things go."""
    return settings.Settings(
        database_url=f"sqlite:///{folder}/shop.db",
        port=_free_port(),
        smtp_url=f"smtp://127.0.0.1:{running.smtp}?security=none",
        sender="Lamplight & Fern <hello@shop.example.com>",
        allowed_hosts=(f"127.0.0.1:{running.http}",),
        # On a clock on which a day passes in two seconds or less, a busy machine is soon many days late.
        misfire_grace_hours=24 * 31,
        log_level="warning",
    )


def _write_definitions(source: Path, target: Path, port: int) -> None:
    target.mkdir()
    for file in source.glob("*.yaml"):
        text = file.read_text(encoding="utf-8").replace(_WRITTEN_PORT, f"127.0.0.1:{port}")
        (target / file.name).write_text(text, encoding="utf-8")
