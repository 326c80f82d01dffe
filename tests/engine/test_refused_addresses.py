"""What a refusal at the hand-over says of the address: as much as a bounce that comes later."""

import random

import hypothesis
import pytest
from hypothesis import strategies as st

from heliograph import channels, testing
from heliograph.core import provider_reports, reports, schedule
from tests.engine.test_reports import suppressed


def refuse(world: testing.World, code: str | None) -> None:
    """From now on the mail server refuses everything with this code; None: it takes everything."""
    if code is None:
        world.mailbox.answer = testing.accepted
        return
    outcome = channels.Outcome.PERMANENT
    world.mailbox.answer = lambda _: channels.Answer(outcome, "smtp", None, code, "no")


def write(world: testing.World) -> int:
    """One more message to Ana; gives how many arrived."""
    before = len(world.mailbox.received)
    world.pass_time(minutes=1)
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    return len(world.mailbox.received) - before


@pytest.fixture
def hello(world: testing.World) -> testing.World:
    """A contact, and a rule that writes to them."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    return world


def test_an_address_that_the_server_does_not_know_is_written_to_once(hello: testing.World) -> None:
    """550 5.1.1 suppresses it, though nobody of the workspace ever said or set anything; the next one is skipped."""
    refuse(hello, "550 5.1.1")
    write(hello)
    assert suppressed(hello) == {"ana@example.com": "bounce"}
    assert [one.status for one in hello.ledger()] == ["UNDELIVERABLE"]
    refuse(hello, None)
    assert write(hello) == 0
    newest = hello.ledger()[0]
    assert (newest.status, newest.row.error, newest.attempts) == ("UNROUTABLE", "suppressed", ())


def test_five_refusals_for_the_time_being_suppress(hello: testing.World) -> None:
    """A full mailbox five times; what is refused for who we are or what we say does not count, however often."""
    for code in ("554 5.7.1", "550 5.7.26", "554 5.6.0", "550 5.1.8", "554"):
        refuse(hello, code)
        for _ in range(6):
            write(hello)
    assert suppressed(hello) == {}
    refuse(hello, "552 5.2.2")
    for _ in range(4):
        write(hello)
    assert suppressed(hello) == {}
    write(hello)
    assert suppressed(hello) == {"ana@example.com": "bounce"}


def test_the_next_channel_takes_a_message_whose_mailbox_is_gone(hello: testing.World) -> None:
    """The address is suppressed all the same, and the message goes on its way."""
    refuse(hello, "550 5.1.10")
    hello.template("hi", subject="Hi", text="Hello")
    hello.contact("ben", email="ben@example.com", phone_number="+15550001111")
    message = {
        "to": {"user_id": "ben"},
        "template": "hi",
        "routing": {"method": "single", "channels": ["email", "sms"]},
    }
    hello.invoke(None, {"action": "send", "message": message})
    hello.run_until_idle()
    assert suppressed(hello) == {"ben@example.com": "bounce"}


@pytest.mark.parametrize(
    ("channel", "code", "says"),
    [
        ("email", "550 5.1.1", reports.HARD),
        ("email", "550 5.1.2", reports.HARD),
        ("email", "501 5.1.3", reports.HARD),
        ("email", "551 5.1.6", reports.HARD),
        ("email", "556 5.1.10", reports.HARD),
        ("email", "550 5.2.1", reports.HARD),
        ("email", "552 5.2.2", reports.SOFT),
        ("email", "452 4.2.2", reports.SOFT),
        ("email", "550 5.1.0", reports.SOFT),
        ("email", "550", reports.SOFT),
        ("email", "554", None),
        ("email", "550 5.1.7", None),
        ("email", "550 5.1.8", None),
        ("email", "550 5.7.1", None),
        ("email", "554 5.6.3", None),
        ("email", "550 5.4.1", None),
        ("email", "451 4.7.1", None),
        ("email", "unreachable", None),
        ("email", None, None),
        ("sms", "400 21211", reports.HARD),
        ("sms", "400 21408", None),
        ("push", "550 5.1.1", None),
    ],
)
def test_what_a_refusal_says_of_the_address(channel: str, code: str | None, says: str | None) -> None:
    """It is told by the enhanced status, and by a provider's own code for telephone numbers."""
    assert provider_reports.refusal(channel, code) == says


def test_a_soft_bounce_counts_for_ninety_days() -> None:
    """Nobody may tell of what was delivered between: five in as many years suppress nothing."""
    account: reports.Account | None = None
    for number in range(10):
        word = reports.Word("a@b.example", reports.What.BOUNCED, number * 30 * schedule.DAY, reports.SOFT)
        account, suppressed = reports.hear(account, word, word.at)
        assert suppressed is None
        assert len(account.soft) <= 3


@hypothesis.given(
    st.lists(
        st.builds(
            reports.Word,
            st.just("a@b.example"),
            st.sampled_from((reports.What.BOUNCED, reports.What.DELIVERED, reports.What.COMPLAINED)),
            st.integers(1, 9),
            st.sampled_from((reports.SOFT, reports.HARD)),
        ),
        min_size=1,
        max_size=reports.SOFT_IN_A_ROW - 1,
    ),
    st.randoms(use_true_random=False),
)
def test_words_leave_one_account_in_whatever_order(words: list[reports.Word], drawn: random.Random) -> None:
    """Partitions that tell an address of its messages wait for none of each other."""

    def heard(told: list[reports.Word]) -> tuple[reports.Account | None, set[str]]:
        account: reports.Account | None = None
        reasons = set()
        for word in told:
            account, suppressed = reports.hear(account, word, 100)
            reasons.add(suppressed or "")
        return account, reasons

    assert heard(words) == heard(drawn.sample(words, len(words)))


def test_an_account_is_read_as_it_was_stored_before() -> None:
    """A list of soft bounces is an account of these."""
    assert reports.read_account(b"[3,5]") == reports.Account(3, (3, 5))
    account = reports.Account(1, (4,), 2)
    assert reports.read_account(reports.write_account(account)) == account
    assert reports.read_account(None) is None
