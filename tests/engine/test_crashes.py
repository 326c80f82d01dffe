"""Killed before or after any commit, an engine that starts again ends where one that was not killed ends."""

from collections import Counter
from typing import Any, ClassVar, Literal

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from heliograph import channels, testing
from heliograph.core import ids, messages, runs
from tests import environment, tables
from tests.engine import plays

EXAMPLES = 300 if environment.is_torture() else 12
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
EVENTS = 12
PEOPLE = 4

Moment = Literal["before", "after"] | None
"""When a commit is the last thing that a process does: before it took hold, or after, and nobody heard of it."""


# Most commits are survived, or no process would come far.
moment: st.SearchStrategy[Moment] = st.sampled_from((None,) * 5 + ("before", "after"))


class Killed(BaseException):
    """The process is gone."""


class Fragile:
    """The hot statements, but some commits are the last thing that the process does."""

    def __init__(self, hot: Any):
        self._hot = hot
        self.moments: list[Moment] = []
        self.kills = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hot, name)

    def commit(self, connection: Any) -> None:
        """Commit, unless it is the end."""
        moment = self.moments.pop(0) if self.moments else None
        if moment != "before":
            self._hot.commit(connection)
        if moment is not None:
            self.kills += 1
            raise Killed


class Playhouse:
    """One world, in which the same day is lived again and again."""

    def __init__(self, world: testing.World):
        self.world = world
        self.stage = plays.Stage(world)
        world.mailbox.answer = testing.accepted
        self.hot = Fragile(world._session.hot)
        world._session.hot = self.hot  # type: ignore[assignment]

    def live(self, moments: list[Moment]) -> None:
        """A day with these ends of processes in it."""
        world = self.world
        self.stage._clear()
        world.mailbox.received.clear()
        world.rule(
            trigger_type="custom.a",
            actions=[
                {"type": "send_message", "text": "{{payload.n}}", "on_error": "stop"},
                {"type": "add_tags", "tags": ["done{{payload.n}}"], "target": "contact"},
                {"type": "add_tags", "tags": ["k{{payload.n}}"]},
                {"type": "add_note", "text": "{{payload.n}}"},
                {"type": "emit_event", "event_type": "custom.b", "payload": {"n": "{{payload.n}}"}},
            ],
        )
        world.rule(
            trigger_type="custom.b",
            actions=[{"type": "notify", "emails": ["staff@example.com"], "text": "{{payload.n}}"}],
        )
        # What the engine tells of a conversation comes to its contact, and what follows goes back to it.
        world.rule(
            trigger_type="conversation_tagged",
            actions=[{"type": "add_note", "text": "{{payload.added[0]}}"}],
        )
        for number in range(PEOPLE):
            world.contact(f"c{number}", email=f"c{number}@example.com")
        world.events(
            [
                {
                    "event_type": "custom.a",
                    "contact_id": f"c{n % PEOPLE}",
                    "conversation_id": f"k{n % PEOPLE}",
                    "payload": {"n": n},
                }
                for n in range(EVENTS)
            ]
        )
        self.hot.moments = list(moments)
        while not self._ended():
            pass

    def _ended(self) -> bool:
        """A process that starts, and works until it has nothing left to do or is killed."""
        self.world.turns = self.stage._turns(5)
        self.world.delivery = self.world.app.delivery(self.world._session)
        try:
            self.world.delivery.adopt_all()
            self._pass()
        except Killed:
            return False
        return True

    def _pass(self) -> None:
        self.world.pass_time(hours=1)


def check(world: testing.World) -> int:
    """Everything was done once; what may have been sent twice has a name. Gives how often an answer was lost."""
    lost = 0
    found = tables.content(world.app.store)
    assert not any(found[name] for name in ("due", "inbox", "timers", "send_due", "claims"))
    types = Counter(row["event_type"] for row in found["events"])
    assert types == {"custom.a": EVENTS, "custom.b": EVENTS, "conversation_tagged": EVENTS}
    assert len(found["decisions"]) == len(found["runs"]) == 3 * EVENTS
    assert len(found["messages"]) == 2 * EVENTS
    assert len({row["event_id"] for row in found["runs"]}) == 3 * EVENTS
    assert {row["outcome"] for row in found["runs"]} == {2}
    counts = ("total", "matched", "executed", "pending")
    assert [sum(row[name] for row in found["rule_statistics"]) for name in counts] == [3 * EVENTS] * 3 + [0]
    noted: dict[str, list[str]] = {row["id"]: [] for row in found["conversations"]}
    for row in found["notes"]:
        noted[row["conversation_id"]].append(row["text"])
    assert {name: sorted(texts) for name, texts in noted.items()} == {
        f"k{number}": sorted(f"{word}{n}" for n in range(number, EVENTS, PEOPLE) for word in ("", "k"))
        for number in range(PEOPLE)
    }
    tags = {row["user_id"]: sorted(msgspec.json.decode(row["tags"])) for row in found["contacts"]}
    assert tags == {
        f"c{number}": sorted(f"done{n}" for n in range(number, EVENTS, PEOPLE)) for number in range(PEOPLE)
    }
    copies = Counter(mail.message_id for mail in world.mailbox.received)
    for row in found["messages"]:
        attempts = messages.read_attempts(row["attempts"])
        uncertain = sum(attempt.outcome == "uncertain" for attempt in attempts)
        lost += uncertain
        assert row["state"] == messages.State.ACCEPTED
        assert 1 <= copies.pop(ids.text(row["id"])) <= 1 + uncertain
    assert not copies, "nobody received what the ledger does not know"
    return lost


@pytest.mark.torture
def test_killed_at_any_commit_it_ends_as_if_it_were_not(world: testing.World) -> None:
    """Wherever a process is killed and started again: every event, run, tag, note and message once, or with a name."""
    house = Playhouse(world)
    uncertain: list[int] = []

    @hypothesis.settings(max_examples=EXAMPLES, phases=PHASES)
    @hypothesis.given(st.lists(moment, min_size=20, max_size=80))
    def lived(moments: list[Moment]) -> None:
        house.live(moments)
        uncertain.append(check(world))

    lived()
    assert house.hot.kills > EXAMPLES
    assert sum(uncertain) > EXAMPLES, "answers were lost"


class Waiting(Playhouse):
    """A day on which people wait in a journey."""

    def live(self, moments: list[Moment]) -> None:
        """Everybody enters once, is written to, waits, and is written to again."""
        world = self.world
        self.stage._clear()
        world.mailbox.received.clear()
        send = {
            "action": "send",
            "message": {
                "to": {"email": "${`c${data.n}@example.com`}"},
                "content": {"title": "t", "body": "b"},
            },
        }
        world.journey(
            "wait",
            send,
            {"action": "delay", "duration": "20 minutes"},
            send,
            trigger={"event_type": "custom.a", "entry_key": "{{payload.n}}"},
        )
        for _ in range(2):
            world.events(
                [
                    {"event_type": "custom.a", "contact_id": f"c{n}", "payload": {"n": n}}
                    for n in range(EVENTS)
                ]
            )
        self.hot.moments = list(moments)
        while not self._ended():
            pass


@pytest.mark.torture
def test_a_run_that_waits_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: a journey is entered once, its delay ends once, and each message goes out once."""
    house = Waiting(world)

    @hypothesis.settings(max_examples=EXAMPLES, phases=PHASES)
    @hypothesis.given(st.lists(moment, min_size=20, max_size=80))
    def lived(moments: list[Moment]) -> None:
        house.live(moments)
        found = tables.content(world.app.store)
        assert not any(found[name] for name in ("due", "inbox", "timers", "send_due", "claims"))
        started = [row for row in found["runs"] if row["start_key"] is not None]
        assert len(started) == len(found["starts"]) == EVENTS
        assert {row["status"] for row in started} == {runs.Status.DONE}
        assert len(found["messages"]) == 2 * EVENTS
        copies = Counter(mail.message_id for mail in world.mailbox.received)
        for row in found["messages"]:
            attempts = messages.read_attempts(row["attempts"])
            uncertain = sum(attempt.outcome == "uncertain" for attempt in attempts)
            assert 1 <= copies[ids.text(row["id"])] <= 1 + uncertain

    lived()
    assert house.hot.kills > EXAMPLES // 2


class Alarming(Playhouse):
    """A day on which rules fail, and people are told."""

    def live(self, moments: list[Moment]) -> None:
        """Three rules fail, are told of, and are well again days later."""
        world = self.world
        self.stage._clear()
        world.mailbox.received.clear()
        # Else the address is given up after five, and its rule fails no more.
        world.mailbox.answer = plays.answered
        for number in range(ALARMS):
            world.rule(
                name=f"r{number}",
                trigger_type=f"custom.r{number}",
                actions=[{"type": "notify", "emails": ["refused@example.com"], "text": "x"}],
                alert_settings={
                    "window_days": 1,
                    "min_matched_runs": 2,
                    "channels": {"emails": [f"a{number}@example.com", f"b{number}@example.com"]},
                },
            )
        world.events([{"event_type": f"custom.r{n % ALARMS}"} for n in range(3 * ALARMS)])
        self.hot.moments = list(moments)
        while not self._ended():
            pass

    def _pass(self) -> None:
        # A whole day without runs ends the alarm.
        self.world.pass_time(hours=50)


ALARMS = 3


@pytest.mark.spec("S4-299")
@pytest.mark.torture
def test_an_alert_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: each alert is opened and ended once, to each address, in the ledger and outside."""
    house = Alarming(world)

    @hypothesis.settings(max_examples=EXAMPLES, phases=PHASES)
    @hypothesis.given(st.lists(moment, min_size=20, max_size=60))
    def lived(moments: list[Moment]) -> None:
        house.live(moments)
        found = tables.content(world.app.store, "due", "inbox", "send_due", "claims", "messages")
        assert not any(found[name] for name in ("due", "inbox", "send_due", "claims"))
        alerts = [row for row in found["messages"] if row["run_id"] is None]
        copies = Counter(mail.message_id for mail in world.mailbox.received)
        told: dict[str, list[str]] = {}
        for row in alerts:
            attempts = messages.read_attempts(row["attempts"])
            uncertain = sum(attempt.outcome == "uncertain" for attempt in attempts)
            assert row["state"] == messages.State.ACCEPTED
            assert 1 <= copies.pop(ids.text(row["id"])) <= 1 + uncertain
            told.setdefault(row["address"], []).append(msgspec.json.decode(row["content"])["subject"])
        assert not copies, "nobody received what the ledger does not know"
        assert told == {
            f"{letter}{number}@example.com": [
                f"[critical] r{number}: its actions fail",
                f"[recovered] r{number}",
            ]
            for letter in "ab"
            for number in range(ALARMS)
        }

    lived()
    assert house.hot.kills > EXAMPLES // 2


class Telling(Playhouse):
    """A day on which providers tell of messages while these are handed over, and again and again."""

    TOLD = ("delivered", "opened", "clicked", "bounced", "complained")

    def live(self, moments: list[Moment]) -> None:
        """Everybody is written to; of each it is told what their name says, before the answer and after it, twice."""
        world = self.world
        self.stage._clear()
        world.mailbox.received.clear()
        world.mailbox.answer = self._answer
        for number, what in enumerate(self.TOLD):
            world.contact(what, email=f"{what}@example.com")
            world.contact(f"{what}-later", email=f"{what}-later@example.com")
            if what != "complained":
                world.rule(
                    trigger_type=f"message_{what}",
                    actions=[
                        {"type": "add_tags", "tags": ["{{event_type}}"], "target": "contact"},
                        {"type": "notify", "emails": [f"staff{number}@example.com"], "text": "x"},
                    ],
                )
        world.rule(
            trigger_type="custom.a", actions=[{"type": "send_message", "text": "x", "on_error": "stop"}]
        )
        world.events(
            [
                {"event_type": "custom.a", "contact_id": f"{what}{end}"}
                for what in self.TOLD
                for end in ("", "-later")
            ]
        )
        self.hot.moments = list(moments)
        while not self._ended():
            pass

    def _answer(self, outgoing: channels.Outgoing) -> channels.Answer:
        if not outgoing.address.startswith("staff"):
            self._tell(outgoing.message_id, outgoing.address, later=False)
        return testing.accepted(outgoing)

    def _tell(self, message_id: str, address: str, *, later: bool) -> None:
        what, _, end = address.partition("@")[0].partition("-")
        if bool(end) == later:
            for _ in range(2):
                # At one instant, however often it was handed over: the earliest counts.
                self.world.report(message_id, what, at=testing.START, **self.MORE.get(what, {}))

    MORE: ClassVar[dict[str, dict[str, str]]] = {
        "bounced": {"bounce": "hard"},
        "clicked": {"link": "https://shop.example/"},
    }

    def _pass(self) -> None:
        super()._pass()
        for sent in self.world.ledger():
            if sent.row.contact_id is not None:
                self._tell(ids.text(sent.row.id), sent.row.address or "", later=True)
        super()._pass()


@pytest.mark.torture
def test_what_is_told_of_messages_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: a report that was taken in counts once, whether it or the answer was first."""
    house = Telling(world)

    @hypothesis.settings(max_examples=EXAMPLES, phases=PHASES)
    @hypothesis.given(st.lists(moment, min_size=20, max_size=80))
    def lived(moments: list[Moment]) -> None:
        house.live(moments)
        found = tables.content(world.app.store)
        assert not any(found[name] for name in ("due", "inbox", "timers", "send_due", "claims"))
        stands = {row["contact_id"]: row for row in found["messages"] if row["contact_id"] is not None}
        assert len(stands) == 2 * len(house.TOLD)
        for name, row in stands.items():
            what = name.partition("-")[0]
            bounced = messages.State.BOUNCED if what == "bounced" else messages.State.DELIVERED
            assert row["state"] == row["reached"] == bounced, name
        told = Counter(row["event_type"] for row in found["events"])
        assert told.pop("custom.a") == 2 * len(house.TOLD)
        assert told == {f"message_{what}": 2 for what in house.TOLD if what != "complained"}
        assert {row["address"]: row["reason"] for row in found["suppressions"]} == {
            f"{what}{end}@example.com": reason
            for what, reason in (("bounced", "bounce"), ("complained", "complaint"))
            for end in ("", "-later")
        }
        tags = {row["user_id"]: msgspec.json.decode(row["tags"]) for row in found["contacts"]}
        for name, of_them in tags.items():
            what = name.partition("-")[0]
            assert of_them == ([] if what == "complained" else [f"message_{what}"])
        assert sum(row["contact_id"] is None for row in found["messages"]) == 2 * (len(house.TOLD) - 1)

    lived()
    assert house.hot.kills > EXAMPLES // 2
