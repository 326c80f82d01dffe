"""Killed at any moment, no item of a batch is lost, and none is in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from heliograph import app
from heliograph.core import batches, journeys, plans, runs
from heliograph.store import database, keys, schema, workspaces
from heliograph.store import journeys as stored
from tests.torture import crew, test_killed

CUSTOMERS = 40
STEPS = [
    {
        "action": "add-to-batch",
        "batch_id": "${`orders-${data.customer}`}",
        "wait_period": "PT2S",
        "max_wait_period": "PT6S",
        "max_items": 25,
        "retain": {"type": "first", "count": 100},
    },
    {
        "action": "send",
        "message": {
            "to": {"email": "${`c${data.customer}@example.com`}"},
            "content": {"title": "${data.batch.count} orders", "body": "Thank you!"},
        },
    },
]

place = test_killed.place


def prepared(store: database.Database) -> str:
    """A workspace with a journey that collects orders; gives an ingest key."""
    store.migrate()
    evaluator = app.sandbox()
    given = {"name": "Orders", "steps": STEPS, "trigger": {"event_type": "custom.order"}}
    definition = journeys.define("orders", given, evaluator)
    evaluator.close()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, workspaces.DEFAULT, test_killed.NOON)
        _, key = keys.create(connection, workspace_id, keys.Role("ingest"), "sender", test_killed.NOON)
        stored.put(connection, workspace_id, None, definition, test_killed.NOON)
    return key


def orders(count: int, size: int) -> list[list[dict[str, Any]]]:
    """So many orders in requests, each with an idempotency key."""
    made: list[dict[str, Any]] = [
        {
            "event_type": "custom.order",
            "contact_id": f"c{number % CUSTOMERS}",
            "idempotency_key": f"order-{number}",
            "payload": {"number": number, "customer": number % CUSTOMERS},
        }
        for number in range(count)
    ]
    return [made[first : first + size] for first in range(0, count, size)]


@pytest.mark.torture_only
@pytest.mark.torture
def test_killed_at_random_each_item_is_in_one_batch(
    place: crew.Place, scale: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    """Processes die while orders are collected: each is in one release, and each release is written of."""
    kills, posted = scale(5, 60), scale(1_000, 6_000)
    with test_killed.opened(place.database_url) as store:
        key = prepared(store)
        ports = [crew.free_port() for _ in range(1 if store.is_sqlite else 2)]
        members = test_killed.hired(place, ports)
        sender = crew.Sender(ports, key, orders(posted, 20))
        try:
            sender.start()

            def progress() -> int:
                return sum(map(len, sender.acknowledged)) + test_killed.count(
                    store,
                    f"SELECT count(*) FROM runs WHERE start_key IS NOT NULL AND status = {int(runs.Status.DONE)}",
                )

            crew.kill_at_random(members, kills, progress, 2 * posted, seed=11)
            crew.until(lambda: not sender.is_alive(), "all orders are acknowledged")
            assert sender.fault is None, sender.fault
            test_killed.finish(store, is_hurried=False)
        finally:
            for member in members:
                member.end()
        released = prove(store, posted)
        assert len(test_killed.copies_of(place.folder / "sink.log")) == released
    record_property("kills", kills)
    record_property("items", posted)
    record_property("batches", released)


def prove(store: database.Database, posted: int) -> int:
    """Each order is in one batch, none of which is too large; gives how many there were."""
    seen: Counter[int] = Counter()
    released = 0
    with store.reading() as connection:
        for state in connection.execute(sa.select(schema.runs.c.state)).scalars():
            for record in runs.read(state):
                if isinstance(record.output, dict) and plans.GAINED in record.output:
                    batch = record.output[plans.GAINED]["batch"]
                    assert batch["count"] == len(batch["items"]) <= 25
                    assert record.output[plans.BATCH]["reason"] != batches.BY_OPERATOR
                    seen.update(item["number"] for item in batch["items"])
                    released += 1
        left = connection.execute(sa.select(sa.func.count()).select_from(schema.batch_items)).scalar_one()
    assert left == 0
    assert seen == Counter(range(posted))
    return released
