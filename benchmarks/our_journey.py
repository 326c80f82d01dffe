"""A journey for the benchmarks that wait: made as the API makes it, its runs as every door starts them.

Law: runs go through the one insert by which all runs begin, in bulk; a run that waits stands as a turn leaves it,
in the first step of its journey, with its timer at the time at which it goes on.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from benchmarks import job, tables
from heliograph import app
from heliograph.core import ids, journey_starts, journeys, plans, runs, schedule
from heliograph.engine import run
from heliograph.store import journeys as stored_journeys
from heliograph.store import rows, templates

TEMPLATE = "reminder"
_AT_ONCE = 5_000


def make(application: app.App, identity: str, *steps: Mapping[str, Any], **more: Any) -> journeys.Journey:
    """Store a journey of these steps, and the template that its sends are for."""
    now = application.clock.now()
    definition = journeys.define(
        identity, {"name": identity, "steps": list(steps), **more}, application.sandbox
    )
    content = {"subject": "About {{ data.order }}", "text": "Hello {{ contact.given_name }}, thank you."}
    with application.store.writing() as connection:
        templates.put(connection, tables.WORKSPACE, TEMPLATE, content, now)
        made = stored_journeys.put(connection, tables.WORKSPACE, None, definition, now)
    return journeys.Journey(made.id, made.version, made.definition)


def waiting(
    application: app.App,
    journey: journeys.Journey,
    wakes_at: Sequence[int],
    contacts: int = job.CONTACTS,
) -> None:
    """Runs of this journey that wait in its first step until these instants (µs), for one contact after the other."""
    session, now = application.session(), application.clock.now()
    begins = [
        journey_starts.of_template(
            journey, {"recipient": _contact(number), "data": {"order": number}}, application.sandbox, now
        )
        for number in range(min(contacts, len(wakes_at)))
    ]
    partitions = [
        ids.partition_of_subject(tables.WORKSPACE, f"contact:{_contact(number)}")
        for number in range(len(begins))
    ]
    for first in range(0, len(wakes_at), _AT_ONCE):
        launches = [
            _waits(begins[number % len(begins)], partitions[number % len(begins)], now, number, at)
            for number, at in enumerate(wakes_at[first : first + _AT_ONCE], first)
        ]
        with session.transaction() as connection:
            session.hot.start(connection, launches)


def _contact(number: int) -> str:
    return f"c-{number:05d}"


def _waits(begin: Any, partition: int, now: int, number: int, at: int) -> rows.Launch:
    identity = ids.mint(now, number % (1 << ids.COUNTER_BITS), partition, secrets.randbits(36))
    made = run.launch(tables.WORKSPACE, identity, None, begin, at)
    record = runs.Record(
        int(plans.Status.PENDING), now, output={plans.WAKES_AT: schedule.write_instant(at)}, asked=1
    )
    return made._replace(run=made.run._replace(state=runs.write((record,))))


def spread(first: int, last: int, count: int) -> list[int]:
    """So many instants between two, drawn at random but the same each time."""
    draw = random.Random(count)
    return [draw.randrange(first, last) for _ in range(count)]


def lateness(states: Iterable[bytes | str], visit: int) -> list[float]:
    """How long (s) after the end of the wait in step `visit` each of these runs took its next step."""
    late = []
    for state in states:
        records = runs.read(state)
        due = schedule.parse_instant(records[visit].output[plans.WAKES_AT], plans.WAKES_AT)
        late.append((records[visit + 1].started_at - due) / 1e6)
    return late


def entered(contacts: Iterable[str], event_type: str) -> list[bytes]:
    """The bodies of requests that let each of these contacts enter, 500 events in each."""
    made = [
        msgspec.json.encode({"event_type": event_type, "contact_id": contact, "payload": {"order": contact}})
        for contact in contacts
    ]
    return [b"[%b]" % b",".join(made[n : n + 500]) for n in range(0, len(made), 500)]
