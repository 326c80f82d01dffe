"""Lists, as a shop would tell it: a newsletter with points of each reader's own, and readers who have had enough."""

import pytest

from heliograph import channels, testing

NEWSLETTER = {
    "action": "send-list",
    "list": "news.weekly",
    "template": "weekly",
    "ref": "letter",
    "data_source": {"webhook": {"url": "https://shop.example/points"}, "merge_strategy": "overwrite"},
}


def points(outgoing: channels.Outgoing) -> channels.Answer:
    """The shop knows how many points somebody has, but not Ben's."""
    name = outgoing.address.rpartition("=")[2]
    if name == "ben":
        return channels.Answer(channels.Outcome.PERMANENT, "webhook", None, "404", "404")
    return testing.answering({"points": len(name)})(outgoing)


@pytest.mark.spec("S2-89", "S2-90")
def test_a_newsletter(database_url: str) -> None:
    """Buyers come on the list by a rule, have their own points in each letter, and those who opt out hear no more."""
    with testing.World(database_url) as shop:
        shop.calls.answer = points
        shop.template(
            "weekly", subject="News", text="{{ data.headline }}: you have {{ data.points }} points."
        )
        for name in ("ana", "ben", "cleo"):
            shop.contact(name, email=f"{name}@example.com")
        shop.subscribe("news.weekly", "ana")
        shop.rule(trigger_type="order_placed", actions=[{"type": "add_to_list", "list_id": "news.weekly"}])
        for name in ("ben", "cleo", "cleo"):
            shop.event("order_placed", contact_id=name)
        shop.run_until_idle()
        assert shop.subscribers("news.weekly") == ["ana", "ben", "cleo"]

        tell = {
            "action": "send",
            "if": "refs.letter.status !== 'SENT'",
            "message": {
                "to": {"email": "boss@example.com"},
                "content": {"title": "Newsletter", "body": "${refs.letter.counts.SENT} of 3 were reached"},
            },
        }
        shop.invoke(
            None, NEWSLETTER, {"action": "delay", "duration": "1 hour"}, tell, data={"headline": "May"}
        )
        shop.pass_time(hours=2)
        assert [mail.text for mail in shop.mailbox.to("ana@example.com")] == ["May: you have 3 points."]
        assert [mail.text for mail in shop.mailbox.to("cleo@example.com")] == ["May: you have 4 points."]
        assert shop.mailbox.to("ben@example.com") == []
        assert [mail.text for mail in shop.mailbox.to("boss@example.com")] == ["2 of 3 were reached"]

        shop.opt_out("cleo", "weekly")
        shop.invoke(None, NEWSLETTER, data={"headline": "June"})
        shop.pass_time(hours=1)
        assert [len(shop.mailbox.to(f"{name}@example.com")) for name in ("ana", "ben", "cleo")] == [2, 0, 1]
