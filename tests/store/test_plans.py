"""How SQLite finds rows: by the same indexes in every version, however many rows a question is about."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import apsw
import pytest
import sqlalchemy as sa

from heliograph.core import events
from heliograph.store import (
    consent_changes,
    database,
    departures,
    erasure_rows,
    messages,
    places,
    schema,
    tenants,
)
from heliograph.store.migrations import planner
from tests.laws import repository
from tests.store import conftest, samples

KEYS = [n.to_bytes(16) for n in range(1, 257)]
"""As many as a statement takes: with two or three a planner has no choice."""


@pytest.fixture
def store(ready_sqlite_url: str) -> Iterator[database.Database]:
    """A SQLite database that is ready."""
    made = conftest.ready(ready_sqlite_url)
    yield made
    made.close()


Asked = Callable[[database.Database, sa.Connection], object]


def driver(connection: sa.Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.driver_connection


def runs_by_id(store: database.Database, connection: sa.Connection) -> object:
    """As a turn asks for the runs whose messages were answered."""
    return store.hot.read_runs(driver(connection), [(1, key) for key in KEYS])


def expired_keys(store: database.Database, connection: sa.Connection) -> object:
    """As housekeeping forgets them."""
    return store.hot.forget_keys(driver(connection), samples.NOW, 1_000)


def places_of_events(store: database.Database, connection: sa.Connection) -> None:
    """As retention takes them away."""
    run = {"workspace_id": 1, "id": KEYS[0], "automation_id": KEYS[1], "event_id": KEYS[2], "version": 1}
    connection.execute(sa.insert(schema.runs).values(**run, status=2, outcome=1))
    places.forget(connection, 1, [], KEYS[:1])


def written_to(store: database.Database, connection: sa.Connection) -> None:
    """As somebody's messages are canceled who is deleted."""
    for tenant in (None, "acme"):
        departures.cancel_messages(store, connection, erasure_rows.Whose(1, "ana", tenant), samples.NOW)


def changes_of(store: database.Database, connection: sa.Connection) -> object:
    """What somebody said of topics, newest first."""
    wanted = consent_changes.Filter(user_id="ana", before=KEYS[-1])
    return consent_changes.listed(connection, 1, wanted, 20)


def sent_to(store: database.Database, connection: sa.Connection) -> object:
    """Somebody's messages, newest first."""
    return messages.list_messages(connection, 1, messages.Filter(recipient="ana"), 20, samples.NOW)


def events_ended(store: database.Database, connection: sa.Connection) -> None:
    """As events are ended that are tried again."""
    decision = {"workspace_id": 1, "status": events.State.PENDING, "attempts": 1, "definitions_version": 1}
    connection.execute(sa.insert(schema.decisions), [{**decision, "event_id": key} for key in KEYS])
    departures.end_events(connection, 1, KEYS, samples.NOW)


def tenant_deleted(store: database.Database, connection: sa.Connection) -> None:
    """With what it knows of its users."""
    tenants.delete(connection, 1, None, "acme")


QUESTIONS: dict[Asked, str] = {
    runs_by_id: "SEARCH r USING PRIMARY KEY (workspace_id=? AND id=?)",
    expired_keys: "SEARCH idempotency_keys USING INDEX idempotency_keys_by_expiry (expires_at<?)",
    places_of_events: "SEARCH event_places USING PRIMARY KEY (workspace_id=? AND kind=? AND key=? AND event_id=?)",
    written_to: "SEARCH messages USING INDEX messages_by_contact (workspace_id=? AND contact_id=?)",
    changes_of: "SEARCH consent_changes USING INDEX consent_changes_by_user (workspace_id=? AND user_id=? AND id<?)",
    sent_to: "SEARCH messages USING INDEX messages_by_contact (workspace_id=? AND contact_id=?)",
    events_ended: "SEARCH timers USING INDEX timers_of_events (workspace_id=? AND id=?)",
    tenant_deleted: "SEARCH tenant_users USING INDEX tenant_users_by_tenant (workspace_id=? AND tenant_id=?)",
}


def asked(store: database.Database, question: Asked) -> list[str]:
    """The statements of a question, with their values."""
    said: list[str] = []
    with store.writing() as connection:
        driver(connection).set_trace_callback(said.append)
        question(store, connection)
        driver(connection).set_trace_callback(None)
    return said


def plans(path: str, said: list[str]) -> Iterator[list[str]]:
    """How these are worked, by Python's own SQLite and by the newest."""
    for one in (sqlite3.connect(path), apsw.Connection(path)):
        steps = [str(row[3]) for text in said for row in one.execute(f"EXPLAIN QUERY PLAN {text}")]
        one.close()
        yield [step.replace(" COVERING INDEX", " INDEX") for step in steps]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
def test_rows_are_found_by_the_index_that_is_there_for_them(
    store: database.Database, question: Asked
) -> None:
    """A question that has an index is worked by it in this version of SQLite and in the newest."""
    assert store.path is not None
    for plan in plans(str(store.path), asked(store, question)):
        assert QUESTIONS[question] in plan
        # What is looked through is what was handed in, and nothing of ours.
        assert not [
            step for step in plan if step.startswith("SCAN ") and step.split()[1] in schema.metadata.tables
        ]


def test_what_people_counted_themselves_is_replaced_by_a_migration(store: database.Database) -> None:
    """The planner's figures depend on the schema alone: written again, they are the same, and the only ones."""
    read = sa.text("SELECT * FROM sqlite_stat1 ORDER BY tbl, idx")
    samples_taken = sa.text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat4'")
    with store.reading() as connection:
        told = connection.execute(read).all()
    newest = apsw.Connection(str(store.path))
    newest.execute("ANALYZE")
    newest.close()
    with store.writing() as connection:
        assert connection.execute(read).all() != told
        assert connection.execute(samples_taken).scalar() == 1
        planner.tell(connection)
        assert connection.execute(read).all() == told
        assert connection.execute(samples_taken).scalar() == 0


def test_every_index_has_its_figures(store: database.Database) -> None:
    """Whatever index a migration makes, the planner is told of it."""
    tables = "FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'"
    with store.reading() as connection:
        there = connection.execute(sa.text(f"SELECT t.name, count(*) {tables} GROUP BY t.name")).all()
        told = connection.execute(sa.text("SELECT tbl, count(*) FROM sqlite_stat1 GROUP BY tbl")).all()
    assert sorted(there) == sorted(told)


def test_what_is_asked_for_by_keys_is_joined_to_them_in_this_order() -> None:
    """No query by keys leaves it to SQLite whether it begins with the keys or with the table."""
    said = "".join(path.read_text() for path in repository.under("src/heliograph/store/hot_sqlite"))
    joins = re.findall(r'FROM wanted w(?:"\s*f?")? (\w+)', said)
    assert len(joins) > 30
    assert set(joins) == {"CROSS", "LEFT"}
