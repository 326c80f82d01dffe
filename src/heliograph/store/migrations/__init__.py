"""The schema's history, kept with Alembic: one file a step in `versions/`.

Law: a step that was released is never edited. A database that is newer than the program is left alone.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from heliograph import errors

_FOLDER = Path(__file__).parent
LATEST = ScriptDirectory(str(_FOLDER)).get_current_head()
"""The newest step that this program knows."""


def current(engine: sa.Engine) -> str | None:
    """The step that a database stands at; None for one that is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_older(version: str) -> bool:
    """Whether this program knows the step, and newer ones."""
    known = [step.revision for step in ScriptDirectory(str(_FOLDER)).walk_revisions()]
    return version in known and version != LATEST


def upgrade(engine: sa.Engine) -> tuple[str | None, str]:
    """Bring a database up to LATEST in one transaction; gives the steps before and after.

    Raises errors.DatabaseNewer where the database stands at a step that this program does not know.
    """
    before = current(engine)
    assert LATEST is not None
    if before == LATEST:
        return before, LATEST
    if before is not None and not is_older(before):
        raise errors.DatabaseNewer
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # Two programs that start together must not both make the tables.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4857231)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    return before, LATEST
