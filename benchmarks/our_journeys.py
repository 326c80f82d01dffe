"""Our side of the journeys' benchmark: contacts enter by events, 500 in a request, as applications let them enter.

All settings are the defaults; SQLite in one process, PostgreSQL with two workers beside the process that takes events
in. A journey has come to its end when its run is done: both messages are handed over, and their answers stored.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from benchmarks import job, journeys, observer, our_job, our_journey, sides, sink, tables
from heliograph import app, clock
from heliograph.core import ids, messages, runs
from heliograph.store import schema

_EVENT = "custom.entered"
_STEPS = (
    {"action": "send", "template": our_journey.TEMPLATE, "ref": "first"},
    {"action": "delay", "duration": "1 second"},
    {"action": "send", "template": our_journey.TEMPLATE, "if": "refs.first.status === 'SENT'"},
)


def work(order: sides.Order) -> journeys.Lived:
    """The side's whole work."""
    tables.create(tables.opened(order), clock.WallClock().now(), people=order.jobs)
    application = our_job.opened(order)
    journey = our_journey.make(application, "enter", *_STEPS, trigger={"event_type": _EVENT})
    run = schema.runs.c
    ended = sa.select(sa.func.count()).where(
        run.automation_id == journey.automation_id,
        run.start_key.is_not(None),
        run.status == int(runs.Status.DONE),
    )
    bodies = our_journey.entered([one.user_id for one in job.contacts(order.jobs)], _EVENT)
    line, gone_out = sink.Line(order.sink), [0]

    def is_over() -> bool:
        # The database is asked only when no message goes out any more: counting its rows is no work of an engine.
        gone_out.append(line.seen().lines)
        return gone_out[-1] == gone_out[-2] and _count(application, ended) == order.jobs

    with our_job.at_work(order) as bench:
        bench.hand_in(bodies, is_over)
    line.close()
    lived = _lived(application, journey.automation_id, order.jobs)
    application.close()
    return lived


def _count(application: app.App, query: sa.Select[Any]) -> int:
    with application.store.reading() as connection:
        return int(connection.execute(query).scalar_one())


def _lived(application: app.App, journey_id: bytes, count: int) -> journeys.Lived:
    run, message, event = schema.runs.c, schema.messages.c, schema.events.c
    with application.store.reading() as connection:
        states = list(
            connection.execute(
                sa.select(run.state).where(run.automation_id == journey_id, run.start_key.is_not(None))
            ).scalars()
        )
        first = ids.created_at(
            connection.execute(sa.select(event.id).order_by(event.id).limit(1)).scalar_one()
        )
        sent, last = connection.execute(
            sa.select(sa.func.count(), sa.func.max(message.settled_at)).where(
                message.state == int(messages.State.ACCEPTED)
            )
        ).one()
    if not len(states) * 2 == sent == count * 2:
        raise sides.Failed(f"{count} entered, but there are {len(states)} runs and {sent} messages")
    late = our_journey.lateness(states, 1)
    return journeys.Lived(
        (last - first) / 1e6,
        observer.quantile(late, 0.5),
        observer.quantile(late, 0.99),
        [
            "one process"
            if application.store.is_sqlite
            else f"{our_job.WORKERS} workers and a process for events",
            "contacts enter by events, 500 in a request",
        ],
    )


if __name__ == "__main__":
    sides.answer(sides.Order, work)
