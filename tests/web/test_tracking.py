"""E-mails that tell by themselves that they were opened, and their links followed."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest

from heliograph import errors, settings
from heliograph.core import tracking
from tests.web.client import Client, faults

PLACE = "https://mail.shop.example"
SHOES = "https://shop.example/shoes?a=1&b=2"


@pytest.fixture
def api(database_url: str) -> Iterator[Client]:
    """A client of an application that tracks, on each database in turn."""
    with Client(database_url, public_url=PLACE, tracking=("opens", "clicks")) as made:
        yield made


@pytest.fixture
def api_without_place(database_url: str) -> Iterator[Client]:
    """A client of an application that nobody reaches from outside."""
    with Client(database_url) as made:
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


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("https://shop.example/?a=1&region=eu&copy=2&lt", "https://shop.example/?a=1&region=eu&copy=2<"),
        ("https://shop.example/&#252;ber?a&amp;=1", "https://shop.example/%C3%BCber?a&=1"),
        ("https://shop.example/\n\t靴?größe=7", "https://shop.example/%E9%9D%B4?gr%C3%B6%C3%9Fe=7"),
        ("https://shop.example/a b?c=%20", "https://shop.example/a%20b?c=%20"),
    ],
)
def test_a_link_leads_where_a_browser_would_go(database_url: str, written: str, there: str) -> None:
    """However an address stands in a page (an `&` that is no name of HTML's, letters, a line end), it is followed."""
    with Client(database_url, public_url=PLACE, tracking=("clicks",)) as api:
        api.world.template("news", subject="News", text="Shoes", html=f'<p><a href="{written}">Shoes</a></p>')
        assert tells(api) == {"clicks"}
        (mail,) = api.mailbox.received
        assert mail.html is not None
        (link,) = re.findall(r'href="([^"]*)"', mail.html)
        answer = api.get(link.removeprefix(PLACE), key=None)
        assert (answer.status_code, answer.headers["location"]) == (302, there)


def test_a_link_that_is_no_address_is_left_as_it_is() -> None:
    """What cannot be told where its reader comes from costs nobody their message."""
    markup = '<a href="https://[shop/">Shoes</a>'
    assert tracking.with_campaign(markup, PLACE, {"source": "news"}) == markup


@pytest.mark.parametrize(
    "piece", ["<a ", "<a href", "<a href=", "<a href='", "<a href=' ", "<a href='https://x "]
)
def test_links_that_are_not_closed_are_none(piece: str) -> None:
    """They are looked for in time that grows with the length of the page alone."""
    assert tracking.with_links(piece * 50_000, PLACE, str.upper) == piece * 50_000
    assert tracking.with_links(f"{piece * 50_000}>", PLACE, str.upper) == f"{piece * 50_000}>"


def test_tracking_takes_a_place_to_lead_past() -> None:
    """Without the address of this server, or of something that is not tracked, the program does not start."""
    for given in ({"tracking": ("opens",)}, {"tracking": ("reads",), "public_url": PLACE}):
        with pytest.raises(errors.BadSetting, match="HELIOGRAPH_TRACKING"):
            settings.load({}, **given)


MARKUP = f'<html><body><a href="{SHOES}">Shoes</a></body></html>'
POLICY = "/api/sending-policy"


def tells(api: Client, template: str = "news", **said: Any) -> set[str]:
    """What an e-mail tells of its reader that is sent now."""
    before = len(api.mailbox.received)
    message = {"to": {"email": "ana@example.com"}, "template": template, **said}
    assert api.post("/send", {"message": message}).status_code == 200
    api.decide()
    (mail,) = api.mailbox.received[before:]
    assert mail.html is not None
    found = {"opens"} if "<img" in mail.html else set()
    return found | ({"clicks"} if f"{PLACE}/t/" in mail.html.partition("<img")[0] else set())


def test_a_workspace_says_itself_what_is_tracked(database_url: str) -> None:
    """Its policy goes before the installation's, a tenant's and a topic's before that, from the next message on."""
    with Client(database_url, public_url=PLACE, tracking=("opens",)) as api:
        for name in ("news", "secret"):
            api.world.template(name, subject="News", text="Shoes", html=MARKUP)
        api.put("/tenants/acme", {"name": "Acme"})
        acme: dict[str, Any] = {"context": {"tenant_id": "acme"}}
        assert tells(api) == {"opens"}
        put = api.put(POLICY, {"tracking": ["clicks", "opens"], "topics": {"secret": {"tracking": []}}})
        assert (put.status_code, put.json()["tracking"]) == (200, ["opens", "clicks"])
        assert (tells(api), tells(api, "secret"), tells(api, **acme)) == (
            {"opens", "clicks"},
            set(),
            {"opens", "clicks"},
        )
        about: dict[str, Any] = {"preferences": {"subscription_topic_id": "offers"}}
        api.put(f"{POLICY}?tenant_id=acme", {"tracking": [], "topics": {"offers": {"tracking": ["clicks"]}}})
        assert (tells(api), tells(api, **acme), tells(api, **acme, **about)) == (
            {"opens", "clicks"},
            set(),
            {"clicks"},
        )
        api.put(POLICY, {"tracking": []})
        assert tells(api) == set()
        api.put(POLICY, {})
        assert tells(api) == {"opens"}
        answer = api.put(POLICY, {"tracking": ["reads"], "topics": {"a": {"tracking": "opens"}}})
        assert (answer.status_code, set(faults(answer))) == (422, {"tracking", "topics.a.tracking"})


def test_a_policy_that_tracks_takes_a_place_to_lead_past(api_without_place: Client) -> None:
    """Where this server has no address of its own it is refused, with each place; to track nothing is not."""
    given = {"tracking": ["opens"], "topics": {"a": {"tracking": ["clicks"]}, "b": {"tracking": []}}}
    answer = api_without_place.put(POLICY, given)
    assert (answer.status_code, set(faults(answer))) == (422, {"tracking", "topics.a.tracking"})
    assert api_without_place.put(POLICY, {"tracking": []}).status_code == 200
