"""E-mails that tell by themselves that they were opened, and their links followed."""

import html
import re
from collections.abc import Iterator

import pytest

from heliograph import errors, settings
from tests.web.client import Client

PLACE = "https://mail.shop.example"
SHOES = "https://shop.example/shoes?a=1&b=2"


@pytest.fixture
def api(database_url: str) -> Iterator[Client]:
    """A client of an application that tracks, on each database in turn."""
    with Client(database_url, public_url=PLACE, tracking=("opens", "clicks")) as made:
        yield made


def test_a_link_is_followed_and_counted_once(api: Client) -> None:
    """A link leads past us to where it led, a picture tells of the opening; a look ahead counts nothing."""
    markup = (
        f'<html><body><a class="x" href="{html.escape(SHOES)}">Shoes</a><a href="mailto:a@b.example">Us</a>'
        f"<a href='{PLACE}/unsubscribe/x'>No more</a></body></html>"
    )
    api.world.template("news", subject="News", text=f"Shoes: {SHOES}", html=markup)
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.make_rule(conditions=[], actions=[{"type": "send_message", "template_id": "news"}])
    tag = {"type": "add_tags", "tags": ["clicks"], "target": "contact"}
    api.make_rule(trigger_type="message_clicked", conditions=[], actions=[tag])
    api.happen(contact_id="ana")
    api.decide()
    (mail,) = api.mailbox.received
    assert mail.html is not None
    assert SHOES in mail.text
    link, ours = (html.unescape(one) for one in re.findall(r"href=[\"'](https[^\"']*)", mail.html))
    (picture,) = re.findall(r'<img src="([^"]*)"', mail.html)
    assert (ours, 'href="mailto:a@b.example"' in mail.html) == (f"{PLACE}/unsubscribe/x", True)
    assert mail.html.index(picture) < mail.html.index("</body>")
    link, picture = link.removeprefix(PLACE), picture.removeprefix(PLACE)

    def status() -> str:
        api.decide()
        (message,) = api.get("/messages").json()["results"]
        return str(message["status"])

    ahead = api.send("HEAD", link, key=None), api.get(link, key=None, headers={"Sec-Purpose": "prefetch"})
    assert [(one.status_code, one.headers["location"]) for one in ahead] == [(302, SHOES)] * 2
    for forged in ("/t/x", f"/t/{link[3:-2]}AA", "/t/" + ours.rpartition("/")[2]):
        assert api.get(forged, key=None).status_code == 404
    assert status() == "SENT"
    answer = api.get(picture, key=None)
    assert (answer.status_code, answer.headers["content-type"], answer.content[:3]) == (
        200,
        "image/gif",
        b"GIF",
    )
    assert status() == "OPENED"
    for _ in range(2):
        answer = api.get(link, key=None)
        assert (answer.status_code, answer.headers["location"]) == (302, SHOES)
    assert status() == "CLICKED"
    assert api.get("/api/contacts/ana").json()["tags"] == ["clicks"]
    (message,) = api.get("/messages").json()["results"]
    output = api.get(f"/messages/{message['id']}/output").json()["results"][0]["content"]
    assert "/t/" not in output["html"]


def test_tracking_takes_a_place_to_lead_past() -> None:
    """Without the address of this server, or of something that is not tracked, the program does not start."""
    for given in ({"tracking": ("opens",)}, {"tracking": ("reads",), "public_url": PLACE}):
        with pytest.raises(errors.BadSetting, match="HELIOGRAPH_TRACKING"):
            settings.load({}, **given)
