"""`verify deliveries` of what `/send` was asked: each recipient has what is for them, once."""

from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph import testing
from heliograph.core import effects, ids
from heliograph.core import requests as core_requests
from heliograph.store import request_rows, requests, schema
from tests.cli import program

_MESSAGES = schema.messages.c


def send(world: testing.World, to: Any, **said: Any) -> bytes:
    """A request that was taken in; its id."""
    message = {"to": to, "content": {"title": "Hello", "body": "Hello"}, **said}
    asked = core_requests.read({"message": message})[0]
    now = world.clock.move(1_000)
    partition = 0 if asked.subject is None else ids.partition_of_subject(world.workspace_id, asked.subject)
    identity = ids.mint(now, 0, partition, 1)
    due_at = now + (asked.delay.duration or 0) * 1000
    row = request_rows.Request(
        world.workspace_id,
        identity,
        partition,
        None,
        msgspec.json.encode(asked),
        due_at,
        None,
        None,
        None,
        None,
    )
    with world.app.store.writing() as connection:
        return requests.put(connection, row)


def test_the_recipients_of_requests_are_proved(house: str, tell: program.Tell) -> None:
    """One, several, by all channels, lists, an audience, what waits and what was canceled; each break is found."""
    with testing.World(house) as world:
        for name in ("ana", "ben"):
            world.contact(name, email=f"{name}@example.com")
        world.subscribe("news", "ana", "ben")
        one = send(world, {"user_id": "ana"})
        several = send(world, [{"user_id": "ana"}, {"email": "eve@example.com"}, {"list_id": "news"}])
        both = {"routing": {"method": "all", "channels": ["email", "sms"]}}
        send(world, [{"user_id": "ben", "phone_number": "+15550001111"}, {"user_id": "gone"}], **both)
        later = {"delay": {"duration": 3_600_000}}
        waiting = send(world, {"list_id": "news"}, **later)
        canceled = send(world, [{"user_id": "ana"}, {"list_id": "news"}], **later)
        with world.app.store.writing() as connection:
            assert requests.cancel(connection, world.workspace_id, canceled, world.clock.now(), "canceled")
        told = tell("verify", "deliveries")
        assert told.code == 0, told.out + told.err
        world.run_until_idle()
        told = tell("verify", "deliveries")
        assert told.code == 0, told.out + told.err
        assert "5 requests asked for the others" in told.out

        rows = [sent.row for sent in world.ledger()]
        job = next(row for row in rows if row.request_id == several and row.automation_id is not None)
        eve = next(row for row in rows if row.request_id == several and row.visit == 1)
        alone = next(row for row in rows if row.id == one)

        def without(row: Any) -> sa.Delete:
            return sa.delete(schema.messages).where(_MESSAGES.id == row.id)

        def more(row: Any, **changed: Any) -> sa.Insert:
            return sa.insert(schema.messages).values({**row._asdict(), **changed})

        beside = ids.head(ids.created_at(eve.id)) + ids.foot(99, eve.partition, 99)
        timers = schema.timers.c
        broken: list[tuple[str, bytes, list[Any]]] = [
            ("its recipient 1 has no message", one, [without(alone)]),
            ("its recipient 2 has no message", several, [without(eve)]),
            ("its recipient 2 has the same message (1) twice", several, [more(eve, id=beside)]),
            (
                "a message for a recipient (8) that it has not asked for",
                several,
                [more(eve, id=beside, visit=7)],
            ),
            (
                "a message for a recipient (3) that it has not asked for",
                several,
                [more(eve, id=beside, visit=2)],
            ),
            ("1 jobs were counted, 0 are there", job.automation_id or b"", [without(job)]),
            (
                "its recipient 1 has no message",
                waiting,
                [sa.delete(schema.timers).where(timers.kind == effects.Timer.REQUEST, timers.id == waiting)],
            ),
        ]
        for what, identity, statements in broken:
            with world.app.store.writing() as connection:
                for statement in statements:
                    connection.execute(statement)
            told = tell("verify", "deliveries")
            assert (told.code, what in told.out, ids.text(identity) in told.out) == (1, True, True), told.out
            with world.app.store.writing() as connection:
                connection.execute(sa.delete(schema.messages).where(_MESSAGES.id == beside))
                for row in (alone, eve, job):
                    connection.execute(without(row))
                    connection.execute(more(row))
