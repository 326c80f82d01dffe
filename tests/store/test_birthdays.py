"""Birthdays by day follow every profile, whoever writes it."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from heliograph.core import effects, ids
from heliograph.engine import desk
from heliograph.store import birthdays, calendar_rows, database, imports, migrations, people, rows, schema
from tests import tables
from tests.store import samples

NOW = samples.NOW


def born(store: database.Database) -> dict[str, tuple[int, int]]:
    """Who has their birthday when, and since when that is known."""
    found = tables.rows(store, "birthdays")
    for row in found:
        assert row["partition"] == ids.partition_of_subject(1, f"contact:{row['user_id']}")
    return {row["user_id"]: (row["birthday"], row["known_at"]) for row in found}


def save(store: database.Database, user_id: str, now: int, **profile: Any) -> None:
    """A profile's write over HTTP."""
    people.save_profile(store, 1, None, user_id, profile, now, strategy="replace")


def merge(session: database.Session, now: int, **profiles: Any) -> None:
    """An import."""
    imports.merge_profiles(session, 1, profiles, now)


def update(session: database.Session, now: int, user_id: str, *birthdates: str | None) -> None:
    """A turn in which an action sets a birthday, again and again."""
    with session.transaction() as connection:
        table = desk.Desk(now)
        table.contacts = session.hot.read_contacts(connection, {(1, user_id)})
        for birthdate in birthdates:
            table.save_profile(1, None, effects.SaveProfile(user_id, {"birthdate": birthdate}))
        session.hot.write(connection, table.writes, (0,), now)


def test_birthdays_follow_profiles(store: database.Database, session: database.Session) -> None:
    """A request, an import and an action each put a birthday in its place, change it and take it away."""
    save(store, "ana", NOW, birthdate="1990-05-17")
    merge(session, NOW + 1, bea={"birthdate": "0000-02-29"}, cleo={"plan": "pro"})
    update(session, NOW + 2, "dora", "1980-12-31")
    assert born(store) == {"ana": (517, NOW), "bea": (229, NOW + 1), "dora": (1231, NOW + 2)}
    update(session, NOW + 3, "ana", "1990-05-18")
    save(store, "bea", NOW + 4, plan="pro")
    merge(session, NOW + 5, cleo={"birthdate": "2001-01-01"}, dora={"birthdate": None})
    assert born(store) == {"ana": (518, NOW + 3), "cleo": (101, NOW + 5)}


def test_a_birthday_that_stays_is_known_as_long(store: database.Database, session: database.Session) -> None:
    """Another year, or another attribute, changes nothing; leaving and coming back begins anew."""
    merge(session, NOW, ana={"birthdate": "0000-05-17"}, bea={"birthdate": "0000-05-17"})
    save(store, "ana", NOW + 1, birthdate="1990-05-17", plan="pro")
    merge(session, NOW + 2, ana={"birthdate": "1991-05-17"})
    update(session, NOW + 3, "bea", "1999-01-01", None, "0000-05-17")
    assert born(store) == {"ana": (517, NOW), "bea": (517, NOW + 3)}


@pytest.mark.parametrize(
    "birthdates", [("1999-01-01", "0000-05-17"), (None, "1999-01-01"), ("1999-01-01", None)]
)
def test_one_turn_or_many(
    store: database.Database, session: database.Session, birthdates: tuple[str | None, ...]
) -> None:
    """Several changes in one turn leave what they leave in a turn each."""
    merge(session, NOW, one={"birthdate": "0000-05-17"}, many={"birthdate": "0000-05-17"})
    update(session, NOW + 1, "one", *birthdates)
    for birthdate in birthdates:
        update(session, NOW + 1, "many", birthdate)
    found = born(store)
    assert found.get("one") == found.get("many")


def test_what_is_new_sets_a_timer_a_second(store: database.Database, session: database.Session) -> None:
    """Birthdays that become known in a second have one timer in each partition, at that second's end."""
    second = NOW // 1_000_000 * 1_000_000
    merge(session, second, ana={"birthdate": "1990-05-17"}, bea={})
    save(store, "ana", second + 999_999, birthdate="1990-05-18")
    save(store, "ana", second + 1_000_000, birthdate="1990-05-19", plan="pro")
    save(store, "ana", second + 2_000_000, birthdate=None)
    found = tables.rows(store, "timers")
    assert [row["wake_at"] for row in found] == [second + 1_000_000, second + 2_000_000]
    timers = [rows.Timer(**row) for row in found]
    assert {timer.partition for timer in timers} == {ids.partition_of_subject(1, "contact:ana")}
    assert {timer.kind for timer in timers} == {effects.Timer.BIRTHDAYS}
    assert birthdays.known_between(timers[0]) == (second, second + 1_000_000)


def test_people_who_are_there_are_found_by_the_migration(empty_database_url: str) -> None:
    """Birthdays of profiles that were written before the table was there are put into it, as old as the profile."""
    store = database.Database(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for number in range(1_100):
            profile = b'{"birthdate":"1990-05-17"}' if number % 100 == 0 else b'{"birthdate":null}'
            there = {"user_id": f"u{number:04}", "partition": number % 64, "profile": profile}
            connection.execute(
                sa.insert(schema.contacts).values(
                    **there,
                    workspace_id=1,
                    number=number,
                    tags=b"[]",
                    created_at=NOW,
                    updated_at=NOW + number,
                )
            )
    store.migrate()
    found = tables.rows(store, "birthdays")
    store.close()
    assert {(row["user_id"], row["partition"], row["birthday"], row["known_at"]) for row in found} == {
        (f"u{number:04}", number % 64, 517, NOW + number) for number in range(0, 1_100, 100)
    }


# ── the calendar's statements ───────────────────────────────────────────────────────────────────────


def people_born(session: database.Session, *names: str) -> int:
    """People with a birthday on the 17th of May, in an import; the partition of the first."""
    merge(session, NOW, **{name: {"birthdate": "1990-05-17"} for name in names})
    return ids.partition_of_subject(1, f"contact:{names[0]}")


def together(count: int) -> list[str]:
    """Names that belong to one partition, in order."""
    names = (f"u{number:04}" for number in range(10_000))
    return [name for name in names if ids.partition_of_subject(1, f"contact:{name}") == 7][:count]


def test_a_walk_sees_each_of_a_day_once(store: database.Database, session: database.Session) -> None:
    """The people of a partition with a birthday are walked in the order of their ids, so many at a step."""
    names = together(7)
    people_born(session, *names, "somebody", "else")
    merge(session, NOW, other={"birthdate": "1990-05-18"})
    with session.transaction() as connection:
        walked: list[str] = []
        while True:
            step = session.hot.walk_birthdays(connection, 1, 7, 517, walked[-1] if walked else "", 3)
            walked += [one.user_id for one in step]
            if len(step) < 3:
                break
        assert walked == names
        assert 7 in session.hot.where_birthdays(connection, 1, 517)
        assert session.hot.where_birthdays(connection, 1, 229) == []
        assert session.hot.where_birthdays(connection, 2, 517) == []
        assert session.hot.walk_birthdays(connection, 2, 7, 517, "", 3) == []


def test_new_birthdays_are_found_by_when_they_became_known(
    store: database.Database, session: database.Session
) -> None:
    """From an instant up to but without another, and of the days that are asked for alone."""
    first, second, third, fourth = together(4)
    merge(session, NOW, **{first: {"birthdate": "1990-05-17"}, second: {"birthdate": "1990-05-18"}})
    merge(session, NOW + 5, **{third: {"birthdate": "0000-05-18"}, fourth: {"birthdate": "0000-06-01"}})
    with session.transaction() as connection:

        def found(start: int, end: int, *days: int) -> list[str]:
            new = session.hot.read_new_birthdays(connection, 1, 7, days, start, end)
            return [one.user_id for one in new]

        assert found(NOW, NOW + 5, 517, 518) == [first, second]
        assert found(NOW, NOW + 6, 518) == [second, third]
        assert found(NOW + 6, NOW + 9, 517, 518, 601) == []


def test_walks_are_laid_out_moved_and_ended(store: database.Database, session: database.Session) -> None:
    """A walk that is there stays where it is when it is laid out again; one that ended is gone."""
    walks = [
        calendar_rows.Walk(
            1, ids.of_cursor(ids.of_fanout(samples.RULE), 1, n), n, samples.RULE, 739_000, 517, ""
        )
        for n in range(3)
    ]
    writes = rows.Writes()
    writes.walks = [*walks]
    moved = rows.Writes()
    moved.moved_walks = [("u5", 1, walks[0].id)]
    again = rows.Writes()
    again.walks, again.ended_walks = [walks[0]], [(1, walks[1].id)]
    with session.transaction() as connection:
        for each in (writes, moved, again):
            session.hot.write(connection, each, (0,), NOW)
        found = session.hot.read_walks(connection, {(1, walk.id) for walk in walks})
    assert found == {(1, walks[0].id): walks[0]._replace(place="u5"), (1, walks[2].id): walks[2]}


def test_a_day_is_found_by_its_index(sqlite_url: str) -> None:
    """Neither a walk nor the look for a day's people reads anybody else."""
    store = database.Database(sqlite_url)
    store.migrate()
    looked: list[str] = []
    connection = store.connect_sqlite()
    connection.set_trace_callback(looked.append)
    session = store.session()
    session.hot.walk_birthdays(connection, 1, 7, 517, "a", 10)
    session.hot.where_birthdays(connection, 1, 517)
    session.hot.read_new_birthdays(connection, 1, 7, [517, 518], 0, 1)
    connection.set_trace_callback(None)
    for query in looked:
        plan = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        # Newer versions of SQLite say `EXISTS` of what they end at the first row.
        by_key = "USING PRIMARY KEY (workspace_id=? AND partition=? AND birthday=?"
        assert f"SEARCH birthdays {by_key}" in plan.replace("birthdays EXISTS", "birthdays"), plan
        assert "SCAN birthdays" not in plan
    connection.close()
    session.close()
    store.close()
