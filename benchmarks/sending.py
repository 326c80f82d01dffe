"""`POST /send` to a list: when the first message is handed over, how many a second follow, and in how much memory.

Law: seen from outside, by one clock; the server is the real one, renders an MJML template with Liquid for each person,
and speaks real SMTP to a mail server in another process. A send is done when every subscriber's message has arrived,
and counted only where each has exactly one and the ledger calls all of them accepted. A list of a thousand goes
first, as often as the process's caches of the database need to be full: what the largest process held by then is
what a send to few needs, and what it holds more after a send to many, that send needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple
from urllib import request

import msgspec
import sqlalchemy as sa
import uvloop

from benchmarks import house, mailbox, results, setting, sides, tables, templates
from heliograph import clock
from heliograph.core import message_templates, messages, rules
from heliograph.store import database, lists, schema
from heliograph.store import templates as stored_templates

BENCH = "sending"
FEW = 1_000
OFTEN_QUICK, OFTEN = 5, 50
"""How often the list of few is sent to: SQLite's cache of the file is full after 40,000 messages or so."""
QUICK, USUAL, FULL = 5_000, 50_000, 1_000_000
_AT_ONCE = 10_000
_STALLED = 60.0
"""Seconds without any message after which a send is said to stand still."""


class Arrived(NamedTuple):
    """When the messages of one send came, by `time.perf_counter`."""

    first: float
    last: float
    messages: int
    people: int


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database."""
    people = QUICK if asked.quick else FULL if asked.full else USUAL
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            yield from _measured(asked, kind, people, OFTEN_QUICK if asked.quick else OFTEN)
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


def _measured(asked: setting.Setting, kind: sides.Database, people: int, often: int) -> Iterator[results.Row]:
    with sides.beside(_serve) as counter, house.opened(asked, kind, counter.recv()) as server:
        _fill(server.base, people)
        for _ in range(often):
            _sent(counter, server, "few", FEW)
        before = server.largest()
        began, arrived = _sent(counter, server, "many", people)
        _check(server.base, FEW * often + people)
        rate = people / (arrived.last - began)
        yield results.alone(f"{BENCH} of {people:,}", kind, rate, "e-mails/s")
        yield results.alone(f"{BENCH}, the first after", kind, arrived.first - began, "s")
        yield results.alone(f"{BENCH}, memory for {often} times {FEW:,}", kind, before, "MB")
        yield results.alone(f"{BENCH}, memory for {people:,}", kind, server.largest(), "MB")


def _sent(counter: Connection, server: house.House, list_id: str, people: int) -> tuple[float, Arrived]:
    """Send to a list; gives when that was asked for, and when its messages came."""
    counter.send(people)
    body = {"message": {"to": {"list_id": list_id}, "template": "order", "data": _DATA}}
    host, port = server.address
    asked = request.Request(
        f"http://{host}:{port}/send",
        msgspec.json.encode(body),
        {"Authorization": f"Bearer {server.keys[0]}", "Content-Type": "application/json"},
    )
    began = time.perf_counter()
    with request.urlopen(asked, timeout=30) as answer:
        answer.read()
    arrived = counter.recv()
    if isinstance(arrived, str):
        raise sides.Failed(arrived)
    if arrived.messages != people or arrived.people != people:
        raise sides.Failed(f"{arrived.messages} messages came to {arrived.people} people instead of {people}")
    server.idle()
    return began, arrived


_DATA = {
    "order": "A-1",
    "gift": True,
    "items": [{"name": f"Tea {number}", "price": f"{number}.50"} for number in range(3)],
}


# ── what there is to send ───────────────────────────────────────────────────────────────────────────


def _fill(base: database.Database, people: int) -> None:
    """People with a number in their names, on the list of many, the first of them on that of few; and the template."""
    now = clock.WallClock().now()
    given = {"subject": "Order {{ data.order }}", "text": templates.TEXT, "mjml": templates.MJML}
    with base.writing() as connection:
        said = message_templates.check(given).said
        stored_templates.put(connection, tables.WORKSPACE, "order", said, now, None)
    for first in range(0, people, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, people))
        with base.writing() as connection:
            connection.execute(sa.insert(schema.contacts), [_contact(number, now) for number in numbers])
        wishes = [lists.Wish("many", _name(number), None) for number in numbers]
        wishes += [lists.Wish("few", _name(number), None) for number in numbers if number < FEW]
        lists.subscribe(base, tables.WORKSPACE, None, wishes, now)


def _name(number: int) -> str:
    return f"reader-{number * 2_654_435_761 % 2**32:08x}"


def _contact(number: int, now: int) -> dict[str, object]:
    profile = {
        "email": f"reader{number}@example.com",
        # By which the mail server knows whose it is.
        "given_name": f"order-{number:09d}",
        "city": "Rome",
    }
    return {
        "workspace_id": tables.WORKSPACE,
        "user_id": _name(number),
        "partition": rules.partition_of_person(tables.WORKSPACE, _name(number)),
        "number": 10_000_000 + number,
        "tenant_id": None,
        "profile": msgspec.json.encode(profile),
        "tags": b"[]",
        "created_at": now,
        "updated_at": now,
    }


def _check(base: database.Database, wanted: int) -> None:
    count = sa.select(sa.func.count()).select_from(schema.messages)
    with base.reading() as connection:
        accepted = connection.execute(
            count.where(schema.messages.c.state == int(messages.State.ACCEPTED))
        ).scalar_one()
    if accepted != wanted:
        raise sides.Failed(f"the ledger calls {accepted} messages accepted instead of {wanted}")


# ── the mail server ─────────────────────────────────────────────────────────────────────────────────


def _serve(pipe: Connection) -> None:
    """It says its port, takes how many messages are to come, and says when they did."""
    uvloop.run(_served(pipe))


async def _served(pipe: Connection) -> None:
    numbers: list[int] = []
    times: list[float] = []

    def received(number: int) -> None:
        numbers.append(number)
        times.append(time.perf_counter())

    async with await mailbox.opened(received) as server:
        pipe.send(mailbox.port_of(server))
        loop = asyncio.get_running_loop()
        while True:
            try:
                wanted = await loop.run_in_executor(None, pipe.recv)
            except EOFError:
                return
            numbers.clear()
            times.clear()
            seen, since = -1, time.perf_counter()
            while len(numbers) < wanted and time.perf_counter() - since < _STALLED:
                if len(numbers) != seen:
                    seen, since = len(numbers), time.perf_counter()
                await asyncio.sleep(0.05)
            if len(numbers) < wanted:
                pipe.send(f"{len(numbers)} messages came of {wanted}, then no more")
            else:
                pipe.send(Arrived(times[0], times[-1], len(numbers), len(set(numbers))))
