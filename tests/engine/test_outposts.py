"""Outposts: a delivery in a process of its own does what one beside the turns does, and leaves with whoever had it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from heliograph import app, errors, settings
from heliograph.core import ids, messages, reports
from heliograph.engine import claiming, outpost, restarts, wire
from heliograph.store import database, request_rows, rows
from tests import tables
from tests.cli import program
from tests.engine import far_ways
from tests.engine.test_workers import furnish, until
from tests.torture import crew, test_killed

# ── what is said arrives ────────────────────────────────────────────────────────────────────────────

_ids = st.binary(min_size=16, max_size=16)
_json = st.one_of(st.none(), st.binary(max_size=8), st.text(max_size=8))
_numbers = st.integers(-(2**62), 2**62)
_words = st.one_of(st.none(), st.text(max_size=8))


def _row(kind: type[Any], **wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    hints = kind.__annotations__
    names = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else kind._fields

    def of(name: str) -> st.SearchStrategy[Any]:
        hint = str(getattr(hints[name], "__forward_arg__", hints[name]))
        if name in wanted:
            return wanted[name]
        if "bytes | str" in hint:
            return _json if "None" in hint else st.one_of(st.binary(max_size=8), st.text(max_size=8))
        base = {"bytes": _ids, "int": _numbers, "str": st.text(max_size=8), "bool": st.booleans()}[
            hint.partition(" ")[0]
        ]
        return st.one_of(st.none(), base) if "None" in hint else base

    return st.builds(lambda values: kind(*values), st.tuples(*(of(name) for name in names)))


_claimed = _row(rows.Claimed, message=_row(rows.Message), event=st.one_of(st.none(), _row(rows.Event)))
_word = st.builds(reports.Word, st.text(max_size=8), st.sampled_from(list(reports.What)), _numbers, _words)
_settled = _row(
    rows.Settled,
    retry=st.one_of(st.none(), _row(rows.Timer)),
    reply=st.one_of(st.none(), _row(rows.Inbox)),
    failed=st.one_of(st.none(), _claimed),
    moved=st.one_of(st.none(), _row(request_rows.Moved)),
    bounce=st.one_of(st.none(), _word),
    lost=st.one_of(st.none(), _claimed),
)


def sent(said: Any) -> Any:
    """What the other end of the socket reads."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(said))


@given(_claimed, _settled)
def test_rows_arrive_as_they_were_said(claimed: rows.Claimed, settled: rows.Settled) -> None:
    """A claim and an answer are the same rows at the other end, whatever is in them."""
    assert wire.claimed(sent(claimed)) == claimed
    arrived = wire.settled(sent(settled))
    assert arrived == settled
    assert [type(value) for value in structs.astuple(arrived)] == [
        type(value) for value in structs.astuple(settled)
    ]
    taken = claiming.Taken([claimed], [claimed], [(claimed, "stopped")], True, {7: 3})
    assert wire.taken(sent(taken)) == taken


@given(st.lists(st.tuples(st.sampled_from(list(wire.Word)), st.binary(max_size=300))), st.integers(1, 40))
def test_words_arrive_whole_and_in_their_order(said: list[tuple[wire.Word, bytes]], piece: int) -> None:
    """However the socket cuts them, words come one by one as they were said."""
    written = bytearray()

    class Pipe(asyncio.Transport):
        def write(self, data: Any) -> None:
            written.extend(data)

        def is_closing(self) -> bool:
            return False

    heard: list[tuple[int, Any]] = []
    speaker, hearer = wire.Line(lambda *_: None), wire.Line(lambda word, what: heard.append((word, what)))
    speaker.connection_made(Pipe())
    for word, what in said:
        speaker.say(word, what)
    for first in range(0, len(written), piece):
        hearer.data_received(bytes(written[first : first + piece]))
    assert heard == said


def test_pauses_grow_with_short_lives() -> None:
    """What ends at once is started again ever later; what lived for a while, soon."""
    pauses = restarts.Pauses()
    lived = [pauses.after(life) for life in (0.1,) * 8 + (60.0, 0.1)]
    assert lived[0] == lived[-2] == restarts.FIRST
    assert lived == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 0.25, 0.5]


# ── a process of its own ────────────────────────────────────────────────────────────────────────────


class Engine:
    """An engine on SQLite whose e-mails go out from another process, which notes them in a file."""

    def __init__(self, url: str, folder: Path, *, lease_seconds: float = 5):
        self.notes = folder / "notes"
        self.notes.touch()
        chosen = settings.load({}, database_url=url, lease_seconds=lease_seconds, delivery="apart")
        self.app = app.App(chosen, ways=functools.partial(far_ways.ways, self.notes))
        self.workspace_id = 0

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While it is entered, the engine works."""
        async with self.app.engine_on_loop():
            yield
        self.app.close()

    async def accept(self, first: int, count: int) -> None:
        """So many events come in, one for each contact."""
        given = [{"event_type": "custom.a", "contact_id": f"c{n}"} for n in range(first, first + count)]
        batch = self.app.ingest.read(msgspec.json.encode(given), "application/json", self.workspace_id, None)
        await self.app.ingest.accept(batch)

    def copies(self) -> Counter[str]:
        """How often each message was taken."""
        return Counter(self.notes.read_text().split())


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def ledger(store: database.Database) -> list[dict[str, Any]]:
    return tables.rows(store, "messages")


def test_messages_go_out_from_another_process(ready_sqlite_url: str, tmp_path: Path) -> None:
    """Everything is sent once and answered, and a stop leaves nothing in flight."""
    engine = Engine(ready_sqlite_url, tmp_path)
    engine.workspace_id = furnish(ready_sqlite_url, 40)
    watching = database.Database(ready_sqlite_url)

    async def play() -> None:
        async with engine.working():
            for first in range(0, 40, 10):
                await engine.accept(first, 10)
            await until(lambda: engine.copies().total() == 40)

    asyncio.run(play())
    assert sorted(engine.copies().values()) == [1] * 40
    state = engine.app.engine_state()
    assert (state["in_flight"], state["handed_over"]) == (0, {"accepted": 40})
    stored = ledger(watching)
    assert {row["state"] for row in stored} == {messages.State.ACCEPTED}
    assert {ids.text(row["id"]) for row in stored} == set(engine.copies())
    assert tables.waiting(watching) == set()
    assert crew.outposts(os.getpid()) == []
    watching.close()


def test_an_outpost_that_is_killed_is_followed_by_another(ready_sqlite_url: str, tmp_path: Path) -> None:
    """What it had in hand is sent again by name: each message has one copy, and one more for each lost attempt."""
    engine = Engine(ready_sqlite_url, tmp_path)
    engine.workspace_id = furnish(ready_sqlite_url, 200)
    watching = database.Database(ready_sqlite_url)

    async def play() -> None:
        async with engine.working():
            await engine.accept(0, 100)
            await until(lambda: engine.copies().total() > 20)
            (child,) = crew.outposts(os.getpid())
            os.kill(child, signal.SIGKILL)
            await engine.accept(100, 100)

            def are_accepted() -> bool:
                test_killed.hurry(watching)
                accepted = [row for row in ledger(watching) if row["state"] == messages.State.ACCEPTED]
                return len(accepted) == 200

            await until(are_accepted)

    asyncio.run(play())
    copies = engine.copies()
    for row in ledger(watching):
        attempts = messages.read_attempts(row["attempts"])
        lost = sum(attempt.outcome == "uncertain" for attempt in attempts)
        assert 1 <= copies[ids.text(row["id"])] <= 1 + lost
    assert len(copies) == 200
    assert tables.waiting(watching) == set()
    watching.close()


def test_an_outpost_that_stands_still_is_followed_by_another(
    ready_sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of which nothing is heard any more is ended: what it had is another's, and a stop waits for none."""
    monkeypatch.setattr(outpost, "SILENCE", 1.0)
    engine = Engine(ready_sqlite_url, tmp_path, lease_seconds=1)
    engine.workspace_id = furnish(ready_sqlite_url, 20)
    watching = database.Database(ready_sqlite_url)

    async def play() -> None:
        async with engine.working():
            await engine.accept(0, 10)
            await until(lambda: len(engine.copies()) == 10)
            (child,) = crew.outposts(os.getpid())
            os.kill(child, signal.SIGSTOP)
            await engine.accept(10, 10)

            def are_sent() -> bool:
                test_killed.hurry(watching)
                return len(engine.copies()) == 20

            await until(are_sent)
            (other,) = crew.outposts(os.getpid())
            assert other != child
            os.kill(other, signal.SIGSTOP)

    asyncio.run(play())
    assert crew.outposts(os.getpid()) == []
    watching.close()


def test_an_outpost_leaves_with_whoever_had_it(ready_sqlite_url: str) -> None:
    """A server that is killed leaves no process behind."""
    with program.served(ready_sqlite_url, delivery="apart") as served:
        crew.until(lambda: bool(crew.outposts(served.process.pid)), "an outpost")
        (child,) = crew.outposts(served.process.pid)
        served.end(signal.SIGKILL)
        crew.until(lambda: is_gone(child), "it has left")


def test_an_outpost_ends_when_it_is_told_to(ready_sqlite_url: str) -> None:
    """Where a service tells all its processes to end at once, the server says when its outpost does."""
    with program.served(ready_sqlite_url, delivery="apart") as served:
        crew.until(lambda: bool(crew.outposts(served.process.pid)), "an outpost")
        (child,) = crew.outposts(served.process.pid)
        crew.until(lambda: _ignores(child, signal.SIGTERM), "it has begun")
        os.kill(child, signal.SIGTERM)
        os.kill(child, signal.SIGINT)
        assert served.end() == 0
        said = served.hear_all()
    assert is_gone(child)
    assert "delivery_ended" not in said


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process lets this signal pass."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [line.split()[1] for line in status if line.startswith("SigIgn:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_an_outpost_cannot_write(ready_sqlite_url: str) -> None:
    """A database that only reads is refused by SQLite whatever would change it."""
    store = database.Database(ready_sqlite_url, only_reads=True)
    with pytest.raises(errors.HeliographError), store.writing() as connection:
        connection.execute(sa.text("DELETE FROM facts"))
    with store.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM messages")).scalar_one() == 0
    store.close()
