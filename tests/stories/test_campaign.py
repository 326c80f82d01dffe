"""A campaign, as a shop lives it."""

from collections import Counter

from heliograph import testing
from heliograph.core.campaigns import State

FREE = {"field": "plan", "operator": "equals", "value": "free"}
STAFF = {"field": "staff", "operator": "equals", "value": True}
LETTER = {
    "subject": "{{ first_name | default: 'You' }}, a day of half prices",
    "preview_text": "Only on Friday",
    "text_body": "Dear {{ contact.given_name }}, you have {{ loyalty.points | default: 0 }} points.",
    "html_body": "<p>Dear {{ contact.given_name }}</p>",
    "sender": "The shop <shop@example.com>",
}


def test_black_friday() -> None:
    """A shop writes to its free customers on Friday at nine in New York, not to its staff, and each hears once."""
    with testing.World() as world:
        for number in range(200):
            world.contact(
                f"c{number}",
                email=f"c{number}@example.com",
                given_name=f"Customer {number}",
                plan="pro" if number % 10 == 0 else "free",
                loyalty={"points": number},
            )
        world.contact("boss", email="boss@shop.example", plan="free", staff=True)
        world.contact("shy", given_name="Shy", plan="free")
        campaign = world.campaign(
            name="Black Friday",
            group=world.communication_group(**LETTER),
            include_segments=[world.segment(FREE)],
            exclude_segments=[world.segment(STAFF)],
            trigger_metadata={"scheduled_at": "2026-01-02T09:00:00", "timezone": "America/New_York"},
        )

        # The day before, one customer becomes a pro and another one joins; both count as they are on Friday.
        world.pass_time(hours=20)
        world.contact("c1", email="c1@example.com", given_name="Customer 1", plan="pro")
        world.contact("late", email="late@example.com", given_name="Late", plan="free")
        assert world.campaign_stands(campaign).state is State.ACTIVE
        world.pass_time(hours=17, minutes=59)
        assert not world.mailbox.received

        # Nine o'clock in New York is two in the afternoon in UTC.
        world.pass_time(minutes=1)
        received = Counter(mail.recipient for mail in world.mailbox.received)
        free = {f"c{number}@example.com" for number in range(200) if number % 10} - {"c1@example.com"}
        assert received == Counter(free | {"late@example.com"})
        (letter,) = world.mailbox.to("c7@example.com")
        assert letter.subject == "Customer 7, a day of half prices"
        assert letter.text == "Dear Customer 7, you have 7 points."
        assert letter.html is not None
        assert letter.html.index("Only on Friday") < letter.html.index("Dear Customer 7")
        assert b"From: The shop <shop@example.com>" in letter.raw

        progress = world.progress(campaign)
        assert (progress.sent, progress.skipped, progress.pending) == (len(received), 1, 0)
        assert world.campaign_stands(campaign).state is State.COMPLETED

        # Nothing comes of it ever again.
        world.pass_time(days=30)
        assert len(world.mailbox.received) == len(received)
