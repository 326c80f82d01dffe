"""The page on which people choose: what they see is what was published, and what they save counts at once."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web import client

SECTIONS = "/preferences/sections"
PUBLISH = "/preferences/publish"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def public_api(database_url: str) -> Iterator[client.Client]:
    """A client of an application that people reach at an address, with two topics and Ana."""
    with client.Client(database_url, public_url="https://mail.example/") as made:
        made.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
        made.post(SECTIONS, {"id": "shop", "name": "Shop", "description": "What we <sell>"})
        for topic in ("news", "offers"):
            made.clock.move(1)
            put_topic(made, topic, topic.title())
        yield made


def put_topic(api: client.Client, topic: str, name: str) -> None:
    """A topic of this name, made or renamed."""
    body = {"name": name, "default_status": "OPTED_IN"}
    if api.put(f"{SECTIONS}/shop/topics/{topic}", body).status_code == 404:
        assert api.post(f"{SECTIONS}/shop/topics", {"id": topic, **body}).status_code == 200


def path(api: client.Client) -> str:
    """Where Ana's own page is."""
    url: str = api.post("/api/preference-links", {"user_id": "ana"}).json()["url"]
    return url.removeprefix("https://mail.example")


def offered(api: client.Client) -> list[str]:
    """What the page lets Ana choose from, as it is called there."""
    found: list[str] = re.findall(
        r'<input type="checkbox"[^>]*> (\w+)</label>', api.get(path(api), key=None).text
    )
    return found


def test_a_page_names_a_brand_that_there_is(public_api: client.Client) -> None:
    """A page in the look of a brand that there is not is refused, whatever stands in its id."""
    for brand_id in ("nobody", "\0"):
        answer = public_api.post(PUBLISH, {"brand_id": brand_id})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "brand_id")


def test_people_see_what_was_published(public_api: client.Client) -> None:
    """Until a page is published it follows the topics; then it stands until the next one, without deleted topics."""
    api = public_api
    assert offered(api) == ["News", "Offers"]
    put_topic(api, "news", "Novelties")
    assert offered(api) == ["Novelties", "Offers"]
    first = api.post(PUBLISH)
    assert first.status_code == 200, first.text
    put_topic(api, "news", "Journal")
    put_topic(api, "tips", "Tips")
    assert offered(api) == ["Novelties", "Offers"]
    api.delete(f"{SECTIONS}/shop/topics/offers")
    assert offered(api) == ["Novelties"]
    second = api.post(PUBLISH).json()
    assert offered(api) == ["Journal", "Tips"]
    told = first.json()
    assert told["page_id"] != second["page_id"]
    assert told["published_version"] < second["published_version"]
    assert (told["published_at"], told["preview_url"]) == ("2026-01-05T12:00:00.000002Z", None)
    assert told["published_by"]


def test_the_page_says_what_it_was_given_in_its_brand(public_api: client.Client) -> None:
    """Heading, description and a section's words are shown as text; its look is that of a brand, or none."""
    api = public_api
    for identity, color in (("default", "#111111"), ("night", "#222222")):
        settings: dict[str, Any] = {"colors": {"primary": color}}
        settings["email"] = {"header": {"logo": {"image": f"https://cdn.example/{identity}.png"}}}
        made = api.post("/brands", {"id": identity, "name": identity, "settings": settings})
        assert made.status_code == 200, made.text
    said = {"heading": "Your <choice>", "description": "Tick & save", "brand_id": "night", "mood": 1}
    assert api.post(PUBLISH, said).headers["Heliograph-Ignored"] == "mood"
    page = api.get(path(api), key=None).text
    for words in ("<h1>Your &lt;choice&gt;</h1>", "Tick &amp; save", "What we &lt;sell&gt;"):
        assert words in page
    assert ("#222222" in page, "https://cdn.example/night.png" in page) == (True, True)
    for brand, colors in ((None, ["#111111"]), ("default", ["#111111"]), ("none", [])):
        api.post(PUBLISH, {"brand_id": brand})
        page = api.get(path(api), key=None).text
        assert [one for one in ("#111111", "#222222") if one in page] == colors
        assert ("<h1>Your e-mails</h1>" in page, "cdn.example" in page) == (True, bool(colors))
    api.post(PUBLISH, {"brand_id": "night"})
    api.delete("/brands/night")
    assert "#222222" not in api.get(path(api), key=None).text


def test_what_is_saved_on_a_published_page_counts(public_api: client.Client) -> None:
    """Somebody refuses what the page offers, by whatever name it was published."""
    api = public_api
    api.post(PUBLISH, {"heading": "Yours"})
    put_topic(api, "news", "Journal")
    saved = api.send(
        "POST", path(api), key=None, headers=FORM, content="shown=news&shown=offers&topic=offers"
    )
    assert ("Saved." in saved.text, "<h1>Yours</h1>" in saved.text) == (True, True)
    said = {one["topic_id"]: one["status"] for one in api.get("/users/ana/preferences").json()["items"]}
    assert said == {"news": "OPTED_OUT", "offers": "OPTED_IN"}


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"heading": 1, "description": "x" * 2001, "brand_id": 2}, {"heading", "description", "brand_id"}),
        ({"heading": "x" * 201, "brand_id": ""}, {"heading", "brand_id"}),
        ({"brand_id": "nowhere"}, {"brand_id"}),
    ],
)
def test_a_page_that_cannot_be_is_refused(
    lone_api: client.Client, body: dict[str, Any], places: set[str]
) -> None:
    """Every fault has its place, nothing is published, and a tenant's key publishes nothing."""
    answer = lone_api.post(PUBLISH, body)
    assert (answer.status_code, set(client.faults(answer))) == (400, places)
    assert lone_api.post(PUBLISH, {}, key=lone_api.key("admin", tenant="acme")).status_code == 403
