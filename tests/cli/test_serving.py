"""`serve` and `worker`: real processes, told to stop, killed, and refused what they cannot do."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from heliograph import app, errors
from heliograph.store import database, facts, queues
from tests.cli import program

RULE = {
    "name": "Hello",
    "trigger_type": "custom.a",
    "actions": [{"type": "send_message", "text": "Hello {{ contact.given_name }}"}],
}
ANA = {"profile": {"email": "ana@example.com", "given_name": "Ana"}}
EVENT = {"event_type": "custom.a", "contact_id": "ana"}


@pytest.fixture
def key(house: str, tell: program.Tell) -> str:
    """An admin's key."""
    return tell("key", "create", "--role", "admin").lines[-1]


def until(client: httpx2.Client, path: str, state: str) -> dict[str, Any]:
    """What a path answers once its status is this; looks again and again for a minute at most."""
    deadline = time.monotonic() + program.ENDS_WITHIN
    found: dict[str, Any] = {}
    while time.monotonic() < deadline:
        found = client.get(path).json()
        if found.get("status") == state:
            return found
    raise AssertionError(f"{path} is not {state}: {found}")


def play_through(server: program.Served, key: str) -> str:
    """An event that comes to an e-mail; gives its id."""
    with server.client(key) as client:
        assert client.post("/profiles/ana", json=ANA).status_code == 200
        assert client.post("/api/automation/rules", json=RULE).status_code == 201
        (event,) = client.post("/api/automation/events", json=EVENT).json()["ids"]
        until(client, f"/api/automation/events/{event}", "processed")
        (message,) = client.get("/messages", params={"recipient": "ana"}).json()["results"]
        until(client, f"/messages/{message['id']}", "SENT")
    return str(event)


# ── either database ─────────────────────────────────────────────────────────────────────────────────


def test_an_event_becomes_a_message(house: str, key: str, tell: program.Tell) -> None:
    """One command serves the API, decides and delivers; told to stop it ends with 0, and the story is there."""
    with program.served(house) as server:
        event = play_through(server, key)
        assert server.end() == 0
        said = server.hear_all()
    assert "ana@example.com: A message for you · Hello Ana" in said
    assert "stopped: everything that was accepted is kept" in said
    assert "Traceback" not in said
    assert "accepted by console" in tell("explain", event).out


def test_what_is_under_way_comes_to_its_end(house: str, key: str) -> None:
    """A request that the server has begun to read when it is told to stop is answered, and its event is kept."""
    body = json.dumps(EVENT).encode()
    head = f"POST /api/automation/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Length: {len(body)}"
    with program.served(house) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=program.ENDS_WITHIN) as slow:
            slow.sendall(f"{head}\r\n\r\n".encode() + body[:5])
            with server.client(key) as client:
                client.get("/healthz")
            server.process.send_signal(signal.SIGTERM)
            server.hear("stopping:")
            slow.sendall(body[5:])
            answer = slow.recv(4096)
        assert server.process.wait(program.ENDS_WITHIN) == 0
    assert answer.startswith(b"HTTP/1.1 202 ")
    store = database.Database(house)
    with store.reading() as connection:
        assert queues.standing(connection).events <= 1
    store.close()


def test_a_taken_port_is_one_line(house: str, tell: program.Tell) -> None:
    """Two programs never share a port unknowingly."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = tell("serve", "--port", port)
    assert (told.code, told.out) == (1, "")
    assert (
        told.err
        == f"heliograph: cannot listen on 127.0.0.1:{port}: Address already in use; --port takes another\n"
    )


def test_an_address_of_nobody_here_is_one_line(house: str, tell: program.Tell) -> None:
    """Who names an address that this machine has not is told which option is meant."""
    told = tell("serve", "--host", "192.0.2.1", "--port", 0)
    assert (told.code, told.out) == (1, "")
    assert "cannot listen on 192.0.2.1:0: " in told.err
    assert told.err.endswith("; --host takes another\n")


# ── SQLite ──────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_server_says_at_its_start(tmp_path: Path) -> None:
    """From an empty folder it makes all that is needed, and says where things go and how to make a key."""
    url = f"sqlite:///{tmp_path}/data/heliograph.db"
    mail = "smtp://me:secret@127.0.0.1:1?security=none"
    with program.served(url, smtp_url=mail, smtp_uri="smtp://elsewhere", of_ours="x") as server:
        assert httpx2.get(f"{server.url}/readyz").status_code == 200
        assert httpx2.get(f"{server.url}/schema").status_code == 200
        server.end(signal.SIGINT)
        said = server.hear_all()
    assert f"first key  heliograph key create --workspace default --role admin --database {url}" in said
    assert f"described at {server.url}/schema" in said
    assert "smtp://me@127.0.0.1:1" in said
    assert 'HELIOGRAPH_SMTP_URI is no setting, did you mean "SMTP_URL"?' in said
    assert "OF_OURS" not in said
    assert "secret" not in said


@pytest.fixture
def terminal() -> Iterator[None]:
    """A terminal whose end is heard by what is started on it, where the tests run under `nohup` too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_server_that_is_told_to_end_at_its_first_line_ends_well(
    tmp_path: Path, number: signal.Signals
) -> None:
    """A signal before its loop runs is heard as any other: it ends with 0, and says that all is kept."""
    with program.start("serve", "--port", "0", database_url=f"sqlite:///{tmp_path}/h.db") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Heliograph ")
        process.send_signal(number)
        said = process.stdout.read()
        assert (process.wait(program.ENDS_WITHIN), "stopped: everything" in said) == (0, True), said
    assert "Traceback" not in said


def test_a_sqlite_file_has_one_server(lone_house: str, tell: program.Tell) -> None:
    """A second server on the same file says who has it, and one that was killed is in nobody's way."""
    with program.served(lone_house) as first:
        told = tell("serve", "--port", "0")
        assert (told.code, told.out) == (1, "")
        assert f"another heliograph serve (process {first.process.pid}) has" in told.err
        file = Path(lone_house.removeprefix("sqlite:///"))
        file.with_name("link.db").symlink_to(file)
        told = tell("serve", "--port", "0", "--database", f"sqlite:///{file.with_name('link.db')}")
        assert f"another heliograph serve (process {first.process.pid}) has" in told.err
        # SQLite would keep a second log beside the other name, and the file would be lost.
        file.with_name("hard.db").hardlink_to(file)
        told = tell("serve", "--port", "0", "--database", f"sqlite:///{file.with_name('hard.db')}")
        assert (told.code, told.out) == (1, "")
        assert "another heliograph serve has" in told.err
        assert "by another name" in told.err
        assert not file.with_name("hard.db-wal").exists()
        first.end(signal.SIGKILL)
    with program.served(lone_house) as second:
        assert second.end() == 0


@pytest.mark.parametrize(
    ("name", "value"), [("SENDER", "Shop <a@b c>"), ("SENDER", "@"), ("BOUNCE_ADDRESS", "a b@shop.example")]
)
@pytest.mark.parametrize("delivery", ["apart", "beside"])
def test_an_address_that_is_none_is_told_at_the_start(
    name: str, value: str, delivery: str, lone_house: str, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's message fails for it, and no process is started again and again."""
    monkeypatch.setenv(f"HELIOGRAPH_{name}", value)
    monkeypatch.setenv("HELIOGRAPH_DELIVERY", delivery)
    told = tell("serve", "--port", "0")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"heliograph: HELIOGRAPH_{name}: ")


def test_a_clock_of_ones_own(sqlite_url: str, tell: program.Tell) -> None:
    """A day of the play passes in well under a minute of the wall, and goes on where it was after a restart."""
    tell("migrate", "--database", sqlite_url)
    key = tell("key", "create", "--role", "admin", "--database", sqlite_url).lines[-1]
    came_in = []
    for _ in range(2):
        with program.served(sqlite_url, "--clock", "2025-03-01T00:00:00Z,100000") as server:
            with server.client(key) as client:
                (event,) = client.post("/api/automation/events", json=EVENT).json()["ids"]
                told = until(client, f"/api/automation/events/{event}", "processed")
            server.end()
        came_in.append(told["created_at"])
    assert "2025-03-01" <= came_in[0] < came_in[1] < "2026"


@pytest.mark.parametrize(
    ("known", "typed"), [("real", ("--clock", "2025-03-01T00:00:00Z,60")), ("scaled", ())]
)
def test_a_database_knows_one_clock(
    known: str, typed: tuple[str, ...], lone_house: str, tell: program.Tell
) -> None:
    """What has run on one clock is refused on the other: time would jump."""
    store = database.Database(lone_house)
    with store.writing() as connection:
        facts.note_clock(connection, known)
    store.close()
    told = tell("serve", "--port", "0", *typed)
    assert (told.code, told.out) == (1, "")
    assert "needs a new one" in told.err


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def server_url(ready_postgres_url: str) -> str:
    """A PostgreSQL database that is ready."""
    return ready_postgres_url


def test_of_two_that_start_at_once_the_first_decides_the_clock(server_url: str) -> None:
    """Whoever finds that another process has noted another clock at the same moment is refused."""
    store = database.Database(server_url)
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"
    with contextlib.closing(store), ThreadPoolExecutor(1) as others:
        with store.writing() as connection:
            facts.note_clock(connection, "real")
            second = others.submit(app.refuse_another_clock, store, scaled=True)
            while not connection.exec_driver_sql(waits).scalar():
                assert not second.done()
        with pytest.raises(errors.BadSetting, match="has run on the real clock"):
            second.result()


def test_a_worker_that_died_is_started_again(server_url: str) -> None:
    """The web goes on while one of its workers is gone, and soon there is another."""
    with program.served(server_url, "--workers", "1") as server:
        worker = int(server.hear("worker ").split()[1])
        os.kill(worker, signal.SIGKILL)
        again = int(server.hear("worker ").split()[1])
        assert again != worker
        assert server.end() == 0
        said = server.hear_all()
    assert "worker_ended" in said


def test_workers_end_with_whoever_started_them(server_url: str) -> None:
    """When the web process is killed its workers notice and end: the last of them closes the output."""
    with program.served(server_url, "--workers", "2") as server:
        for _ in range(2):
            server.hear("worker ")
        server.process.send_signal(signal.SIGKILL)
        server.hear_all()


def test_a_web_alone_accepts_and_a_worker_alone_decides(server_url: str, tell: program.Tell) -> None:
    """`--workers 0` takes events in and leaves them; `worker` takes them up, wherever it is started."""
    key = tell("key", "create", "--role", "admin", "--database", server_url).lines[-1]
    with program.served(server_url, "--workers", "0") as server, server.client(key) as client:
        (event,) = client.post("/api/automation/events", json=EVENT).json()["ids"]
        assert client.get(f"/api/automation/events/{event}").json()["status"] == "pending"
        with program.start("worker", database_url=server_url) as worker:
            until(client, f"/api/automation/events/{event}", "processed")
            worker.terminate()
            assert worker.wait(program.ENDS_WITHIN) == 0


@pytest.mark.parametrize("smtp_url", ["", "smtp://127.0.0.1:1"])
def test_a_worker_says_where_its_e_mails_go(server_url: str, smtp_url: str) -> None:
    """One that prints what the others send would be found out by e-mails that nobody gets: it says so at once."""
    with program.start("worker", database_url=server_url, smtp_url=smtp_url) as worker:
        assert worker.stdout is not None
        said = [next(worker.stdout)]
        while "is at work" not in said[-1]:
            said.append(next(worker.stdout))
        worker.terminate()
        assert worker.wait(program.ENDS_WITHIN) == 0
    printed = "e-mails are printed here instead of sent: HELIOGRAPH_SMTP_URL is not set\n"
    assert (printed in said) is (smtp_url == ""), said


def test_a_worker_that_is_told_to_end_before_its_loop_ends_well(
    server_url: str, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that comes while a worker opens its database is heard: nothing begins, and it ends with 0."""
    monkeypatch.setattr(app, "refuse_another_clock", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        told = tell("worker", "--database", server_url)
    finally:
        for number, heard in before.items():
            signal.signal(number, heard)
    assert (told.code, "at work" in told.out + told.err) == (0, False), told


@pytest.mark.usefixtures("terminal")
def test_a_server_whose_terminal_is_closed_ends_well(house: str) -> None:
    """It is told so by a signal, more than once perhaps, and brings what is under way to its end."""
    with program.served(house) as server:
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(program.ENDS_WITHIN) == 0
        assert "stopped: everything" in server.hear_all()


def test_a_server_under_nohup_outlives_its_terminal(house: str) -> None:
    """Where the signal of a closed terminal is ignored from the start, it stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with program.served(house) as server:
            server.process.send_signal(signal.SIGHUP)
            assert httpx2.get(f"{server.url}/readyz").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(program.ENDS_WITHIN) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_play_takes_sqlite(server_url: str, tell: program.Tell) -> None:
    """Processes on a scaled clock would not agree what time it is, so it is refused on PostgreSQL."""
    told = tell("serve", "--database", server_url, "--clock", "2025-03-01T00:00:00Z,60")
    assert told.code == 1
    assert "SQLite alone" in told.err


def test_an_unreachable_database_is_one_line(tell: program.Tell) -> None:
    """A database that is not there is told in one line."""
    told = tell("serve", "--port", "0", "--database", "postgresql://nobody@127.0.0.1:1/none")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("heliograph: PostgreSQL cannot be reached")
    assert told.err.count("\n") == 1


def test_output_that_nobody_reads_is_no_fault(lone_house: str) -> None:
    """`python -m heliograph … | head` ends quietly."""
    with program.start("--help", database_url=lone_house) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(program.ENDS_WITHIN) in (0, 1)
