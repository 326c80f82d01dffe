"""Journeys and the engine: started by events, entered once, canceled by rules, and read again after a restart."""

import pytest

from heliograph import testing
from heliograph.core import plans, runs
from heliograph.store import rows
from tests import tables
from tests.engine import acts

HELLO = {
    "action": "send",
    "message": {"to": {"email": "${data.mail}"}, "content": {"title": "Hi", "body": "{word}"}},
}
HOUR = {"action": "delay", "duration": "1 hour"}
MAIL = {"mail": "ana@example.com", "word": "hello"}


def journey_runs(world: testing.World) -> list[runs.Status]:
    """How the runs of journeys stand."""
    return [
        runs.Status(row["status"])
        for row in tables.rows(world.app.store, "runs")
        if row["start_key"] is not None
    ]


def test_an_event_starts_a_journey(world: testing.World) -> None:
    """A trigger is a rule of one action: it matches by its conditions, and its run says which run it started."""
    world.journey(
        "welcome",
        HELLO,
        trigger={
            "event_type": "signed_up",
            "conditions": [{"field": "payload.plan", "operator": "equals", "value": "pro"}],
        },
    )
    free = world.event("signed_up", contact_id="ana", payload={**MAIL, "plan": "free"})
    pro = world.event("signed_up", contact_id="ana", payload={**MAIL, "plan": "pro"})
    world.run_until_idle()
    assert [mail.text for mail in world.mailbox.received] == ["hello"]
    assert acts.outcomes(world, free) == ["not_matched"]
    (told,) = world.explain(pro).runs
    assert (told.rule_name, told.executed) == ("welcome", True)
    started = world.run(told.result.actions[0].output["run_id"])
    assert (started.status, started.source) == ("PROCESSED", ("event/signed_up",))


@pytest.mark.parametrize("how", ["once", "key"])
def test_a_journey_is_entered_once(world: testing.World, how: str) -> None:
    """With `once` a contact enters once, with `entry_key` once for each key; a second entry is recorded."""
    trigger = {"once": True} if how == "once" else {"entry_key": "order-{{ payload.order }}"}
    world.journey("thanks", HELLO, trigger={"event_type": "order_placed", **trigger})
    *_, last = [
        world.event("order_placed", contact_id="ana", payload={**MAIL, "order": order}) for order in (1, 1, 2)
    ]
    world.event("order_placed", contact_id="bob", payload={**MAIL, "order": 3})
    world.run_until_idle()
    assert len(world.mailbox.received) == (2 if how == "once" else 3)
    output = world.explain(last).runs[0].result.actions[0].output
    assert ("already_entered" in output) == (how == "once")


def test_rules_start_and_cancel_journeys(world: testing.World) -> None:
    """`invoke_automation` starts one with the payload as its data, `cancel_automation` ends those of a token."""
    world.journey("cart", HOUR, HELLO, cancelation_token="${`cart-${data.cart}`}")
    world.rule(
        trigger_type="cart_left",
        actions=[{"type": "invoke_automation", "template": "cart", "data": {"word": "{{ contact.id }}"}}],
    )
    world.rule(
        trigger_type="bought",
        actions=[{"type": "cancel_automation", "cancelation_token": "cart-{{ payload.cart }}"}],
    )
    for number in range(4):
        world.event("cart_left", contact_id=f"c{number}", payload={**MAIL, "cart": number})
    world.run_until_idle()
    for number in range(2):
        world.event("bought", contact_id="somebody", payload={"cart": number})
    world.pass_time(hours=2)
    assert sorted(mail.text for mail in world.mailbox.received) == ["c2", "c3"]
    assert sorted(journey_runs(world)) == [runs.Status.DONE] * 2 + [runs.Status.CANCELED] * 2


def test_what_cannot_be_started_is_told(world: testing.World) -> None:
    """An unknown journey, or nobody to enter once, makes the action fail."""
    world.journey("w", HELLO)
    world.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "invoke_automation", "template": "gone"},
            {"type": "invoke_automation", "template": "w", "once": True},
            {"type": "invoke_automation", "template": "w", "entry_key": "{{ payload.nothing }}"},
        ],
    )
    event = world.event("custom.a")
    world.run_until_idle()
    (told,) = acts.actions(world, event)
    assert [error for *_, error in told] == [
        "there is no published journey 'gone'",
        "the event has no contact_id, so nobody can enter once",
        "entry_key: it is empty",
    ]
    assert journey_runs(world) == []


def test_a_process_that_starts_again_goes_on(world: testing.World) -> None:
    """Nothing of a run is kept in memory: another process wakes it, and takes in what it is told."""
    world.journey("w", HOUR, HELLO, trigger={"event_type": "custom.a"})
    world.event("custom.a", contact_id="ana", payload=MAIL)
    world.turns.take()
    world.turns = world.app.turns(world._session, lambda: 0.0)
    world.run_until_idle()
    world.turns = world.app.turns(world._session, lambda: 0.0)
    world.pass_time(hours=2)
    assert len(world.mailbox.received) == 1
    assert {row["status"] for row in tables.rows(world.app.store, "runs")} == {runs.Status.DONE}


def test_a_journey_that_is_no_draft_any_more_listens(world: testing.World) -> None:
    """A draft starts nothing; publishing it lets it listen."""
    for status in ("draft", "published"):
        world.journey("w", HELLO, trigger={"event_type": "custom.a"}, status=status)
        world.event("custom.a", contact_id="ana", payload=MAIL)
        world.run_until_idle()
    assert len(world.mailbox.received) == 1


def test_a_rule_brings_steps_of_its_own(world: testing.World) -> None:
    """`invoke_automation` takes `steps` instead of a journey's name: they run for the contact, once for each key."""
    send = {
        "action": "send",
        "message": {"to": {"email": "j@example.com"}, "content": {"title": "t", "body": "{n}"}},
    }
    steps = [send, {"action": "delay", "duration": "1 hour"}, send]
    for key in ("a", "a", "b"):
        action = {"type": "invoke_automation", "steps": steps, "data": {"n": 7}, "entry_key": key}
        world.rule(trigger_type=f"custom.{key}", actions=[action])
    first, second = (world.event(f"custom.{key}", contact_id="ana") for key in ("a", "b"))
    world.event("custom.a", contact_id="bob")
    world.run_until_idle()
    assert [run.result.outcome for run in world.explain(first).runs] == ["executed"] * 2
    assert len(world.mailbox.received) == 3, "each rule enters once for its key"
    (invoked,) = world.explain(second).runs[0].result.actions
    assert world.run(invoked.output["run_id"]).status == "WAITING"
    world.pass_time(hours=2)
    assert [mail.text for mail in world.mailbox.received] == ["7"] * 6


def test_a_run_knows_whom_an_event_of_its_turn_did_not_look_at(world: testing.World) -> None:
    """Who is read for a run that begins in a turn is known to it, whatever of them the turn's events did not ask."""
    world.rule(trigger_type="custom.a", actions=[{"type": "call_webhook", "url": "https://example.com/a"}])
    world.template("hello", subject="a", text="b")
    world.journey("child", {"action": "send", "template": "hello"})
    world.journey("parent", {"action": "invoke", "template": "child", "context": {"recipient": "bob"}})
    world.contact("bob", email="bob@example.com")
    world.invoke("parent", recipient="ana")
    world.event("custom.a", contact_id="bob")
    world.run_until_idle()
    assert [mail.recipient for mail in world.mailbox.received] == ["bob@example.com"]


def test_a_cancel_leaves_what_ended_before_it_in_its_turn(world: testing.World) -> None:
    """A run that an answer ends in the turn that takes its cancel has ended: it is not canceled after the fact."""
    world.template("hello", subject="a", text="b")
    step = {"action": "send", "template": "hello"}
    world.journey("hello", step, cancelation_token="cart", trigger={"event_type": "custom.a"})
    people = [f"c{number}" for number in range(16)]
    for person in people:
        world.contact(person, email=f"{person}@example.com")
    world._loop.run_until_complete(world.delivery.step())
    world.events([{"event_type": "custom.a", "contact_id": person} for person in people])
    world.turns.take()
    world._loop.run_until_complete(world.delivery.step())
    with world._session.transaction() as connection:
        world._session.hot.cancel_by_token(connection, {rows.TokenCancel(world.workspace_id, None, "cart")})
    world.run_until_idle()
    # Which of the two came first is left to their ids.
    stand = {
        (runs.Status(row["status"]), runs.read(row["state"])[0].status)
        for row in tables.rows(world.app.store, "runs")
        if row["start_key"] is not None
    }
    assert stand <= {
        (runs.Status.DONE, plans.Status.SUCCEEDED),
        (runs.Status.CANCELED, plans.Status.PENDING),
    }


def test_a_step_may_write_to_whom_an_earlier_one_decides(world: testing.World) -> None:
    """Whom a step names by how an earlier message stands is found with their profile when the step is taken."""
    world.template("hello", subject="a", text="b")
    for person in ("ana", "bob"):
        world.contact(person, email=f"{person}@example.com")
    hello = {"action": "send", "template": "hello"}
    named = {**hello, "recipient": "${refs.first.status === 'SENT' ? 'bob' : 'cleo'}"}
    begun = world.invoke(None, {**hello, "ref": "first"}, HOUR, named, recipient="ana")
    world.pass_time(hours=2)
    assert [mail.recipient for mail in world.mailbox.received] == ["ana@example.com", "bob@example.com"]
    assert world.run(begun).status == "PROCESSED"


@pytest.mark.parametrize("inputs", [1, 500])
def test_what_a_step_cancels_takes_no_step_in_its_turn(world: testing.World, inputs: int) -> None:
    """A run whose token a step names goes no further, also where its own time has come in the same turn."""
    acts.sized(world.turns, inputs)
    begun = world.invoke(None, HOUR, {"action": "cancel", "cancelation_token": "cart"})
    world.pass_time(seconds=1)
    told = world.invoke(None, HOUR, HELLO, data=MAIL, cancelation_token="cart")
    world.run_until_idle()
    # Nobody took a turn for a while.
    world.clock.at += 7_200_000_000
    world.run_until_idle()
    assert (world.run(begun).status, world.run(told).status) == ("PROCESSED", "CANCELED")
    assert world.mailbox.received == []


@pytest.mark.parametrize("inputs", [1, 500])
def test_a_step_knows_what_was_reported_in_its_turn(world: testing.World, inputs: int) -> None:
    """How an earlier message stands is judged by all reports that came before the step, also in its own turn."""
    acts.sized(world.turns, inputs)
    reminder = {**HELLO, "if": "refs.first.status === 'OPENED'"}
    begun = world.invoke(None, {**HELLO, "ref": "first"}, HOUR, reminder, data=MAIL)
    world.run_until_idle()
    (sent,) = world.mailbox.received
    world.clock.at += 1_800_000_000
    world.report(sent.message_id, "opened")
    # Nobody took a turn for a while.
    world.clock.at += 7_200_000_000
    world.run_until_idle()
    assert world.run(begun).steps == ("PROCESSED",) * 3
    assert len(world.mailbox.received) == 2


def test_a_recipient_who_is_none_fails_the_run(world: testing.World) -> None:
    """Of several whom the run names one may be nobody's id: the run ends with that fault, and nothing goes out."""
    world.contact("bob", email="bob@example.com")
    said = {"to": [{"user_id": "bob"}, {"user_id": "${data.other}"}], "content": {"title": "a", "body": "b"}}
    begun = world.invoke(None, {"action": "send", "message": said}, data={"other": "x" * 300})
    world.run_until_idle()
    assert (world.run(begun).status, world.mailbox.received) == ("ERROR", [])


def test_a_cancel_comes_before_the_answers_of_its_turn(world: testing.World) -> None:
    """A run that was canceled before its answer was taken takes no step more, however their ids stand."""
    world.calls.answer = testing.answering({"word": "fetched"})
    fetch = {"action": "fetch-data", "webhook": {"url": "https://example.com/a"}}
    world.journey("cart", fetch, HELLO, cancelation_token="cart", trigger={"event_type": "custom.a"})
    world._loop.run_until_complete(world.delivery.step())
    world.events([{"event_type": "custom.a", "contact_id": f"c{n}", "payload": MAIL} for n in range(16)])
    while world.turns.take().more:
        pass
    world._loop.run_until_complete(world.delivery.step())
    with world._session.transaction() as connection:
        world._session.hot.cancel_by_token(connection, {rows.TokenCancel(world.workspace_id, None, "cart")})
    world.run_until_idle()
    found = [row for row in tables.rows(world.app.store, "runs") if row["start_key"] is not None]
    assert {(row["status"], len(runs.read(row["state"]))) for row in found} == {(runs.Status.CANCELED, 1)}
    assert len(world.calls.received) == 16
