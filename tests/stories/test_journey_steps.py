"""Journeys that ask, look up, write down and hold back, as a shop would tell them."""

from collections.abc import Iterator

import pytest

from heliograph import testing


@pytest.fixture
def shop(database_url: str) -> Iterator[testing.World]:
    """A shop with its texts, and Ana, whose adviser is Bob."""
    with testing.World(database_url) as world:
        world.template("price", subject="Now {{ data.price }}", text="{{ data.name }} is cheaper.")
        world.template(
            "thanks", subject="Thank you", text="Order {{ data.last_order }}. Ask {{ data.adviser.name }}."
        )
        world.contact("ana", email="ana@example.com", adviser="bob")
        world.contact("bob", email="bob@example.com", name="Bob")
        yield world


def subjects(world: testing.World, address: str = "ana@example.com") -> list[str]:
    """What somebody has received, oldest first."""
    return [mail.subject for mail in world.mailbox.to(address)]


def test_a_price_that_is_looked_up_when_its_time_has_come(shop: testing.World) -> None:
    """A day later the shop's own program says what the thing costs by then; only a lower price is told."""
    shop.journey(
        "watch",
        {"action": "delay", "duration": "1 day"},
        {
            "action": "fetch-data",
            "webhook": {"url": "https://shop.example/things/${data.thing}"},
            "merge_strategy": "overwrite",
        },
        {"action": "send", "template": "price", "if": "data.price < data.seen"},
    )
    for thing in ("lamp", "sofa"):
        shop.invoke("watch", recipient="ana", data={"thing": thing, "seen": 20})
    shop.calls.answer = lambda outgoing: testing.answering(
        {"name": "The lamp", "price": 15} if "lamp" in outgoing.address else {"name": "The sofa", "price": 30}
    )(outgoing)
    shop.pass_time(days=2)
    assert subjects(shop) == ["Now 15"]
    assert shop.mailbox.received[0].text == "The lamp is cheaper."


def test_an_order_that_is_written_down(shop: testing.World) -> None:
    """The last order stands in the profile from then on, and who advises Ana is found by way of her profile."""
    shop.journey(
        "ordered",
        {"action": "update-profile", "profile": {"last_order": "refs.data.order"}, "merge": "overwrite"},
        {"action": "get-profile", "user_id": "refs.recipient", "path": "data.me"},
        {"action": "get-profile", "user_id": "refs.data.me.adviser", "path": "data.adviser"},
        {"action": "send", "template": "thanks", "data": {"last_order": "refs.data.me.last_order"}},
        trigger={"event_type": "ordered"},
    )
    shop.event("ordered", contact_id="ana", payload={"order": "A7"})
    shop.run_until_idle()
    assert [mail.text for mail in shop.mailbox.to("ana@example.com")] == ["Order A7. Ask Bob."]
    runs = [shop.invoke("ordered", recipient="ana", data={"order": number}) for number in ("A8", "A9")]
    shop.run_until_idle()
    assert {shop.run(one).status for one in runs} == {"PROCESSED"}


def test_not_more_than_one_a_day(shop: testing.World) -> None:
    """However often a price falls, nobody hears of it more than once a day."""
    shop.journey(
        "fell",
        {"action": "throttle", "max_allowed": 1, "period": "P1D", "scope": "user"},
        {"action": "send", "template": "price"},
    )
    made = [shop.invoke("fell", recipient="ana", data={"price": price}) for price in (9, 8, 7)]
    shop.invoke("fell", recipient="bob", data={"price": 9})
    shop.run_until_idle()
    assert sorted(shop.run(one).status for one in made) == ["PROCESSED", "THROTTLED", "THROTTLED"]
    assert (len(subjects(shop)), subjects(shop, "bob@example.com")) == (1, ["Now 9"])
    shop.pass_time(days=1.1)
    shop.invoke("fell", recipient="ana", data={"price": 6})
    shop.run_until_idle()
    assert subjects(shop)[1:] == ["Now 6"]


def test_a_receipt_that_is_sent_once(shop: testing.World) -> None:
    """Two systems tell of the same order: its receipt goes out once."""
    send = {"action": "send", "template": "price", "idempotency_key": "${`receipt-${data.order}`}"}
    for order in (1, 1, 2):
        shop.invoke(None, send, recipient="ana", data={"order": order, "price": order})
        shop.pass_time(hours=1)
    assert subjects(shop) == ["Now 1", "Now 2"]
