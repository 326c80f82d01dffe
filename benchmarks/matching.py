"""How fast events meet very many rules: deciding alone, and end to end with a run for every rule that was considered.

Law: two loads, of rules that differ in the value that a field must equal: 1,000 rules of one type of events, and 10,000
over a hundred types. Deciding is compared with asking each rule after the other, by the plain definition of our
conditions and by well-known engines in Rust, Python and JavaScript, in whose events fields are missing or of another
type. An index makes deciding cheap and takes no row away: end to end each event
leaves a run for each rule of its type (rules.md E13), and that is what it costs. Every answer is checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from benchmarks import matching_rules, results, setting, sides, tables
from benchmarks.peers import libraries
from heliograph import app, clock, settings
from heliograph.core import conditions, rules
from heliograph.store import automations, schema

BENCH = "matching"
IN_MEMORY = "none"
"""What stands in the place of a database where none is used."""
_ONE_BY_ONE = "one rule after the other"
_BODY = 500


class Load(NamedTuple):
    """So many rules over so many types of events, and how many events meet them."""

    name: str
    rules: int
    types: int
    decided: int
    events: int
    few: int

    @property
    def each(self) -> int:
        """Rules of one type."""
        return self.rules // self.types


LOADS = (
    Load("1,000 rules of one type", 1_000, 1, 20_000, 5_000, 300),
    Load("10,000 rules of 100 types", 10_000, 100, 50_000, 20_000, 2_000),
)
_SLOW_EVENTS = 40
"""So many events tell enough of whoever asks each rule."""


class Order(msgspec.Struct, frozen=True):
    """What our side is to do; on no database it decides alone."""

    side: sides.Order | None
    rules: int
    types: int
    events: int


class Decided(msgspec.Struct, frozen=True):
    """How long things took (s)."""

    seconds: float
    making: float = 0.0
    plain: float = 0.0
    """Each event against each rule by the plain definition, an event."""


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure deciding, and the whole on every database."""
    steps = asked.progress.add_task(BENCH, total=len(LOADS) * (1 + len(asked.databases)))
    for load in LOADS:
        asked.progress.update(steps, description=f"{BENCH}: {load.name}")
        try:
            yield from _deciding(asked, load)
            asked.progress.advance(steps)
            # Storing ten thousand rules takes longer than a quick run is given.
            for kind in asked.databases if load is LOADS[0] or not asked.quick else ():
                events = load.few if asked.quick else load.events
                with setting.empty(asked, kind) as url:
                    side = sides.Order(kind, url, "", asked.redis, events, 0, 1)
                    order = Order(side, load.rules, load.types, events)
                    done = sides.ask("benchmarks.matching", order, Decided)
                yield results.alone(f"{BENCH}: {load.name}", kind, events / done.seconds, "events/s")
                runs = events * load.each / done.seconds
                yield results.alone(f"{BENCH}: {load.name}, runs", kind, runs, "runs/s")
                asked.progress.advance(steps)
        except sides.Failed as fault:
            asked.refuse(f"{BENCH}, {load.name}: {fault}")


def _deciding(asked: setting.Setting, load: Load) -> Iterator[results.Row]:
    bench = f"{BENCH}: {load.name}, deciding"
    done = sides.ask("benchmarks.matching", Order(None, load.rules, load.types, load.decided), Decided)
    ours = load.decided / done.seconds
    yield results.row(bench, IN_MEMORY, ours, "events/s", _ONE_BY_ONE, 1 / done.plain)
    yield results.alone(
        f"{bench}, making the functions", IN_MEMORY, done.making * 1e6 / load.rules, "µs/rule"
    )
    for library in libraries.LIBRARIES:
        try:
            order = libraries.Order(library, load.each, _SLOW_EVENTS)
            judged = sides.ask("benchmarks.peers.libraries", order, libraries.Judged, sides.PEERS_PYTHON)
        except sides.Failed as fault:
            asked.refuse(f"{library}: {fault}")
            continue
        yield results.row(
            bench, IN_MEMORY, ours, "events/s", f"{library} {judged.version}", _SLOW_EVENTS / judged.seconds
        )


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Decided:
    """Decide, alone or as the whole engine does."""
    return _alone(order) if order.side is None else asyncio.run(_whole(order, order.side))


def _type(number: int) -> str:
    return f"custom.t{number:03d}"


def _alone(order: Order) -> Decided:
    each = order.rules // order.types
    parsed = [conditions.parse(matching_rules.conditions(number)) for number in range(each)]
    began = time.perf_counter()
    judges = [conditions.compile_judge(parsed) for _ in range(order.types)]
    making = time.perf_counter() - began
    payloads = matching_rules.payloads(order.events, each)
    met = [
        conditions.Facts(_type(number % order.types), "api", None, payload, None, None, None)
        for number, payload in enumerate(payloads)
    ]
    began = time.perf_counter()
    for number, facts in enumerate(met):
        judges[number % order.types](facts)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    plain = [[conditions.holds(one, facts) for one in parsed] for facts in met[:_SLOW_EVENTS]]
    asked = (time.perf_counter() - began) / _SLOW_EVENTS
    wanted = [
        [matching_rules.matches(payload, n) for n in range(each)] for payload in payloads[:_SLOW_EVENTS]
    ]
    ours = [
        [failing is None for failing in judges[number % order.types](facts)]
        for number, facts in enumerate(met[:_SLOW_EVENTS])
    ]
    if not plain == ours == wanted:
        raise sides.Failed("another rule matched than the one that had to")
    return Decided(seconds, making, asked)


async def _whole(order: Order, side: sides.Order) -> Decided:
    base, now = tables.opened(side), clock.WallClock().now()
    tables.create(base, now)
    each = order.rules // order.types
    with base.writing() as connection:
        for number in range(order.rules):
            kind, place = divmod(number, each)
            given = {
                "name": f"Rule {number}",
                "trigger_type": _type(kind),
                "conditions": matching_rules.conditions(place),
                "actions": [{"type": "add_tags", "tags": ["seen"], "target": "contact"}],
            }
            automations.create_rule(connection, tables.WORKSPACE, None, rules.define(given), now, None)
    application = app.App(settings.load({}, database_url=base.url), ways={})
    payloads = matching_rules.payloads(order.events, each)
    events: list[dict[str, object]] = [
        {"event_type": _type(n % order.types), "contact_id": f"c-{n % 5_000:05d}", "payload": payload}
        for n, payload in enumerate(payloads)
    ]
    # The first events let the functions be made, as they are once after each change of a rule.
    warm = events[: order.types]
    await _accept(application, warm)
    turns = application.turns(application.session())
    while turns.take().inputs:
        pass
    await _accept(application, events)
    began = time.perf_counter()
    while (report := turns.take()).inputs or report.more:
        pass
    seconds = time.perf_counter() - began
    run = schema.runs.c
    with base.reading() as connection:
        made = connection.execute(sa.select(sa.func.count()).select_from(schema.runs)).scalar_one()
        matched = connection.execute(sa.select(sa.func.count()).where(run.outcome == 2)).scalar_one()
    done = [*payloads[: order.types], *payloads]
    meant = ((one, matching_rules.meant(one)) for one in done)
    wanted = sum(matching_rules.matches(one, number) for one, number in meant if number is not None)
    application.close()
    base.close()
    if (made, matched) != (len(done) * each, wanted):
        raise sides.Failed(
            f"{made} runs, {matched} of them matched, instead of {len(done) * each} and {wanted}"
        )
    return Decided(seconds)


async def _accept(application: app.App, events: list[dict[str, object]]) -> None:
    for first in range(0, len(events), _BODY):
        body = msgspec.json.encode(events[first : first + _BODY])
        batch = application.ingest.read(body, "application/json", tables.WORKSPACE, None)
        await application.ingest.accept(batch)


if __name__ == "__main__":
    sides.answer(Order, work)
