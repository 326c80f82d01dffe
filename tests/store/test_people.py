"""Profiles as they are written beside turns that decide."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from heliograph.core import ids
from heliograph.store import database, people, workspaces


def test_a_write_waits_for_the_turn_that_has_the_person(ready_postgres_url: str) -> None:
    """While a turn holds the person's partition a write stands in line, and is done when the turn has ended."""
    store = database.Database(ready_postgres_url)
    store.migrate()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, "default", 1)
    partition = ids.partition_of_subject(workspace_id, "contact:ana")
    session = store.session()
    with ThreadPoolExecutor(1) as others, psycopg.connect(ready_postgres_url, autocommit=True) as observer:
        with session.transaction() as turn:
            session.hot.lock_partitions(turn, [partition])
            writing = others.submit(
                people.save_profile, store, workspace_id, None, "ana", {"a": 1}, 2, strategy="replace"
            )
            while (
                not writing.done()
                and not observer.execute(
                    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                ).fetchall()
            ):
                pass
            assert not writing.done()
        writing.result()
    session.close()
    with store.reading() as connection:
        found = people.read_contact(connection, workspace_id, None, "ana")
    store.close()
    assert found is not None
    assert found.profile == {"a": 1}


def test_writes_at_the_same_time_lose_nothing(database_url: str) -> None:
    """Of many programs that set attributes of one person at once each keeps what the others set."""
    store = database.Database(database_url)
    store.migrate()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, "default", 1)

    def add(number: int) -> None:
        given = {f"k{number}": number}
        people.save_profile(store, workspace_id, None, "ana", given, number, strategy="overwrite")

    with ThreadPoolExecutor(4) as programs:
        list(programs.map(add, range(12)))
    with store.reading() as connection:
        found = people.read_contact(connection, workspace_id, None, "ana")
    store.close()
    assert found is not None
    assert found.profile == {f"k{number}": number for number in range(12)}
