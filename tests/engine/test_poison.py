"""Inputs that cannot be decided: each marks itself, is tried again later, and holds up nobody."""

import pytest

from heliograph import testing
from heliograph.core import schedule
from heliograph.engine import match
from tests import tables
from tests.engine import acts

SECOND = 1_000_000
POISON = {"event_type": "custom.a", "contact_id": "ana", "payload": {"poison": True}}


@pytest.fixture(autouse=True)
def choking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program fault: deciding raises for an event with `poison` in its payload."""
    decide = match.match

    def raising(*given: object) -> match.Made:
        scene = given[2]
        if "poison" in scene.payload:  # type: ignore[attr-defined]
            raise RuntimeError("a fault of the program")
        return decide(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(match, "match", raising)


def tag(world: testing.World) -> None:
    world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["seen"]}])


def others(count: int) -> list[dict[str, object]]:
    return [{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(count)]


def test_a_decision_that_raises_marks_its_own_event(world: testing.World) -> None:
    """Of a turn's events one raises: all others are decided in that very turn, and the one says why and when again."""
    tag(world)
    ids = world.events([*others(20), POISON, *others(20)])
    report = world.turns.take()
    assert report.inputs == 41
    assert acts.decided(world) == set(ids) - {ids[20]}
    found = acts.decision(world, ids[20])
    retry_at = schedule.event_retry_at(1, world.clock.now())
    assert (found["attempts"], found["available_at"], found["error"]) == (
        1,
        retry_at,
        "RuntimeError: a fault of the program",
    )
    assert acts.outcomes(world, ids[20]) == []


@pytest.mark.spec("S4-295")
def test_it_is_tried_five_times_and_then_counts_as_failed(world: testing.World) -> None:
    """The tries stand further and further apart; after the fifth the event is `failed`, with its reason."""
    tag(world)
    (poison,) = world.events([POISON])
    tried = []
    for _ in range(10):
        world.run_until_idle()
        found = acts.decision(world, poison)
        tried.append((found["attempts"], found["available_at"]))
        if found["available_at"] is None:
            break
        world.clock.at = found["available_at"]
    at = testing.START
    waits = []
    for _, available_at in tried[:-1]:
        waits.append((available_at - at) // SECOND)
        at = available_at
    assert waits == [10, 20, 40, 80]
    assert [attempts for attempts, _ in tried] == [1, 2, 3, 4, 5]
    event = world.explain(poison).event
    assert (event.status, event.attempts, event.error) == (
        "failed",
        5,
        "RuntimeError: a fault of the program",
    )
    assert tables.rows(world.app.store, "timers") == []
    (counts,) = tables.rows(world.app.store, "event_statistics")
    assert (counts["total"], counts["processed"], counts["failed"]) == (1, 0, 1)


def test_it_is_decided_as_soon_as_it_can_be(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event whose fault was mended is decided at its next try, once, and counts as processed."""
    tag(world)
    (poison,) = world.events([POISON])
    world.run_until_idle()
    monkeypatch.undo()
    world.pass_time(minutes=1)
    found = world.explain(poison)
    assert (found.event.status, found.event.attempts, found.event.error) == ("processed", 2, None)
    assert acts.outcomes(world, poison) == ["executed"]
    (counts,) = tables.rows(world.app.store, "event_statistics")
    assert (counts["total"], counts["processed"], counts["failed"]) == (1, 1, 0)


def test_later_events_of_the_same_contact_overtake_it(world: testing.World) -> None:
    """A failed event is waited for by nobody, not even by the next event of its own contact."""
    tag(world)
    poison, after = world.events([POISON, {"event_type": "custom.a", "contact_id": "ana"}])
    world.run_until_idle()
    assert acts.decided(world) == {after}
    assert acts.decision(world, poison)["available_at"] is not None


@pytest.mark.parametrize("place", [0, 7, 59])
def test_a_row_that_the_database_refuses_stops_its_event_alone(world: testing.World, place: int) -> None:
    """The database refuses one row of a turn: the event that wanted it is marked with the reason, all others go on."""
    world.rule(trigger_type="custom.a", actions=[{"type": "emit_event", "event_type": "custom.made"}])
    acts.refuse(world, "events", "contact_id", "mallory")
    world.rule(
        trigger_type="custom.b",
        actions=[{"type": "emit_event", "event_type": "custom.made", "contact_id": "mallory"}],
    )
    given = others(60)
    given[place] = {"event_type": "custom.b", "contact_id": "ana"}
    ids = world.events(given)
    world.run_until_idle()
    assert set(ids) - acts.decided(world) == {ids[place]}
    found = acts.decision(world, ids[place])
    assert found["attempts"] == 1
    assert "refuse" in found["error"]
    assert acts.outcomes(world, ids[place]) == [], "nothing half done"
    acts.relent(world, "events")
    world.pass_time(minutes=1)
    assert acts.outcomes(world, ids[place]) == ["executed"]


def test_a_refused_row_among_many_costs_few_turns(lone_world: testing.World) -> None:
    """The culprit is found by halving: turns grow with the logarithm of the batch, not with its size."""
    world = lone_world
    acts.refuse(world, "events", "contact_id", "mallory")
    world.rule(
        trigger_type="custom.b",
        actions=[{"type": "emit_event", "event_type": "custom.made", "contact_id": "mallory"}],
    )
    world.events([*others(300), {"event_type": "custom.b", "contact_id": "ana"}, *others(199)])
    turns = 0
    while (report := world.turns.take()).inputs or report.more:
        turns += 1
    assert turns < 60
    assert len(acts.decided(world)) == 499


def test_an_answer_beside_it_does_not_hide_a_refused_event(world: testing.World) -> None:
    """An answer of which nobody is told is stored by a turn of its own, before the event that the database refuses."""
    world.mailbox.answer = acts.busy
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    acts.refuse(world, "events", "contact_id", "mallory")
    world.rule(
        trigger_type="custom.b",
        actions=[{"type": "emit_event", "event_type": "custom.made", "contact_id": "mallory"}],
    )
    world._loop.run_until_complete(world.delivery.step())
    world.event("custom.a", contact_id="ana")
    world.turns.take()
    world._loop.run_until_complete(world.delivery.step())
    refused = world.event("custom.b", contact_id="ana")
    turns = [world.turns.take() for _ in range(8)]
    assert sum(report.answers for report in turns) == 1
    assert acts.decision(world, refused)["attempts"] == 1


@pytest.mark.parametrize("who", ["rule", "campaign"])
def test_an_answer_of_which_something_else_is_refused_holds_up_nobody(world: testing.World, who: str) -> None:
    """Where the database refuses what the engine tells of an answer, that answer is left, and all else goes on."""
    tag(world)
    world.rule(trigger_type="message_failed", actions=[{"type": "add_tags", "tags": ["failed"]}])
    acts.refuse(world, "events", "event_type", "message_failed")
    world.mailbox.answer = acts.refused
    world.contact("ana", email="ana@example.com")
    if who == "rule":
        world.rule(trigger_type="custom.b", actions=[{"type": "send_message", "text": "Hello"}])
        world.event("custom.b", contact_id="ana")
    else:
        group = world.communication_group(subject="News", text_body="New")
        world.campaign(group=group, include_segments=["all_users"])
    world.run_until_idle()
    after = world.events(others(3))
    world.run_until_idle()
    assert set(after) <= acts.decided(world)


def test_an_answer_that_cannot_be_worked_is_set_aside(world: testing.World) -> None:
    """A reply that no turn can read is tried five times and then kept for an operator; others are worked."""
    tag(world)
    world.contact("ana", given_name="Ana")  # nowhere to write to: the answer comes without any channel
    world.rule(
        trigger_type="custom.b",
        actions=[
            {"type": "send_message", "text": "one", "on_error": "stop"},
            {"type": "add_tags", "tags": ["after"]},
        ],
    )
    world.event("custom.b", contact_id="ana")
    world.turns.take()
    acts.change(world, "inbox", body=b"nonsense")
    after = world.events(others(3))
    world.run_until_idle()
    assert set(after) < acts.decided(world)
    assert [row["attempts"] for row in tables.rows(world.app.store, "inbox")] == [5]


def test_a_run_whose_records_cannot_be_read_holds_up_nobody(world: testing.World) -> None:
    """A stored run that makes no sense stops the answers to itself; everything else is decided."""
    tag(world)
    world.contact("ana", email="ana@example.com")
    world.rule(
        trigger_type="custom.b",
        actions=[
            {"type": "send_message", "text": "one", "on_error": "stop"},
            {"type": "add_tags", "tags": ["after"]},
        ],
    )
    world.event("custom.b", contact_id="ana")
    world.turns.take()
    acts.change(world, "runs", state=b"nonsense")
    after = world.events(others(3))
    for _ in range(100):
        world.run_until_idle()
    assert set(after) < acts.decided(world)
    assert [row["attempts"] for row in tables.rows(world.app.store, "inbox")] == [5]


def test_a_rule_that_cannot_be_read_stops_its_own_events(world: testing.World) -> None:
    """A stored rule of a kind that this program does not know fails the events it listens to, and no other."""
    world.rule(name="Broken", trigger_type="custom.b", actions=[{"type": "add_tags", "tags": ["x"]}])
    broken = tables.rows(world.app.store, "automations")[0]["definition"]
    acts.change(world, "automations", definition=broken.replace("add_tags", "dance").encode())
    tag(world)
    ids = world.events([*others(3), {"event_type": "custom.b", "contact_id": "ana"}, *others(3)])
    world.run_until_idle()
    assert acts.decided(world) == set(ids) - {ids[3]}
    assert all(acts.outcomes(world, one) == ["executed"] for one in ids if one != ids[3])
    assert "dance" in acts.decision(world, ids[3])["error"]


@pytest.mark.parametrize("place", [0, 7, 59])
def test_a_first_step_that_the_database_refuses_stops_its_run_alone(world: testing.World, place: int) -> None:
    """What the database refuses of a first step marks neither the event that started the run nor other runs."""
    send = {
        "action": "send",
        "message": {"to": {"user_id": "${data.who}"}, "content": {"title": "a", "body": "b"}},
    }
    world.journey("hello", send, trigger={"event_type": "custom.a"})
    people = [f"person-{n}" if n != place else "mallory" for n in range(60)]
    for person in people:
        world.contact(person, email=f"{person}@example.com")
    acts.refuse(world, "messages", "contact_id", "mallory")
    ids = world.events(
        [{"event_type": "custom.a", "contact_id": person, "payload": {"who": person}} for person in people]
    )
    world.run_until_idle()
    assert acts.decided(world) == set(ids)
    written = {one.row.contact_id for one in world.ledger()}
    assert written == set(people) - {"mallory"}
    acts.relent(world, "messages")
    world.pass_time(days=1)
    assert {one.row.contact_id for one in world.ledger()} == set(people)
