"""Journeys, as a shop would tell them: a welcome, and a cart that was left behind."""

from collections.abc import Iterator

import pytest

from heliograph import channels, testing

HOUR = {"action": "delay", "duration": "1 hour"}


@pytest.fixture
def shop(database_url: str) -> Iterator[testing.World]:
    """A shop with its texts, and Ana, who lives in Lisbon."""
    with testing.World(database_url) as world:
        world.template("welcome", subject="Welcome", text="Good to have you, {{ profile.given_name }}.")
        world.template("tips", subject="Three tips", text="For {{ data.plan }} users.")
        world.template("cart", subject="Still thinking?", text="{{ data.items | size }} things wait for you.")
        world.template("coupon", subject="10 % off", text="For cart {{ cart }}.")
        world.contact("ana", email="ana@example.com", given_name="Ana", timezone="Europe/Lisbon")
        yield world


def subjects(world: testing.World, address: str = "ana@example.com") -> list[str]:
    """What somebody has received, oldest first."""
    return [mail.subject for mail in world.mailbox.to(address)]


@pytest.mark.spec("S2-03", "S2-30", "S2-70", "S2-81")
def test_a_welcome(shop: testing.World) -> None:
    """Who signs up is welcomed at once, and three days later gets tips if they pay; signing up twice is once."""
    shop.journey(
        "welcome",
        {"action": "send", "template": "welcome", "ref": "hello"},
        {"action": "delay", "duration": "3 days"},
        {"action": "send", "template": "tips", "if": "data.plan === 'pro' && refs.hello.status === 'SENT'"},
        trigger={"event_type": "signed_up", "once": True},
    )
    shop.contact("bob", email="bob@example.com")
    shop.event("signed_up", contact_id="ana", payload={"plan": "pro"})
    shop.event("signed_up", contact_id="bob", payload={"plan": "free"})
    shop.run_until_idle()
    assert subjects(shop) == ["Welcome"]
    assert shop.mailbox.to("ana@example.com")[0].text == "Good to have you, Ana."

    shop.pass_time(days=1)
    shop.event("signed_up", contact_id="ana", payload={"plan": "pro"})
    shop.pass_time(days=1.9)
    assert subjects(shop) == ["Welcome"]
    shop.pass_time(days=0.2)
    assert subjects(shop) == ["Welcome", "Three tips"]
    shop.pass_time(days=10)
    assert subjects(shop) == ["Welcome", "Three tips"]
    assert subjects(shop, "bob@example.com") == ["Welcome"]


def leave_a_cart(world: testing.World, cart: int) -> str:
    """Somebody leaves a cart: an hour, a reminder, a day, and a coupon unless the reminder did not arrive."""
    return world.invoke(
        None,
        HOUR,
        {"action": "send", "template": "cart", "ref": "reminder"},
        {"action": "delay", "duration": "1 day"},
        {"action": "send", "template": "coupon", "if": "refs.reminder.status >= MessageStatus.Sent"},
        recipient="ana",
        data={"cart": cart, "items": ["a", "b"]},
        cancelation_token="${`cart-${data.cart}`}",
    )


@pytest.mark.spec("S2-23", "S2-26")
def test_a_cart_that_was_left_behind(shop: testing.World) -> None:
    """A reminder after an hour, a coupon a day later; a purchase ends it there and then."""
    bought, left = leave_a_cart(shop, 1), leave_a_cart(shop, 2)
    shop.pass_time(minutes=59)
    assert subjects(shop) == []
    shop.pass_time(minutes=2)
    assert subjects(shop) == ["Still thinking?"] * 2
    assert shop.mailbox.received[0].text == "2 things wait for you."

    shop.rule(
        trigger_type="order_placed",
        actions=[{"type": "cancel_automation", "cancelation_token": "cart-{{ payload.cart }}"}],
    )
    shop.event("order_placed", contact_id="ana", payload={"cart": 1})
    shop.pass_time(days=2)
    assert subjects(shop) == ["Still thinking?", "Still thinking?", "10 % off"]
    assert shop.mailbox.received[-1].text == "For cart 2."
    assert shop.run(bought).status == "CANCELED"
    assert (shop.run(left).status, shop.run(left).steps) == ("PROCESSED", ("PROCESSED",) * 4)


def test_a_coupon_does_not_follow_a_reminder_that_did_not_arrive(shop: testing.World) -> None:
    """The condition is judged when its step is reached, on how the reminder stands then."""
    shop.mailbox.answer = refused
    run = leave_a_cart(shop, 1)
    shop.pass_time(hours=2)
    shop.mailbox.answer = testing.accepted
    shop.pass_time(days=2)
    assert shop.mailbox.received == []
    assert shop.run(run).steps == ("PROCESSED", "ERROR", "PROCESSED", "SKIPPED")


def refused(outgoing: channels.Outgoing) -> channels.Answer:
    """The mail server does not take it."""
    return channels.Answer(channels.Outcome.PERMANENT, "test", None, "550", "no such mailbox")


@pytest.mark.spec("S2-59")
def test_one_journey_starts_another(shop: testing.World) -> None:
    """The shop's welcome hands over to its tips, which go their own way."""
    shop.journey("tips", HOUR, {"action": "send"}, alias="good-advice")
    shop.invoke(
        None,
        {
            "action": "invoke",
            "template": "good-advice",
            "context": {"template": "tips", "data": {"plan": "pro"}},
        },
        {"action": "send"},
        recipient="ana",
        template="welcome",
    )
    shop.run_until_idle()
    assert subjects(shop) == ["Welcome"]
    shop.pass_time(hours=2)
    assert [(mail.subject, mail.text) for mail in shop.mailbox.received[1:]] == [
        ("Three tips", "For pro users.")
    ]
