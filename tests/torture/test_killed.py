"""Killed at any moment, nothing is lost and nothing is doubled without a name."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from examples.shop import sinks
from heliograph import clock, errors
from heliograph.core import ids, messages, rules, runs
from heliograph.store import automations, database, keys, people, schema, workspaces
from tests import tables
from tests.torture import crew

CONTACTS = 50
RULES_A_TYPE = 3
NOON = 1_767_268_800_000_000
E25_BOUND = 60.0
"""Seconds: the ten after which a frozen worker has lost its session, and much room for a busy machine."""
LONGEST_WAY = 1_200.0
"""Seconds: a message that loses its holder at each of five attempts waits for five leases and four back-offs."""


@contextlib.contextmanager
def opened(url: str) -> Iterator[database.Database]:
    """A database, for as long as the block lasts."""
    store = database.Database(url)
    try:
        yield store
    finally:
        store.close()


def prepared(store: database.Database) -> str:
    """A workspace with contacts and three rules, one of which writes an e-mail; gives an ingest key."""
    store.migrate()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, workspaces.DEFAULT, NOON)
        _, key = keys.create(connection, workspace_id, keys.Role("ingest"), "sender", NOON)
        for name, wanted in (("writes", "yes"), ("never", "no"), ("nor this", "perhaps")):
            definition = rules.define(
                {
                    "name": name,
                    "trigger_type": "custom.order",
                    "conditions": [{"field": "wanted", "operator": "equals", "value": wanted}],
                    "actions": [
                        {"type": "send_message", "subject": "Order {{ number }}", "text": "Thank you!"}
                    ],
                }
            )
            automations.create_rule(connection, workspace_id, None, definition, NOON, None)
    for number in range(CONTACTS):
        profile = {"email": f"contact{number}@example.com"}
        people.save_profile(store, workspace_id, None, f"c{number}", profile, NOON, strategy="replace")
    return key


def batches_of(count: int, size: int) -> list[list[dict[str, Any]]]:
    """So many events, each with an idempotency key."""
    events = [
        {
            "event_type": "custom.order",
            "contact_id": f"c{number % CONTACTS}",
            "idempotency_key": f"order-{number}",
            "payload": {"number": number, "wanted": "yes"},
        }
        for number in range(count)
    ]
    return [events[first : first + size] for first in range(0, count, size)]


def count(store: database.Database, query: str) -> int:
    """One number of the database."""
    with store.reading() as connection:
        return int(connection.execute(sa.text(query)).scalar_one())


def is_idle(store: database.Database) -> bool:
    """Whether nothing waits for anybody, in one look: what leaves one queue stands in the next."""
    return (
        count(store, "SELECT " + " + ".join(f"(SELECT count(*) FROM {queue})" for queue in tables.QUEUES))
        == 0
    )


def hurry(store: database.Database) -> None:
    """Let what waits for its next try be due now: back-off is not what is proved here."""
    now, changed = clock.WallClock().now(), 0
    with contextlib.suppress(errors.DatabaseLocked, errors.Unavailable), store.writing() as connection:
        due = connection.execute(
            sa.update(schema.timers).where(schema.timers.c.wake_at > now).values(wake_at=now)
        )
        changed = due.rowcount
    if changed and not store.is_sqlite:
        store.notify()


def finish(store: database.Database, *, is_hurried: bool) -> None:
    """Wait until nothing waits for anybody."""

    def is_done() -> bool:
        if is_hurried:
            hurry(store)
        return is_idle(store)

    crew.until(is_done, "the engine is idle", LONGEST_WAY)


def prove(store: database.Database, acknowledged: list[str], posted: int, log: Path) -> int:
    """The ledger and the sink agree on everything (engine.md E21); gives how many may have come twice."""
    assert len(acknowledged) == len(set(acknowledged)) == posted
    with store.reading() as connection:
        stored = connection.execute(sa.text("SELECT count(*), count(DISTINCT id) FROM events")).one()
        assert tuple(stored) == (posted, posted)
        states = connection.execute(sa.text("SELECT status, count(*) FROM decisions GROUP BY status")).all()
        assert [tuple(row) for row in states] == [(3, posted)]
        made = connection.execute(sa.text("SELECT count(*), count(DISTINCT id) FROM runs")).one()
        assert tuple(made) == (posted * RULES_A_TYPE, posted * RULES_A_TYPE)
        doubled = (
            "SELECT count(*) FROM (SELECT 1 FROM runs GROUP BY event_id, automation_id HAVING count(*) > 1) q"
        )
        assert connection.execute(sa.text(doubled)).scalar_one() == 0
        executed = f"SELECT count(*) FROM runs WHERE outcome = {int(runs.Outcome.EXECUTED)}"
        assert connection.execute(sa.text(executed)).scalar_one() == posted
        counted = connection.execute(
            sa.text("SELECT sum(total), sum(matched), sum(executed), sum(pending) FROM rule_statistics")
        ).one()
        assert [int(value) for value in counted] == [posted * RULES_A_TYPE, posted, posted, 0]
        ledger = connection.execute(
            sa.text("SELECT id, state, attempts, run_id, visit, ordinal FROM messages")
        ).all()
    return _prove_messages(ledger, posted, copies_of(log))


def copies_of(log: Path) -> Counter[str]:
    """How often the sink received each message, by the ledger's id in its Message-ID."""
    return Counter(line.strip("<>").partition("@")[0] for line in log.read_text().split())


def _prove_messages(ledger: Any, posted: int, copies: Counter[str]) -> int:
    assert len({(str(row.run_id), row.visit, row.ordinal) for row in ledger}) == len(ledger) == posted
    repeated = known = 0
    for row in ledger:
        name = ids.text(row.id if isinstance(row.id, bytes) else row.id.bytes)
        received = copies[name]
        known += received
        attempts = messages.read_attempts(row.attempts)
        uncertain = sum(attempt.outcome == "uncertain" for attempt in attempts)
        assert received <= 1 + uncertain, (name, received, attempts)
        assert row.state == messages.State.ACCEPTED
        assert received >= 1, (name, attempts)
        repeated += received > 1
    assert known == sum(copies.values()), "the sink received what the ledger does not know"
    return repeated


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[crew.Place]:
    """A folder, a database and a sink that writes down every Message-ID before it answers."""
    (tmp_path / "sink.log").touch()
    with sinks.started(log=tmp_path / "sink.log") as running:
        yield crew.Place(database_url, running.smtp, tmp_path)


def hired(place: crew.Place, ports: list[int]) -> list[crew.Victim]:
    """A server and its outpost on SQLite; two web and three worker processes on PostgreSQL."""
    if place.database_url.startswith("sqlite"):
        server = crew.Member(place, "serve", "serve", "--port", str(ports[0]))
        return [server, crew.Outpost(server)]
    webs: list[crew.Victim] = [
        crew.Member(place, f"web{port}", "serve", "--workers", "0", "--port", str(port)) for port in ports
    ]
    return webs + [crew.Member(place, f"worker{number}", "worker") for number in range(3)]


@pytest.mark.torture
def test_killed_at_random_nothing_is_lost_or_doubled(
    place: crew.Place, scale: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    """Processes die at random moments; every acknowledged event, run and message is there once, or has a name."""
    kills, posted = scale(5, 200), scale(2_000, 20_000)
    is_sqlite = place.database_url.startswith("sqlite")
    with opened(place.database_url) as store:
        key = prepared(store)
        ports = [crew.free_port() for _ in range(1 if is_sqlite else 2)]
        members = hired(place, ports)
        log = place.folder / "sink.log"
        sender = crew.Sender(ports, key, batches_of(posted, 20))
        try:
            sender.start()

            def progress() -> int:
                return sum(map(len, sender.acknowledged)) + log.read_bytes().count(b"\n")

            crew.kill_at_random(members, kills, progress, 2 * posted, seed=7)
            crew.until(lambda: not sender.is_alive(), "all events are acknowledged")
            assert sender.fault is None, sender.fault
            finish(store, is_hurried=scale(1, 0) == 1)
        finally:
            for member in members:
                member.end()
        acknowledged = [identity for batch in sender.acknowledged for identity in batch]
        repeated = prove(store, acknowledged, posted, log)
    record_property("kills", kills)
    record_property("events", posted)
    record_property("possibly_repeated", repeated)


def test_a_frozen_worker_holds_nobody_up(ready_postgres_url: str, tmp_path: Path) -> None:
    """With one of two workers frozen in the middle of its work, the other decides and delivers everything."""
    (tmp_path / "sink.log").touch()
    posted = 1_000
    with sinks.started(log=tmp_path / "sink.log") as running, opened(ready_postgres_url) as store:
        place = crew.Place(ready_postgres_url, running.smtp, tmp_path)
        key = prepared(store)
        port = crew.free_port()
        members = [crew.Member(place, "web", "serve", "--workers", "0", "--port", str(port))]
        members += [crew.Member(place, f"worker{number}", "worker") for number in range(2)]
        sender = crew.Sender([port], key, batches_of(posted, 10))
        try:
            sender.start()
            log = tmp_path / "sink.log"
            crew.until(lambda: log.read_bytes().count(b"\n") > posted // 10, "work is under way")
            members[1].signal(signal.SIGSTOP)
            crew.until(lambda: not sender.is_alive(), "all events are acknowledged")
            assert sender.fault is None, sender.fault
            decided = "SELECT count(*) FROM decisions"
            crew.until(lambda: count(store, decided) == posted, "the other decides everything", E25_BOUND)
            finish(store, is_hurried=True)
            members[1].signal(signal.SIGCONT)
        finally:
            for member in members:
                member.end()
        acknowledged = [identity for batch in sender.acknowledged for identity in batch]
        prove(store, acknowledged, posted, log)
