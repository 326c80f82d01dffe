"""Killed before or after any commit, an engine that starts again ends where one that was not killed ends."""

from collections import Counter
from typing import ClassVar

import msgspec
import pytest

from heliograph import channels, testing
from heliograph.core import ids, messages, runs
from tests import tables
from tests.engine import kills, plays

EVENTS = 12
PEOPLE = 4


class Working(kills.House):
    """A day on which rules do everything that they can do."""

    def begin(self) -> None:
        """Rules, people, and events that meet them."""
        self.empty()
        world = self.world
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


def check(house: Working) -> int:
    """Everything was done once; what may have been sent twice has a name. Gives how often an answer was lost."""
    store = house.world.app.store
    assert tables.waiting(store) == set()
    found = tables.content(store)
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
    assert {row["state"] for row in found["messages"]} == {messages.State.ACCEPTED}
    return house.lost(found["messages"])


@pytest.mark.torture
def test_killed_at_any_commit_it_ends_as_if_it_were_not(world: testing.World) -> None:
    """Wherever a process is killed and started again: every event, run, tag, note and message once, or with a name."""
    house = Working(world)
    uncertain: list[int] = []

    house.outlives(lambda: uncertain.append(check(house)))
    assert sum(uncertain) > kills.EXAMPLES, "answers were lost"


class Waiting(kills.House):
    """A day on which people wait in a journey."""

    def begin(self) -> None:
        """Everybody enters once, is written to, waits, and is written to again."""
        self.empty()
        world = self.world
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


@pytest.mark.torture
def test_a_run_that_waits_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: a journey is entered once, its delay ends once, and each message goes out once."""
    house = Waiting(world)

    def check() -> None:
        assert tables.waiting(world.app.store) == set()
        found = tables.content(world.app.store)
        started = [row for row in found["runs"] if row["start_key"] is not None]
        assert len(started) == len(found["starts"]) == EVENTS
        assert {row["status"] for row in started} == {runs.Status.DONE}
        assert len(found["messages"]) == 2 * EVENTS
        house.lost(found["messages"])

    house.outlives(check, least=kills.EXAMPLES // 2)


class Alarming(kills.House):
    """A day on which rules fail, and people are told."""

    def begin(self) -> None:
        """Three rules fail, are told of, and are well again days later."""
        self.empty()
        world = self.world
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

    def pass_time(self) -> None:
        """Enough for an alarm to begin and to end."""
        # A whole day without runs ends the alarm.
        self.world.pass_time(hours=50)


ALARMS = 3


@pytest.mark.spec("S4-299")
@pytest.mark.torture
def test_an_alert_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: each alert is opened and ended once, to each address, in the ledger and outside."""
    house = Alarming(world)

    def check() -> None:
        assert tables.waiting(world.app.store) <= {"timers"}, "rules are looked at again"
        alerts = [row for row in tables.rows(world.app.store, "messages") if row["run_id"] is None]
        assert {row["state"] for row in alerts} == {messages.State.ACCEPTED}
        house.lost(alerts)
        told: dict[str, list[str]] = {}
        for row in alerts:
            told.setdefault(row["address"], []).append(msgspec.json.decode(row["content"])["subject"])
        assert told == {
            f"{letter}{number}@example.com": [
                f"[critical] r{number}: its actions fail",
                f"[recovered] r{number}",
            ]
            for letter in "ab"
            for number in range(ALARMS)
        }

    house.outlives(check, least=kills.EXAMPLES // 2, commits=(20, 60))


class Telling(kills.House):
    """A day on which providers tell of messages while these are handed over, and again and again."""

    TOLD = ("delivered", "opened", "clicked", "bounced", "complained")

    def begin(self) -> None:
        """Everybody is written to; of each it is told what their name says, before the answer and after it, twice."""
        self.empty()
        world = self.world
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

    def pass_time(self) -> None:
        """Reports come in after all was handed over too."""
        super().pass_time()
        for sent in self.world.ledger():
            if sent.row.contact_id is not None:
                self._tell(ids.text(sent.row.id), sent.row.address or "", later=True)
        super().pass_time()


@pytest.mark.torture
def test_what_is_told_of_messages_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: a report that was taken in counts once, whether it or the answer was first."""
    house = Telling(world)

    def check() -> None:
        assert tables.waiting(world.app.store) == set()
        found = tables.content(world.app.store)
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

    house.outlives(check, least=kills.EXAMPLES // 2)
