"""An outage of somebody else's server, as the people on call live it."""

import json

from heliograph import channels, testing

SHIPPER = "https://shipper.example.com/orders"
PAGER = "https://pager.example.com/heliograph"


def test_a_shipper_is_down() -> None:
    """A server fails for a day and a half: who is on call hears at its start, when it is worse, daily, at its end."""
    with testing.World(start=testing.START + 8 * 3_600_000_000) as world:
        down = False

        def answered(outgoing: channels.Outgoing) -> channels.Answer:
            if outgoing.address == SHIPPER and down:
                return channels.Answer(channels.Outcome.PERMANENT, "world", None, "501", "not today")
            return testing.accepted(outgoing)

        world.calls.answer = answered
        rule = world.rule(
            name="Orders to the shipper",
            trigger_type="custom.order_paid",
            actions=[{"type": "call_webhook", "url": SHIPPER, "body": {"order": "{{ payload.order_id }}"}}],
            alert_settings={
                "window_days": 1,
                "min_matched_runs": 5,
                "channels": {"emails": ["oncall@shop.example"], "webhook_url": PAGER},
            },
        )

        def orders(count: int) -> None:
            for number in range(count):
                world.event("custom.order_paid", contact_id=f"c{number}", payload={"order_id": number})
                world.pass_time(minutes=10)

        # A day like any other: nobody hears anything.
        orders(30)
        assert not world.mailbox.received

        # In the afternoon the shipper's server begins to refuse orders; a fifth of the day's have failed an hour later.
        down = True
        orders(10)
        (first,) = world.mailbox.to("oncall@shop.example")
        assert first.subject == "[warning] Orders to the shipper: its actions fail"
        assert "alarming from 20 %" in first.text

        # It goes on over midnight, and gets worse: that is told, and then no more for a day.
        orders(60)
        assert [mail.subject.split()[0] for mail in world.mailbox.received] == ["[warning]", "[critical]"]
        orders(6 * 24)
        assert [mail.subject.split()[0] for mail in world.mailbox.received[2:]] == ["[critical]"]

        # The server is back; on the next day nothing has failed any more.
        down = False
        orders(6 * 24)
        assert world.mailbox.received[-1].subject == "[recovered] Orders to the shipper"
        pages = [json.loads(request.body) for url, request in world.calls.received if url == PAGER]
        assert [page["type"] for page in pages] == [
            "alert.opened",
            "alert.worsened",
            "alert.continued",
            "alert.recovered",
        ]
        assert {page["rule_id"] for page in pages} == {rule}
        count = len(world.mailbox.received)
        orders(6)
        assert len(world.mailbox.received) == count
