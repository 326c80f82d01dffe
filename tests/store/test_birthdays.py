"""Birthdays by day follow every profile, whoever writes it."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from heliograph.core import effects, ids
from heliograph.engine import desk
from heliograph.store import birthdays, database, imports, migrations, people, rows, schema
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


def test_people_who_are_there_are_found_by_the_migration(database_url: str) -> None:
    """Birthdays of profiles that were written before the table was there are put into it, as old as the profile."""
    store = database.Database(database_url)
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
