"""What becomes known of messages after they were handed over, and what follows from it."""

import itertools
from typing import Any

import pytest

from heliograph import channels, testing
from heliograph.core import ids, messages, reports
from heliograph.store import people, suppressions
from heliograph.store import reports as stored_reports
from tests import tables
from tests.engine import acts


def suppressed(world: testing.World) -> dict[str, str]:
    """Every address that nothing is sent to, with why."""
    with world.app.store.reading() as connection:
        found = suppressions.page(connection, world.workspace_id, None, ("", ""), 100)
    return {one.address: one.reason for one in found}


def tags(world: testing.World, user_id: str) -> list[str]:
    """The tags of a contact."""
    with world.app.store.reading() as connection:
        found = people.read_contact(connection, world.workspace_id, None, user_id)
    return [] if found is None else found.tags


def sent_to(world: testing.World, user_id: str) -> str:
    """The id of the newest message to somebody."""
    return next(ids.text(one.row.id) for one in world.ledger() if one.row.contact_id == user_id)


def status(world: testing.World, message_id: str) -> str:
    """How a message stands, in Courier's words."""
    (found,) = [one for one in world.ledger() if ids.text(one.row.id) == message_id]
    return found.status


def test_a_newsletter_and_the_next_one(world: testing.World) -> None:
    """Of a newsletter one comes back and one is called spam: the next leaves these out, and a click tags its reader."""
    for name in ("ana", "ben", "cleo", "dot"):
        world.contact(name, email=f"{name}@example.com")
    world.rule(
        trigger_type="message_clicked",
        conditions=[{"field": "payload.link", "operator": "contains", "value": "/shoes"}],
        actions=[{"type": "add_tags", "tags": ["likes shoes"], "target": "contact"}],
    )
    world.rule(
        trigger_type="message_bounced",
        conditions=[{"field": "payload.bounce", "operator": "equals", "value": "hard"}],
        actions=[{"type": "add_tags", "tags": ["gone"], "target": "contact"}],
    )
    world.campaign(group=world.communication_group(subject="News", text_body="New shoes"))
    world.run_until_idle()
    assert len(world.mailbox.received) == 4
    mails = {name: sent_to(world, name) for name in ("ana", "ben", "cleo", "dot")}

    # Opened before delivered, and everything twice.
    for _ in range(2):
        world.report(mails["ana"], "clicked", link="https://shop.example/shoes")
        world.report(mails["ana"], "opened")
        world.report(mails["ana"], "delivered")
        world.report(mails["ben"], "bounced", bounce="hard", words="550 5.1.1 no such user")
        world.report(mails["cleo"], "complained")
        world.report(mails["dot"], "delivered")
        world.run_until_idle()
    assert {name: status(world, mail) for name, mail in mails.items()} == {
        "ana": "CLICKED",
        "ben": "UNDELIVERABLE",
        "cleo": "DELIVERED",
        "dot": "DELIVERED",
    }
    assert suppressed(world) == {"ben@example.com": "bounce", "cleo@example.com": "complaint"}
    assert (tags(world, "ana"), tags(world, "ben")) == (["likes shoes"], ["gone"])

    second = world.campaign(group=world.communication_group(subject="More news", text_body="New hats"))
    world.run_until_idle()
    assert sorted(mail.recipient for mail in world.mailbox.received[4:]) == [
        "ana@example.com",
        "dot@example.com",
    ]
    assert (world.progress(second).sent, world.progress(second).skipped) == (2, 2)


def test_what_is_told_once_is_told_to_rules_once(world: testing.World) -> None:
    """Of what comes again no event is made, and each further link of a message is a click of its own."""
    for what in ("delivered", "opened", "clicked"):
        world.rule(
            trigger_type=f"message_{what}",
            actions=[{"type": "call_webhook", "url": f"https://hooks.example/{what}"}],
        )
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.event("custom.a", contact_id="ana", conversation_id="k1")
    world.run_until_idle()
    mail = sent_to(world, "ana")
    for link in ("https://a.example", "https://b.example", "https://a.example"):
        world.report(mail, "clicked", link=link)
        world.report(mail, "opened")
        world.report(mail, "delivered")
    world.run_until_idle()
    world.report(mail, "clicked", link="https://b.example")
    world.run_until_idle()
    called = sorted(url.rpartition("/")[2] for url, _ in world.calls.received)
    assert called == ["clicked", "clicked", "delivered", "opened"]


def test_soft_bounces_in_a_row(world: testing.World) -> None:
    """Five messages that bounce softly suppress their address; one that arrives between lets the count begin anew."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])

    def mail(what: str) -> None:
        world.pass_time(minutes=1)
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
        for _ in range(2):
            world.report(sent_to(world, "ana"), what, bounce="soft")
            world.run_until_idle()

    for what in (*["bounced"] * 4, "delivered", *["bounced"] * 4):
        mail(what)
    assert suppressed(world) == {}
    mail("bounced")
    assert suppressed(world) == {"ana@example.com": "bounce"}


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_told_at_once_counts_by_when_it_happened(
    world: testing.World, place: int, is_first: bool
) -> None:
    """Of bounces and a delivery of one moment it does not matter which is told first, nor whose message is older."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    world.report(sent_to(world, "ana"), "bounced", bounce="soft")
    world.pass_time(minutes=1)
    world.events([{"event_type": "custom.a", "contact_id": "ana"}] * 5)
    world.run_until_idle()
    mails = [one.row.id for one in world.ledger()][:5]
    minute, began = 60_000_000, world.clock.now()
    arrived = reports.Report(reports.What.DELIVERED, began + 2 * minute)
    came_back = [
        reports.Report(reports.What.BOUNCED, began + at * minute, reports.SOFT) for at in (1, 1, 3, 3)
    ]
    told = list(zip([one for n, one in enumerate(mails) if n != place], came_back, strict=True))
    told.insert(0 if is_first else 4, (mails[place], arrived))
    world.pass_time(minutes=10)
    stored_reports.take_in(world.app.store, world.workspace_id, told, world.clock.now())
    world.run_until_idle()
    assert suppressed(world) == {}


@pytest.mark.parametrize("order", list(itertools.permutations(("bounced", "delivered", "complained"))))
def test_a_message_stands_the_same_whatever_is_told_first(
    world: testing.World, order: tuple[str, ...]
) -> None:
    """Of one message all told in one request leave one state, one reason and one account, in every order."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    mail, now = world.ledger()[0].row.id, world.clock.now()
    more = {"bounced": {"bounce": reports.HARD}}
    told = [(mail, reports.Report(reports.What(what), now, **more.get(what, {}))) for what in order]
    stored_reports.take_in(world.app.store, world.workspace_id, told, now)
    world.run_until_idle()
    assert (status(world, ids.text(mail)), suppressed(world)) == (
        "UNDELIVERABLE",
        {"ana@example.com": "complaint"},
    )
    (account,) = tables.rows(world.app.store, "soft_bounces")
    assert reports.read_account(account["bounced_at"]) == reports.Account(now, (), now)


def test_nothing_goes_to_an_address_that_the_same_turn_suppresses(world: testing.World) -> None:
    """What is heard of an address in a turn holds for what the turn plans, as it would for the next one."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    world.report(sent_to(world, "ana"), "bounced", bounce="hard")
    world.turns.take()
    # The address is to hear of it in the turn that takes this.
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    assert len(world.mailbox.received) == 1
    assert suppressed(world) == {"ana@example.com": "bounce"}


def test_a_report_that_overtakes_the_answer_of_its_channel(world: testing.World) -> None:
    """A delivery that is reported before the mail server's own answer was stored counts when that is."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.event("custom.a", contact_id="ana")

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        world.report(outgoing.message_id, "delivered")
        assert world.turns.take().inputs == 1
        assert status(world, outgoing.message_id) == "ENQUEUED"
        return testing.accepted(outgoing)

    assert world.turns.take().inputs == 1
    world.mailbox.answer = answer
    world.run_until_idle()
    assert status(world, sent_to(world, "ana")) == "DELIVERED"


_SENT_OR_FAILED = {"delivered": (1, 0), "bounced": (0, 1)}
"""How a campaign counts its one job, of which this was told."""


@pytest.mark.parametrize("what", ["delivered", "bounced"])
def test_a_report_ends_what_was_uncertain(database_url: str, what: str) -> None:
    """Of a message of which nobody knew whether it was handed over a report says so: who waits for it goes on."""
    with testing.World(database_url, uncertain_policy="at_most_once") as world:
        world.mailbox.answer = lambda _: channels.Answer(
            channels.Outcome.UNCERTAIN, "world", None, None, "cut"
        )
        world.contact("ana", email="ana@example.com")
        world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
        event = world.event("custom.a", contact_id="ana")
        campaign = world.campaign(group=world.communication_group(subject="News", text_body="New"))
        world.run_until_idle()
        assert world.explain(event).runs[0].result.outcome == "pending"
        assert world.progress(campaign).uncertain == 1
        for one in world.ledger():
            assert messages.State(one.row.state) is messages.State.UNCERTAIN
            for _ in range(2):
                world.report(ids.text(one.row.id), what)
        world.run_until_idle()
        assert world.explain(event).runs[0].result.outcome == "executed"
        progress = world.progress(campaign)
        assert (progress.uncertain, progress.sent, progress.failed) == (0, *_SENT_OR_FAILED[what])


@pytest.mark.parametrize("policy", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("what", ["delivered", "bounced"])
def test_a_report_that_came_before_its_answer_was_lost(database_url: str, what: str, policy: str) -> None:
    """What was reported before its answer was lost was handed over: it is not sent again, and who waits goes on."""
    with testing.World(database_url, uncertain_policy=policy) as world:

        def answer(outgoing: channels.Outgoing) -> channels.Answer:
            world.report(outgoing.message_id, what, **{"bounce": "hard"} if what == "bounced" else {})
            while world.turns.take().inputs:
                pass
            return channels.Answer(channels.Outcome.UNCERTAIN, "world", None, None, "cut")

        world.mailbox.answer = answer
        event, campaign = acts.written_to(world)
        world.pass_time(hours=1)
        assert {messages.State(one.row.state).name for one in world.ledger()} == {what.upper()}
        assert len(world.mailbox.received) == 2
        assert world.explain(event).runs[0].result.outcome == "executed"
        progress = world.progress(campaign)
        assert (progress.uncertain, progress.pending) == (0, 0)
        assert (progress.sent, progress.failed) == _SENT_OR_FAILED[what]


def test_a_journey_sees_what_was_opened(world: testing.World) -> None:
    """`refs.x.status` is OPENED for the `if` that is judged after the report, and wakes nothing by itself."""
    world.template("hello", subject="Hello", text="Hello")
    world.template("again", subject="Again", text="Again")
    for name in ("ana", "ben"):
        world.contact(name, email=f"{name}@example.com")
    steps: list[dict[str, Any]] = [
        {"action": "send", "recipient": "${data.who}", "template": "hello", "ref": "first"},
        {"action": "delay", "duration": "1 day"},
        {
            "action": "send",
            "recipient": "${data.who}",
            "template": "again",
            "if": "refs.first.status < MessageStatus.Opened",
        },
    ]
    for name in ("ana", "ben"):
        world.invoke(None, *steps, data={"who": name}, recipient=name)
    world.run_until_idle()
    world.report(sent_to(world, "ana"), "opened")
    world.pass_time(hours=23)
    assert len(world.mailbox.received) == 2
    world.pass_time(hours=2)
    assert [mail.recipient for mail in world.mailbox.received[2:]] == ["ben@example.com"]


BUSY = channels.Answer(channels.Outcome.TEMPORARY, "world", code="451")
REFUSED = channels.Answer(channels.Outcome.PERMANENT, "world", code="554")


@pytest.mark.parametrize(
    ("bounce", "answer", "is_stopped", "ends", "counts"),
    [
        ("soft", None, False, {"ACCEPTED", "BOUNCED"}, {"sent": 1, "failed": 1}),
        ("soft", REFUSED, False, {"FAILED"}, {"failed": 2}),
        ("hard", None, False, {"ACCEPTED", "UNROUTABLE"}, {"sent": 1, "skipped": 1}),
        ("hard", REFUSED, False, {"FAILED", "UNROUTABLE"}, {"failed": 1, "skipped": 1}),
        ("soft", None, True, {"CANCELED"}, {"skipped": 2}),
    ],
)
def test_a_job_counts_as_it_stands_whatever_was_told_of_it_before(
    world: testing.World,
    bounce: str,
    answer: channels.Answer | None,
    is_stopped: bool,
    ends: set[str],
    counts: dict[str, int],
) -> None:
    """A bounce that is told of a job between two attempts is no end of it: it counts once, as it ends."""
    for name in ("ana", "ben"):
        world.contact(name, email=f"{name}@example.com")
    world.mailbox.answer = lambda _: BUSY
    campaign = world.campaign(group=world.communication_group(subject="News", text_body="New shoes"))
    world.run_until_idle()
    world.pass_time(seconds=1)
    world.report(sent_to(world, "ana"), "bounced", bounce=bounce)
    world.run_until_idle()
    world.mailbox.answer = testing.accepted if answer is None else lambda _: answer
    if is_stopped:
        world.stop_campaign(campaign)
    world.pass_time(hours=1)
    assert {messages.State(one.row.state).name for one in world.ledger()} == ends
    progress = world.progress(campaign)
    counted = {name: getattr(progress, name) for name in ("sent", "failed", "skipped", "uncertain")}
    assert counted == {"sent": 0, "failed": 0, "skipped": 0, "uncertain": 0, **counts}
    assert world.campaign_stands(campaign).state.name == ("COMPLETED" if "sent" in counts else "FAILED")


def counted(world: testing.World, campaign: str) -> dict[str, int]:
    """What has become of the jobs of a campaign, without what there is none of."""
    progress = world.progress(campaign)
    found = {name: getattr(progress, name) for name in ("pending", "sent", "failed", "skipped", "uncertain")}
    return {name: count for name, count in found.items() if count}


def test_a_job_of_which_a_bounce_is_told_before_its_end_is_open_until_then(world: testing.World) -> None:
    """Until a job has ended it is pending, whatever is told of it; then it counts as it stands, and after that anew."""
    world.contact("ana", email="ana@example.com")
    world.contact("ben", email="ben@example.com")
    world.mailbox.answer = lambda _: BUSY
    campaign = world.campaign(group=world.communication_group(subject="News", text_body="New shoes"))
    world.run_until_idle()
    ana = sent_to(world, "ana")
    for what, more in (("bounced", {"bounce": "soft"}), ("delivered", {}), ("bounced", {"bounce": "hard"})):
        world.pass_time(seconds=1)
        world.report(ana, what, **more)
        world.run_until_idle()
        assert counted(world, campaign) == {"pending": 2}
    world.mailbox.answer = testing.accepted
    world.pass_time(hours=1)
    assert counted(world, campaign) == {"sent": 1, "skipped": 1}


def test_a_bounce_that_comes_before_the_answer_is_counted_with_it(world: testing.World) -> None:
    """A job whose bounce is told before its own answer has failed, and is sent when its reader has it all the same."""
    world.contact("ana", email="ana@example.com")
    world.contact("ben", email="ben@example.com")

    def answer(mail: Any) -> channels.Answer:
        if mail.address == "ana@example.com":
            world.report(sent_to(world, "ana"), "bounced", bounce="soft")
        return testing.accepted(mail)

    world.mailbox.answer = answer
    campaign = world.campaign(group=world.communication_group(subject="News", text_body="New shoes"))
    world.run_until_idle()
    assert counted(world, campaign) == {"sent": 1, "failed": 1}
    world.report(sent_to(world, "ana"), "opened")
    world.run_until_idle()
    assert counted(world, campaign) == {"sent": 2}
    world.report(sent_to(world, "ana"), "bounced", bounce="hard")
    world.run_until_idle()
    assert counted(world, campaign) == {"sent": 1, "failed": 1}
