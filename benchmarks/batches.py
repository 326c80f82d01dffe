"""How fast runs add to batches, and what a hundred thousand open batches cost those who add to others.

Law: runs begin as an invocation lets them begin, in bulk, and turns are taken as a worker takes them until nothing is
left to do. Ten items fill a batch: what is timed is all of a run's way, from its first step to the batch that its owner
goes on with. Each item must be in exactly one batch.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from benchmarks import results, setting, sides, tables
from heliograph import app, settings
from heliograph.core import effects, ids, journey_starts, journeys, plans, runs
from heliograph.engine import run as moves
from heliograph.engine import turn
from heliograph.store import journeys as stored
from heliograph.store import schema, workspaces

BENCH = "batches"
ITEMS, OPEN = 50_000, 100_000
FEW_ITEMS, FEW_OPEN = 20_000, 20_000
FULL = 10
_AT_ONCE = 2_000
_LOOKS = 200


class Order(msgspec.Struct, frozen=True):
    """What the side is to do."""

    side: sides.Order
    items: int
    open: int


class Made(msgspec.Struct, frozen=True):
    """What it came to."""

    #: How long items took that fill batches of ten: with no other batch, and beside the open ones (s).
    alone: float
    beside: float
    #: How long it took to open the others, one item each (s).
    opening: float
    #: An idle turn beside them (s), and how many bytes the database grew by for each.
    look: float
    bytes: float


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database."""
    items, standing = (FEW_ITEMS, FEW_OPEN) if asked.quick else (ITEMS, OPEN)
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            with setting.empty(asked, kind) as url:
                side = sides.Order(kind, url, "", asked.redis, items, 0, 1)
                made = sides.ask("benchmarks.batches", Order(side, items, standing), Made)
            yield results.alone(f"{BENCH} of ten, joined and released", kind, items / made.alone, "items/s")
            yield results.alone(f"{BENCH} opened", kind, standing / made.opening, "batches/s")
            yield results.alone(f"the same beside {standing:,} open", kind, items / made.beside, "items/s")
            yield results.alone(f"an idle turn beside {standing:,} open", kind, made.look * 1e6, "µs")
            yield results.alone("an open batch with its run", kind, made.bytes, "bytes")
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Made:
    """Let runs add to batches: alone, to as many batches as there are to be open, and beside these."""
    tables.opened(order.side).migrate()
    application = app.App(settings.load({}, database_url=tables.opened(order.side).url), ways={})
    journey = _prepare(application)
    session = application.session()
    turns = application.turns(session)
    alone = _timed(application, session, turns, journey, _filling(order.items, "alone"))
    before = _size(application)
    opening = _timed(application, session, turns, journey, _opening(order.open))
    grown = _size(application) - before
    beside = _timed(application, session, turns, journey, _filling(order.items, "beside"))
    began = time.perf_counter()
    for _ in range(_LOOKS):
        turns.take()
    look = (time.perf_counter() - began) / _LOOKS
    _check(application, order)
    application.close()
    return Made(alone, beside, opening, look, grown / order.open)


STEPS = [
    {
        "action": "add-to-batch",
        "batch_id": {"$ref": "data.of"},
        "wait_period": "P30D",
        "max_wait_period": "P60D",
        "max_items": FULL,
        "retain": {"type": "last", "count": FULL},
    }
]


def _prepare(application: app.App) -> journeys.Journey:
    now = application.clock.now()
    definition = journeys.define("collect", {"name": "Collect", "steps": STEPS}, application.sandbox)
    with application.store.writing() as connection:
        workspaces.ensure(connection, workspaces.DEFAULT, now)
        stored.put(connection, tables.WORKSPACE, None, definition, now)
    with application.store.reading() as connection:
        found = stored.find(connection, tables.WORKSPACE, None, "collect")
    assert found is not None
    return journeys.Journey(found.id, found.version, found.definition)


def _filling(items: int, name: str) -> Iterator[dict[str, Any]]:
    """Items of ten to a batch, which come in turns: no batch has two in a row."""
    count = items // FULL
    for number in range(items):
        yield {"of": f"{name}-{number % count}", "n": number, "text": "what somebody said about it"}


def _opening(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"of": f"open-{number}", "n": number, "text": "what somebody said about it"}


def _timed(
    application: app.App,
    session: Any,
    turns: turn.Turns,
    journey: journeys.Journey,
    given: Iterable[Any],
) -> float:
    portion: list[Any] = []
    seconds = 0.0
    for data in given:
        portion.append(data)
        if len(portion) == _AT_ONCE:
            seconds += _portion(application, session, turns, journey, portion)
            portion = []
    return seconds + _portion(application, session, turns, journey, portion)


def _portion(
    application: app.App, session: Any, turns: turn.Turns, journey: journeys.Journey, portion: list[Any]
) -> float:
    """Let these begin, and take turns until nothing is left; how long the turns took."""
    launches = [_launch(application, journey, data) for data in portion]
    with session.transaction() as connection:
        session.hot.start(connection, launches)
    began = time.perf_counter()
    while (report := turns.take()).more or report.inputs:
        pass
    return time.perf_counter() - began


def _launch(application: app.App, journey: journeys.Journey, data: dict[str, Any]) -> Any:
    now, partition = application.clock.now(), secrets.randbelow(ids.PARTITIONS)
    body = journey_starts.Body(("invoke/collect",), data, journey="collect")
    effect = effects.Start(
        effects.Door.JOURNEY,
        journey.automation_id,
        journey.version,
        None,
        None,
        None,
        msgspec.to_builtins(body),
    )
    identity = ids.mint(now, secrets.randbits(ids.COUNTER_BITS), partition, secrets.randbits(36))
    return moves.launch(tables.WORKSPACE, identity, None, effect, now)


def _size(application: app.App) -> int:
    with application.store.reading() as connection:
        if application.store.is_sqlite:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def _check(application: app.App, order: Order) -> None:
    seen = []
    with application.store.reading() as connection:
        for state in connection.execute(sa.select(schema.runs.c.state)).scalars():
            for record in runs.read(state):
                gained = (record.output or {}).get(plans.GAINED, {}).get("batch", {"items": []})
                seen += [(item["of"], item["n"]) for item in gained["items"]]
        standing = connection.execute(sa.select(sa.func.count()).select_from(schema.batches)).scalar_one()
        items = connection.execute(sa.select(sa.func.count()).select_from(schema.batch_items)).scalar_one()
    if not len(seen) == len(set(seen)) == 2 * order.items or not standing == items == order.open:
        raise sides.Failed(
            f"{len(seen)} items released of {2 * order.items}; {standing} batches with {items} items open"
        )


if __name__ == "__main__":
    sides.answer(Order, work)
