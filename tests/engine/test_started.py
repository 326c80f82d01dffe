"""Runs that no rule started: how they begin, wait, go on, and are canceled, whatever their door."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
import sqlalchemy as sa
from alembic import migration, operations, script

from heliograph import testing
from heliograph.core import effects, ids, plans, runs
from heliograph.core import messages as ledger
from heliograph.engine import budgets, desk, mailing, match, run, started
from heliograph.store import fanout_rows, held, migrations, people, rows, schema
from tests import tables
from tests.engine import acts

JOURNEY = ids.mint(testing.START, 1, 0, 1)
MINUTE = 60_000_000


class Wait(NamedTuple):
    """Waits so many minutes."""

    minutes: int
    on_error: str = "stop"
    kind: str = "wait"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        until = scene.now + self.minutes * MINUTE
        return plans.pending(effects.Wait(until), output={plans.WAKES_AT: until})


class Send(NamedTuple):
    """Writes to somebody."""

    to: str
    on_error: str = "continue"
    kind: str = "send"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        text = {"subject": "s", "text": f"hello {self.to}"}
        return plans.pending(
            effects.Deliver(
                effects.Kind.MESSAGE, "email", self.to, f"{self.to}@example.com", None, None, text, {}, None
            ),
            output={plans.RECIPIENTS: [(self.to, f"{self.to}@example.com")]},
        )


class SendList(NamedTuple):
    """Stands as one that waits for a list to be written to."""

    on_error: str = "stop"
    kind: str = "send-list"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        return plans.pending(effects.Wait(scene.now + 60 * MINUTE), output={plans.MAILING: {}})


class Ask(NamedTuple):
    """Asks for an effect."""

    effect: effects.Effect
    on_error: str = "continue"
    kind: str = "ask"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        if isinstance(self.effect, effects.Start):
            return plans.pending(self.effect)
        return plans.done(self.effect)


class Fail(NamedTuple):
    """Ends the run."""

    end: plans.End
    on_error: str = "continue"
    kind: str = "fail"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        return plans.Outcome(plans.Status.FAILED, error="no", end=self.end)


class Stage:
    """A door whose runs do what a test says."""

    def __init__(self) -> None:
        self.steps: Sequence[Any] = ()

    def is_own(self, row: rows.Run) -> bool:
        return True

    def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
        return plans.plan(tuple(self.steps))

    def depth(self, start: rows.Start) -> int:
        return 0

    def wanted(self, desk: desk.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan) -> started.Wanted:
        return started.Wanted()

    def scene(
        self,
        desk: desk.Desk,
        row: rows.Run,
        start: rows.Start,
        plan: plans.Plan,
        workspace: match.Workspace,
    ) -> plans.Scene:
        empty: dict[str, Any] = {}
        contact = start.contact_id
        return plans.Scene(
            b"",
            b"",
            "",
            "",
            None,
            contact,
            None,
            None,
            0,
            empty,
            None,
            None,
            None,
            "",
            plans.NO_LIBRARY,
            None,
            desk.now,
        )

    def ended(
        self, desk: desk.Desk, row: rows.Run, start: rows.Start, records: Sequence[runs.Record]
    ) -> None:
        """Nobody waits for them."""


@pytest.fixture
def stage(world: testing.World) -> Stage:
    """The door."""
    made = Stage()
    world.app.doors[effects.Door.JOURNEY] = made
    return made


def start(
    world: testing.World,
    *,
    contact: str = "ana",
    key: str | None = None,
    token: str | None = None,
    wait: int = 0,
) -> str | None:
    """Start a run; gives its id on the wire, or None where its key is taken."""
    partition = ids.partition_of_subject(world.workspace_id, f"contact:{contact}")
    now = world.clock.now()
    identity = ids.mint(now, len(tables.rows(world.app.store, "starts")), partition, 7)
    effect = effects.Start(effects.Door.JOURNEY, JOURNEY, 1, key, contact, token, {})
    made = run.launch(world.workspace_id, identity, None, effect, now + wait * MINUTE)
    session = world._session
    with session.transaction() as connection:
        begun = session.hot.start(connection, [made])
    return ids.wire(identity) if begun else None


def status(world: testing.World) -> list[runs.Status]:
    """How the runs stand, in the order of their ids."""
    return [runs.Status(row["status"]) for row in tables.rows(world.app.store, "runs")]


def test_a_run_begins_at_its_time_and_waits(world: testing.World, stage: Stage) -> None:
    """Nothing is done before its time; a delay lets it go on when it is over, and not a moment before."""
    stage.steps = [Send("ana"), Wait(5), Send("ana")]
    start(world, wait=10)
    world.pass_time(minutes=9.9)
    assert len(world.mailbox.received) == 0
    world.pass_time(minutes=0.2)
    assert len(world.mailbox.received) == 1
    world.pass_time(minutes=4.8)
    assert (len(world.mailbox.received), status(world)) == (1, [runs.Status.WAITING])
    world.pass_time(minutes=0.2)
    assert (len(world.mailbox.received), status(world)) == (2, [runs.Status.DONE])
    assert tables.rows(world.app.store, "timers") == []


def test_a_key_starts_one_run(world: testing.World, stage: Stage) -> None:
    """A second start of the same key starts nothing, also when the first has ended."""
    stage.steps = [Send("ana")]
    assert start(world, key="once") is not None
    assert start(world, key="once", contact="bob") is None
    world.run_until_idle()
    assert start(world, key="once") is None
    world.pass_time(hours=1)
    assert len(world.mailbox.received) == 1
    assert len(tables.rows(world.app.store, "starts")) == 1


def test_a_start_of_the_same_run_is_one_start(world: testing.World, stage: Stage) -> None:
    """The same launch carried out again, before or after the run took its steps, changes nothing."""
    stage.steps = [Send("ana")]
    partition = ids.partition_of_subject(world.workspace_id, "contact:ana")
    identity = ids.mint(testing.START, 0, partition, 9)
    effect = effects.Start(effects.Door.JOURNEY, JOURNEY, 1, None, "ana", None, {})
    made = run.launch(world.workspace_id, identity, None, effect, testing.START)
    for _ in range(3):
        with world._session.transaction() as connection:
            world._session.hot.start(connection, [made, made])
        world.run_until_idle()
    assert len(world.mailbox.received) == len(tables.rows(world.app.store, "runs")) == 1


def test_who_asks_for_a_run_hears_of_it(world: testing.World, stage: Stage) -> None:
    """A step that starts a run is told its id, or that the key was taken; the run begins in its own partition."""
    child = effects.Start(effects.Door.JOURNEY, JOURNEY, 2, "k", "bob", None, {})

    class Once(Stage):
        def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
            return plans.plan((Send("bob"),) if row.version == 2 else (Ask(child), Ask(child)))

    world.app.doors[effects.Door.JOURNEY] = Once()
    start(world)
    world.run_until_idle()
    parent = next(row for row in tables.rows(world.app.store, "runs") if row["version"] == 1)
    first, second = (record.output for record in runs.read(parent["state"]))
    assert list(first) == ["run_id"]
    assert second == {"already_entered": True}
    assert [mail.recipient for mail in world.mailbox.received] == ["bob@example.com"]
    begun = ids.of_wire(first["run_id"])
    assert begun is not None
    assert ids.partition_of(begun) == ids.partition_of_subject(world.workspace_id, "contact:bob")


def test_a_token_cancels_runs_in_every_partition(world: testing.World, stage: Stage) -> None:
    """Every run in progress with the token ends: no step of it begins, and of its messages none goes out."""
    world.mailbox.answer = acts.busy
    stage.steps = [Send("ana"), Wait(30), Send("ana")]
    for number in range(12):
        start(world, contact=f"c{number}", token="cart" if number % 2 else "other")
    world.run_until_idle()
    world.mailbox.answer = testing.accepted
    stage.steps = [Ask(effects.Cancel("cart"))]
    start(world)
    world.run_until_idle()
    stage.steps = [Send("ana"), Wait(30), Send("ana")]
    world.pass_time(hours=2)
    assert len(world.mailbox.received) == 12
    assert sorted(status(world)) == [runs.Status.DONE] * 7 + [runs.Status.CANCELED] * 6
    assert {row["error"] for row in tables.rows(world.app.store, "messages") if row["state"] == 6} == {
        "canceled"
    }
    assert tables.waiting(world.app.store) == set()


def test_what_begins_and_is_canceled_in_one_turn_takes_no_step(world: testing.World, stage: Stage) -> None:
    """A run whose token is canceled right after it was started ends as it stands: nothing of it goes out."""
    child = effects.Start(effects.Door.JOURNEY, JOURNEY, 2, None, "ana", "cart", {})

    class Stopped(Stage):
        def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
            asked = (Ask(child), Ask(effects.Cancel("cart")))
            return plans.plan((Send("ana"),) if row.version == 2 else asked)

    world.app.doors[effects.Door.JOURNEY] = Stopped()
    start(world)
    world.run_until_idle()
    assert sorted(status(world)) == [runs.Status.DONE, runs.Status.CANCELED]
    assert (world.mailbox.received, tables.rows(world.app.store, "messages")) == ([], [])
    assert tables.waiting(world.app.store) == set()


def test_a_run_may_cancel_itself_with_its_first_step(world: testing.World, stage: Stage) -> None:
    """A token reaches also the run that asks for it while it begins: it ends before its next step."""
    child = effects.Start(effects.Door.JOURNEY, JOURNEY, 2, None, "ana", "cart", {})

    class Ending(Stage):
        def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
            own = (Ask(effects.Cancel("cart")), Wait(5), Send("ana"))
            return plans.plan(own if row.version == 2 else (Ask(child),))

    world.app.doors[effects.Door.JOURNEY] = Ending()
    start(world)
    world.pass_time(hours=1)
    assert sorted(status(world)) == [runs.Status.DONE, runs.Status.CANCELED]
    assert world.mailbox.received == []
    assert tables.waiting(world.app.store) == set()


def test_what_a_called_off_send_list_has_started_takes_no_step(world: testing.World, stage: Stage) -> None:
    """Where the time of runs of a send-list comes in the turn that cancels whoever sends it, none of them goes on."""
    stage.steps = [SendList()]
    start(world, token="t")
    world.run_until_idle()
    (sending,) = tables.rows(world.app.store, "runs")
    (record,) = runs.read(sending["state"])
    identity = mailing.identity_of(sending["id"], 0, ids.head(record.started_at))
    stage.steps = [Wait(5), Send("bob")]
    for number in range(4):
        start(world, contact=f"c{number}", token=fanout_rows.token_of(identity))
    world.run_until_idle()
    world.clock.at += 6 * MINUTE
    with world._session.transaction() as connection:
        world._session.hot.cancel_by_token(connection, {rows.TokenCancel(world.workspace_id, None, "t")})
    world.run_until_idle()
    assert set(status(world)) == {runs.Status.CANCELED}
    assert tables.rows(world.app.store, "messages") == []


def test_a_cancel_reaches_messages_in_other_partitions(world: testing.World, stage: Stage) -> None:
    """Messages to somebody else than the run's contact are stopped too."""
    world.mailbox.answer = acts.busy
    stage.steps = [*(Send(f"c{number}") for number in range(6)), Wait(30)]
    start(world, token="t")
    world.run_until_idle()
    stage.steps = [Ask(effects.Cancel("t"))]
    start(world)
    world.run_until_idle()
    world.mailbox.answer = testing.accepted
    world.pass_time(hours=30)
    assert world.mailbox.received == []
    assert {row["state"] for row in tables.rows(world.app.store, "messages")} == {6}


def test_a_step_may_end_the_run(world: testing.World, stage: Stage) -> None:
    """After a step that ends its run none begins, whether it failed or was canceled."""
    for end, wanted in ((plans.End.FAILED, runs.Status.FAILED), (plans.End.CANCELED, runs.Status.CANCELED)):
        stage.steps = [Fail(end), Send("ana")]
        start(world)
        world.run_until_idle()
        assert status(world)[-1] is wanted
    assert world.mailbox.received == []


def test_what_is_due_for_too_long_is_held(world: testing.World, stage: Stage) -> None:
    """A run that should have gone on before the misfire grace waits for an operator, and takes in answers."""
    stage.steps = [Wait(5), Send("ana")]
    start(world)
    world.run_until_idle()
    world.clock.at += 25 * 60 * MINUTE
    world.run_until_idle()
    assert status(world) == [runs.Status.HELD]
    assert world.mailbox.received == []


@pytest.mark.parametrize("act", ["release", "drop"])
def test_an_operator_lets_a_held_run_go_or_drops_it(world: testing.World, stage: Stage, act: str) -> None:
    """What is released goes on where it was; what is dropped is canceled, with its messages that nobody has sent."""
    world.mailbox.answer = acts.busy
    stage.steps = [Send("bob"), Wait(5), Send("ana")]
    start(world)
    world.run_until_idle()
    world.clock.at += 25 * 60 * MINUTE
    world.run_until_idle()
    world.mailbox.answer = testing.accepted
    with world.app.store.writing() as connection:
        (one,) = (one for one in held.listed(connection, world.workspace_id, 10) if one.what == "run")
        assert one.contact_id == "ana"
        done = {"release": held.release, "drop": held.drop}[act]
        assert done(connection, world.workspace_id, [one.id], world.clock.now()) == 1
    world.run_until_idle()
    is_released = act == "release"
    assert status(world) == [runs.Status.WAITING if is_released else runs.Status.CANCELED]
    assert len(world.mailbox.to("ana@example.com")) == is_released
    # The letter to the other one was due for too long as well, and is a matter of its own while its run goes on.
    first = min(tables.rows(world.app.store, "messages"), key=lambda row: row["id"])
    assert first["state"] == (ledger.State.HELD if is_released else ledger.State.CANCELED)


@pytest.mark.parametrize("attempts", [0, 5])
@pytest.mark.parametrize("act", ["drop", "delete", "cancel"])
def test_a_run_that_is_told_twice_to_end_ends(
    world: testing.World, stage: Stage, act: str, attempts: int
) -> None:
    """Whose cancel lies in the inbox already, or was set aside, can be canceled, dropped, and its contact deleted."""
    world.contact("ana", email="ana@example.com")
    stage.steps = [Wait(5), Send("ana")]
    start(world, token="t")
    world.run_until_idle()
    session, token = world._session, rows.TokenCancel(world.workspace_id, None, "t")
    if act != "cancel":
        world.clock.at += 25 * 60 * MINUTE
        world.run_until_idle()
        assert status(world) == [runs.Status.HELD]
    with session.transaction() as connection:
        session.hot.cancel_by_token(connection, {token})
    acts.change(world, "inbox", attempts=attempts)
    if act == "drop":
        assert acts.drop_held(world) == 1
    elif act == "cancel":
        with session.transaction() as connection:
            session.hot.cancel_by_token(connection, {token, token._replace(token="other")})
    else:
        assert people.delete_contact(world.app.store, world.workspace_id, None, "ana", world.clock.now())
    world.pass_time(hours=1)
    assert status(world) == [runs.Status.CANCELED]
    assert tables.waiting(world.app.store) == set()


def test_a_run_that_cannot_be_decided_marks_itself(world: testing.World, stage: Stage) -> None:
    """A step that raises holds up nobody, and its run is tried again later."""

    class Broken(Wait):
        def take(self, scene: plans.Scene) -> plans.Outcome:
            raise ZeroDivisionError

    stage.steps = [Broken(1)]
    start(world)
    world.rule(trigger_type="custom.a", actions=[{"type": "notify", "emails": ["s@x.de"], "text": "t"}])
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    assert len(world.mailbox.received) == 1
    stage.steps = [Send("ana")]
    world.pass_time(hours=2)
    assert len(world.mailbox.received) == 2


def test_timers_cost_nothing_before_they_are_due(world: testing.World, stage: Stage) -> None:
    """A turn reads no run that still waits: a thousand waiting ones add no statement and no row."""
    stage.steps = [Send("ana")]
    for number in range(50):
        start(world, contact=f"c{number}", wait=60)
    read: list[int] = []
    hot = world._session.hot

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(hot, name)

        def read_runs(self, connection: Any, keys: Any) -> Any:
            read.append(len(keys))
            return hot.read_runs(connection, keys)

    world._session.hot = Counting()  # type: ignore[assignment]
    world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["t"]}])
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    assert read == []
    world.pass_time(hours=2)
    assert sum(read) >= 50


@pytest.mark.parametrize("inputs", [1, 3, 500])
def test_many_runs_need_few_turns(world: testing.World, stage: Stage, inputs: int) -> None:
    """However many due runs a turn takes, each sends once."""
    stage.steps = [Send("ana"), Wait(1), Send("ana")]
    for number in range(20):
        start(world, contact=f"c{number % 5}")
    acts.sized(world.turns, inputs)
    world.pass_time(minutes=3)
    assert len(world.mailbox.received) == 40
    bodies = {
        msgspec.json.decode(row["body"] or "null") is None for row in tables.rows(world.app.store, "inbox")
    }
    assert bodies == set()


def test_expressions_have_their_time_in_a_turn(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a turn has spent its time on expressions, what would need more waits for the next turn, and comes."""
    monkeypatch.setattr(budgets, "SCRIPTED_AT_MOST", 0)
    step = {"action": "send", "template": "hello", "recipient": "ana", "if": "data.n + 0 === 7"}
    begun = [world.invoke(None, step, data={"n": number}) for number in range(3)]
    done = []
    while world.turns.take().more:
        done.append(sum(world.run(one).status == "PROCESSED" for one in begun))
    assert {1, 2} <= set(done)
    assert [world.run(one).steps for one in begun] == [("SKIPPED",)] * 3


def test_an_older_database_keeps_the_keys_it_knew(world: testing.World, stage: Stage) -> None:
    """The step that gave keys a table moves those that somebody named there: nobody enters again, all others may."""
    stage.steps = [Wait(30)]
    for key in ("a", "b", None, None):
        start(world, key=key)
    step = script.ScriptDirectory(str(migrations._FOLDER)).get_revision("0008")
    with world.app.store.writing() as connection:
        before = connection.execute(
            sa.select(schema.start_keys).order_by(schema.start_keys.c.start_key)
        ).all()
        connection.execute(sa.text("DROP TABLE start_keys"))
        connection.execute(sa.text("CREATE INDEX runs_by_start ON runs (automation_id, start_key)"))
        with operations.Operations.context(migration.MigrationContext.configure(connection)):
            step.module.upgrade()
        after = connection.execute(sa.select(schema.start_keys).order_by(schema.start_keys.c.start_key)).all()
    assert [row.start_key for row in after] == ["a", "b"]
    assert after == before
    assert start(world, key="a") is None
    assert start(world, key="c") is not None


def test_a_turn_takes_the_first_steps_of_what_it_starts(world: testing.World) -> None:
    """What begins at once has gone as far as it can when the turn of its event is over; no timer stands for it."""
    world.template("hello", subject="a", text="b")
    delay = {"action": "delay", "duration": "1 hour"}
    world.journey("hello", {"action": "send", "template": "hello"}, delay, trigger={"event_type": "custom.a"})
    world.contact("ana", email="ana@example.com")
    world.event("custom.a", contact_id="ana")
    report = world.turns.take()
    (timer,) = tables.rows(world.app.store, "timers")
    assert timer["wake_at"] == testing.START + 60 * MINUTE
    assert [one.row.contact_id for one in world.ledger()] == ["ana"]
    assert (report.inputs, report.may_go, report.more) == (1, True, False)


@pytest.mark.parametrize("order", [("buy", "stop", "buy"), ("stop", "buy"), ("buy", "stop", "stop", "buy")])
@pytest.mark.parametrize("inputs", [1, 500])
def test_a_first_step_cancels_what_began_before_it(
    world: testing.World, order: tuple[str, ...], inputs: int
) -> None:
    """A token that a first step calls off reaches no run that a later event starts, however much a turn takes."""
    world.template("hello", subject="a", text="b")
    delay = {"action": "delay", "duration": "1 hour"}
    world.journey(
        "buy",
        {"action": "send", "template": "hello"},
        delay,
        trigger={"event_type": "custom.buy"},
        cancelation_token="cart",
    )
    world.journey(
        "stop", {"action": "cancel", "cancelation_token": "cart"}, trigger={"event_type": "custom.stop"}
    )
    world.contact("ana", email="ana@example.com")
    acts.sized(world.turns, inputs)
    for name in order:
        world.event(f"custom.{name}", contact_id="ana")
    world.run_until_idle()
    last_stop = len(order) - 1 - order[::-1].index("stop")
    found = [runs.Status(row["status"]) for row in tables.rows(world.app.store, "runs") if row["start_key"]]
    wanted = [
        runs.Status.DONE
        if name == "stop"
        else runs.Status.CANCELED
        if number < last_stop
        else runs.Status.WAITING
        for number, name in enumerate(order)
    ]
    assert sorted(found) == sorted(wanted)
    assert len(world.mailbox.received) == order.count("buy")
