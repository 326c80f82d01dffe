"""`uncertain` and `inbox`: what the engine cannot settle by itself ends, or goes on, at an operator's word."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import structlog

from heliograph import testing as helpers
from heliograph.cli import choosing
from heliograph.core import ids, runs
from heliograph.engine import posting, requested, run, saving, throttling
from tests import tables
from tests.cli import program
from tests.engine import acts

REQUEST = {
    "to": [{"user_id": "ana"}],
    "content": {"title": "Hello", "body": "Hello"},
    "metadata": {"tags": ["x"]},
}
LETTER = {"type": "send_message", "text": "Good morning"}


@pytest.fixture
def play(house: str) -> Iterator[helpers.World]:
    """A world that never repeats by itself, with one contact and one rule."""
    with (
        structlog.testing.capture_logs(),
        helpers.World(house, uncertain_policy="at_most_once") as made,
    ):
        made.contact("ana", email="ana@example.com")
        made.rule(trigger_type="custom.a", actions=[LETTER])
        made.clock.move(1)
        yield made


def lost_message(play: helpers.World) -> tuple[str, str]:
    """An event, and its message whose answer was lost."""
    answer, play.mailbox.answer = play.mailbox.answer, acts.lost
    event = play.event("custom.a", contact_id="ana")
    play.run_until_idle()
    play.mailbox.answer = answer
    (message,) = play.explain(event).messages
    return event, message.id


def standing(play: helpers.World, event: str) -> tuple[str, list[str], bool, str]:
    """How a message stands, how its attempts ended, whether it may have come twice, and what its run came to."""
    story = play.explain(event)
    (message,) = story.messages
    outcomes = [str(one.outcome) for one in message.attempts]
    return message.state, outcomes, message.possibly_repeated, story.runs[0].result.outcome


# ── uncertain ───────────────────────────────────────────────────────────────────────────────────────


def test_what_is_uncertain_is_listed(play: helpers.World, tell: program.Tell) -> None:
    """Each message and call of unknown end stands there with whom it was for and how often it was lost."""
    play.rule(
        trigger_type="custom.b",
        actions=[{"type": "call_webhook", "url": "https://crm.example.com/hook"}],
    )
    assert tell("uncertain", "list").out == "Nothing is uncertain in the workspace default.\n"
    _, message = lost_message(play)
    play.calls.answer = acts.lost
    call_event = play.event("custom.b", contact_id="ana")
    play.run_until_idle()
    call = play.explain(call_event).messages[0].id
    lines = [line.split() for line in tell("uncertain", "list").lines]
    (told,) = [line for line in lines if message in line]
    assert told[:6] == [message, "message", "email", "ana", "ana@example.com", "1"]
    assert [line[:3] for line in lines if call in line] == [[call, "call", "webhook"]]


def test_it_is_sent_again_at_a_word(play: helpers.World, tell: program.Tell) -> None:
    """Sent again it may have come twice, which is named for ever, and the attempt of unknown end stays as it was."""
    event, message = lost_message(play)
    assert standing(play, event) == ("uncertain", ["uncertain"], False, "pending")
    told = tell("uncertain", "resend", message)
    assert told.out == "1 in line again: taken up within five seconds, and sent as if planned now.\n"
    play.run_until_idle()
    assert standing(play, event) == ("accepted", ["uncertain", "accepted"], True, "executed")
    assert [mail.message_id for mail in play.mailbox.received] == [message, message]


def test_it_is_marked_as_accepted(play: helpers.World, tell: program.Tell) -> None:
    """Nothing is sent, the attempt of unknown end stays, and the run goes on as after a delivery."""
    event, message = lost_message(play)
    assert tell("uncertain", "accept", message).out == "1 marked as accepted.\n"
    play.run_until_idle()
    assert standing(play, event) == ("accepted", ["uncertain"], False, "executed")
    assert len(play.mailbox.received) == 1
    assert "accepted, an operator says" in tell("explain", event).out


def test_it_is_marked_as_failed(play: helpers.World, tell: program.Tell) -> None:
    """Nothing is sent, the attempt of unknown end stays, and the action has failed with these words."""
    event, message = lost_message(play)
    assert tell("uncertain", "fail", message).out == "1 marked as failed.\n"
    play.run_until_idle()
    assert standing(play, event) == ("failed", ["uncertain"], False, "failed")
    assert acts.actions(play, event) == [[("send_message", "failed", "never handed over, an operator says")]]


@pytest.mark.parametrize("word", ["resend", "accept", "fail"])
def test_a_word_counts_once(word: str, play: helpers.World, tell: program.Tell) -> None:
    """Said again, of what is not uncertain any more, it changes nothing and says so; nor does it for all of none."""
    event, message = lost_message(play)
    tell("uncertain", word, message)
    play.run_until_idle()
    before = tables.content(play.app.store)
    told = tell("uncertain", word, message)
    assert (told.code, told.out) == (1, "")
    assert "1 of these are not uncertain in the workspace default: nothing was changed" in told.err
    assert tell("uncertain", word, "--all").out.startswith("0 ")
    play.run_until_idle()
    assert tables.content(play.app.store) == before
    assert standing(play, event)[0] in ("accepted", "failed")


def test_all_of_it_at_once(play: helpers.World, tell: program.Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--all` takes everything that is uncertain, however many transactions that needs."""
    monkeypatch.setattr(choosing, "AT_ONCE", 2)
    play.mailbox.answer = acts.lost
    play.events([{"event_type": "custom.a", "contact_id": "ana"}] * 5)
    play.run_until_idle()
    assert tell("uncertain", "accept", "--all").out == "5 marked as accepted.\n"
    assert tell("uncertain", "list").out.startswith("Nothing")


def test_one_that_is_none_stops_all(play: helpers.World, tell: program.Tell) -> None:
    """One id that is not uncertain, among others that are, stops the command before it changes anything."""
    event, message = lost_message(play)
    done = play.event("custom.a", contact_id="ana")
    play.run_until_idle()
    other = play.explain(done).messages[0].id
    assert tell("uncertain", "resend", message, other).code == 1
    assert standing(play, event)[0] == "uncertain"


@pytest.mark.parametrize(
    ("word", "counted"),
    [("resend", (2, 0, 0)), ("accept", (2, 0, 0)), ("fail", (0, 2, 0))],
)
def test_a_campaign_counts_what_became_of_its_job(
    word: str, counted: tuple[int, int, int], play: helpers.World, tell: program.Tell
) -> None:
    """A job of unknown end is counted as what it turned out to be, once, and none is open."""
    play.contact("ben", email="ben@example.com")
    answer, play.mailbox.answer = play.mailbox.answer, acts.lost
    campaign = play.campaign(group=play.communication_group(subject="Hi", text_body="Sale"))
    play.run_until_idle()
    play.mailbox.answer = answer
    assert play.progress(campaign).uncertain == 2
    tell("uncertain", word, "--all")
    play.run_until_idle()
    progress = play.progress(campaign)
    assert (progress.sent, progress.failed, progress.uncertain) == counted
    assert progress.pending == 0
    assert tables.rows(play.app.store, "inbox") == []


# ── inbox ───────────────────────────────────────────────────────────────────────────────────────────


def refused(
    play: helpers.World,
    patch: pytest.MonkeyPatch,
    chapter: ModuleType,
    what: str,
    event_type: str = "custom.a",
) -> str:
    """An event, after turns have refused five times what became of it."""

    def choke(*_: object) -> None:
        raise RuntimeError("a fault of the program")

    with patch.context() as broken:
        broken.setattr(chapter, what, choke)
        event = play.event(event_type, contact_id="ana")
        for _ in range(10):
            play.run_until_idle()
    return event


def aside(play: helpers.World) -> list[str]:
    """The ids of what was set aside."""
    return [ids.text(row["id"]) for row in tables.rows(play.app.store, "inbox") if row["attempts"] >= 5]


def test_what_was_set_aside_is_listed_and_tried_again(
    play: helpers.World, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was refused five times stands in the list, and is taken in once the program is mended."""
    assert tell("inbox", "list").out == "Nothing was set aside in the workspace default.\n"
    event = refused(play, monkeypatch, run, "end")
    (row,) = aside(play)
    (line,) = [line.split() for line in tell("inbox", "list").lines if row in line]
    assert line[1:4] == ["reply", play.explain(event).runs[0].id, "5"]
    assert standing(play, event)[3] == "pending"
    assert tell("inbox", "retry", row).out == "1 in line again: they are tried within five seconds.\n"
    play.run_until_idle()
    assert standing(play, event) == ("accepted", ["accepted"], False, "executed")
    assert tables.rows(play.app.store, "inbox") == []
    assert tell("inbox", "retry", row).code == 1


def test_an_answer_that_is_dropped_leaves_no_run_waiting(
    play: helpers.World, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run hears that its action was skipped; the ledger keeps what the channel said."""
    event = refused(play, monkeypatch, run, "end")
    assert tell("inbox", "drop", "--all").out == "1 dropped.\n"
    play.run_until_idle()
    assert acts.actions(play, event) == [[("send_message", "skipped", "dropped by an operator")]]
    assert standing(play, event)[:2] == ("accepted", ["accepted"])
    assert tables.rows(play.app.store, "inbox") == []


def test_a_message_for_another_that_is_dropped_is_never_sent(
    play: helpers.World, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one subject wanted sent to another ends there, and its run hears of it."""
    play.rule(
        trigger_type="custom.b",
        actions=[{"type": "notify", "emails": ["shop@example.com"], "text": "Somebody came"}],
    )
    event = refused(play, monkeypatch, posting, "received", "custom.b")
    (row,) = aside(play)
    (line,) = [line.split() for line in tell("inbox", "list").lines if row in line]
    assert line[1:3] == ["deliver", "5"]
    assert tell("inbox", "drop", row).out == "1 dropped.\n"
    play.run_until_idle()
    assert acts.actions(play, event) == [[("notify", "skipped", "dropped by an operator")]]
    assert play.mailbox.received == []


@pytest.mark.parametrize(
    ("step", "chapter", "what"),
    [
        (
            {
                "action": "throttle",
                "max_allowed": 1,
                "period": "PT1H",
                "scope": "dynamic",
                "throttle_key": "k",
            },
            throttling,
            "asked_in",
        ),
        ({"action": "update-profile", "recipient_id": "eve", "profile": {"n": 1}}, saving, "_save"),
        ({"action": "send", "message": REQUEST}, requested, "noted"),
    ],
)
def test_a_question_to_another_that_is_dropped_leaves_no_run_waiting(
    play: helpers.World,
    tell: program.Tell,
    monkeypatch: pytest.MonkeyPatch,
    step: dict[str, Any],
    chapter: ModuleType,
    what: str,
) -> None:
    """A run that asks another partition, and is told by an operator instead, goes on with its next step."""
    play.invoke(None, step, {"action": "send", "recipient": "ana", "template": "t"}, recipient="ana")
    play.template("t", text="Hello")
    refused(play, monkeypatch, chapter, what)
    assert runs.Status.WAITING in {row["status"] for row in tables.rows(play.app.store, "runs")}
    assert len(aside(play)) == 1
    assert tell("inbox", "drop", "--all").out == "1 dropped.\n"
    play.run_until_idle()
    assert {row["status"] for row in tables.rows(play.app.store, "runs")} == {runs.Status.DONE}
    assert tables.rows(play.app.store, "inbox") == []


def test_a_word_that_is_refused_itself_can_be_dropped(play: helpers.World, tell: program.Tell) -> None:
    """Where even the word that something was dropped cannot be taken in, the next drop ends it for good."""
    play.event("custom.a", contact_id="ana")
    play.turns.take()
    acts.change(play, "runs", state=b"nonsense")
    for _ in range(10):
        play.run_until_idle()
    assert tell("inbox", "drop", "--all").out == "1 dropped.\n"
    for _ in range(10):
        play.run_until_idle()
    assert len(aside(play)) == 1
    assert tell("inbox", "drop", "--all").out == "1 dropped.\n"
    play.run_until_idle()
    assert tables.rows(play.app.store, "inbox") == []
