"""Batches at work: what runs add is collected and released once, whatever happens meanwhile."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import strategies as st

from heliograph import testing
from heliograph.core import batches, ids, plans, runs
from heliograph.engine import batch_words
from heliograph.store import batches as stored
from heliograph.store import held
from tests import environment, tables
from tests.engine import acts, batch_model, plays
from tests.engine.kills import Fragile, Killed, Moment, moment

SCHEDULES = 10_000 if environment.is_torture() else 100
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
LEFT = ("batches", "batch_items", "timers", "inbox", "due")


class Join(NamedTuple):
    """A run is invoked."""

    call: batch_model.Call


class Cancel(NamedTuple):
    """A run is canceled; the last one that was invoked is 1."""

    back: int


class Release(NamedTuple):
    """An operator lets every batch go that is open."""


class Pass(NamedTuple):
    """Minutes pass."""

    minutes: int


class Turns(NamedTuple):
    """So many turns are taken, and no more."""

    number: int


joins = st.builds(Join, batch_model.calls)
cancels = st.builds(Cancel, st.integers(1, 4))
releases = st.just(Release())
passes = st.builds(Pass, st.sampled_from((3, 10, 25)))
turns = st.builds(Turns, st.integers(1, 4))


def weighed(*acts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of these, more often what is named more often (which `one_of` would name once)."""
    return st.sampled_from(acts).flatmap(lambda act: act)


schedules = st.lists(
    weighed(joins, joins, joins, joins, joins, cancels, cancels, passes, passes, releases),
    min_size=5,
    max_size=9,
)
races = st.lists(
    weighed(joins, joins, joins, joins, cancels, cancels, turns, turns, passes, releases),
    min_size=6,
    max_size=14,
)


class Stage:
    """A world in which schedules are lived through, with processes that die at some of their commits."""

    def __init__(self, world: testing.World):
        self.world = world
        self.plays = plays.Stage(world)
        self.hot = Fragile(world._session.hot)
        world._session.hot = self.hot  # type: ignore[assignment]

    def begin(self, moments: list[Moment], inputs: int) -> None:
        """An empty database, and a process that will die at these commits."""
        self.plays.clear()
        self.begun: list[str] = []
        self._inputs = inputs
        self._restart()
        self.hot.moments = list(moments)

    def _restart(self) -> None:
        self.world.turns = self.plays.turns(self._inputs)

    def invoke(self, call: batch_model.Call) -> None:
        """A run is invoked."""
        held = {"data": call.data(len(self.begun)), "recipient": call.user}
        context = {name: value for name, value in held.items() if value is not None}
        self.begun.append(
            self.world.invoke(None, call.step(), cancelation_token=f"t{len(self.begun)}", **context)
        )
        # Of two runs that are invoked in the same microsecond nobody knows which came first.
        self.world.clock.move(1)

    def cancel(self, which: int) -> None:
        """The run of this number is canceled by another one."""
        self.world.invoke(None, {"action": "cancel", "cancelation_token": f"t{which}"})

    def release(self) -> None:
        """An operator asks for the batches that are there now."""
        workspace_id = self.world.workspace_id
        with self.world.app.store.writing() as connection:
            there = stored.listed(connection, workspace_id, None, 100)
            stored.order(connection, workspace_id, [batch.id for batch in there], stored.RELEASE)

    def settle(self, minutes: int = 0) -> None:
        """Time passes and everything due is done, by as many processes as it takes."""
        until = self.world.clock.at + minutes * batch_model.MINUTE
        while True:
            try:
                self._take_turns()
                due_at = self.world._next_due()
                if due_at is None or due_at > until:
                    self.world.clock.at = until
                    return
                self.world.clock.at = max(self.world.clock.at, due_at)
            except Killed:
                self._restart()

    def _take_turns(self) -> None:
        # Nothing is sent here: turns alone are all there is to do.
        while (report := self.world.turns.take()).inputs or report.more:
            pass

    def turns(self, count: int) -> None:
        """So many turns."""
        for _ in range(count):
            try:
                self.world.turns.take()
            except Killed:
                self._restart()

    def released(self) -> list[batch_model.Released]:
        """What the runs went on with that own a batch."""
        found = []
        for number, (_, records) in enumerate(self.runs()):
            told = records[0].output if records else None
            if isinstance(told, dict) and plans.GAINED in told:
                (gained,) = told[plans.GAINED].values()
                kept = tuple(item["n"] for item in gained["items"])
                batch = told[plans.BATCH]
                assert (batch["size"], batch["retained"]) == (gained["count"], len(kept))
                found.append(batch_model.Released(number, gained["count"], kept, batch["reason"]))
        return found

    def runs(self) -> list[tuple[str, tuple[runs.Record, ...]]]:
        """How the runs stand that were invoked, in their order."""
        rows = {row["id"]: row for row in tables.rows(self.world.app.store, "runs")}
        made = []
        for run_id in self.begun:
            row = rows[ids.of_wire(run_id) or b""]
            names = {1: "WAITING", 2: "PROCESSED", 4: "CANCELED"}
            made.append((names[row["status"]], runs.read(row["state"])))
        return made


@pytest.mark.torture
def test_schedules_leave_what_a_simple_model_leaves(
    world: testing.World, record_property: Callable[[str, object], None]
) -> None:
    """Arrivals, quiet, cancels, releases and kills in any order: the same batches, items and runs as in the model."""
    stage = Stage(world)
    seen: Counter[str] = Counter()

    # A tie but for microseconds: quiet would end it only after the longest wait does.
    late = batch_model.Call("a", None, 30, 60, None, "first", 3, "y")
    tie = [Join(late), Pass(20), Join(late), Pass(10), Join(late)]

    @hypothesis.settings(max_examples=SCHEDULES, phases=PHASES)
    @hypothesis.example(tie, [], 500)
    @hypothesis.given(schedules, st.lists(moment, max_size=40), st.sampled_from((1, 3, 500)))
    def lived(schedule: list[Any], moments: list[Moment], inputs: int) -> None:
        stage.begin(moments, inputs)
        model = batch_model.Model(testing.START)
        for act in schedule:
            if isinstance(act, Join):
                model.join(len(stage.begun), act.call)
                stage.invoke(act.call)
                stage.settle()
            elif isinstance(act, Cancel) and act.back <= len(stage.begun):
                model.cancel(len(stage.begun) - act.back)
                stage.cancel(len(stage.begun) - act.back)
                stage.settle()
            elif isinstance(act, Release):
                model.release()
                stage.release()
                stage.settle()
            elif isinstance(act, Pass):
                model.pass_time(act.minutes)
                stage.settle(act.minutes)
        model.pass_time(61)
        stage.settle(61)
        assert sorted(stage.released()) == sorted(model.released)
        assert {number: told for number, (told, _) in enumerate(stage.runs())} == model.status
        assert not any(tables.content(world.app.store, *LEFT).values())
        seen.update(one.reason for one in model.released)
        seen["inherited"] += sum("instead_of" in str(records) for _, records in stage.runs())

    lived()
    assert stage.hot.kills > SCHEDULES // 4
    assert set(seen) == {"max_items", "wait_period", "max_wait_period", "operator", "inherited"}
    assert min(seen.values()) >= SCHEDULES // 50
    record_property("schedules", SCHEDULES)
    record_property("kills", stage.hot.kills)
    record_property("batches", seen.total() - seen["inherited"])


@pytest.mark.torture
def test_no_race_loses_or_doubles_an_item(
    world: testing.World, record_property: Callable[[str, object], None]
) -> None:
    """Whatever crosses on its way, each item is in one release, unless its own run was canceled in time."""
    stage = Stage(world)
    counts: Counter[str] = Counter()

    @hypothesis.settings(max_examples=SCHEDULES // 5, phases=PHASES)
    @hypothesis.given(races, st.lists(moment, max_size=40), st.sampled_from((1, 2, 5)))
    def lived(schedule: list[Any], moments: list[Moment], inputs: int) -> None:
        stage.begin(moments, inputs)
        for act in schedule:
            if isinstance(act, Join):
                stage.invoke(act.call._replace(key="a", user=None, retain_type="first", retain_count=100))
            elif isinstance(act, Cancel):
                stage.cancel(max(len(stage.begun) - act.back, 0))
            elif isinstance(act, Release):
                stage.release()
            elif isinstance(act, Turns):
                stage.turns(act.number)
            else:
                stage.settle(act.minutes)
        stage.settle(61)
        assert not any(tables.content(world.app.store, *LEFT).values())
        released, stood = stage.released(), [told for told, _ in stage.runs()]
        items = Counter(number for one in released for number in one.kept)
        assert sum(one.size for one in released) == sum(items.values())
        for number, told in enumerate(stood):
            assert items[number] == 1 or (told, items[number]) == ("CANCELED", 0), number
        assert "WAITING" not in stood
        assert all(stood[one.owner] == "PROCESSED" for one in released)
        counts.update(stood)

    lived()
    assert counts["CANCELED"] > SCHEDULES // 20
    assert stage.hot.kills > SCHEDULES // 20
    record_property("schedules", SCHEDULES // 5)
    record_property("kills", stage.hot.kills)
    record_property("items", counts.total())


COLLECT = batch_model.Call("a", None, 10, 60, None, "first", 10, None).step()
DAY = 24 * 60 * batch_model.MINUTE


def overdue(world: testing.World) -> tuple[list[str], list[held.Held]]:
    """Two runs whose batch was due two days ago, while nobody was there; and what is held of it."""
    begun = []
    for number in range(2):
        begun.append(world.invoke(None, COLLECT, data={"n": number}))
        world.clock.move(1)
        world.run_until_idle()
    world.clock.at += 2 * DAY
    world.run_until_idle()
    with world.app.store.reading() as connection:
        return begun, held.listed(connection, world.workspace_id, 10)


def test_the_latest_word_of_a_held_batch_holds(world: testing.World) -> None:
    """One that is dropped just after somebody let it go ends with its owner, and so does one let go once more."""
    for words in ((stored.RELEASE,), (stored.DROP,), ()):
        begun, (one,) = overdue(world)
        with world.app.store.writing() as connection:
            for word in words:
                stored.order(connection, world.workspace_id, [one.id], word)
            assert held.drop(connection, world.workspace_id, [one.id], world.clock.now()) == 1
            if not words:
                stored.order(connection, world.workspace_id, [one.id], stored.RELEASE)
        world.run_until_idle()
        assert [world.run(each).status for each in begun] == ["CANCELED", "PROCESSED"]
        assert tables.rows(world.app.store, "batches") == []


def test_what_was_due_too_long_ago_is_held(world: testing.World) -> None:
    """An operator lets it go, with its items, or drops it; what comes meanwhile opens the next batch."""
    for act in (held.release, held.drop):
        begun, found = overdue(world)
        assert [(one.what, one.about) for one in found] == [("batch", "a")]
        assert world.run(begun[0]).status == "WAITING"
        later = world.invoke(None, COLLECT, data={"n": 9})
        world.run_until_idle()
        with world.app.store.writing() as connection:
            chosen = [one.id for one in found]
            assert act(connection, world.workspace_id, chosen, world.clock.now()) == 1
            assert act(connection, world.workspace_id, chosen, world.clock.now()) == 0
        world.run_until_idle()
        is_released = act is held.release
        assert world.run(begun[0]).status == ("PROCESSED" if is_released else "CANCELED")
        assert world.run(later).status == "WAITING"
        world.pass_time(hours=1)
        assert world.run(later).status == "PROCESSED"
        assert not any(tables.content(world.app.store, *LEFT).values())


def test_a_handed_over_batch_is_not_late(world: testing.World) -> None:
    """An owner's long wait that ends with its cancel is nobody's absence: what is due then is released, not held."""
    slow = {**COLLECT, "wait_period": "P10D", "max_wait_period": "P20D"}
    first = world.invoke(None, slow, data={"n": 0}, cancelation_token="t")
    world.clock.move(1)
    world.run_until_idle()
    second = world.invoke(None, COLLECT, data={"n": 1})
    world.pass_time(days=5)
    world.invoke(None, {"action": "cancel", "cancelation_token": "t"})
    world.run_until_idle()
    assert [world.run(one).status for one in (first, second)] == ["CANCELED", "PROCESSED"]


def test_items_that_are_too_large_together_are_left_out(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is passed on has a bound, and the count tells of all."""
    monkeypatch.setattr(batches, "MOST_BYTES", 40)
    begun = []
    for number in range(5):
        begun.append(world.invoke(None, COLLECT, data={"n": number, "x": "12345"}))
        world.clock.move(1)
        world.run_until_idle()
    world.pass_time(hours=1)
    row = next(r for r in tables.rows(world.app.store, "runs") if r["id"] == ids.of_wire(begun[0]))
    (record,) = runs.read(row["state"])
    assert record.output[plans.GAINED]["batch"] == {
        "count": 5,
        "items": [{"n": 0, "x": "12345"}, {"n": 1, "x": "12345"}],
    }
    assert (record.output[plans.BATCH]["size"], record.output[plans.BATCH]["retained"]) == (5, 2)


def test_who_follows_a_batch_is_read_of_its_items(world: testing.World) -> None:
    """A step after the release may write to somebody who is named in an item."""
    world.contact("bob", email="bob@example.com")
    world.template("t", subject="{{ data.batch.count }}", text="x")
    send = {"action": "send", "template": "t", "recipient": "${data.batch.items[0].by}"}
    world.invoke(None, COLLECT, send, data={"by": "bob"})
    world.pass_time(hours=1)
    assert [mail.subject for mail in world.mailbox.to("bob@example.com")] == ["1"]


def test_answers_to_earlier_steps_come_in_while_others_wait(world: testing.World) -> None:
    """A run whose item is in somebody's batch still hears of its messages, and goes on rightly if it inherits it."""
    world.mailbox.answer = acts.busy
    send = {
        "action": "send",
        "message": {"to": {"email": "a@example.com"}, "content": {"title": "t", "body": "{n}"}},
    }
    first = world.invoke(None, COLLECT, data={"n": 0}, cancelation_token="t")
    world.clock.move(1)
    world.run_until_idle()
    second = world.invoke(None, send, COLLECT, send, data={"n": 1})
    world.run_until_idle()
    assert world.run(second).status == "PROCESSED"
    world.mailbox.answer = testing.accepted
    world.pass_time(minutes=5)
    world.invoke(None, {"action": "cancel", "cancelation_token": "t"})
    world.pass_time(hours=2)
    assert world.run(first).status == "CANCELED"
    assert (world.run(second).status, world.run(second).steps) == ("PROCESSED", ("PROCESSED",) * 3)
    assert [mail.text for mail in world.mailbox.received] == ["1", "1"]


def test_a_word_that_comes_again_after_the_release_changes_nothing(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that hears once more that it owns the batch, when it has its items already, goes on as it was."""
    note = batch_words.note
    failed: list[Any] = []

    def once(*given: Any) -> None:
        if not failed:
            failed.append(given)
            raise RuntimeError("not now")
        note(*given)

    monkeypatch.setattr(batch_words, "note", once)
    full = {**COLLECT, "max_items": 1}
    run_id = world.invoke(None, full, {"action": "delay", "duration": "1 hour"}, data={"n": 0})
    world.run_until_idle()
    assert len(failed) == 1
    assert world.run(run_id).steps == ("PROCESSED", "WAITING")
    world.pass_time(hours=2)
    assert world.run(run_id).status == "PROCESSED"
    assert not any(tables.content(world.app.store, *LEFT).values())
