"""Routing strategies in the store."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from heliograph.store import database, migrations, schema
from tests import tables
from tests.store import samples


def test_templates_that_are_there_know_their_strategies(empty_database_url: str) -> None:
    """What a published version has named all along stands with its template; a draft's word is none."""
    store = database.Database(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    columns = ("workspace_id", "id", "number", "version", "created_at", "updated_at", "kind", "is_editable")
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0030")
        for number, (version, named) in enumerate(((1, '"rs_one"'), (0, '"rs_two"'), (2, "null"))):
            said = (1, f"t{number}", number, version, samples.NOW, samples.NOW, "template", True)
            there = sa.table("templates", *(sa.column(name) for name in columns))
            connection.execute(sa.insert(there).values(dict(zip(columns, said, strict=True))))
            content = f'{{"name":"n","routing":{named}}}'.encode()
            kept = {"id": f"t{number}", "version": version or 1, "created_at": samples.NOW}
            connection.execute(
                sa.insert(schema.template_versions).values(**kept, workspace_id=1, content=content)
            )
    store.migrate()
    found = {row["id"]: row["routing_id"] for row in tables.rows(store, "templates")}
    store.close()
    assert found == {"t0": "rs_one", "t1": None, "t2": None}
