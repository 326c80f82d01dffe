"""Our own tables, for the sides that write them: made by our migrations, peopled, and checked afterwards.

Law: both sides that write these tables (our engine and the bare loop) are judged by the same questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from benchmarks import job, sides
from heliograph.core import ids, messages, runs
from heliograph.store import database, schema, workspaces

WORKSPACE = 1
"""The id of the first workspace of a database."""


def opened(order: sides.Order) -> database.Database:
    """The order's database, not yet made."""
    return database.Database(url_of(order.database, order.url))


def url_of(kind: sides.Database, url: str) -> str:
    """How our engine names the database of an order."""
    return f"sqlite:///{url}" if kind == "sqlite" else url


def create(base: database.Database, now: int, *more: str, people: int = job.CONTACTS) -> list[int]:
    """Make the tables and the workspace with so many contacts; `more` are further workspaces. Gives their ids."""
    base.migrate()
    with base.writing() as connection:
        made = [workspaces.ensure(connection, name, now) for name in (workspaces.DEFAULT, *more)]
        for workspace in made:
            _people(connection, workspace, now, people)
    return made


def _people(connection: sa.Connection, workspace: int, now: int, count: int) -> None:
    people = [
        _contact(workspace, number, contact, now) for number, contact in enumerate(job.contacts(count), 1)
    ]
    connection.execute(sa.insert(schema.contacts), people)


def _contact(workspace: int, number: int, contact: job.Contact, now: int) -> dict[str, Any]:
    profile = {"email": contact.email, "given_name": contact.given_name}
    return {
        "workspace_id": workspace,
        "user_id": contact.user_id,
        "partition": ids.partition_of_subject(workspace, f"contact:{contact.user_id}"),
        "number": number,
        "tenant_id": None,
        "profile": msgspec.json.encode(profile),
        "tags": b"[]",
        "created_at": now,
        "updated_at": now,
    }


def check(base: database.Database, done: Sequence[job.Event], rules: Sequence[bytes]) -> None:
    """Raise Failed unless the rows are those of exactly these events; `rules` are the automations' ids in order."""
    count = sa.func.count()
    run, message, sums = schema.runs.c, schema.messages.c, schema.rule_statistics.c
    questions = {
        "events": (sa.select(count).select_from(schema.events), len(done)),
        "events due": (sa.select(count).select_from(schema.due), 0),
        "decisions": (sa.select(count).select_from(schema.decisions), len(done)),
        "runs": (sa.select(count).select_from(schema.runs), 4 * len(done)),
        "executed runs": (sa.select(count).where(run.outcome == int(runs.Outcome.EXECUTED)), len(done)),
        "accepted messages": (
            sa.select(count).where(message.state == int(messages.State.ACCEPTED)),
            len(done),
        ),
        "messages": (sa.select(count).select_from(schema.messages), len(done)),
        "messages due": (sa.select(count).select_from(schema.send_due), 0),
        "claims": (sa.select(count).select_from(schema.claims), 0),
        "runs counted": (sa.select(sa.func.sum(sums.total)), 4 * len(done)),
        "executions counted": (sa.select(sa.func.sum(sums.executed)), len(done)),
        "runs counted as pending": (sa.select(sa.func.sum(sums.pending)), 0),
    }
    with base.reading() as connection:
        for name, (question, wanted) in questions.items():
            found = connection.execute(question).scalar_one()
            if found != wanted:
                raise sides.Failed(f"{name}: {found} instead of {wanted}")
        matched = sa.select(sums.automation_id, sa.func.sum(sums.matched)).group_by(sums.automation_id)
        found = {
            rules.index(identity) + 1: int(total) for identity, total in connection.execute(matched) if total
        }
    if found != job.expected(done):
        raise sides.Failed("another rule matched than the one that had to")
