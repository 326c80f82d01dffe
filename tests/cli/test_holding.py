"""`held`: what was due for too long waits for an operator, and goes on or ends at their word (engine.md E33)."""

from collections.abc import Iterator

import pytest

from heliograph import clock
from heliograph import testing as helpers
from heliograph.cli import choosing, options
from heliograph.core import ids
from heliograph.core import messages as ledger
from heliograph.store import database
from tests.cli import program

LETTER = {"type": "send_message", "text": "Good morning"}


@pytest.fixture
def play(house: str) -> Iterator[helpers.World]:
    """A world with one contact and one rule."""
    with helpers.World(house) as made:
        made.contact("ana", email="ana@example.com")
        made.rule(trigger_type="custom.a", actions=[LETTER])
        made.clock.move(1)
        yield made


def sleep_over(play: helpers.World) -> None:
    """Nobody is there for two days: time passes and nothing is done."""
    play.clock.move(48 * 3600 * 1_000_000)


def held_event(play: helpers.World) -> str:
    """An event that was found two days late."""
    event = play.event("custom.a", contact_id="ana")
    sleep_over(play)
    play.run_until_idle()
    return event


def held_message(play: helpers.World) -> tuple[str, str]:
    """An event, and its message that was found two days late."""
    event = play.event("custom.a", contact_id="ana")
    while play.turns.take().inputs:
        pass
    sleep_over(play)
    play.run_until_idle()
    (message,) = play.ledger()
    return event, ids.text(message.row.id)


def states(play: helpers.World) -> list[ledger.State]:
    """How the messages of the ledger stand."""
    return [ledger.State(one.row.state) for one in play.ledger()]


def test_what_is_held_is_listed(play: helpers.World, tell: program.Tell) -> None:
    """Events and messages that are too late stand in one list, with whom they concern and since when."""
    assert tell("held", "list").out == "Nothing is held in the workspace default.\n"
    message_event, message = held_message(play)
    event = held_event(play)
    told = tell("held", "list")
    assert [line.split()[:4] for line in told.lines if "ana" in line] == [
        [message, "message", "email", "ana"],
        [event, "event", "custom.a", "ana"],
    ]
    assert message_event not in told.out
    assert play.mailbox.received == []


def test_a_released_event_is_decided(play: helpers.World, tell: program.Tell) -> None:
    """It goes on as if it had just come in, and is not held again for the time it has waited."""
    event = held_event(play)
    assert tell("held", "release", event).out == "1 released: they go on within five seconds.\n"
    play.run_until_idle()
    story = play.explain(event)
    assert (story.event.status, story.event.attempts, story.event.error) == ("processed", 1, None)
    assert len(play.mailbox.to("ana@example.com")) == 1
    assert tell("held", "list").out.startswith("Nothing")


def test_a_released_message_is_sent(play: helpers.World, tell: program.Tell) -> None:
    """It stands in line again as if it had just become due, and its run hears of the delivery."""
    event, message = held_message(play)
    assert tell("held", "release", message).code == 0
    play.run_until_idle()
    assert states(play) == [ledger.State.ACCEPTED]
    assert play.explain(event).runs[0].result.outcome == "executed"


def test_a_dropped_event_is_over(play: helpers.World, tell: program.Tell) -> None:
    """No rule sees it any more, and its story says whose word that was."""
    event = held_event(play)
    assert tell("held", "drop", event).out == "1 dropped.\n"
    play.run_until_idle()
    assert play.explain(event).runs == []
    assert play.ledger() == []
    assert "dropped by an operator" in tell("explain", event).out


def test_a_dropped_message_is_canceled(play: helpers.World, tell: program.Tell) -> None:
    """Nobody receives it, and the run that waited for it goes on."""
    event, message = held_message(play)
    tell("held", "drop", message)
    play.run_until_idle()
    (run,) = play.explain(event).runs
    assert states(play) == [ledger.State.CANCELED]
    assert play.mailbox.received == []
    assert [action.status for action in run.result.actions] == ["skipped"]
    assert run.result.outcome == "executed"


def test_all_of_it_at_once(play: helpers.World, tell: program.Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--all` takes everything that is held, however many transactions that needs."""
    monkeypatch.setattr(choosing, "AT_ONCE", 2)
    play.events([{"event_type": "custom.a", "contact_id": "ana"}] * 5)
    sleep_over(play)
    play.run_until_idle()
    assert tell("held", "release", "--all").out.startswith("5 released")
    play.run_until_idle()
    assert len(play.mailbox.received) == 5
    assert tell("held", "release", "--all").out.startswith("0 released")


def test_what_is_not_held_is_left_alone(play: helpers.World, tell: program.Tell) -> None:
    """One id that is not held, among others that are, stops the command before it changes anything."""
    event = held_event(play)
    done = play.event("custom.a", contact_id="ana")
    play.run_until_idle()
    told = tell("held", "drop", event, done)
    assert (told.code, told.out) == (1, "")
    assert "1 of these are not held" in told.err
    assert "event " in tell("held", "list").out


# ── on PostgreSQL ───────────────────────────────────────────────────────────────────────────────────


def test_commands_go_by_the_clock_that_processes_share(
    ready_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is let go on a machine whose clock is an hour ahead is due now, and not in an hour."""
    ahead = clock.WallClock().now() + 3_600 * clock.SECOND
    monkeypatch.setattr(clock.WallClock, "now", lambda _: ahead)
    store = database.Database(ready_postgres_url)
    assert abs(options.moment(store) - store.told_time()) < 60 * clock.SECOND
    store.close()
