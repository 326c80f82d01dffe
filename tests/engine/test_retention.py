"""Retention: what is finished and old goes whole, what is not stays, and neither costs more as history grows."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from heliograph import testing
from heliograph.core import ids, messages
from heliograph.engine import pruning
from heliograph.store import delivery_proof, places, retention, rows, schema, uncertain
from tests import tables
from tests.cli.test_verifying_requests import send
from tests.engine import acts
from tests.store import samples

HISTORY = ("events", "decisions", "runs", "messages")
DAY = 24 * 3600 * 1_000_000


@pytest.fixture
def keeping(database_url: str) -> Iterator[testing.World]:
    """A world that keeps its history for ten days, on each database in turn."""
    with testing.World(database_url, retention_days=10, uncertain_policy="at_most_once") as made:
        made.contact("ana", email="ana@example.com")
        made.rule(
            trigger_type="custom.a",
            actions=[
                {"type": "send_message", "text": "Hello", "on_error": "stop"},
                {"type": "notify", "emails": ["shop@example.com"], "text": "Ana was greeted"},
            ],
        )
        made.rule(
            trigger_type="custom.a",
            conditions=[{"field": "payload.total", "operator": "greater_than", "value": 9}],
            actions=[{"type": "add_tags", "tags": ["big"]}],
        )
        made.clock.move(1)
        yield made


def happen(world: testing.World, count: int = 1) -> list[str]:
    """Events to which two rules listen, and all that comes of them."""
    made = world.events([{"event_type": "custom.a", "contact_id": "ana"}] * count)
    world.run_until_idle()
    return made


def prune(world: testing.World) -> int:
    """One round of the broom."""
    return asyncio.run(world.app.housekeeping().prune())


def there(world: testing.World) -> dict[str, int]:
    """How many rows each table of history has."""
    return {name: len(tables.rows(world.app.store, name)) for name in HISTORY}


def test_history_goes_whole_when_it_is_old(keeping: testing.World) -> None:
    """An event goes with its decision, its runs and its messages; younger ones, statistics and people stay."""
    happen(keeping, 3)
    keeping.clock.move(6 * DAY)
    (young,) = happen(keeping)
    kept = tables.content(keeping.app.store, "contacts", "rule_statistics", "event_statistics", "cooldowns")
    assert there(keeping) == {"events": 4, "decisions": 4, "runs": 8, "messages": 8}
    assert prune(keeping) == 0
    keeping.clock.move(5 * DAY)
    assert prune(keeping) == 3 + 6 + 6
    assert there(keeping) == {"events": 1, "decisions": 1, "runs": 2, "messages": 2}
    assert len(keeping.explain(young).messages) == 2
    assert prune(keeping) == 0
    assert kept == tables.content(
        keeping.app.store, "contacts", "rule_statistics", "event_statistics", "cooldowns"
    )


def test_history_is_kept_for_ever_unless_told_otherwise(world: testing.World) -> None:
    """Without a setting nothing is ever forgotten."""
    happen(world)
    world.clock.move(5000 * DAY)
    assert prune(world) == 0
    assert there(world)["events"] == 1


def test_a_run_that_waits_keeps_its_event(keeping: testing.World) -> None:
    """A message of unknown end keeps all of its event, until an operator's word has been old enough too."""
    answer, keeping.mailbox.answer = keeping.mailbox.answer, acts.lost
    (event,) = happen(keeping)
    keeping.mailbox.answer = answer
    keeping.clock.move(30 * DAY)
    before = tables.content(keeping.app.store, *HISTORY)
    assert prune(keeping) == 0
    assert tables.content(keeping.app.store, *HISTORY) == before
    settle(keeping)
    keeping.run_until_idle()
    assert len(keeping.explain(event).messages) == 2
    keeping.clock.move(9 * DAY)
    assert prune(keeping) == 0
    keeping.clock.move(2 * DAY)
    assert prune(keeping) == 1 + 2 + 2
    assert there(keeping) == dict.fromkeys(HISTORY, 0)


def settle(world: testing.World) -> None:
    """An operator says that everything uncertain was handed over."""
    store = world.app.store
    with store.writing() as connection:
        found = [one.id for one in uncertain.listed(connection, world.workspace_id, 100)]
        uncertain.accept(store, connection, world.workspace_id, found, world.clock.now())


def test_what_waits_stays(keeping: testing.World) -> None:
    """Events that wait or are held, and messages that are to be sent or are held, are not touched however old."""
    keeping.event("custom.a", contact_id="ana")
    keeping.clock.move(20 * DAY)
    keeping.event("custom.b", contact_id="ana")
    assert prune(keeping) == 0
    keeping.run_until_idle()
    keeping.mailbox.answer = acts.busy
    happen(keeping)
    keeping.clock.move(20 * DAY)
    assert prune(keeping) == 1, "the event that no rule listens to is all that is finished"
    keeping.run_until_idle()
    keeping.clock.move(20 * DAY)
    assert prune(keeping) == 0
    assert there(keeping) == {"events": 2, "decisions": 2, "runs": 2, "messages": 1}


def test_a_failed_event_goes_too(keeping: testing.World) -> None:
    """What was given up is finished; what is to be tried again is not."""
    happen(keeping, 2)
    with keeping.app.store.writing() as connection:
        for event, status in zip(tables.rows(keeping.app.store, "events"), (4, 1), strict=True):
            connection.execute(
                sa.update(schema.decisions)
                .where(schema.decisions.c.event_id == event["id"])
                .values(status=status)
            )
    keeping.clock.move(20 * DAY)
    assert prune(keeping) == 1 + 2 + 2
    assert there(keeping)["events"] == 1


def test_what_hangs_on_no_event_goes_by_itself(keeping: testing.World) -> None:
    """Messages and runs of other doors go when they are finished and old enough."""
    session = keeping.app.session()
    at = keeping.clock.now()
    event = samples.event(1, at=at)
    sent = [
        samples.message(number, state=state, settled_at=at, run_id=None)
        for number, state in enumerate(messages.State, 1)
    ]
    ran = [samples.run(number, event, event_id=None, state=b"[]", status=number + 1) for number in range(4)]
    writes = rows.Writes()
    writes.messages += sent
    writes.runs += ran
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), at)
    keeping.clock.move(20 * DAY)
    still_open = {
        messages.State.PLANNED,
        messages.State.HELD,
        messages.State.UNCERTAIN,
        messages.State.DELAYED,
    }
    assert prune(keeping) == len(messages.State) - len(still_open) + 3
    found = tables.rows(keeping.app.store, "messages")
    assert {row["state"] for row in found} == still_open
    assert [row["status"] for row in tables.rows(keeping.app.store, "runs")] == [1]


def test_a_round_goes_on_where_the_last_one_stood(
    keeping: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not finished is not looked at each time, only when a round begins at the head."""
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    monkeypatch.setattr(pruning, "FROM_THE_HEAD", 3)
    answer, keeping.mailbox.answer = keeping.mailbox.answer, acts.lost
    happen(keeping, 5)
    keeping.mailbox.answer = answer
    keeping.clock.move(20 * DAY)
    broom = keeping.app.housekeeping()
    assert asyncio.run(broom.prune()) == 0
    settle(keeping)
    keeping.run_until_idle()
    keeping.clock.move(20 * DAY)
    assert [asyncio.run(broom.prune()) for _ in range(3)] == [0, 0, 5 * 5]


def test_a_bite_costs_what_it_looks_at(keeping: testing.World) -> None:
    """However much history is stored, as many statements forget as many events, and they walk along keys."""
    told: list[str] = []
    happen(keeping, 10)
    keeping.clock.move(20 * DAY)
    store, owner = keeping.app.store, keeping.workspace_id
    before = keeping.clock.now() - 10 * DAY
    sa.event.listen(store._engine, "before_cursor_execute", lambda *given: told.append(given[2]))

    def asked() -> int:
        told.clear()
        retention.forget(store, owner, "events", retention.START, before, 5)
        return len(told)

    few = asked()
    happen(keeping, 200)
    assert asked() == few
    assert there(keeping)["events"] == 200


def test_the_plan_of_a_walk_is_a_range_of_the_key(ready_sqlite_url: str) -> None:
    """Old rows are found by the key that begins with time, not by looking at all there are."""
    told: list[str] = []
    with testing.World(ready_sqlite_url, retention_days=10) as world:
        happen(world)
        world.clock.move(20 * DAY)
        store = world.app.store

        def explained(connection: sa.Connection, cursor: object, text: str, values: Any, *_: object) -> None:
            if not text.startswith(("BEGIN", "INSERT", "EXPLAIN")):
                plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {text}", values)
                told.extend(row[3] for row in plan.fetchall())

        sa.event.listen(store._engine, "before_cursor_execute", explained)
        for kind in retention.KINDS:
            retention.forget(store, world.workspace_id, kind, retention.START, world.clock.now(), 100)
    assert told
    # A list of keys that stands in the statement itself is a scan, too.
    assert [line for line in told if line.startswith("SCAN") and "CONSTANT ROW" not in line] == []


def test_what_was_forgotten_is_not_there(keeping: testing.World) -> None:
    """An event that was forgotten is unknown, and its idempotency key with it."""
    keeping.event("custom.a", contact_id="ana", idempotency_key="once")
    keeping.run_until_idle()
    keeping.clock.move(20 * DAY)
    (event,) = [ids.text(row["id"]) for row in tables.rows(keeping.app.store, "events")]
    asyncio.run(keeping.app.housekeeping().forget())
    assert prune(keeping) == 5
    assert keeping.event("custom.a", contact_id="ana", idempotency_key="once") != event


def test_places_go_with_their_events(keeping: testing.World) -> None:
    """What finds an event by its rule, conversation or payload does not outlive it."""
    keeping.events([{"event_type": "custom.a", "contact_id": "ana", "conversation_id": "k1"}] * 3)
    keeping.run_until_idle()
    keeping.pass_time(seconds=20)
    store, now = keeping.app.store, keeping.clock.now()
    assert places.fill_rules(store, now, 100) > 0
    assert places.fill_events(store, now, 100) == 3
    assert len(tables.rows(store, "event_places")) > 6
    keeping.pass_time(days=11)
    assert prune(keeping) > 3
    assert there(keeping)["events"] == 0
    assert tables.rows(store, "event_places") == []


@pytest.mark.parametrize("trigger", [{"once": True}, {"entry_key": "order-{{ payload.order }}"}])
def test_a_journeys_run_goes_and_its_key_stays(keeping: testing.World, trigger: dict[str, Any]) -> None:
    """A run that ended is forgotten with its start and its messages; whoever has entered once does not enter again."""
    hello = {"action": "send", "recipient": "ana", "template": "hello"}
    keeping.template("hello", text="Hello")
    keeping.journey(
        "welcome",
        hello,
        {"action": "delay", "duration": "15 days"},
        hello,
        trigger={"event_type": "custom.b", **trigger},
    )
    keeping.event("custom.b", contact_id="ana", payload={"order": 1})
    keeping.pass_time(days=12)
    assert prune(keeping) == 1 + 1, "the event, and its rule's run"
    waits = tables.content(keeping.app.store, "runs", "starts", "timers", "messages")
    assert [len(found) for found in waits.values()] == [1] * 4, "what waits stays, and what it has sent"
    keeping.pass_time(days=14)
    assert prune(keeping) == 1 + 2
    assert not any(tables.content(keeping.app.store, *HISTORY, "starts").values())
    event = keeping.event("custom.b", contact_id="ana", payload={"order": 1})
    keeping.run_until_idle()
    assert keeping.explain(event).runs[0].result.actions[0].output == {"already_entered": True}
    assert len(keeping.mailbox.received) == 2


def test_a_canceled_run_is_old_when_its_wait_would_be(keeping: testing.World) -> None:
    """What ended a wait is not written down: such a run goes when the end of that wait is old enough."""
    run = keeping.invoke(None, {"action": "delay", "duration": "30 days"}, cancelation_token="t")
    keeping.run_until_idle()
    keeping.invoke(None, {"action": "cancel", "cancelation_token": "t"})
    keeping.pass_time(days=35)
    assert prune(keeping) == 1, "the run that canceled it"
    assert keeping.run(run).status == "CANCELED"
    keeping.pass_time(days=6)
    assert prune(keeping) == 1


def test_a_birthdays_run_goes_and_its_year_stays(keeping: testing.World) -> None:
    """A run of the calendar is forgotten; the same year is not celebrated again, whatever is edited."""
    keeping.contact("ana", email="ana@example.com", birthdate="0000-01-20")
    number = keeping.date_automation(
        actiontype="notify",
        actiontarget="s@example.com",
        actionhour="06:00:00",
        actiontimediff=-1440 * 15,
        actiononweekend=True,
    )
    keeping.pass_time(days=17)
    assert len(keeping.mailbox.received) == 1
    assert prune(keeping) == 2
    keeping.change_date_automation(number, actiontimediff=0)
    keeping.pass_time(days=10)
    assert len(keeping.mailbox.received) == 1
    keeping.pass_time(days=365)
    assert len(keeping.mailbox.received) == 2


def test_runs_whose_items_wait_in_a_batch_stay(keeping: testing.World) -> None:
    """However long ago such a run ended: where the owner is canceled, it goes on in its place."""
    step = {
        "action": "add-to-batch",
        "batch_id": "b",
        "wait_period": "P30D",
        "max_wait_period": "P30D",
        "retain": {"type": "first", "count": 10},
    }
    owner = keeping.invoke(None, step, cancelation_token="t")
    keeping.run_until_idle()
    member = keeping.invoke(None, step)
    keeping.pass_time(days=20)
    assert prune(keeping) == 0
    keeping.invoke(None, {"action": "cancel", "cancelation_token": "t"})
    keeping.run_until_idle()
    assert (keeping.run(owner).status, keeping.run(member).status) == ("CANCELED", "WAITING")
    keeping.pass_time(days=31)
    assert keeping.run(member).status == "PROCESSED"
    keeping.pass_time(days=11)
    assert prune(keeping) == 3


def test_a_request_that_waits_stays(keeping: testing.World) -> None:
    """A request to send that was due while nothing ran is not forgotten before a turn has taken it up."""
    send(keeping, {"user_id": "ana"})
    keeping.clock.move(20 * DAY)
    assert prune(keeping) == 0
    keeping.run_until_idle()
    (message,) = tables.rows(keeping.app.store, "messages")
    assert message["state"] == messages.State.HELD


def test_a_mailing_goes_after_its_messages(keeping: testing.World) -> None:
    """What a send to many was walked by goes when nothing is left of it; a campaign's stays, as does a young one's."""
    keeping.subscribe("news", "ana")
    keeping.template("hello", text="Hello")
    to_many = {"action": "send-list", "list": "news", "template": "hello"}
    keeping.calls.answer = testing.answering({"data": {}})
    source = {"webhook": {"url": "https://crm.example/x"}, "merge_strategy": "overwrite"}
    keeping.campaign(group=keeping.communication_group(subject="Hello", text_body="Hello"))
    keeping.invoke(None, {**to_many, "data_source": source})
    keeping.invoke(None, to_many, {"action": "delay", "duration": "15 days"})
    send(keeping, {"list_id": "news"})
    keeping.run_until_idle()
    assert len(keeping.mailbox.received) == 4
    left = []
    for days in (9, 2, 20):
        keeping.pass_time(days=days)
        send(keeping, {"list_id": "news"})
        keeping.run_until_idle()
        broom = keeping.app.housekeeping()
        asyncio.run(broom.prune())
        asyncio.run(broom.prune())
        left.append([len(tables.rows(keeping.app.store, name)) for name in ("fanouts", "cursors")])
    assert left == [[5, 5 * 64], [4, 4 * 64], [2, 2 * 64]]
    store, before = keeping.app.store, keeping.clock.now() - 10 * DAY
    assert delivery_proof.prove(store, keeping.workspace_id, lambda _: None, before).faults == []


def test_a_message_that_may_go_on_stays(database_url: str) -> None:
    """A message that goes on by another channel where nobody takes notice is there when that is looked at."""
    with testing.World(database_url, retention_days=1) as world:
        world.contact("ana", email="ana@example.com", phone_number="+442079460123")
        world.provider("twilio", "texts")
        asked = {"channels": ["email", "sms"], "method": "single"}
        timeout = {"escalation": 2 * DAY // 1000, "message": 3 * DAY // 1000, "criteria": "viewed"}
        send(world, {"user_id": "ana"}, routing=asked, timeout=timeout)
        world.pass_time(hours=47)
        prune(world)
        world.pass_time(hours=2)
        assert len(world.outboxes["texts"].received) == 1
