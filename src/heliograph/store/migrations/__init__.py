"""The schema's history, kept with Alembic: one file a step in `versions/`, named after the step.

Law: a step that was released is never edited. A database that is newer than the program is left alone. The library is
loaded by who has steps to take: a server that starts on a database of its own version does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from heliograph import errors
from heliograph.store import schema
from heliograph.store.migrations import planner

_FOLDER = Path(__file__).parent
_STEPS = sorted(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*.py"))
LATEST = _STEPS[-1]
"""The newest step that this program knows."""
# Asked in plain SQL: every process asks as it starts, and to look tables up costs the toolkit many times as much.
_IS_THERE = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT count(to_regclass('alembic_version'))",
}


def current(engine: sa.Engine) -> str | None:
    """The step that a database stands at; None for one that is empty."""
    with engine.connect() as connection:
        return _standing(connection)


def _standing(connection: sa.Connection) -> str | None:
    if not connection.exec_driver_sql(_IS_THERE[connection.dialect.name]).scalar_one():
        return None
    standing: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return standing


def is_older(version: str) -> bool:
    """Whether this program knows the step, and newer ones."""
    return version in _STEPS and version != LATEST


def refuse_another(version: str | None) -> None:
    """Refuse a database that stands at this step (None: it is empty) where that is not this program's."""
    if version is None or is_older(version):
        raise errors.DatabaseOutdated
    if version != LATEST:
        raise errors.DatabaseNewer


def upgrade(engine: sa.Engine, at_work: str) -> tuple[str | None, str]:
    """Bring a database up to LATEST in one transaction; gives the steps before and after.

    `at_work` is how sessions of processes that decide and deliver are called (PostgreSQL).

    Raises errors.DatabaseNewer where the database stands at a step that this program does not know, errors.BadSetting
    where it is another program's, errors.DatabaseLocked where processes are at work on it (PostgreSQL).
    """
    if current(engine) == LATEST:
        return LATEST, LATEST
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4857231)")
        # Of two programs that start together one takes the steps: the other finds them taken once it is let in.
        before = _standing(connection)
        if before is None:
            _refuse_another_programs(connection)
        elif before != LATEST and not is_older(before):
            raise errors.DatabaseNewer
        elif before != LATEST and engine.dialect.name == "postgresql":
            _refuse_beside_others(connection, at_work)
        if before != LATEST:
            _take_steps(connection)
    return before, LATEST


def _take_steps(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        planner.tell(connection)
    connection.commit()


_LOOKS = 20


def _at_work(connection: sa.Connection, name: str) -> Sequence[str]:
    """From where there are sessions of this name."""
    query = (
        "SELECT DISTINCT coalesce(host(client_addr), 'this machine') FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = %s ORDER BY 1"
    )
    return connection.exec_driver_sql(query, (name,)).scalars().all()


def _refuse_beside_others(connection: sa.Connection, at_work: str) -> None:
    # Who begins to work from here on waits for this lock (Database.session), and is found too old.
    connection.exec_driver_sql("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
    places = _at_work(connection, at_work)
    for _ in range(_LOOKS):
        if not places:
            return
        # A server lists a session for some moments after its process has ended.
        connection.exec_driver_sql("SELECT pg_sleep(0.05), pg_stat_clear_snapshot()")
        places = _at_work(connection, at_work)
    if places:
        raise errors.DatabaseLocked(
            f"serve or worker is at work on the database, from {', '.join(places)}: stop all of them first;"
            " nothing was changed"
        )


def _refuse_another_programs(connection: sa.Connection) -> None:
    taken = sorted(schema.metadata.tables.keys() & sa.inspect(connection).get_table_names())
    if taken:
        raise errors.BadSetting(
            f"the database holds another program's table {taken[0]}: HELIOGRAPH_DATABASE_URL takes one of its own"
        )
