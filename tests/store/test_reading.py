"""What a turn looks up: in bulk, by key, with what is missing left out."""

from typing import Any

import pytest

from heliograph.store import database, rows, spans
from tests import tables
from tests.store import samples


@pytest.fixture
def filled(session: database.Session) -> database.Session:
    """One row of each kind in workspace 1, and one of the same name in workspace 2."""
    writes = rows.Writes()
    for workspace in (1, 2):
        one = samples.event(1, workspace=workspace)
        writes.events.append(one)
        writes.decisions.append(rows.Decision(workspace, one.id, 2, workspace, None, samples.NOW, 1, None))
        writes.runs.append(samples.run(0, one, reason=f"w{workspace}"))
        writes.messages.append(samples.message(1, one, error=f"w{workspace}"))
        writes.contacts[workspace, "ana"] = samples.contact(
            "ana", workspace=workspace, tenant_id=f"t{workspace}"
        )
        writes.conversations[workspace, "k1"] = samples.conversation("k1", workspace=workspace)
        writes.cooldowns[workspace, samples.RULE, "contact:ana"] = samples.NOW + workspace
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)
    return session


UNKNOWN = samples.event(99).id


def look(session: database.Session, name: str, keys: set[Any]) -> Any:
    with session.transaction() as connection:
        return getattr(session.hot, name)(connection, keys)


def test_events_come_in_the_order_of_their_ids(filled: database.Session) -> None:
    """Events that are asked for by key come oldest first; unknown ones are left out."""
    one = samples.event(1)
    found = look(filled, "read_events", {(1, one.id), (1, UNKNOWN), (3, one.id)})
    assert [tables.as_stored(row) for row in found] == [tables.as_stored(one)]


def test_attempts_are_known_of_events_that_were_tried(filled: database.Session) -> None:
    """How often an event was tried is read from its decision; an untried one is absent."""
    one, other = samples.event(1), samples.event(1, workspace=2)
    keys = {(1, one.id), (2, other.id), (1, UNKNOWN)}
    assert look(filled, "read_attempts", keys) == {(1, one.id): 1, (2, other.id): 2}


def test_people_are_read_by_workspace_and_name(filled: database.Session) -> None:
    """A contact is known by its workspace and user_id, exactly as written."""
    found = look(filled, "read_contacts", {(1, "ana"), (2, "ana"), (3, "ana"), (1, "Ana"), (1, "ana ")})
    assert {key: tables.as_stored(row) for key, row in found.items()} == {
        (workspace, "ana"): tables.as_stored(
            samples.contact("ana", workspace=workspace, tenant_id=f"t{workspace}")
        )
        for workspace in (1, 2)
    }


def test_conversations_are_read_by_workspace_and_name(filled: database.Session) -> None:
    """A conversation is known by its workspace and id."""
    found = look(filled, "read_conversations", {(1, "k1"), (1, "k2")})
    assert {key: tables.as_stored(row) for key, row in found.items()} == {
        (1, "k1"): tables.as_stored(samples.conversation("k1"))
    }


def test_cooldowns_are_read_by_workspace_rule_and_subject(filled: database.Session) -> None:
    """When a rule matched a subject last is known for that rule and that subject alone."""
    keys = {
        (1, samples.RULE, "contact:ana"),
        (1, samples.OTHER_RULE, "contact:ana"),
        (1, samples.RULE, "contact:bob"),
        (2, samples.RULE, "contact:ana"),
    }
    assert look(filled, "read_cooldowns", keys) == {
        (1, samples.RULE, "contact:ana"): samples.NOW + 1,
        (2, samples.RULE, "contact:ana"): samples.NOW + 2,
    }


def test_runs_and_messages_are_read_whole(filled: database.Session) -> None:
    """A run and a message come back field for field."""
    one = samples.event(1)
    made, sent = samples.run(0, one, reason="w1"), samples.message(1, one, error="w1")
    runs = look(filled, "read_runs", {(1, made.id), (1, UNKNOWN)})
    assert {key: tables.as_stored(row) for key, row in runs.items()} == {(1, made.id): tables.as_stored(made)}
    messages = look(filled, "read_messages", {(1, sent.id), (2, UNKNOWN)})
    assert {key: tables.as_stored(row) for key, row in messages.items()} == {
        (1, sent.id): tables.as_stored(sent)
    }


@pytest.mark.parametrize(
    "name", ["read_attempts", "read_contacts", "read_cooldowns", "read_runs", "read_messages"]
)
def test_nothing_asked_is_nothing_found(session: database.Session, name: str) -> None:
    """An empty set of keys is an empty answer."""
    assert look(session, name, set()) == {}


def test_thousands_of_keys_are_one_question(session: database.Session) -> None:
    """A turn of any size reads all it needs: no set of keys is too large."""
    writes = rows.Writes()
    for number in range(700):
        writes.contacts[1, f"c{number}"] = samples.contact(f"c{number}")
        writes.cooldowns[1, samples.RULE, f"contact:c{number}"] = number
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)
    found = look(session, "read_contacts", {(1, f"c{number}") for number in range(1_400)})
    assert found.keys() == writes.contacts.keys()
    keys = {(1, samples.RULE, f"contact:c{number}") for number in range(1_400)}
    assert look(session, "read_cooldowns", keys) == writes.cooldowns


@pytest.mark.parametrize(
    ("limit", "size", "bites"), [(100, 1000, [5]), (2, 1000, [2, 2, 1]), (100, 20, [2, 2, 1])]
)
def test_a_span_of_events_is_read_in_bites(
    session: database.Session, limit: int, size: int, bites: list[int]
) -> None:
    """Events of one type, of one tenant or of all, oldest first; a bite has no more rows and bytes than was said."""
    writes = rows.Writes()
    for number in range(1, 6):
        writes.events.append(samples.event(number, event_type="a" if number != 3 else "b", tenant_id="t"))
    writes.events.append(samples.event(3, workspace=2, event_type="a"))
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)
    span = spans.Span(1, "t", "a", bytes(16), samples.event(6).id)
    found, looked_at = [], []
    while True:
        with session.looking() as connection:
            passed = session.hot.read_span(connection, span, limit, size)
        if passed.last is None:
            break
        found += [event.id for event in passed.events]
        looked_at.append(passed.looked_at)
        span = span._replace(after=passed.last)
    assert found == [samples.event(number).id for number in (1, 2, 4, 5)]
    assert sum(looked_at) == 5
    assert looked_at == bites or size == 20
    with session.looking() as connection:
        strangers = session.hot.read_span(connection, span._replace(tenant_id="u", after=bytes(16)), 9, 1000)
    assert (strangers.events, strangers.looked_at) == ([], 5)


def test_a_look_writes_nothing_and_waits_for_no_writer(
    session: database.Session, store: database.Database
) -> None:
    """While somebody writes, a look goes through; on PostgreSQL it could not write if it tried."""
    writer = store.reader()
    with writer.transaction(), session.looking() as connection:
        assert session.hot.read_events(connection, {(1, UNKNOWN)}) == []
    writer.close()
