"""A loud shop, which writes all day and all night, and two customers at the two ends of the world."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from heliograph import testing

CUSTOMERS = {"aroha": "Pacific/Auckland", "ines": "Europe/Lisbon"}
HOURS = 24 * 4


@pytest.fixture
def world() -> Iterator[testing.World]:
    """A shop that has just opened, at midnight."""
    with testing.World() as made:
        yield made


def test_nobody_hears_of_the_shop_at_night_nor_more_than_twice_a_day(world: testing.World) -> None:
    """With a cap of two a day and quiet hours from 21 to 8 by their own clock, both hear of offers by day alone."""
    world.template("offer", subject="Offer", text="{{payload.n}}")
    world.template("shipped", subject="Shipped", text="{{payload.n}}")
    for name, zone in CUSTOMERS.items():
        world.contact(name, email=f"{name}@example.com", zoneinfo=zone)
    world.sending_policy(
        quiet_hours=[{"start": "21:00", "end": "08:00"}],
        caps=[{"limit": 2, "period": "P1D", "name": "two a day"}],
        topics={"shipped": {"quiet_hours": [], "caps": []}},
    )
    for template in ("offer", "shipped"):
        world.rule(
            trigger_type=f"custom.{template}", actions=[{"type": "send_message", "template_id": template}]
        )
    heard: list[tuple[str, str, datetime]] = []
    for hour in range(HOURS):
        event_type = "custom.shipped" if hour == 30 else "custom.offer"
        for name in CUSTOMERS:
            world.event(event_type, contact_id=name, payload={"n": hour})
        before = len(world.mailbox.received)
        world.run_until_idle()
        at = datetime.fromtimestamp(world.clock.now() / 1e6, UTC)
        for mail in world.mailbox.received[before:]:
            name = mail.recipient.removesuffix("@example.com")
            heard.append((name, mail.subject, at.astimezone(ZoneInfo(CUSTOMERS[name]))))
        world.clock.move(3_600_000_000)
    assert Counter((name, subject) for name, subject, _ in heard if subject == "Shipped") == {
        (name, "Shipped"): 1 for name in CUSTOMERS
    }
    offers = [(name, at) for name, subject, at in heard if subject == "Offer"]
    assert all(8 <= at.hour < 21 for _, at in offers)
    for name in CUSTOMERS:
        times = [at for one, at in offers if one == name]
        assert all(later - one >= timedelta(days=1) for one, later in zip(times, times[2:], strict=False))
        assert len(times) >= 2 * 3, "and they do hear of it"
    mornings = [at for name, at in offers if name == "ines"]
    assert (mornings[0].hour, mornings[0].minute) == (8, 0), "what waited from midnight on"
    statuses = Counter(one.row.error for one in world.ledger() if one.row.error)
    assert statuses.keys() <= {"capped: two a day (2 in P1D)", "quiet_hours"}
