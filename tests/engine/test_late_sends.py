"""What was due for longer than the misfire grace is held (E33), by whatever way it comes to its people."""

from collections.abc import Callable

import msgspec
import pytest

from heliograph import testing
from heliograph.core import bulk, ids, messages
from heliograph.store import bulk as stored_bulk
from heliograph.store import bulk_rows, delivery_proof, held
from tests import tables
from tests.cli.test_verifying_requests import send
from tests.engine import acts

HOUR = 3_600_000_000
PEOPLE = [f"u{number}" for number in range(30)]
ADDRESSES = sorted(f"{name}@example.com" for name in PEOPLE)
AT_NIGHT = [{"start": "20:00", "end": "10:00"}]
"""A World begins at midnight."""


def _several(world: testing.World) -> None:
    send(world, [{"user_id": name} for name in PEOPLE])


def _list(world: testing.World) -> None:
    send(world, {"list_id": "news"})


def _pattern(world: testing.World) -> None:
    send(world, {"list_pattern": "*"})


def _bulk(world: testing.World) -> None:
    message = {"event": "hello", "content": {"title": "Hello", "body": "Hello"}}
    made, now = bulk.define({"message": message}), world.clock.now()
    users, _ = bulk.users({"users": [{"recipient": name} for name in PEOPLE]})
    job = bulk_rows.Job(
        *(world.workspace_id, ids.mint(now, 1, 7, 1), 7, None),
        *(msgspec.json.encode(made.definition), msgspec.json.encode(made.said)),
        *(int(bulk.State.CREATED), 0, 0, 0, 0),
        error=None,
    )
    with world.app.store.writing() as connection:
        stored_bulk.create(connection, job)
        assert stored_bulk.add(connection, job, users)
        stored_bulk.run(connection, job, now)


def _campaign(world: testing.World) -> None:
    world.campaign(group=world.communication_group(subject="Hello", text_body="Hello"))


def _send_list(world: testing.World) -> None:
    world.template("hello", subject="Hello", text="Hello")
    world.invoke(None, {"action": "send-list", "list": "news", "template": "hello"})


def _asking_for_each(world: testing.World) -> None:
    world.template("hello", subject="Hello", text="Hello")
    world.calls.answer = testing.answering({"points": 4})
    source = {"webhook": {"url": "https://shop.example/points"}, "merge_strategy": "overwrite"}
    world.invoke(None, {"action": "send-list", "list": "news", "template": "hello", "data_source": source})


def _peopled(world: testing.World) -> None:
    for name in PEOPLE:
        world.contact(name, email=f"{name}@example.com")
    world.subscribe("news", *PEOPLE)
    world.run_until_idle()


def _received(world: testing.World) -> list[str]:
    return sorted(mail.recipient for mail in world.mailbox.received)


def _release(world: testing.World) -> int:
    with world.app.store.writing() as connection:
        found = [one.id for one in held.listed(connection, world.workspace_id, 1000)]
        return held.release(connection, world.workspace_id, found, world.clock.now())


@pytest.mark.parametrize("ask", [_several, _list, _pattern, _bulk])
def test_what_was_asked_for_too_long_ago_is_held_for_everybody(
    world: testing.World, ask: Callable[[testing.World], None]
) -> None:
    """A request to many that nobody saw to for more than a day writes to none of them before an operator's word."""
    _peopled(world)
    ask(world)
    world.clock.move(25 * HOUR)
    world.run_until_idle()
    world.pass_time(days=3)
    assert _received(world) == []
    assert _release(world) == len(PEOPLE)
    world.run_until_idle()
    assert _received(world) == ADDRESSES


@pytest.mark.parametrize("ask", [_several, _list, _pattern, _bulk])
def test_what_is_late_within_the_grace_goes_to_everybody(
    world: testing.World, ask: Callable[[testing.World], None]
) -> None:
    """A standstill of less than a day delays a request to many, and no more."""
    _peopled(world)
    ask(world)
    world.clock.move(23 * HOUR)
    world.run_until_idle()
    assert _received(world) == ADDRESSES


@pytest.mark.parametrize("ask", [_list, _bulk, _campaign, _send_list, _asking_for_each])
def test_what_stood_still_on_its_way_to_many_is_held(
    world: testing.World, ask: Callable[[testing.World], None]
) -> None:
    """Of a walk that stood still for more than a day nobody is written to by itself whom it had not come to."""
    _peopled(world)
    acts.sized(world.turns, 2)
    ask(world)
    while not _met(world):
        assert world.turns.take().inputs
    assert _met(world) < len(PEOPLE)
    world.clock.move(25 * HOUR)
    world.run_until_idle()
    world.pass_time(days=3)
    assert _received(world) == []
    while _release(world):
        world.run_until_idle()
    assert _received(world) == ADDRESSES


def _met(world: testing.World) -> int:
    """How many people the walk has come to."""
    found = tables.content(world.app.store)
    asked = [row for row in found["bulk_users"] if row["request_id"] is not None]
    started = [row for row in found["starts"] if row["contact_id"] is not None]
    return len(asked) + len(found["messages"]) + len(started)


def test_quiet_hours_let_nothing_pass_that_is_too_late(world: testing.World) -> None:
    """What is too late is held at night too, where waiting for the morning would have let it go unasked."""
    _peopled(world)
    world.sending_policy(quiet_hours=AT_NIGHT)
    _several(world)
    world.clock.move(25 * HOUR)
    world.run_until_idle()
    world.pass_time(days=3)
    assert _received(world) == []
    assert _release(world) == len(PEOPLE)


@pytest.fixture
def late(world: testing.World) -> testing.World:
    """A World in which what is for three people is held."""
    for name in ("ana", "ben", "eve"):
        world.contact(name, email=f"{name}@example.com")
    world.sending_policy(caps=[{"limit": 1, "period": "P7D"}])
    send(world, [{"user_id": name} for name in ("ana", "ben", "eve")])
    world.clock.move(25 * HOUR)
    world.run_until_idle()
    return world


def test_who_has_opted_out_by_the_time_of_the_word_is_not_written_to(late: testing.World) -> None:
    """What an operator lets go is asked about again: who wants it no more does not get it."""
    late.opt_out("ben")
    assert _release(late) == 3
    assert not delivery_proof.prove(late.app.store, late.workspace_id, lambda _: None).faults
    late.run_until_idle()
    assert _received(late) == ["ana@example.com", "eve@example.com"]
    (unwanted,) = (one for one in late.ledger() if one.row.contact_id == "ben")
    assert (unwanted.row.state, unwanted.row.error) == (messages.State.UNROUTABLE, messages.OPTED_OUT)


def test_what_is_let_go_at_night_waits_for_the_morning(late: testing.World) -> None:
    """What an operator lets go is due as if it had just become so: at night it waits, and it counts for a cap once."""
    late.sending_policy(
        quiet_hours=[{"start": "00:00", "end": "10:00"}], caps=[{"limit": 1, "period": "P7D"}]
    )
    assert _release(late) == 3
    late.run_until_idle()
    assert _received(late) == []
    late.pass_time(hours=10)
    assert len(_received(late)) == 3


def test_what_waited_for_the_morning_is_held_in_a_later_night(world: testing.World) -> None:
    """A message whose morning passed more than a day ago is held, in a night too."""
    _peopled(world)
    world.sending_policy(quiet_hours=AT_NIGHT)
    _several(world)
    world.run_until_idle()
    world.clock.move((10 + 36) * HOUR)
    world.pass_time(days=3)
    assert _received(world) == []
    assert _release(world) == len(PEOPLE)
