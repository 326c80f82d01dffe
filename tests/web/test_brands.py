"""Brands over HTTP, and how messages look in them."""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from heliograph.store import schema
from heliograph.web import paging
from tests.web.client import Client, faults

SETTINGS: dict[str, Any] = {
    "colors": {"primary": "#ff0000", "secondary": "#00ff00"},
    "email": {
        "head": {"inheritDefault": False, "content": "<style>a { color: red }</style>"},
        "header": {"logo": {"image": "https://shop.example/logo.png", "href": "https://shop.example"}},
        "footer": {"markdown": "Made in **Rome**", "social": {"twitter": {"url": "https://social.example"}}},
    },
}
SNIPPETS = {"items": [{"name": "thanks", "value": "Thank you, {{ data.name }}!"}]}
ELEMENTS = [
    {"type": "meta", "title": "Hi"},
    {"type": "text", "content": "{{> thanks}} {{ brand.colors.secondary }}"},
    {"type": "action", "content": "Go", "href": "https://x.example"},
]


def brand(api: Client, identity: str | None, **fields: Any) -> dict[str, Any]:
    """A brand, created; gives it as it is answered."""
    given = {"name": "Shop", "settings": SETTINGS, "snippets": SNIPPETS, **fields}
    answer = api.post("/brands", given if identity is None else {"id": identity, **given})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def template(api: Client, **fields: Any) -> str:
    """A published template; gives its id."""
    notification = {"name": "T", "content": {"elements": ELEMENTS}, **fields}
    answer = api.post("/notifications", {"notification": notification, "state": "PUBLISHED"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def sent(api: Client, template_id: str, **step: Any) -> tuple[str, str]:
    """The text and the HTML of a message that a journey sends."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.clock.move(1_000_000)
    told = {"action": "send", "recipient": "ana", "template": template_id, "data": {"name": "<Ana>"}, **step}
    assert api.post("/automations/invoke", {"automation": {"steps": [told]}}).status_code == 200
    api.decide()
    identity = api.get("/messages").json()["results"][0]["id"]
    content = api.get(f"/messages/{identity}/output").json()["results"][0]["content"]
    return content["text"], content["html"]


def test_a_brand_is_made_read_listed_and_replaced(api: Client) -> None:
    """The wire's shape: settings and snippets as they were given, instants in milliseconds, a version."""
    made = brand(api, "shop")
    now = api.clock.now() // 1000
    assert made == {
        "id": "shop",
        "name": "Shop",
        "created": now,
        "updated": now,
        "published": now,
        "settings": SETTINGS,
        "snippets": SNIPPETS,
        "version": "v001",
    }
    assert api.get("/brands/shop").json() == made
    assert brand(api, None)["id"]
    listed = api.get("/brands").json()
    assert (listed["paging"]["more"], listed["results"][0]) == (False, made)
    assert api.post("/brands", {"id": "shop", "name": "x", "settings": {}}).status_code == 409
    changed = api.put("/brands/shop", {"name": "Store", "settings": {"colors": {"primary": "blue"}}}).json()
    assert (changed["name"], changed["settings"], changed["snippets"]) == (
        "Store",
        {"colors": {"primary": "blue"}},
        None,
    )
    assert changed["version"] == "v002"
    assert api.get("/brands/nobody").status_code == 404


def test_snippets_may_be_a_list_alone(api: Client) -> None:
    """Snippets that are given without `items` around them are the same snippets, and the list of brands stands."""
    made = brand(api, "shop", snippets=SNIPPETS["items"])
    assert made["snippets"] == SNIPPETS
    assert [one["snippets"] for one in api.get("/brands").json()["results"]] == [SNIPPETS]


def test_the_id_of_a_brand_may_hold_slashes(api: Client) -> None:
    """As ids of all kinds may: it stands percent-encoded in the path."""
    made = brand(api, "shops/vienna")
    path = "/brands/shops%2Fvienna"
    assert api.get(path).json() == made
    assert api.put(path, {"name": "Wien", "settings": {}}).json()["name"] == "Wien"
    assert api.delete(path).status_code == 204
    for wrong in ("/shop", "a b", "x" * 129, "", 7):
        refused = api.post("/brands", {"id": wrong, "name": "x", "settings": {}})
        assert (refused.status_code, list(faults(refused))) == (400, ["id"])


def test_every_fault_of_a_brand_is_told(lone_api: Client) -> None:
    """Colours, addresses, templates and snippets that cannot be drawn are refused, each at its place."""
    settings: dict[str, Any] = {
        "colors": {"primary": "red;} body {"},
        "email": {
            "head": {"inheritDefault": "no"},
            "header": {"logo": {"image": "javascript:x"}, "barColor": 3},
            "templateOverride": {"enabled": True, "mjml": {"enabled": True, "header": "<mj-section>"}},
        },
    }
    answer = lone_api.post(
        "/brands", {"settings": settings, "snippets": {"items": [{"name": "a b", "value": 1}]}}
    )
    assert answer.status_code == 400
    assert set(faults(answer)) == {
        "name",
        "settings.colors.primary",
        "settings.email.head.inheritDefault",
        "settings.email.header.logo.image",
        "settings.email.header.barColor",
        "snippets.items[0].name",
        "snippets.items[0].value",
    }
    undrawable = {
        "name": "x",
        "settings": {"email": {"templateOverride": settings["email"]["templateOverride"]}},
    }
    assert list(faults(lone_api.post("/brands", undrawable))) == ["settings.email.header"]
    broken = {"name": "x", "settings": {"email": {"footer": {"markdown": "{% if %}"}}}}
    assert list(faults(lone_api.post("/brands", broken))) == ["settings.email.footer"]


@pytest.mark.spec("S2-74")
def test_messages_are_drawn_in_their_brand(api: Client) -> None:
    """The default brand, the template's own, or the one that a send names: colours, logo, footer, snippets."""
    brand(api, "default")
    brand(
        api,
        "night",
        name="Night",
        settings={
            "colors": {"primary": "#111111"},
            "email": {"header": {"inheritDefault": True, "logo": {}}},
        },
    )
    text, html = sent(api, template(api))
    assert text.startswith("Thank you, <Ana>! #00ff00")
    for part in (
        "Thank you, &lt;Ana&gt;!",
        "#ff0000",
        "logo.png",
        "Made in <strong>Rome</strong>",
        "a { color: red }",
    ):
        assert part in html
    _, own = sent(api, template(api, brand={"id": "night"}))
    assert ("#111111" in own, "#ff0000" in own, "logo.png" in own, "Rome" in own) == (
        True,
        False,
        True,
        False,
    )
    _, named = sent(api, template(api), brand="night")
    assert "#111111" in named
    assert list(
        faults(
            api.post(
                "/notifications",
                {"notification": {"name": "x", "content": {"elements": []}, "brand": {"id": "no"}}},
            )
        )
    ) == ["notification.brand"]


def test_a_message_keeps_the_look_that_it_was_planned_in(api: Client) -> None:
    """Who changes a brand changes what is sent from then on, and nothing that was."""
    brand(api, "default")
    made = template(api)
    _, first = sent(api, made)
    earlier = api.get("/messages").json()["results"][0]["id"]
    api.clock.move(1_000_000)
    api.put("/brands/default", {"name": "Shop", "settings": {"colors": {"primary": "#0000ff"}}})
    _, second = sent(api, made)
    assert ("#ff0000" in first, "#0000ff" in second) == (True, True)
    again = api.get(f"/messages/{earlier}/output").json()["results"][0]["content"]["html"]
    assert again == first


def test_a_send_draws_elements_of_its_own(api: Client) -> None:
    """Elemental content in a step is drawn in the default brand, or the one that it names, with the person's data."""
    brand(api, "default")
    brand(api, "night", settings={"colors": {"primary": "#111111"}})
    elements = [
        *ELEMENTS,
        {"type": "text", "content": "{name}", "if": "data.name.length > 3 && refs.a.visible"},
    ]
    elements[1] = {**ELEMENTS[1], "ref": "a"}
    for named, color in ((None, "#ff0000"), ("night", "#111111")):
        message: dict[str, Any] = {
            "to": {"email": "ana@example.com"},
            "content": {"version": "2022-01-01", "elements": elements},
            "data": {"name": "<Ana>"},
        }
        if named is not None:
            message["brand_id"] = named
        step = {"action": "send", "message": message}
        assert api.post("/automations/invoke", {"automation": {"steps": [step]}}).status_code == 200
        api.decide()
        mail = api.mailbox.received[-1]
        assert (mail.subject, color in (mail.html or "")) == ("Hi", True)
        assert mail.text.endswith("Go: https://x.example\r\n\r\n<Ana>")
    wrong = {
        "action": "send",
        "message": {"to": {"email": "a@b.example"}, "content": {"elements": [{"type": "tex"}]}},
    }
    refused = api.post("/automations/invoke", {"automation": {"steps": [wrong]}})
    assert (refused.status_code, list(faults(refused))) == (
        400,
        ["steps[0].message.content.elements[0].type"],
    )


def test_a_brand_in_use_cannot_be_deleted(api: Client) -> None:
    """409, as long as a template names it."""
    brand(api, "shop")
    made = template(api, brand={"id": "shop"})
    assert api.delete("/brands/shop").status_code == 409
    api.put(
        f"/notifications/{made}",
        {"notification": {"name": "T", "content": {"elements": ELEMENTS}}, "state": "PUBLISHED"},
    )
    assert api.delete("/brands/shop").status_code == 204
    assert api.get("/brands/shop").status_code == 404


def test_a_tenants_brand_is_there(api: Client) -> None:
    """A tenant names a brand that there is, and keeps it: 409 as long as it does; or nothing of it could be drawn."""
    unknown = api.put("/tenants/acme", {"name": "Acme", "brand_id": "shop"})
    assert (unknown.status_code, list(faults(unknown))) == (400, ["brand_id"])
    brand(api, "shop")
    assert api.put("/tenants/acme", {"name": "Acme", "brand_id": "shop"}).status_code == 200
    refused = api.delete("/brands/shop")
    assert (refused.status_code, "acme" in refused.json()["message"]) == (409, True)
    assert api.put("/tenants/acme", {"name": "Acme"}).status_code == 200
    assert api.delete("/brands/shop").status_code == 204


def test_a_strategys_brand_is_there(api: Client) -> None:
    """A strategy whose channels name a brand is refused where there is none, and keeps it where there is: 409."""
    said = {"name": "s", "routing": {"method": "single", "channels": ["email"]}}
    in_night = {**said, "channels": {"email": {"brand_id": "night"}}}
    unknown = api.post("/routing-strategies", in_night)
    assert (unknown.status_code, list(faults(unknown))) == (400, ["channels.email.brand_id"])
    brand(api, "night")
    made = api.post("/routing-strategies", in_night).json()["id"]
    refused = api.delete("/brands/night")
    assert (refused.status_code, made in refused.json()["message"]) == (409, True)
    assert api.put(f"/routing-strategies/{made}", said).status_code == 200
    assert api.delete("/brands/night").status_code == 204


def test_a_step_says_that_there_is_no_brand(api: Client) -> None:
    """A journey's message whose channel names a brand that there is not fails its step, and is not made."""
    message = {
        "to": {"email": "ana@example.com"},
        "content": {"version": "2022-01-01", "elements": ELEMENTS},
        "channels": {"email": {"brand_id": "${data.look}"}},
    }
    body = {"automation": {"steps": [{"action": "send", "message": message}]}, "data": {"look": "gone"}}
    run_id = api.post("/automations/invoke", body).json()["runId"]
    api.world.run_until_idle()
    (step,) = api.get(f"/automations/runs/{run_id}/steps").json()["steps"]
    assert (step["status"], step["error"]["message"]) == ("ERROR", "there is no brand 'gone'")
    assert api.get("/messages").json()["results"] == []


def test_a_brands_own_template_goes_around_the_content(lone_api: Client) -> None:
    """With `templateOverride` header and footer are the brand's own MJML, and its width and ground hold."""
    mjml = {
        "enabled": True,
        "header": "<mj-section><mj-column><mj-text>{{ data.name }} at the top</mj-text></mj-column></mj-section>",
        "footer": "<mj-section><mj-column><mj-text>the end</mj-text></mj-column></mj-section>",
        "width": "480px",
        "backgroundColor": "#eeeeee",
    }
    settings = {"email": {"templateOverride": {"enabled": True, "mjml": mjml}}}
    brand(lone_api, "default", settings=settings)
    _, html = sent(lone_api, template(lone_api))
    assert html.index("&lt;Ana&gt; at the top") < html.index("Thank you") < html.index("the end")
    assert "max-width:480px" in html
    assert "background-color:#eeeeee" in html


def test_a_walk_goes_on_behind_what_is_gone(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever deletes what a page shows reads the next page all the same; no row is left out or shown twice."""
    monkeypatch.setattr(paging.page, "__defaults__", (2,))
    monkeypatch.setattr(paging.page_behind, "__defaults__", (2,))
    monkeypatch.setattr(paging.page_of_ids, "__defaults__", (2,))
    made = [brand(api, None)["id"] for _ in range(5)]
    kept = sorted(template(api) for _ in range(5))
    for path, wanted in (("/brands", made), ("/notifications", kept)):
        seen: list[str] = []
        query: str | None = ""
        while query is not None:
            page = api.get(f"{path}{query}").json()
            seen += [one["id"] for one in page["results"]]
            for one in page["results"]:
                assert api.delete(f"{path}/{one['id']}").status_code == 204
            query = f"?cursor={page['paging']['cursor']}" if page["paging"]["more"] else None
        assert [one for one in seen if one in wanted] == wanted
    assert api.get("/brands?cursor=nowhere").status_code == 400


def test_a_brand_that_an_earlier_version_kept_is_read(api: Client) -> None:
    """A brand whose snippets were kept as a list, without `items` around it, is listed and changed as any other."""
    made = brand(api, "shop")
    kept = {"name": "Shop", "settings": {}, "snippets": []}
    row = sa.update(schema.brands).where(schema.brands.c.id == "shop")
    with api.store.writing() as connection:
        connection.execute(row.values(definition=msgspec.json.encode(kept)))
    assert [one["id"] for one in api.get("/brands").json()["results"]] == [made["id"]]
    assert api.get("/brands/shop").json()["snippets"] == {"items": []}
    assert api.put("/brands/shop", {"name": "Shop", "settings": {}}).status_code == 200


def test_what_waits_in_a_brand_that_is_deleted_says_so(api: Client) -> None:
    """A delayed request whose brand is gone when it is due is a message that failed, with the brand's name."""
    brand(api, "night")
    content = {"version": "2022-01-01", "elements": ELEMENTS}
    message = {"to": {"email": "ana@example.com"}, "content": content, "brand_id": "night"}
    asked = api.post("/send", {"message": {**message, "delay": {"duration": 60_000}}})
    assert api.delete("/brands/night").status_code == 204
    api.world.pass_time(minutes=2)
    told = api.get(f"/messages/{asked.json()['requestId']}").json()
    assert (told["status"], told["error"]) == ("UNDELIVERABLE", "unrenderable: there is no brand 'night'")
