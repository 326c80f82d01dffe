"""How fast a campaign makes its jobs, how much memory that takes, and what the walk costs whoever writes a profile.

Law: people are taken in as `heliograph import` takes them in, a campaign to everybody is activated as the API does it,
and turns are taken as a worker takes them, at their own pace, until every person has a job in line. Nothing is handed
over meanwhile: what follows is measured as the engine's job. Every person must have exactly one job.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from benchmarks import results, setting, sides, tables, turns
from heliograph import app, settings
from heliograph.core import campaigns, communication_groups, ids, segments
from heliograph.store import campaigns as stored_campaigns
from heliograph.store import communication_groups as stored_groups
from heliograph.store import imports, schema, workspaces
from heliograph.store import segments as stored_segments

BENCH = "campaign"
PEOPLE, FEW = 1_000_000, 50_000
_AT_ONCE = 5_000


class Order(msgspec.Struct, frozen=True):
    """What the side is to do."""

    side: sides.Order
    people: int


class Made(msgspec.Struct, frozen=True):
    """What it came to."""

    #: How long taking in the people took, and making their jobs (s).
    importing: float
    making: float
    #: The longest turn, and the most processor time of one (s).
    longest: float
    busiest: float
    #: The most memory that the process held before the campaign began, and at its end (MB).
    before: float
    after: float
    jobs: int


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database."""
    people = FEW if asked.quick else PEOPLE
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            with setting.empty(asked, kind) as url:
                side = sides.Order(kind, url, "", asked.redis, people, 0, 1)
                made = sides.ask("benchmarks.campaign", Order(side, people), Made)
            yield from _rows(kind, people, made)
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


def _rows(kind: sides.Database, people: int, made: Made) -> Iterator[results.Row]:
    yield results.alone(f"{BENCH} to {people:,}", kind, people / made.making, "jobs/s")
    yield results.alone(f"{BENCH} longest turn", kind, made.longest * 1000, "ms")
    yield results.alone(f"{BENCH} longest turn's own work", kind, made.busiest * 1000, "ms")
    yield results.alone(f"{BENCH} memory, more than before", kind, made.after - made.before, "MB")
    yield results.alone(f"{BENCH} people taken in", kind, people / made.importing, "profiles/s")


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Made:
    """Take in the people, and let a campaign run until all of them have a job."""
    tables.opened(order.side).migrate()
    application = app.App(settings.load({}, database_url=tables.opened(order.side).url), ways={})
    importing = _take_in(application, order.people)
    _activate(application)
    before = _memory()
    taken = turns.taken(application)
    made = Made(importing, taken.seconds, taken.longest, taken.busiest, before, _memory(), order.people)
    _check(application, order.people)
    application.close()
    return made


def _take_in(application: app.App, count: int) -> float:
    with application.store.writing() as connection:
        workspaces.ensure(connection, workspaces.DEFAULT, application.clock.now())
    session = application.session()
    began = time.perf_counter()
    for first in range(0, count, _AT_ONCE):
        people = {_name(number): _profile(number) for number in range(first, min(first + _AT_ONCE, count))}
        imports.merge_profiles(session, tables.WORKSPACE, people, application.clock.now())
    return time.perf_counter() - began


def _name(number: int) -> str:
    """Ids in no order, as those of applications are."""
    return f"user-{number * 2_654_435_761 % 2**32:08x}"


def _profile(number: int) -> dict[str, object]:
    return {
        "email": f"person{number}@example.com",
        "given_name": f"Person {number}",
        "plan": "pro" if number % 5 == 0 else "free",
        "loyalty": {"points": number % 1_000},
        "city": "Berlin",
    }


def _activate(application: app.App) -> None:
    now, workspace = application.clock.now(), tables.WORKSPACE
    with application.store.writing() as connection:
        everybody = stored_segments.create(connection, workspace, None, _segment("greater_than", -1), now)
        nobody = stored_segments.create(connection, workspace, None, _segment("greater_than", 1_000), now)
        group = stored_groups.create(connection, workspace, None, communication_groups.define(_GROUP), now)
        made = stored_campaigns.create(
            connection,
            workspace,
            None,
            campaigns.define(
                {
                    "name": "Everybody",
                    "include_segments": [_text(everybody)],
                    "exclude_segments": [_text(nobody)],
                    "action_data": [
                        {
                            "action_type": campaigns.SEND,
                            "action_metadata": {"communication_group_id": group.id},
                        }
                    ],
                }
            ),
            now,
        )
    given = {"status": "active"}
    stored_campaigns.change(application.store, workspace, None, made.id, given, now, application.lock_window)


_GROUP = {
    "name": "News",
    "email": {"subject": "News for {{ first_name }}", "text_body": "Dear {{ contact.given_name }} …"},
}


def _segment(operator: str, points: int) -> segments.Definition:
    conditions = [
        {"field": "loyalty.points", "operator": operator, "value": points},
        {"field": "city", "operator": "equals", "value": "Berlin"},
    ]
    return segments.define({"name": "Some", "conditions": conditions})


def _text(segment: stored_segments.Segment) -> str:
    return ids.text(segment.id)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _check(application: app.App, people: int) -> None:
    message = schema.messages.c
    with application.store.reading() as connection:
        jobs, persons = connection.execute(
            sa.select(sa.func.count(), sa.func.count(message.contact_id.distinct())).select_from(
                schema.messages
            )
        ).one()
        in_line = connection.execute(sa.select(sa.func.count()).select_from(schema.send_due)).scalar_one()
    if not jobs == persons == in_line == people:
        raise sides.Failed(f"{people} people, but {jobs} jobs for {persons} of them, {in_line} in line")


if __name__ == "__main__":
    sides.answer(Order, work)
