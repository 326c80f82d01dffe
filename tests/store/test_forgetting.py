"""What has expired is forgotten beside those who use it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from heliograph.core import device_tokens as core_tokens
from heliograph.core import effects, events, messages
from heliograph.store import database, departures, device_tokens, erasure_rows, lists, request_keys, schema
from tests import tables
from tests.store import samples


def test_what_is_renewed_while_it_is_forgotten_stays(ready_postgres_url: str) -> None:
    """What a turn counts of somebody stays, though what was counted before had expired and is being forgotten."""
    store = database.Database(ready_postgres_url)
    store.migrate()
    with psycopg.connect(ready_postgres_url, autocommit=True) as observer, ThreadPoolExecutor(1) as others:
        observer.execute("INSERT INTO recent_sends VALUES (1, 'ana', '{}', 10), (1, 'ben', '{}', 10)")
        with psycopg.connect(ready_postgres_url) as turn:
            turn.execute("UPDATE recent_sends SET expires_at = 100 WHERE user_id = 'ana'")
            forgetting = others.submit(request_keys.forget, store, 50, 10)
            while not observer.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'"
            ).fetchall():
                assert not forgetting.done()
            turn.commit()
        assert forgetting.result() == 1
        assert observer.execute("SELECT user_id FROM recent_sends").fetchall() == [("ana",)]
    store.close()


def test_a_device_that_is_registered_while_it_is_forgotten_stays(
    store: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that had expired, and is registered anew after the sweep has found it, goes on being somebody's."""
    whose = device_tokens.Whose(1, None, "ana")
    phone = core_tokens.define({"provider_key": "expo"})

    def register(at: int) -> None:
        device_tokens.change(store, whose, lambda _: {"t": phone}, at)

    register(1)
    writing = store.writing

    @contextlib.contextmanager
    def late() -> Iterator[sa.Connection]:
        monkeypatch.undo()
        register(core_tokens.DEFAULT_LIFE + 2)
        with writing() as connection:
            yield connection

    monkeypatch.setattr(store, "writing", late)
    assert device_tokens.forget(store, core_tokens.DEFAULT_LIFE + 2, 10) == 1
    assert [row["token"] for row in tables.rows(store, "device_tokens")] == ["t"]


def test_a_key_that_is_let_go_of_is_taken_by_one(shared_store: database.Database) -> None:
    """A request that finds a key taken, and a moment later free, takes it: the next one does not have it too."""
    wanted = request_keys.Wanted(1, "POST /brands", "k", b"")
    first = request_keys.take(shared_store, wanted, 1, 60, 1_000)

    left = [first]

    def let_go(*given: Any) -> None:
        if "FOR UPDATE" in given[2] and left:
            request_keys.let_go(shared_store, wanted, left.pop())

    sa.event.listen(shared_store._engine, "before_cursor_execute", let_go)
    second = request_keys.take(shared_store, wanted, 2, 60, 1_000)
    third = request_keys.take(shared_store, wanted, 3, 60, 1_000)
    assert (first.is_mine, second.is_mine, third.is_mine) == (True, True, False)


def test_a_list_that_two_begin_anew_has_both(shared_store: database.Database) -> None:
    """Who is put on a deleted list, which begins anew for it, stays where somebody else does the same at once."""

    def subscribe(user_id: str) -> None:
        lists.subscribe(shared_store, 1, None, [lists.Wish("news", user_id, None)], 3)

    with shared_store.writing() as connection:
        lists.put(connection, 1, None, "news", "News", None, 1)
        lists.delete(connection, 1, None, "news", 2)
    others = ["ben"]

    def at_once(*given: Any) -> None:
        if given[2].startswith("DELETE") and others:
            subscribe(others.pop())

    sa.event.listen(shared_store._engine, "before_cursor_execute", at_once)
    subscribe("ana")
    assert {row["user_id"] for row in tables.rows(shared_store, "subscriptions")} == {"ana", "ben"}


def test_who_is_deleted_is_taken_out_of_line_by_an_index(store: database.Database) -> None:
    """The timer of an event that is tried again is found by the event, however many other timers there are."""
    told: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"

    def explained(connection: sa.Connection, cursor: object, text: str, values: Any, *_: object) -> None:
        if text.startswith("DELETE FROM timers"):
            plan = connection.connection.cursor()
            plan.execute(f"{explain} {text}", values)
            told.append("\n".join(str(row[-1]) for row in plan.fetchall()))

    event = samples.event(1)
    timer = {"partition": event.partition, "workspace_id": 1, "kind": int(effects.Timer.EVENT)}
    waiting = [
        {**timer, "wake_at": n, "kind": int(effects.Timer.RUN), "id": n.to_bytes(16)} for n in range(5_000)
    ]
    decision = {"workspace_id": 1, "event_id": event.id, "status": events.State.PENDING, "attempts": 1}
    with store.writing() as connection:
        connection.execute(sa.insert(schema.decisions).values(**decision, definitions_version=1))
        connection.execute(sa.insert(schema.timers), [*waiting, {**timer, "wake_at": 7, "id": event.id}])
        connection.execute(sa.text("ANALYZE timers"))
        sa.event.listen(store._engine, "before_cursor_execute", explained)
        departures.end_events(connection, 1, [event.id], samples.NOW)
    assert len(tables.rows(store, "timers")) == len(waiting)
    assert ["timers_of_events" in plan for plan in told] == [True], told


def test_somebody_with_more_messages_in_line_than_a_statement_takes_is_deleted(
    store: database.Database,
) -> None:
    """Whoever has very many messages in line can be deleted: a statement is given so many values and no more."""
    planned = [samples.message(number)._asdict() for number in range(1_200)]
    with store.writing() as connection:
        connection.execute(sa.insert(schema.messages), planned)
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            # As a build of SQLite may be, to which 250,000 are not too many here.
            driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000)
        departures.cancel_messages(store, connection, erasure_rows.Whose(1, "ana", None), samples.NOW)
        if isinstance(driver, sqlite3.Connection):
            driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
    assert {row["state"] for row in tables.rows(store, "messages")} == {int(messages.State.CANCELED)}
    assert {row["error"] for row in tables.rows(store, "messages")} == {messages.CONTACT_DELETED}
