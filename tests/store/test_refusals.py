"""When a database refuses: one clear line that says what to do, and nothing lost or half done."""

import socket
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from heliograph import errors
from heliograph.store import database, migrations, schema
from tests import tables
from tests.store import samples
from tests.store.conftest import ready

BEFORE_LATEST = f"{int(migrations.LATEST) - 1:04}"


@pytest.fixture
def lone_store(ready_sqlite_url: str) -> Iterator[database.Database]:
    """A SQLite database that is ready."""
    made = ready(ready_sqlite_url)
    yield made
    made.close()


def stamp(store: database.Database, version: str) -> None:
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def one_line(told: pytest.ExceptionInfo[errors.HeliographError]) -> str:
    assert "\n" not in told.value.message
    assert "Traceback" not in told.value.message
    return told.value.message


def accept(session: database.Session, first: int, count: int) -> None:
    with session.transaction() as connection:
        session.hot.accept(connection, samples.crowd(first, count), [])


def test_a_database_of_a_newer_program_is_left_alone(store: database.Database) -> None:
    """A schema that this program does not know is refused at the door, by `migrate` too, and not touched."""
    stamp(store, "9999")
    before = tables.content(store)
    for door in (store.check, store.migrate):
        with pytest.raises(errors.DatabaseNewer) as told:
            door()
        assert "newer" in one_line(told)
    assert tables.content(store) == before


def test_a_schema_is_not_changed_under_who_is_at_work(
    shared_store: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a server or a worker has the database open, `migrate` refuses and changes nothing; later it goes on."""
    session = shared_store.session()
    stamp(shared_store, BEFORE_LATEST)
    with pytest.raises(errors.DatabaseLocked) as told:
        shared_store.migrate()
    assert "stop" in one_line(told)
    with pytest.raises(errors.DatabaseOutdated):
        shared_store.check()
    session.close()
    monkeypatch.setattr(migrations, "_take_steps", lambda _: None)
    assert shared_store.migrate() == (BEFORE_LATEST, migrations.LATEST)


def test_who_has_just_ended_is_not_at_work(
    shared_store: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was stopped right before `migrate` does not have it refused, though the database lists it yet."""
    session, looks = shared_store.session(), migrations._at_work
    stamp(shared_store, BEFORE_LATEST)

    def looked(*given: Any) -> Sequence[str]:
        found = looks(*given)
        session.close()
        return found

    monkeypatch.setattr(migrations, "_at_work", looked)
    monkeypatch.setattr(migrations, "_take_steps", lambda _: None)
    assert shared_store.migrate() == (BEFORE_LATEST, migrations.LATEST)


def test_a_connection_that_is_opened_anew_knows_its_schema(shared_store: database.Database) -> None:
    """Whoever lost its connection while the database was migrated decides nothing by what the tables were."""
    session = shared_store.session()
    session.connection.close()
    stamp(shared_store, "9999")
    with pytest.raises(errors.DatabaseNewer) as told:
        accept(session, 1, 1)
    assert "newer" in one_line(told)
    stamp(shared_store, migrations.LATEST)
    accept(session, 1, 1)
    session.close()


def test_who_opens_a_database_that_is_being_migrated_waits(shared_store: database.Database) -> None:
    """A session that begins beside a migration is let in when that has ended, and hears then that it is too old."""
    with shared_store.writing() as migration, ThreadPoolExecutor(1) as beside:
        migration.exec_driver_sql("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        opening = beside.submit(shared_store.session)
        assert wait([opening], timeout=0.5).not_done
        migration.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        migration.commit()
        with pytest.raises(errors.DatabaseNewer):
            opening.result()


def test_an_address_that_is_none_is_told() -> None:
    """What PostgreSQL cannot read as an address is refused before anything is asked, in a line that says why."""
    with pytest.raises(errors.DatabaseUnreachable) as told:
        database.Database("postgresql://me@host/name?colour=blue")
    assert "colour" in one_line(told)


def test_an_empty_postgresql_asks_to_be_migrated(postgres_url: str) -> None:
    """A server that several programs share is not changed by opening it: the line says which command does."""
    store = database.Database(postgres_url)
    with pytest.raises(errors.DatabaseOutdated) as told:
        store.check()
    assert "heliograph migrate" in one_line(told)
    assert store.migrate()[0] is None
    store.check()
    store.close()


def test_an_empty_sqlite_file_is_made_ready(sqlite_url: str) -> None:
    """A first start needs no step before it, and the second finds everything in its place."""
    for _ in range(2):
        store = database.Database(sqlite_url)
        store.check()
        assert tables.rows(store, "workspaces") == []
        store.close()


def test_migrating_twice_changes_nothing(store: database.Database) -> None:
    """`migrate` on a database that is up to date says so and does nothing."""
    before = tables.content(store)
    was, now = store.migrate()
    assert was == now
    assert tables.content(store) == before


def test_of_two_that_migrate_together_one_does_it(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one finds it done, and takes the tables for none of another program's."""
    first, second = database.Database(empty_database_url), database.Database(empty_database_url)
    looked = migrations.current

    def overtaken(engine: sa.Engine) -> str | None:
        found = looked(engine)
        monkeypatch.setattr(migrations, "current", looked)
        assert first.migrate()[0] is None
        return found

    monkeypatch.setattr(migrations, "current", overtaken)
    assert second.migrate() == (migrations.LATEST, migrations.LATEST)
    for store in (first, second):
        store.check()
        store.close()


def test_a_locked_file_is_told_in_one_line(lone_store: database.Database) -> None:
    """While another program holds the file, writing is refused with a reason; afterwards it works."""
    assert lone_store.path is not None
    session = lone_store.session()
    session.connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(lone_store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.DatabaseLocked) as told:
        accept(session, 1, 1)
    assert "Another process" in one_line(told)
    other.execute("COMMIT")
    other.close()
    accept(session, 1, 1)
    session.close()
    assert len(tables.rows(lone_store, "events")) == 1


def test_a_full_disk_loses_nothing(lone_store: database.Database) -> None:
    """When the file cannot grow, the commit is refused whole, what was there stays, and later ones work."""
    session = lone_store.session()
    accept(session, 1, 10)
    before = tables.content(lone_store)
    (pages,) = session.connection.execute("PRAGMA page_count").fetchone()
    session.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(errors.DiskFull) as told:
        accept(session, 100, 5_000)
    assert "free some space" in one_line(told)
    assert tables.content(lone_store) == before
    session.connection.execute("PRAGMA max_page_count = 1000000")
    accept(session, 100, 5_000)
    session.close()
    assert len(tables.rows(lone_store, "due")) == 5_010


def test_a_full_disk_of_the_server_is_told_alike(shared_store: database.Database) -> None:
    """PostgreSQL's word for a full disk becomes the same line, and the commit is refused whole."""
    with psycopg.connect(shared_store.url, autocommit=True) as operator:
        operator.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END$$"
        )
        operator.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON due FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        )
    session = shared_store.session()
    with pytest.raises(errors.DiskFull) as told:
        accept(session, 1, 10)
    assert "free some space" in one_line(told)
    session.close()
    assert tables.rows(shared_store, "events") == []


def test_a_server_that_does_not_answer_is_named(unused_port: int) -> None:
    """Where no server listens, every way in says so in one line with its reason."""
    store = database.Database(f"postgresql://nobody@127.0.0.1:{unused_port}/nothing")
    for way in (store.session, store.listener, store.check, store.migrate):
        with pytest.raises(errors.DatabaseUnreachable) as told:
            way()
        assert "cannot be reached" in one_line(told)
        assert str(unused_port) in told.value.message


def test_a_database_that_does_not_exist_is_named(postgres_url: str) -> None:
    """A wrong name of a database is told as the server tells it, in its own language, in one line."""
    store = database.Database(postgres_url + "_that_nobody_made")
    with pytest.raises(errors.DatabaseUnreachable) as told:
        store.check()
    assert '_that_nobody_made"' in one_line(told)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_keep_every_text_is_refused(postgres_url: str, encoding: str) -> None:
    """A database that is not of UTF-8 is refused before anything is written, in a line that says how one is made."""
    name = f"{urlsplit(postgres_url).path[1:]}_{encoding.lower()}"
    making = f"CREATE DATABASE {name} ENCODING {encoding} LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(sql.SQL(making))
        try:
            store = database.Database(f"{postgres_url}_{encoding.lower()}")
            for door in (store.check, store.migrate):
                with pytest.raises(errors.DatabaseEncoding) as told:
                    door()
                assert "--encoding UTF8" in one_line(told)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    """A file of something else is refused, and keeps every byte."""
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and no database at all. " * 50)
    before = path.read_bytes()
    with pytest.raises(errors.DatabaseUnreachable) as told:
        database.Database(f"sqlite:///{path}").check()
    assert "cannot be used" in one_line(told)
    assert path.read_bytes() == before


def test_a_damaged_file_is_told_in_one_line(lone_store: database.Database) -> None:
    """A database whose pages are broken is refused with the reason, never with a traceback."""
    assert lone_store.path is not None
    accept(session := lone_store.session(), 1, 2_000)
    session.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    session.close()
    lone_store.close()
    with lone_store.path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * (lone_store.path.stat().st_size - 3 * 4096))
    broken = database.Database(lone_store.url)
    with pytest.raises(errors.DatabaseUnreachable) as told:
        tables.content(broken)
    assert "cannot be used" in one_line(told)
    broken.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A path through something that is no folder is refused with its name."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.DatabaseUnreachable) as told:
        database.Database(f"sqlite:///{tmp_path / 'file' / 'deep' / 'heliograph.db'}")
    assert "cannot be made" in one_line(told)


def test_a_file_that_must_exist_is_not_made(tmp_path: Path) -> None:
    """A command that reads a database does not make an empty one for a wrong name."""
    path = tmp_path / "nothing" / "wrong.db"
    with pytest.raises(errors.DatabaseUnreachable) as told:
        database.Database(f"sqlite:///{path}", must_exist=True)
    assert "there is no database" in one_line(told)
    assert not path.parent.exists()


def test_every_writer_waits_its_turn(lone_store: database.Database) -> None:
    """Management writes and the engine's share one writer: neither is refused because of the other."""
    session = lone_store.session()
    session.connection.execute("PRAGMA busy_timeout = 0")
    for number in range(20):
        with lone_store.writing() as connection:
            connection.execute(sa.insert(schema.facts).values(name=f"n{number}", value="v"))
        accept(session, number, 1)
    session.close()
    assert len(tables.rows(lone_store, "facts")) == len(tables.rows(lone_store, "events")) == 20
