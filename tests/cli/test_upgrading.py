"""Programs and databases of different versions: whoever is too old, or in the way, hears so in one line."""

import contextlib
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from heliograph.store import database, migrations
from tests.cli import program

BEFORE_LATEST = f"{int(migrations.LATEST) - 1:04}"


def stamp(url: str, version: str) -> None:
    """Let a database say that its schema is this one."""
    store = database.Database(url)
    with store.writing() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    store.close()


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)])
def test_who_is_older_than_the_database_ends(ready_postgres_url: str, command: tuple[str, ...]) -> None:
    """A process that is still at work when its database was migrated for a newer program says so once, and ends."""
    with program.start(*command, database_url=ready_postgres_url) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "is at work" in line:
                break
        stamp(ready_postgres_url, "9999")
        patience = threading.Timer(program.ENDS_WITHIN, process.kill)
        patience.start()
        said = process.stdout.read()
        patience.cancel()
        assert process.wait(program.ENDS_WITHIN) == 1, said
    assert "was written by a newer Heliograph" in said.splitlines()[-1]


def test_a_schema_is_not_changed_under_a_server(
    house: str, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`migrate` beside a running server is refused in one line; where there is nothing to do it says so."""
    with program.served(house) as server:
        assert "nothing to do" in tell("migrate").out
        stamp(house, BEFORE_LATEST)
        told = tell("migrate")
        assert (told.code, told.out, told.err.count("\n")) == (1, "", 1), told
        assert "stop" in told.err
        server.process.kill()
        server.hear_all()
    monkeypatch.setattr(migrations, "_take_steps", lambda _: None)
    deadline = time.monotonic() + program.ENDS_WITHIN
    # A server of PostgreSQL hears of a process that was killed a moment later.
    told = tell("migrate")
    while told.code and time.monotonic() < deadline:
        told = tell("migrate")
    assert f"from {BEFORE_LATEST} to {migrations.LATEST}" in told.out, told


@pytest.fixture
def old_server() -> Iterator[str]:
    """A PostgreSQL server of version 14.9, as far as it is heard before anything is asked of it."""
    settings = ((b"server_version", b"14.9 (Debian 14.9-1)"), (b"server_encoding", b"UTF8"))
    said = b"R" + struct.pack("!ii", 8, 0)
    for name, value in (*settings, (b"client_encoding", b"UTF8")):
        said += b"S" + struct.pack("!i", 6 + len(name) + len(value)) + name + b"\0" + value + b"\0"
    said += b"Z" + struct.pack("!ic", 5, b"I")

    def answer(door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = door.accept()
                with line:
                    while len(line.recv(4096)) == len(_MAY_IT_BE_TLS):
                        line.sendall(b"N")
                    line.sendall(said)
                    line.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=answer, args=(door,), daemon=True).start()
        yield f"postgresql://me@127.0.0.1:{door.getsockname()[1]}/none"


_MAY_IT_BE_TLS = struct.pack("!ii", 8, 80877103)


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0"), ("worker",), ("migrate",), ("key", "create", "--role", "admin")]
)
def test_a_server_that_is_too_old_is_one_line(
    old_server: str, tell: program.Tell, command: tuple[str, ...]
) -> None:
    """A PostgreSQL server older than 15 is refused before anything is asked of it: the line says which it takes."""
    told = tell(*command, "--database", old_server)
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1), told
    assert "PostgreSQL 15 or newer" in told.err
    assert "14.9" in told.err


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0"), ("migrate",), ("key", "create", "--role", "admin")]
)
def test_a_library_that_is_too_old_is_one_line(
    sqlite_url: str, tell: program.Tell, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A Python whose SQLite is older than 3.35 makes no file: the line says what it has, and what is needed."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    told = tell(*command, "--database", sqlite_url)
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1), told
    assert "SQLite 3.35 or newer" in told.err
    assert "3.34.1" in told.err
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()
