"""`POST /send`: who is written to, with what, and what is refused."""

from typing import Any

import pytest

from tests.web.client import Client, faults

TO_ANA = {"to": {"user_id": "ana"}, "content": {"title": "Hello {name}", "body": "Order {{data.order}}"}}


def send(api: Client, message: dict[str, Any], **given: Any) -> str:
    """A request that was taken in; its id."""
    answer = api.post("/send", {"message": message}, **given)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["requestId"])


def sent(api: Client, message: dict[str, Any], **given: Any) -> tuple[str, dict[str, str]]:
    """A request that was sent; its id, and what was written to whom."""
    before = len(api.mailbox.received)
    request_id = send(api, message, **given)
    api.world.run_until_idle()
    mails = api.mailbox.received[before:]
    assert len({mail.recipient for mail in mails}) == len(mails)
    return request_id, {mail.recipient: mail.text.strip() for mail in mails}


def messages(api: Client, request_id: str, **query: Any) -> list[dict[str, Any]]:
    """The messages of a request."""
    found: list[dict[str, Any]] = api.get("/messages", params={"traceId": request_id, **query}).json()[
        "results"
    ]
    return found


def crowd(api: Client, list_id: str, *names: str) -> None:
    """These people, with addresses, on a list."""
    for name in names:
        api.world.contact(name, email=f"{name}@example.com", given_name=name.title(), plan="pro")
    body = {"recipients": [{"recipientId": name} for name in names]}
    assert api.put(f"/lists/{list_id}/subscriptions", body).status_code < 300


def test_the_message_to_one_person_is_the_request(api: Client) -> None:
    """It can be read by the request's id at once, is sent once, and shows what it was said to be about."""
    api.world.contact("ana", email="ana@example.com")
    meta = {"event": "order-confirmed", "tags": ["shop", "50%"], "trace_id": "t-1"}
    request_id = send(api, {**TO_ANA, "data": {"order": 7, "name": "Ana"}, "metadata": meta})
    waiting = api.get(f"/messages/{request_id}").json()
    assert (waiting["id"], waiting["status"], waiting["event"]) == (request_id, "ENQUEUED", "order-confirmed")
    api.world.run_until_idle()
    (mail,) = api.mailbox.received
    assert (mail.recipient, mail.subject, mail.text.strip()) == ("ana@example.com", "Hello Ana", "Order 7")
    found = api.get(f"/messages/{request_id}").json()
    assert (found["id"], found["status"], found["recipient"]) == (request_id, "SENT", "ana")
    assert (found["run_id"], found["rule_id"], found["campaign_id"]) == (None, None, None)
    for query in ({"traceId": "t-1"}, {"tag": "shop,x"}, {"tags": "50%"}, {"event": "order-confirmed"}):
        listed = api.get("/messages", params=query).json()["results"]
        assert [one["id"] for one in listed] == [request_id], query
    for query in ({"traceId": "t-2"}, {"tag": "5_%"}, {"event": "else"}):
        assert api.get("/messages", params=query).json()["results"] == []
    assert api.put(f"/requests/{request_id}/archive").status_code == 202
    assert (messages(api, request_id), len(messages(api, request_id, archived=True))) == ([], 1)
    assert api.get(f"/messages/{request_id}").status_code == 200
    assert api.put("/requests/1-65f240a0-47a6a120c8374de9bcf9f22c/archive").status_code == 404


def test_each_of_many_has_a_message_of_their_own(api: Client) -> None:
    """By what is stored, by an address alone, with data and a profile of their own; all are found by the request."""
    api.world.contact("ana", email="ana@example.com", given_name="Ana")
    api.world.template("hi", subject="Hi", text="{{ profile.given_name }} {{ data.word }} {{ contact.id }}")
    to = [
        {"user_id": "ana", "data": {"word": "own"}},
        {"email": "Ben@Example.com", "profile": {"given_name": "Ben"}},
        {"user_id": "cleo", "email": "cleo@example.com", "given_name": "Cleo"},
        {"user_id": "nobody"},
        {
            "user_id": "dan",
            "email": "dan@example.com",
            "preferences": {"notifications": {"hi": {"status": "OPTED_OUT"}}},
        },
    ]
    request_id, mails = sent(api, {"to": to, "template": "hi", "data": {"word": "shared"}})
    assert mails == {
        "ana@example.com": "Ana own ana",
        "ben@example.com": "Ben shared",
        "cleo@example.com": "Cleo shared cleo",
    }
    found = {one["recipient"]: one for one in messages(api, request_id)}
    assert {name: (one["status"], one["reason"]) for name, one in found.items()} == {
        "ana": ("SENT", None),
        "ben@example.com": ("SENT", None),
        "cleo": ("SENT", None),
        "nobody": ("UNROUTABLE", "NO_CHANNELS"),
        "dan": ("UNROUTABLE", "UNSUBSCRIBED"),
    }
    assert api.get(f"/messages/{request_id}").status_code == 404
    assert all(api.get(f"/messages/{one['id']}").status_code == 200 for one in found.values())


def test_groups_are_walked_over(api: Client) -> None:
    """A list, the lists of a pattern with everybody once, and an audience; not those who are on none of them."""
    crowd(api, "shop.news", "ana", "ben")
    crowd(api, "shop.offers", "ben", "cleo")
    crowd(api, "other", "dan")
    api.world.contact("eve", email="eve@example.com", plan="free")
    out = {"preferences": {"notifications": {"hi": {"status": "OPTED_OUT"}}}}
    api.put("/lists/shop.offers/subscriptions/ben", out)
    api.put("/lists/shop.offers/subscriptions/cleo", out)
    api.put("/audiences/pros", {"filter": {"operator": "EQ", "path": "plan", "value": "pro"}})
    api.put("/audiences/nobody", {})
    api.world.template("hi", subject="Hi", text="{{ profile.given_name }} {{ data.word }}")

    def to(**group: Any) -> dict[str, str]:
        return sent(api, {"to": {**group, "data": {"word": "w"}}, "template": "hi"})[1]

    assert to(list_id="shop.news") == {"ana@example.com": "Ana w", "ben@example.com": "Ben w"}
    assert to(list_pattern="shop.*") == {"ana@example.com": "Ana w", "ben@example.com": "Ben w"}
    assert sorted(to(audience_id="pros")) == [f"{name}@example.com" for name in ("ana", "ben", "cleo", "dan")]
    assert (to(audience_id="nobody"), to(list_pattern="nothing.*")) == ({}, {})
    api.put("/tenants/acme", {"name": "Acme"})
    api.put("/users/ana/tenants/acme", {})
    members = [{"operator": "MEMBER_OF", "path": "account_id", "value": "acme"}]
    assert to(audience_id="pros", filters=members) == {"ana@example.com": "Ana w"}
    request_id, mails = sent(
        api, {**TO_ANA, "to": [{"list_id": "other"}, {"user_id": "ana"}], "data": {"order": 1}}
    )
    assert mails == {"dan@example.com": "Order 1", "ana@example.com": "Order 1"}
    assert sorted(one["recipient"] for one in messages(api, request_id)) == ["ana", "dan"]


def test_a_tenant_speaks_for_itself(api: Client) -> None:
    """Its brand, its own words and its members' profiles are in the message; its keys see no other."""
    api.put(
        "/tenants/acme",
        {"name": "Acme", "properties": {"city": "Rome"}, "user_profile": {"greeting": "Ciao"}},
    )
    api.world.contact("ana", email="ana@example.com", greeting_of="all")
    api.put("/users/ana/tenants/acme", {"profile": {"seat": "4B"}})
    api.world.template(
        "hi",
        subject="Hi",
        text="{{ profile.greeting }} {{ profile.seat }} {{ tenant.name }} {{ tenant.city }}",
    )
    request_id, mails = sent(api, {"to": {"user_id": "ana", "tenant_id": "acme"}, "template": "hi"})
    assert mails == {"ana@example.com": "Ciao 4B Acme Rome"}
    assert api.get(f"/messages/{request_id}").json()["tenant_id"] == "acme"
    api.put("/lists/l/subscriptions", {"recipients": [{"recipientId": "ana"}]})
    words = {"title": "Hi", "body": "{{profile.greeting}} {{tenant.name}} {tenant.city}"}
    spoken = {"to": {"user_id": "ana"}, "content": words, "context": {"tenant_id": "acme"}}
    assert sent(api, spoken)[1] == {"ana@example.com": "Ciao Acme Rome"}
    in_context = {"to": {"list_id": "l"}, "template": "hi", "context": {"tenant_id": "acme"}}
    assert sent(api, in_context)[1] == {"ana@example.com": "Ciao 4B Acme Rome"}
    key = api.key("ingest", tenant="acme")
    there = {"to": {"user_id": "ana", "tenant_id": "bolt"}, "template": "hi"}
    assert api.post("/send", {"message": there}, key=key).status_code == 404
    assert sent(api, {"to": {"user_id": "ana"}, "template": "hi"}, key=key)[1] == {}
    assert api.get(f"/messages/{send(api, TO_ANA)}", key=api.key("agent", tenant="acme")).status_code == 404


def test_a_plain_text_reads_the_person(api: Client) -> None:
    """`contact` is who it is for in a title and body as in Elemental, unless the data has one of its own."""
    api.world.contact("ana", email="ana@example.com", given_name="Ana")
    body = "{{contact.given_name}} {contact.id}"
    plain = {"title": "Hi", "body": body}
    drawn = {"version": "2022-01-01", "elements": [{"type": "text", "content": body}]}
    for content in (plain, drawn):
        assert sent(api, {"to": {"user_id": "ana"}, "content": content})[1] == {"ana@example.com": "Ana ana"}
    own = {"to": {"user_id": "ana"}, "content": plain, "data": {"contact": {"given_name": "Bo", "id": 7}}}
    assert sent(api, own)[1] == {"ana@example.com": "Bo 7"}


def _member_of(tenant_id: str) -> dict[str, str]:
    """The filter of a group that means a tenant's people."""
    return {"operator": "MEMBER_OF", "path": "account_id", "value": tenant_id}


def test_what_is_wrong_is_named(api: Client) -> None:
    """Every fault has its place, nothing is sent, and what nobody knows is passed over and named."""
    api.world.contact("ana", email="ana@example.com")
    refused: list[tuple[Any, set[str]]] = [
        ({}, {"message.to", "message"}),
        ({"to": {}, "template": "t"}, {"message.to"}),
        (
            {"to": [{"user_id": "a"}, {"email": "x"}, 3], "template": "t"},
            {"message.to[1].email", "message.to[2]"},
        ),
        ({"to": {"list_id": "a b"}, "template": "t"}, {"message.to.list_id"}),
        ({"to": {"list_pattern": "**"}, "template": "t"}, {"message.to.list_pattern"}),
        ({"to": {"list_id": "a", "user_id": "b"}, "template": "t"}, {"message.to"}),
        (
            {"to": {"audience_id": "a", "filters": [{"operator": "EQ"}]}, "template": "t"},
            {"message.to.filters"},
        ),
        ({**TO_ANA, "template": "t"}, {"message"}),
        ({"to": {"user_id": "ana"}}, {"message"}),
        ({"to": {"user_id": "ana"}, "content": {"title": "t"}}, {"message.content.body"}),
        (
            {"to": {"user_id": "ana"}, "content": {"version": "2022-01-01", "elements": [{"type": "no"}]}},
            {"message.content.elements[0].type"},
        ),
        (
            {**TO_ANA, "metadata": {"tags": ["x" * 31]}, "data": 3},
            {"message.metadata.tags[0]", "message.data"},
        ),
        ({**TO_ANA, "metadata": {"tags": ["x"] * 10}}, {"message.metadata.tags"}),
        ({**TO_ANA, "metadata": [], "timeout": 0}, {"message.metadata", "message.timeout"}),
        ({"to": {"user_id": "ana"}, "template": "gone"}, {"message.template"}),
        ({**TO_ANA, "brand_id": "gone"}, {"message.brand_id"}),
        (
            {**TO_ANA, "channels": {"email": {"brand_id": "gone"}, "sms": {"brand_id": "lost"}}},
            {"message.channels.email.brand_id", "message.channels.sms.brand_id"},
        ),
        (
            {**TO_ANA, "to": {"list_pattern": "a.**", "filters": [_member_of("gone")]}},
            {"message.to.filters[0].value"},
        ),
        ({**TO_ANA, "context": {"tenant_id": "gone"}}, {"message.context.tenant_id"}),
        (
            {**TO_ANA, "to": [{"list_id": "gone"}, {"audience_id": "gone"}]},
            {"message.to[0].list_id", "message.to[1].audience_id"},
        ),
        ({**TO_ANA, "to": [{"list_id": "gone"}]}, {"message.to[0].list_id"}),
        ({**TO_ANA, "to": {"user_id": "ana", "account_id": "gone"}}, {"message.to.account_id"}),
        (
            {**TO_ANA, "to": [{"user_id": "ana", "context": {"tenant_id": "gone"}}]},
            {"message.to[0].context.tenant_id"},
        ),
    ]
    for message, places in refused:
        answer = api.post("/send", {"message": message})
        assert (answer.status_code, set(faults(answer))) == (400, places), (message, answer.text)
        assert len(answer.json()["errors"]) == len(places), "each is told once"
    assert set(faults(api.post("/send", {}))) == {"message"}
    api.world.run_until_idle()
    assert (api.world.ledger(), api.mailbox.received) == ([], [])
    to = {"user_id": "ana", "shoe": 2, "preferences": {"x": 1}}
    strange = {"to": to, "content": {"elements": [], "x": 1}, "colour": 1, "metadata": {"x": 1}}
    strange["channels"] = {"email": {"metadata": {"z": 1}}}
    answer = api.post("/send", {"message": strange, "more": 1}, params={"q": "1"})
    assert (
        answer.headers["heliograph-ignored"]
        == "message.channels.email.metadata.z, message.colour, message.content.x, message.metadata.x,"
        " message.to.preferences.x, message.to.shoe, more, q"
    )


@pytest.mark.parametrize("content", [{"title": "a", "body": "{word}"}, None])
def test_the_history_of_a_message_tells_what_it_was_asked_with(api: Client, content: Any) -> None:
    """Its `data` is the request's and its recipient's, whether a template is filled or texts that came with it."""
    crowd(api, "l", "eve")
    api.world.template("words", subject="a", text="{{ word }}")
    what = {"template": "words"} if content is None else {"content": content}
    ana = {"user_id": "ana", "email": "ana@example.com", "data": {"word": "own"}}
    for to in (ana, {"list_id": "l"}, [{"email": "ben@example.com"}, ana]):
        request_id = send(api, {**what, "to": to, "data": {"word": "all", "n": 1}})
        waiting = api.get(f"/messages/{request_id}/history").json()["results"] if to is ana else []
        api.world.run_until_idle()
        for one in messages(api, request_id):
            (told,) = api.get(f"/messages/{one['id']}/history", params={"type": "ENQUEUED"}).json()["results"]
            assert told["data"] == {"word": "own" if one["recipient"] == "ana" else "all", "n": 1}
            assert (told["profile"].get("email") == "ana@example.com") is (one["recipient"] == "ana")
        assert [told["data"] for told in waiting if told["type"] == "ENQUEUED"] == [
            {"word": "own", "n": 1}
        ] * (to is ana)


@pytest.mark.parametrize("more", [{}, {"metadata": {"tags": ["t"]}}])
@pytest.mark.parametrize(
    "content", [{"title": "a", "body": "{word}"}, {"elements": [{"type": "text", "content": "{word}"}]}, None]
)
def test_the_history_of_a_journeys_message_tells_what_it_was_asked_with(
    api: Client, more: dict[str, Any], content: Any
) -> None:
    """It is the run's data, the message's and its recipient's, whichever way the step says what is written."""
    api.world.template("words", subject="a", text="{{ word }}")
    what = {"template": "words"} if content is None else {"content": content}
    to = {"user_id": "ana", "email": "ana@example.com", "data": {"word": "own"}}
    step = {"action": "send", "message": {**what, **more, "to": to, "data": {"word": "all", "m": 2}}}
    said = {"automation": {"steps": [step]}, "data": {"n": 1}}
    assert api.post("/automations/invoke", said).status_code == 200
    api.world.run_until_idle()
    (one,) = api.get("/messages").json()["results"]
    (told,) = api.get(f"/messages/{one['id']}/history", params={"type": "ENQUEUED"}).json()["results"]
    assert told["data"] == {"word": "own", "m": 2, "n": 1}
    assert told["profile"]["email"] == "ana@example.com"


def test_what_nobody_knows_of_elements_is_named(api: Client) -> None:
    """A field deep in Elemental content that shows nothing is passed over and named; what shows something is not."""
    known = {"type": "text", "content": "a", "locales": {"de": {"content": "b", "x": 1}}, "bold": "true"}
    image = {"type": "image", "src": "https://example.com/a", "image_natural_width": 1, "if": "true"}
    group = {"type": "group", "elements": [known, image, {"type": "comment", "said": "x"}]}
    channel = {"type": "channel", "channel": "email", "elements": [{"type": "meta", "title": "t"}, group]}
    push = {"type": "channel", "channel": "push", "raw": {"text": "a", "sound": "b"}}
    content = {"version": "2022-01-01", "elements": [channel, push]}
    strange = [
        ".content.elements[0].elements[1].elements[0].locales.de.x",
        ".content.elements[0].elements[1].elements[1].image_natural_width",
        ".content.elements[1].raw.sound",
    ]
    said = {"to": {"email": "ana@example.com"}, "content": content}
    for path, body, place in (
        ("/send", {"message": said}, "message"),
        ("/bulk", {"message": {"event": "e", "content": content}}, "message"),
        ("/notifications", {"notification": {"name": "n", "content": content}}, "notification"),
    ):
        answer = api.post(path, body)
        assert answer.is_success, answer.text
        assert answer.headers["heliograph-ignored"] == ", ".join(place + one for one in strange)
    # What Courier's designer wrote is sent by a journey as it is, and named all the same.
    steps = [{"action": "send", "message": {**said, **more}} for more in ({}, {"metadata": {"tags": ["t"]}})]
    for step in steps:
        answer = api.post("/automations/invoke", {"automation": {"steps": [step]}})
        named = ", ".join(f"automation.steps[0].message{one}" for one in strange)
        assert (answer.status_code, answer.headers["heliograph-ignored"]) == (200, named)
        stored = api.put(
            "/automations/templates/j",
            {"name": "J", "steps": [{"action": "cancel", "cancelation_token": "x"}, step]},
        )
        named = ", ".join(f"steps[1].message{one}" for one in strange)
        assert (stored.status_code, stored.headers["heliograph-ignored"]) == (200, named)
    api.world.run_until_idle()
    assert [mail.subject for mail in api.mailbox.to("ana@example.com")] == ["t"] * 3


def test_what_nobody_knows_beside_elements_is_named(lone_api: Client) -> None:
    """Content has a version and elements: what else it says is passed over and named, and refused in steps."""
    content = {"elements": [{"type": "text", "content": "a"}], "colour": "red"}
    said = {"to": {"email": "ana@example.com"}, "content": content}
    notification = {"name": "n", "content": content}
    made = lone_api.post("/notifications", {"notification": notification})
    path = f"/notifications/{made.json()['id']}"
    for answer, place in (
        (lone_api.post("/send", {"message": said}), "message."),
        (made, "notification."),
        (lone_api.put(path, {"notification": notification}), "notification."),
        (lone_api.put(f"{path}/content", {"content": content}), ""),
    ):
        assert answer.is_success, answer.text
        assert answer.headers["heliograph-ignored"] == f"{place}content.colour"
    for more in ({}, {"metadata": {"tags": ["t"]}}):
        step = {"action": "send", "message": {**said, **more}}
        refused = lone_api.post("/automations/invoke", {"automation": {"steps": [step]}})
        assert refused.status_code == 400
        assert [one["path"] for one in refused.json()["errors"]] == ["steps[0].message.content.colour"]


@pytest.mark.parametrize("name", ["x{}", "x" * 50_000 + "{}"])
def test_what_is_passed_over_is_named_in_a_header_that_clients_read(api: Client, name: str) -> None:
    """However much of a request nobody knows, and however it is called, its answer is one that clients take."""
    strange = {name.format(number): 1 for number in range(20_000 if name == "x{}" else 3)}
    answer = api.post("/send", {"message": {**TO_ANA, **strange}})
    assert answer.is_success
    named = answer.headers["heliograph-ignored"].split(", ")
    assert len(named) <= 100
    assert sum(map(len, named)) <= 4_000
    assert all(one.startswith("message") for one in named)


def test_a_topic_that_somebody_left_reaches_them_no_more(api: Client) -> None:
    """Whoever opted out of a topic has nothing of it, by themselves or on a list; all else goes."""
    crowd(api, "l", "ana", "ben")
    api.world.opt_out("ana", "offers")
    offer = {**TO_ANA, "data": {"order": 1}, "preferences": {"subscription_topic_id": "offers"}}
    request_id, mails = sent(api, offer)
    assert (mails, api.get(f"/messages/{request_id}").json()["reason"]) == ({}, "UNSUBSCRIBED")
    assert sorted(sent(api, {**offer, "to": {"list_id": "l"}})[1]) == ["ben@example.com"]
    assert sorted(sent(api, {**offer, "preferences": {"subscription_topic_id": "orders"}})[1]) == [
        "ana@example.com"
    ]


def test_what_is_said_of_a_topic_counts_for_its_templates(api: Client) -> None:
    """A category that is refused on a list, or by the request itself, is refused of a template that has that topic."""
    crowd(api, "l", "ana", "ben")
    api.world.template("offer", subject="Offers", text="Cheap", topic="offers")
    no = {"preferences": {"categories": {"offers": {"status": "OPTED_OUT"}}}}
    assert api.put("/lists/l/subscriptions/ana", no).status_code == 204
    assert sent(api, {"to": {"list_id": "l"}, "template": "offer"})[1] == {"ben@example.com": "Cheap"}
    assert sent(api, {"to": {"list_pattern": "l"}, "template": "offer"})[1] == {"ben@example.com": "Cheap"}
    assert sent(api, {"to": {"user_id": "ana"}, "template": "offer"})[1] == {"ana@example.com": "Cheap"}
    request_id, mails = sent(api, {"to": {"user_id": "ben", **no}, "template": "offer"})
    assert (mails, api.get(f"/messages/{request_id}").json()["reason"]) == ({}, "UNSUBSCRIBED")
    # What the message itself says to be its topic goes before the template's.
    other = {"template": "offer", "preferences": {"subscription_topic_id": "orders"}}
    assert sorted(sent(api, {"to": {"list_id": "l"}, **other})[1]) == ["ana@example.com", "ben@example.com"]


def test_a_draft_is_sent_to_nobody(api: Client) -> None:
    """A template that has no published version makes a message that says so, and nothing goes out."""
    notification: dict[str, Any] = {
        "name": "Hi", "tags": [], "brand": None, "subscription": None, "routing": None,
        "content": {"version": "2022-01-01", "elements": [{"type": "text", "content": "x"}]},
    }  # fmt: skip
    draft = api.post("/notifications", {"notification": notification}).json()["id"]
    request_id, mails = sent(api, {"to": {"email": "ana@example.com"}, "template": draft})
    found = api.get(f"/messages/{request_id}").json()
    assert (mails, found["status"], found["reason"]) == ({}, "UNROUTABLE", "UNPUBLISHED")


def test_what_a_waiting_message_names_may_be_gone(api: Client) -> None:
    """By a strategy, or in the name of a tenant, that there is no more nothing is sent, and the message says which."""
    crowd(api, "l", "ana", "ben")
    api.put("/tenants/acme", {"name": "Acme"})
    by_text = {"name": "By text", "routing": {"method": "single", "channels": ["sms", "email"]}}
    strategy = api.post("/routing-strategies", by_text).json()["id"]
    later = {**TO_ANA, "data": {"order": 1}, "delay": {"duration": 60_000}}
    waiting = {
        send(api, {**later, "routing": {"strategy_id": strategy}}): f"routing strategy '{strategy}'",
        send(api, {**later, "context": {"tenant_id": "acme"}}): "tenant 'acme'",
        send(api, {**later, "to": {"email": "x@example.com", "tenant_id": "acme"}}): "tenant 'acme'",
        send(api, {**later, "to": {"list_id": "l"}, "context": {"tenant_id": "acme"}}): "tenant 'acme'",
    }
    assert api.delete("/tenants/acme").status_code == 204
    assert api.delete(f"/routing-strategies/{strategy}").status_code == 204
    api.world.pass_time(minutes=5)
    assert api.mailbox.received == []
    for request_id, what in waiting.items():
        told = {(one["status"], one["error"]) for one in messages(api, request_id)}
        assert told == {("UNROUTABLE", f"there is no {what} any more")}
    # A key that is bound to a tenant speaks for it whether or not it was ever described.
    key = api.key("admin", tenant="acme")
    api.put("/profiles/own", {"profile": {"email": "own@example.com"}}, key=key)
    assert list(sent(api, {**TO_ANA, "to": {"user_id": "own"}, "data": {"order": 1}}, key=key)[1]) == [
        "own@example.com"
    ]


def test_a_message_waits_for_its_time(api: Client) -> None:
    """A span is rounded up to the minute, hours are on the recipient's clock; what is canceled never goes."""
    api.world.contact("ana", email="ana@example.com", zoneinfo="America/New_York")
    noon = api.clock.now()
    waits = {
        send(api, {**TO_ANA, "delay": {"duration": 61_000}}): 120,
        send(api, {**TO_ANA, "delay": {"until": "Mo-Fr 09:00-17:00"}}): 2 * 3600,
        send(api, {**TO_ANA, "delay": {"until": "Mo-Fr 09:00-17:00", "timezone": "UTC"}}): 0,
        send(api, {**TO_ANA, "delay": {"until": "2026-01-05T13:00:00Z"}}): 3600,
    }
    canceled = send(api, {**TO_ANA, "delay": {"duration": 61_000}})
    assert api.get(f"/messages/{canceled}").json()["status"] == "DELAYED"
    assert api.post(f"/messages/{canceled}/cancel").json()["status"] == "CANCELED"
    api.world.pass_time(hours=3)
    sent_at = {name: api.get(f"/messages/{name}").json()["sent"] * 1000 - noon for name in waits}
    assert {name: at // 1_000_000 for name, at in sent_at.items()} == waits
    assert (len(api.mailbox.received), api.get(f"/messages/{canceled}").json()["status"]) == (4, "CANCELED")
    for delay in (
        {"until": "Mo-Xy 09:00-17:00"},
        {"until": "2027-01-05T13:00:00Z"},
        {"until": "9999-12-31T23:59:59", "timezone": "America/New_York"},
        {"until": "9999-12-31T23:59:59"},
        {"until": f"Mo{' ' * 200_000}x"},
        {"duration": -1},
        {"timezone": "x"},
    ):
        answer = api.post("/send", {"message": {**TO_ANA, "delay": delay}})
        assert (answer.status_code, list(faults(answer))) == (400, [f"message.delay.{next(iter(delay))}"])


def test_each_of_many_waits_by_their_own_clock(api: Client) -> None:
    """On a list, and named one by one: nine in the morning is each one's own, and hours that are open go at once."""
    zones = {"ana": "America/New_York", "ben": "Asia/Tokyo", "cleo": "Europe/London"}
    crowd(api, "shop", *zones, "dan")
    for name, zone in zones.items():
        api.patch(f"/profiles/{name}", {"patch": [{"op": "add", "path": "/zoneinfo", "value": zone}]})
    words = {"content": {"title": "Hello", "body": "There"}, "timeout": {"message": 3_600_000}}
    at_nine = {"until": "2026-01-06T09:00:00"}
    to_list = send(api, {**words, "to": {"list_id": "shop"}, "delay": at_nine})
    to_each = send(api, {**words, "to": [{"user_id": name} for name in zones], "delay": at_nine})
    in_hours = send(api, {**words, "to": {"list_id": "shop"}, "delay": {"until": "09:00-17:00"}})
    fixed = send(api, {**words, "to": {"list_id": "shop"}, "delay": {**at_nine, "timezone": "Asia/Tokyo"}})
    noon = api.clock.now()
    api.world.pass_time(hours=2, minutes=1)
    early = {one["recipient"]: one["status"] for one in messages(api, in_hours)}
    assert early == {"ana": "SENT", "ben": "DELAYED", "cleo": "SENT", "dan": "SENT"}
    api.put("/users/cleo/preferences/*", {"topic": {"status": "OPTED_OUT"}})
    api.world.pass_time(hours=30)

    def hours(request_id: str) -> dict[str, int | None]:
        """After how many hours each of a request's messages went; None: it did not."""
        return {
            one["recipient"]: one["sent"] and (one["sent"] * 1000 - noon) // 3_600_000_000
            for one in messages(api, request_id)
        }

    assert hours(to_list) == {"ana": 26, "ben": 12, "cleo": None, "dan": 21}
    assert hours(to_each) == {"ana": 26, "ben": 12, "cleo": None}
    assert hours(fixed) == {"ana": 12, "ben": 12, "cleo": None, "dan": 12}
    assert hours(in_hours) == {"ana": 2, "ben": 12, "cleo": 0, "dan": 0}


@pytest.mark.parametrize("again", [True, False])
def test_a_key_makes_one_request(api: Client, again: bool) -> None:
    """The same key is answered as the first time and sends once; another one sends again."""
    api.world.contact("ana", email="ana@example.com")
    headers = {"Idempotency-Key": "k", "x-idempotency-expiration": "2 days"}
    first = send(api, TO_ANA, headers=headers)
    assert send(api, TO_ANA, headers=headers if again else {"Idempotency-Key": "l"}) == first or not again
    assert api.post("/send", {"message": {**TO_ANA, "data": {"a": 1}}}, headers=headers).status_code == 422
    api.world.run_until_idle()
    assert len(api.mailbox.received) == (1 if again else 2)


@pytest.mark.parametrize(
    ("to", "kind", "address"),
    [
        ({"phone_number": "+15005550001"}, "twilio", "+15005550001"),
        ({"slack": {"access_token": "t", "channel": "C1"}}, "apprise-chat", "C1"),
        ({"slack": {"access_token": "t", "email": "a@example.com"}}, "apprise-chat", "a@example.com"),
        ({"ms_teams": {"tenant_id": "t", "conversation_id": "c"}}, "apprise-chat", "c"),
        ({"firebaseToken": "device"}, "apprise-push", "device"),
    ],
)
def test_who_is_named_by_an_address_is_reached_there(
    api: Client, to: dict[str, Any], kind: str, address: str
) -> None:
    """Where nobody says by which channels, a message goes by the one whose address is given; a routing is kept to."""
    box = api.world.provider(kind, "mine")
    message = {"content": {"title": "Hello", "body": "There"}, "to": to}
    request_id, _ = sent(api, message)
    assert [one.address for one in box.received] == [address]
    assert api.get(f"/messages/{request_id}").json()["status"] == "SENT"
    by_email = {"method": "single", "channels": ["email"]}
    request_id, _ = sent(api, {**message, "routing": by_email})
    found = api.get(f"/messages/{request_id}").json()
    assert (found["reason"], found["error"]) == ("NO_CHANNELS", "the recipient has no address for email")
    api.put("/routing-strategies/default", {"name": "Default", "routing": by_email})
    sent(api, message)
    assert len(box.received) == 1


def test_what_a_webhook_does_not_take_is_named(api: Client) -> None:
    """What nobody knows of a recipient's webhook is passed over and named."""
    hook = {"url": "https://hooks.example/a", "colour": "red"}
    answer = api.post("/send", {"message": {"content": {"title": "a", "body": "b"}, "to": {"webhook": hook}}})
    assert answer.headers["Heliograph-Ignored"] == "message.to.webhook.colour"
    api.world.run_until_idle()
    assert [url for url, _ in api.world.calls.received] == ["https://hooks.example/a"]
