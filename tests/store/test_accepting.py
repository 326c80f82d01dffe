"""Events as they come in: stored once, put in line, known by their keys."""

import sqlite3
from collections.abc import Sequence

import psycopg
import pytest

from heliograph.store import database, rows
from tests import tables
from tests.store import samples

DAY = 86_400 * samples.SECOND


def accept(session: database.Session, events: Sequence[rows.Event], keys: Sequence[rows.Key] = ()) -> bool:
    with session.transaction() as connection:
        return bool(session.hot.accept(connection, events, keys))


def key(name: str, of: rows.Event, *, workspace: int = 1, at: int = samples.NOW) -> rows.Key:
    return rows.Key(workspace, name, of.id, b"\x01" * 32, at + DAY)


def test_what_is_accepted_is_stored_as_it_came_and_stands_in_line(
    store: database.Database, session: database.Session
) -> None:
    """An accepted event is kept field for field, byte for byte of its payload, and has a place in the queue."""
    plain = samples.event(1)
    full = samples.event(
        2,
        tenant_id="t1",
        conversation_id="k9",
        channel_source="whatsapp",
        occurred_at=samples.NOW - 5,
        depth=2,
        payload='{"emoji": "\U0001f600", "a":  1}'.encode(),
        previous=b'{"a":0}',
    )
    assert accept(session, [plain, full])
    stored = tables.content(store, "events", "due")
    assert tables.values(stored["events"]) == [tables.as_stored(plain), tables.as_stored(full)]
    assert {(row["partition"], row["workspace_id"], row["event_id"]) for row in stored["due"]} == {
        (plain.partition, 1, plain.id),
        (full.partition, 1, full.id),
    }


def test_a_transaction_that_fails_leaves_nothing(store: database.Database, session: database.Session) -> None:
    """An exception inside a transaction undoes all of it, and the next one works."""
    one = samples.event(1)
    with pytest.raises(ZeroDivisionError), session.transaction() as connection:
        _ = session.hot.accept(connection, [one], [key("k", one)]) / 0
    assert not any(tables.content(store, "events", "due", "idempotency_keys").values())
    assert accept(session, [one], [key("k", one)])


def test_a_transaction_that_is_sent_at_once_is_whole(
    store: database.Database, session: database.Session
) -> None:
    """One that reads nothing is stored whole; where the database or the program refuses a part, nothing of it is."""
    one, two, three = (samples.event(n) for n in (1, 2, 3))
    with session.transaction(writes_alone=True) as connection:
        assert session.hot.accept(connection, [one], [])
    for refused in ([two, one], [two, two]):
        with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)):  # noqa: SIM117
            with session.transaction(writes_alone=True) as connection:
                session.hot.accept(connection, refused, [])
    with pytest.raises(ZeroDivisionError), session.transaction(writes_alone=True) as connection:
        _ = session.hot.accept(connection, [two], []) / 0
    with session.transaction(writes_alone=True) as connection:
        session.hot.accept(connection, [three], [])
    stored = tables.content(store, "events", "due")
    assert [row["id"] for row in stored["events"]] == [one.id, three.id]
    assert len(stored["due"]) == 2


def test_keys_are_found_in_their_own_workspace(session: database.Session) -> None:
    """A key is known by workspace and name; unknown ones are absent."""
    one, other = samples.event(1), samples.event(2, workspace=2)
    accept(session, [one, other], [key("k", one), key("k", other, workspace=2), key("é\U0001f600", one)])
    with session.transaction() as connection:
        found = session.hot.find_keys(
            connection, {(1, "k"), (2, "k"), (3, "k"), (1, "é\U0001f600"), (1, "K")}
        )
    assert found == {
        (1, "k"): key("k", one),
        (2, "k"): key("k", other, workspace=2),
        (1, "é\U0001f600"): key("é\U0001f600", one),
    }


def test_a_thousand_keys_are_looked_up_at_once(session: database.Session) -> None:
    """A look-up has no limit of its own: sets of any size are answered whole."""
    events = samples.crowd(1, 1_000)
    accept(session, events, [key(f"k{n}", one) for n, one in enumerate(events)])
    with session.transaction() as connection:
        found = session.hot.find_keys(connection, {(1, f"k{n}") for n in range(2_000)})
        assert session.hot.find_keys(connection, set()) == {}
    assert {name for _, name in found} == {f"k{n}" for n in range(1_000)}


def test_a_key_that_has_outlived_its_day_is_taken_over(session: database.Session) -> None:
    """After its 24 hours a key may name another event."""
    old, new = samples.event(1), samples.event(2)
    accept(session, [old], [key("k", old)])
    assert accept(session, [new], [key("k", new, at=samples.NOW + DAY + 1)])
    with session.transaction() as connection:
        assert session.hot.find_keys(connection, {(1, "k")})[1, "k"].event_id == new.id


def test_outlived_keys_are_forgotten_in_small_portions(
    store: database.Database, session: database.Session
) -> None:
    """Forgetting takes what has expired, at most as many as asked, and nothing that lives."""
    events = samples.crowd(1, 6)
    accept(session, events, [key(f"old{n}", one) for n, one in enumerate(events[:5])])
    accept(session, samples.crowd(7, 1), [key("new", events[5], at=samples.NOW + DAY)])
    forgotten = []
    for _ in range(3):
        with session.transaction() as connection:
            forgotten.append(session.hot.forget_keys(connection, samples.NOW + DAY + 1, 3))
    assert forgotten == [3, 2, 0]
    assert [row["key"] for row in tables.rows(store, "idempotency_keys")] == ["new"]


def test_the_backlog_is_counted_no_further_than_asked(session: database.Session) -> None:
    """Counting what waits costs no more than its limit, however much waits."""
    accept(session, samples.crowd(1, 30))
    with session.transaction() as connection:
        assert session.hot.backlog(connection, 100) == 30
        assert session.hot.backlog(connection, 10) == 10


def test_an_event_that_is_there_already_refuses_its_whole_commit(
    store: database.Database, session: database.Session
) -> None:
    """Two events of one id cannot be: the commit that brings the second leaves nothing."""
    accept(session, [samples.event(1)])
    # No error of ours: the caller finds the culprit by halving.
    refusals = (sqlite3.IntegrityError, psycopg.errors.UniqueViolation)
    with pytest.raises(refusals), session.transaction() as connection:
        session.hot.accept(connection, [samples.event(2), samples.event(1)], [])
    assert len(tables.rows(store, "events")) == len(tables.rows(store, "due")) == 1
