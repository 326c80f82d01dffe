"""Two workers at one time: what must happen once happens once, whoever gets there first."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from heliograph import app, clock, settings, testing
from heliograph.store import batches, erasures, hot_postgres, people
from tests import tables
from tests.engine import acts

RULES = 20
EVENTS = 50
RUNS = 12
LEASE = 60_000_000


@pytest.fixture
def pair(ready_postgres_url: str) -> Iterator[tuple[testing.World, testing.World]]:
    """Two engines on one database."""
    with testing.World(ready_postgres_url) as one, testing.World(ready_postgres_url) as other:
        yield one, other


def race(pair: tuple[testing.World, testing.World]) -> None:
    """Let both take turns at the same time until nothing is left to decide, and then deliver."""
    start = threading.Barrier(2)

    def work(world: testing.World) -> None:
        start.wait(timeout=60)
        while (report := world.turns.take()).inputs or report.more:
            pass

    threads = [threading.Thread(target=work, args=(world,)) for world in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    for world in (*pair, *pair):
        world.run_until_idle()


def test_an_alert_is_told_by_one(pair: tuple[testing.World, testing.World]) -> None:
    """Twenty rules become alarming: each is told once, though two workers look."""
    one = pair[0]
    for number in range(RULES):
        one.rule(
            name=f"r{number}",
            trigger_type=f"custom.r{number}",
            actions=[{"type": "send_message", "text": "to nobody"}],
            alert_settings={"min_matched_runs": 2, "channels": {"emails": [f"a{number}@example.com"]}},
        )
    events = [{"event_type": f"custom.r{n % RULES}", "contact_id": f"c{n}"} for n in range(2 * RULES)]
    one.events(events)
    race(pair)
    for world in pair:
        world.clock.move(120_000_000)
    race(pair)
    told = Counter(mail.recipient for world in pair for mail in world.mailbox.received)
    assert told == {f"a{number}@example.com": 1 for number in range(RULES)}
    assert len(tables.rows(one.app.store, "alerts")) == RULES


def test_a_cooldown_lets_one_of_many_through(pair: tuple[testing.World, testing.World]) -> None:
    """Of fifty events of a contact that came in by two workers and are decided by two, the rule matches for one."""
    one, other = pair
    rule = {"trigger_type": "custom.a", "cooldown_secs": 60, "actions": [{"type": "add_tags", "tags": ["x"]}]}
    one.rule(**rule)
    made = []
    for world in (one, other) * 5:
        made += world.events([{"event_type": "custom.a", "contact_id": "ana"}] * (EVENTS // 10))
    race(pair)
    outcomes = Counter(one.explain(event).runs[0].result.outcome for event in made)
    assert outcomes == {"executed": 1, "skipped": EVENTS - 1}
    assert len(tables.rows(one.app.store, "runs")) == EVENTS


def test_a_cancel_of_one_worker_reaches_the_runs_of_the_other(
    pair: tuple[testing.World, testing.World],
) -> None:
    """Runs that one worker began and that wait end when a run of the other cancels their token; no other run does."""
    one, other = pair
    for number in range(RUNS):
        one.contact(f"c{number}", email=f"c{number}@example.com")
    letter = {"action": "send", "template": "t", "recipient": "${data.to}"}
    wait = {"action": "delay", "duration": "1 hour"}
    one.template("t", text="late")

    def invoke(number: int, token: str) -> str:
        to = f"c{number}"
        return one.invoke(None, wait, letter, recipient=to, data={"to": to}, cancelation_token=token)

    stopped = [invoke(number, "cart") for number in range(RUNS - 1)]
    kept = invoke(RUNS - 1, "other")
    while one.turns.take().inputs:
        pass
    assert {one.run(each).status for each in (*stopped, kept)} == {"WAITING"}
    other.invoke(None, {"action": "cancel", "cancelation_token": "cart"})
    while (report := other.turns.take()).inputs or report.more:
        pass
    assert {one.run(each).status for each in stopped} == {"CANCELED"}
    for world in pair:
        world.clock.move(3_700_000_000)
    race(pair)
    sent = [mail.recipient for world in pair for mail in world.mailbox.received]
    assert sent == [f"c{RUNS - 1}@example.com"]
    assert one.run(kept).status == "PROCESSED"


def test_an_answer_stays_that_comes_while_history_forgets_somebody(
    pair: tuple[testing.World, testing.World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one worker takes in for a run that another one is about to write without somebody's name is not lost."""
    one, other = pair
    one.contact("ana", email="ana@example.com")
    one.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "send_message", "text": "Hello"},
            {"type": "notify", "emails": ["shop@example.com"], "text": "Ana was greeted"},
        ],
    )
    one.mailbox.answer, usual = acts.busy, one.mailbox.answer
    event = one.event("custom.a", contact_id="ana")
    one.run_until_idle()
    people.delete_contact(one.app.store, one.workspace_id, None, "ana", one.clock.now())
    write, answered = erasures._change, list[int]()

    def late(*given: Any) -> None:
        if "state" in given[3]:
            answered.append(other.turns.take().inputs)
        write(*given)

    monkeypatch.setattr(erasures, "_change", late)
    while erasures.step(one.app.store, one.workspace_id, one.clock.now()):
        pass
    assert answered
    one.mailbox.answer = usual
    for world in pair:
        world.clock.move(3_700_000_000)
        world.run_until_idle()
    assert [action.status for action in one.explain(event).runs[0].result.actions] == ["skipped", "succeeded"]


def test_a_batch_is_released_by_two_at_once(pair: tuple[testing.World, testing.World]) -> None:
    """Who says so while somebody else is about to waits for them, and is heard too; it is released once."""
    one, other = pair
    gather = {
        "action": "add-to-batch",
        "scope": "global",
        "batch_key": "b",
        "retain": {"type": "last", "count": 3},
    }
    run = one.invoke(None, {**gather, "wait_period": "PT1H", "max_wait_period": "PT3H"})
    one.run_until_idle()
    (batch,) = tables.rows(one.app.store, "batches")

    def release(world: testing.World) -> None:
        with world.app.store.writing() as connection:
            batches.order(connection, world.workspace_id, [batch["id"]], batches.RELEASE)

    with ThreadPoolExecutor(1) as others:
        with one.app.store.writing() as connection:
            batches.order(connection, one.workspace_id, [batch["id"]], batches.RELEASE)
            second = others.submit(release, other)
            while not connection.exec_driver_sql(_WAITS).scalar():
                assert not second.done()
        assert second.result() is None
    race(pair)
    assert one.run(run).status == "PROCESSED"
    assert tables.waiting(one.app.store) == set()


_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"


def test_time_never_runs_back_where_another_worker_was(
    pair: tuple[testing.World, testing.World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gets a partition right after a worker whose clock is ahead decides no earlier than that one did."""
    one, other = pair
    made = one.events([{"event_type": "custom.a", "contact_id": "ana"}] * 2)
    other.clock.move(60_000_000)
    acts.sized(other.turns, 1)
    asked, last_now = list[int](), hot_postgres.last_now

    def overtaken(connection: Any) -> int:
        asked.append(last_now(connection))
        if len(asked) == 1:
            other.turns.take()
        return asked[0]

    monkeypatch.setattr(hot_postgres, "last_now", overtaken)
    one.turns.take()
    assert len(asked) == 2
    first, second = (acts.decision(one, event)["decided_at"] for event in made)
    assert first == second == other.clock.now()


def test_a_late_answer_ends_no_later_claim(pair: tuple[testing.World, testing.World]) -> None:
    """Who could not store an answer, lost the claim and made it anew ends it by what came of the new one (E21)."""
    one, other = pair
    one.contact("ana", email="ana@example.com")
    one.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    event = one.event("custom.a", contact_id="ana")
    # Its room is known once it has looked.
    hand_over(one)
    one.turns.take()
    hand_over(one)
    assert (len(one.mailbox.received), one.app.handover.waiting) == (1, 1)
    # It cannot store the answer, and its lease ends. The other one says that it was lost, and is to be sent again.
    for world in pair:
        world.clock.move(LEASE + 1_000_000)
    hand_over(other)
    other.turns.take()
    for world in pair:
        world.clock.move(LEASE)
    other.turns.take()
    # Now the first one claims it from the line, before it has stored anything.
    one.delivery.wake()
    hand_over(one)
    assert (len(one.mailbox.received), one.app.handover.waiting) == (2, 2)
    one.run_until_idle()
    other.run_until_idle()
    (message,) = one.ledger()
    assert [attempt.outcome for attempt in message.attempts] == ["uncertain", "accepted"]
    assert one.explain(event).runs[0].result.outcome == "executed"
    assert len(one.mailbox.received + other.mailbox.received) == 2


def test_machines_whose_clocks_are_apart_agree_on_the_time(ready_postgres_url: str) -> None:
    """Of two workers one is ahead by minutes: what one holds is not over for the other before a lease has passed."""
    told = clock.WallClock().now()
    walls = [clock.ManualClock(told), clock.ManualClock(told + 300_000_000)]
    chosen = settings.Settings(database_url=ready_postgres_url)
    apps = [app.App(chosen, clock.SharedClock(wall)) for wall in walls]
    try:
        assert abs(apps[0].clock.now() - apps[1].clock.now()) < LEASE
        walls[0].move(-3_600_000_000)
        for one in apps:
            one.agree_on_time()
        assert abs(apps[0].clock.now() - apps[1].clock.now()) < LEASE
    finally:
        for one in apps:
            one.close()


def test_a_machine_whose_clock_is_set_decides_by_the_time_that_is_shared(ready_postgres_url: str) -> None:
    """An hour by which one worker's clock jumps is no hour for what it decides: time never runs back for the others."""
    wall = clock.ManualClock(clock.WallClock().now())
    application = app.App(settings.Settings(database_url=ready_postgres_url), clock.SharedClock(wall))
    try:
        turns = application.turns(application.session())
        wall.move(3_600_000_000)
        assert abs(turns.take().now - application.store.told_time()) < LEASE
    finally:
        application.close()


def test_on_postgresql_time_is_shared(ready_postgres_url: str) -> None:
    """Whoever opens a database that processes share goes by its clock; a file is one machine's."""
    application = app.App(settings.Settings(database_url=ready_postgres_url))
    application.close()
    assert isinstance(application.clock, clock.SharedClock)


def hand_over(world: testing.World) -> None:
    """Let a delivery hand over what it was given, or finds in line, and no turn store what is answered."""
    world._loop.run_until_complete(world.delivery.step())
