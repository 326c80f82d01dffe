"""Laws of journeys: killed anywhere a run ends as one that was not; replayed it leaves the same trace, to the byte."""

from collections import Counter
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from heliograph import testing
from heliograph.core import effects, frames, journey_starts, plans, runs
from heliograph.engine import desk
from heliograph.store import rows
from tests import environment, tables
from tests.engine import kills, plays

EXAMPLES = 200 if environment.is_torture() else 6
ENTRIES = 5
ADDRESSES = ("j@example.com", "refused@example.com", "later@example.com")
LIBRARY = plans.Library({"hello": plans.Pin("hello", 1, None)}, {})

CONDITIONS = (None, None, "data.n % 2 === 0", "data.gone.deeper", "Math.random() < 0.5")
_ASKED = {"url": "https://crm.example/", "params": {"n": "${data.n}"}}
LIVE = "refs.first.status === 'SENT'"
"""How a message stands when it is asked for is a matter of when its answer came, and a kill may delay that."""


def journeys_with(*conditions: str | None) -> st.SearchStrategy[list[dict[str, Any]]]:
    """The steps of a journey, each with one of these conditions."""

    def step(action: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
        drawn = {
            name: kind if isinstance(kind, st.SearchStrategy) else st.just(kind)
            for name, kind in fields.items()
        }
        made = st.fixed_dictionaries({"action": st.just(action), "if": st.sampled_from(conditions), **drawn})
        return made.map(lambda one: {name: value for name, value in one.items() if value is not None})

    message = st.sampled_from(ADDRESSES).map(
        lambda address: {"to": {"email": address}, "content": {"title": "t", "body": "{n} {word}"}}
    )
    return st.lists(
        st.one_of(
            step("send", message=message),
            step("send", recipient=st.sampled_from(("ana", "bob", "nobody")), template="hello"),
            step("delay", duration=st.sampled_from(("2 seconds", "20 minutes", "${data.n} minutes"))),
            step("invoke", template=st.sampled_from(("child", "unknown"))),
            step("cancel", cancelation_token="never"),
            step("fetch-data", webhook=_ASKED, merge_strategy=st.sampled_from(("replace", "soft-merge"))),
            step("get-profile", user_id=st.sampled_from(("ana", "nobody")), path="data.friend"),
            step("update-profile", recipient_id="eve", profile={"n": 1, "word": "${data.word || '-'}"}),
        ),
        min_size=1,
        max_size=5,
    )


class House(kills.House):
    """A day on which people enter a journey, by processes that are killed or are not."""

    INPUTS = 4

    def lived(self, steps: list[dict[str, Any]], moments: list[kills.Moment]) -> dict[str, list[tables.Row]]:
        """Some people enter the journey, and a day passes; gives what the tables hold at its end."""
        self.empty()
        world = self.world
        world.mailbox.answer = plays.answered
        world.calls.answer = testing.answering({"n": 4, "word": "fetched"})
        for name in ("ana", "bob"):
            world.contact(name, **plays.PEOPLE[name], zoneinfo="Europe/Berlin")
        world.template("hello", subject="s", text="{{ n }} {{ profile.plan }}")
        first = {"action": "send", "ref": "first", "message": _MESSAGE}
        world.journey("child", {"action": "delay", "duration": "1 hour"}, _HELLO)
        world.journey("drawn", first, *steps, trigger={"event_type": "custom.a"})
        self.stage.accept(
            0,
            [
                {"event_type": "custom.a", "contact_id": "ana", "conversation_id": None, "payload": {"n": n}}
                for n in range(ENTRIES)
            ],
        )
        self.live(moments)
        return tables.content(world.app.store)

    def pass_time(self) -> None:
        """What is left of the day."""
        self.world.pass_time(seconds=(testing.START + 86_400_000_000 - self.world.clock.now()) / 1_000_000)


_HELLO = {"action": "send", "recipient": "ana", "template": "hello"}
_MESSAGE = {
    "to": {"email": "${data.n > 2 ? 'refused@example.com' : 'j@example.com'}"},
    "content": {"title": "t", "body": "b"},
}


def ended(found: dict[str, list[tables.Row]]) -> list[Any]:
    """How the runs of journeys ended, and their messages, without the instants at which that came to be."""
    told = []
    for row in found["runs"]:
        if row["start_key"] is not None:
            steps = [(one.status, _timeless(one.output), one.error) for one in runs.read(row["state"])]
            told.append((row["status"], row["outcome"], row["reason"], steps))
    sent = [(row["address"], row["contact_id"], row["state"], row["data"]) for row in found["messages"]]
    return [Counter(map(repr, told)), Counter(map(repr, sent))]


def _timeless(output: Any) -> Any:
    gone = {plans.WAKES_AT, "run_id"}
    return {k: v for k, v in output.items() if k not in gone} if isinstance(output, dict) else output


@pytest.mark.torture
def test_a_journey_killed_anywhere_ends_as_one_that_was_not(world: testing.World) -> None:
    """Whatever its steps are: killed after any effect, each run takes the steps that it takes where nobody is."""
    house = House(world)
    world.mailbox.answer = plays.answered

    @hypothesis.settings(max_examples=EXAMPLES, phases=kills.PHASES)
    @hypothesis.given(journeys_with(*CONDITIONS), st.lists(kills.moment, min_size=10, max_size=60))
    def lived(steps: list[dict[str, Any]], moments: list[kills.Moment]) -> None:
        whole = ended(house.lived(steps, []))
        assert ended(house.lived(steps, moments)) == whole
        assert sum(whole[0].values()) >= ENTRIES

    lived()
    assert house.hot.kills > EXAMPLES // 2


@pytest.mark.torture
def test_a_replay_of_a_journey_leaves_the_same_trace(world: testing.World) -> None:
    """From its start and what its steps have read alone, each step leaves the same record again, to the byte."""
    house = House(world)
    world.mailbox.answer = plays.answered
    replayed: list[int] = []

    @hypothesis.settings(max_examples=EXAMPLES, phases=kills.PHASES)
    @hypothesis.given(journeys_with(*CONDITIONS, LIVE))
    def same(steps: list[dict[str, Any]]) -> None:
        found = house.lived(steps, [])
        started = {row["run_id"]: rows.Start._make(row.values()) for row in found["starts"]}
        for row in found["runs"]:
            if row["start_key"] is not None:
                kept = rows.Run._make(row.values())
                replayed.append(replay(world, kept, started[kept.id]))

    same()
    assert sum(replayed) > EXAMPLES * ENTRIES


def replay(world: testing.World, row: rows.Run, start: rows.Start) -> int:
    """Take every step of a run again, with nothing but its records; gives how many there were."""
    door: Any = world.app.doors[effects.Door.JOURNEY]
    definition = next(
        one["definition"]
        for one in tables.rows(world.app.store, "automation_versions")
        if (one["automation_id"], one["version"]) == (row.automation_id, row.version)
    )
    plan = door.plan(row, start, definition)
    records = runs.read(row.state)
    for visit, record in enumerate(records):
        made = taken_again(world, row, start, plan, visit)
        assert msgspec.json.encode(made) == msgspec.json.encode(record)
    return len(records)


def taken_again(
    world: testing.World, row: rows.Run, start: rows.Start, plan: plans.Plan, visit: int
) -> runs.Record:
    """The record of one step, made of what the run was started with and of what the step has read."""
    records = runs.read(row.state)
    record = records[visit]
    read = record.output.get("read", {}) if isinstance(record.output, dict) else {}
    refs = frames.refs_of(plan.steps)
    sent = {
        refs[ref]: [status for status, count in told["counts"].items() for _ in range(count)]
        for ref, told in read.items()
        if "counts" in told
    }
    body = journey_starts.read_body(start.body)
    people = {
        one["user_id"]: desk.root(one["user_id"], one["profile"], one["tags"])
        for one in tables.rows(world.app.store, "contacts")
    }
    stored = {
        one["user_id"]: msgspec.json.decode(one["profile"])
        for one in tables.rows(world.app.store, "contacts")
    }
    run = frames.Run(
        row.id,
        journey_starts.context_of(body),
        world.app.sandbox,
        refs,
        leaves=frames.leaves_of(plan.steps),
        token=start.token,
        people=people,
        stored=stored,
        sent=sent,
        invoke=_invoked,
    )
    run.look(visit, records[:visit])
    now = record.started_at
    scene = plans.Scene(
        *(row.automation_id, b"", "", "", None, start.contact_id, None, start.tenant_id, body.depth),
        *({}, None, None, None, "", LIBRARY, None, now),
        started=run,
    )
    begun = runs._begun(plan.steps[visit].take(scene), now)
    if not record.answered:
        return begun
    output = {**(record.output or {})}
    for name in begun.output or {}:
        output.pop(name, None)
    answer = runs.Reply(0, 0, plans.Status(record.status), output or None, record.error)
    return runs.take_in([begun], [answer], record.settled_at or 0)[0]


def _invoked(template: str, given: Any) -> Any:
    if template == "unknown":
        return "there is no published journey 'unknown'"
    return effects.Start(effects.Door.JOURNEY, journey_starts.OWN, 0, None, None, None, given)
