"""Routing over HTTP: by which channels a message goes, and what becomes of it where one of them fails."""

from email import message_from_bytes, policy
from typing import Any

from heliograph import channels, testing
from tests.web.client import Client, faults
from tests.web.test_journeys import invoke, steps_of
from tests.web.test_requests import messages, send, sent

HELLO: dict[str, Any] = {"content": {"title": "Hello", "body": "There"}}
ANA: dict[str, Any] = {"user_id": "ana", "email": "ana@example.com", "phone_number": "+15005550001"}


def routing(method: str, *channels: Any) -> dict[str, Any]:
    """A routing."""
    return {"method": method, "channels": list(channels)}


def gone(api: Client) -> dict[str, list[str]]:
    """What went out so far, by provider: to whom."""
    found = {name: [one.address for one in box.received] for name, box in api.world.outboxes.items()}
    return {"email": [mail.recipient for mail in api.mailbox.received], **found}


def test_a_message_goes_on_with_its_next_channel(api: Client) -> None:
    """What a channel refuses goes out by the next one, as the same message, which keeps all its attempts."""
    api.world.provider("twilio", "texts")
    api.mailbox.answer = testing.refusing
    message = {**HELLO, "to": ANA, "routing": routing("single", "email", "sms")}
    request_id, _ = sent(api, message)
    assert gone(api) == {"email": [], "texts": ["+15005550001"]}
    found = api.get(f"/messages/{request_id}").json()
    assert (found["id"], found["status"], found["channel"]) == (request_id, "SENT", "sms")
    assert [(one["channel"], one["outcome"]) for one in found["attempts"]] == [
        ("email", "permanent"),
        ("sms", "accepted"),
    ]
    assert len(messages(api, request_id)) == 1
    # Where the last of them fails too, the message has failed.
    api.world.outboxes["texts"].answer = testing.refusing
    request_id, _ = sent(api, message)
    found = api.get(f"/messages/{request_id}").json()
    assert (found["status"], found["reason"], len(found["attempts"])) == (
        "UNDELIVERABLE",
        "PROVIDER_ERROR",
        2,
    )


def test_channels_that_cannot_be_gone_are_passed_by(api: Client) -> None:
    """One without a provider or an address is, and one whose condition does not hold; none left is told."""
    api.world.provider("twilio", "texts")
    ways = routing("single", "push", "direct_message", "sms", "email")
    push = {**ANA, "firebaseToken": "t"}
    request_id, _ = sent(api, {**HELLO, "to": push, "routing": ways})
    assert gone(api) == {"email": [], "texts": ["+15005550001"]}
    assert [one["channel"] for one in api.get(f"/messages/{request_id}").json()["attempts"]] == ["sms"]
    only = {"sms": {"if": "data.urgent === true"}}
    sent(api, {**HELLO, "to": ANA, "routing": ways, "channels": only, "data": {"urgent": False}})
    assert gone(api)["email"] == ["ana@example.com"]
    request_id, _ = sent(api, {**HELLO, "to": push, "routing": routing("single", "push")})
    assert api.get(f"/messages/{request_id}").json()["reason"] == "NO_PROVIDERS"
    request_id, _ = sent(api, {**HELLO, "to": {"user_id": "x"}, "routing": routing("single", "sms", "inbox")})
    found = api.get(f"/messages/{request_id}").json()
    assert (found["status"], found["reason"]) == ("UNROUTABLE", "NO_CHANNELS")


def test_all_channels_have_a_message_each(api: Client) -> None:
    """The first is the request, what is nested is chosen when planned; lists and steps do the same."""
    api.world.provider("twilio", "texts")
    api.world.contact("ben", email="ben@example.com", phone_number="+15005550002")
    every = {**HELLO, "routing": routing("all", "email", routing("single", "push", "sms"))}
    request_id, _ = sent(api, {**every, "to": ANA})
    assert sorted(one["channel"] for one in messages(api, request_id)) == ["email", "sms"]
    assert api.get(f"/messages/{request_id}").json()["channel"] == "email"
    nested = {**HELLO, "routing": routing("single", "push", routing("all", "sms", "email"))}
    sent(api, {**nested, "to": ANA})
    assert gone(api) == {"email": ["ana@example.com"] * 2, "texts": ["+15005550001"] * 2}
    api.put("/lists/l/subscriptions", {"recipients": [{"recipientId": "ben"}]})
    sent(api, {**every, "to": {"list_id": "l"}})
    override = {"email": {"override": {"subject": "Instead"}}}
    step = {"action": "send", "message": {**every, "to": {"user_id": "ben"}, "channels": override}}
    run_id = invoke(api, step)
    api.world.run_until_idle()
    assert steps_of(api, run_id)[0]["status"] == "PROCESSED"
    assert gone(api)["texts"] == ["+15005550001"] * 2 + ["+15005550002"] * 2
    assert [mail.subject for mail in api.mailbox.to("ben@example.com")] == ["Hello", "Instead"]


def test_what_takes_too_long_is_given_up(api: Client) -> None:
    """A channel that is down for longer than its time-out is left for the next, a message after its own has failed."""
    api.world.provider("twilio", "texts")
    api.mailbox.answer = testing.down
    message = {**HELLO, "to": ANA, "routing": routing("single", "email", "sms")}
    request_id = send(api, {**message, "timeout": {"channel": {"email": 3_600_000}}})
    api.world.pass_time(minutes=20)
    assert (gone(api)["texts"], api.get(f"/messages/{request_id}").json()["channel"]) == ([], "email")
    api.world.pass_time(hours=2)
    assert gone(api) == {"email": [], "texts": ["+15005550001"]}
    request_id = send(api, {**HELLO, "to": ANA, "timeout": {"message": 3_600_000}})
    api.world.pass_time(hours=2)
    assert api.get(f"/messages/{request_id}").json()["status"] == "UNDELIVERABLE"


def test_a_wrong_routing_is_refused(api: Client) -> None:
    """Every fault of a routing has its place."""
    wrong: list[tuple[dict[str, Any], set[str]]] = [
        ({"routing": "email"}, {"message.routing"}),
        ({"routing": routing("some", "")}, {"message.routing.method", "message.routing.channels[0]"}),
        ({"routing": routing("single", "email", 7)}, {"message.routing.channels[1]"}),
        ({"routing": routing("all")}, {"message.routing.channels"}),
        ({"channels": {"fax": {}}}, {"message.channels.fax"}),
        ({"timeout": {"channel": {"fax": 5}}}, {"message.timeout.channel.fax"}),
        ({"channels": {"sms": {"if": "data."}}}, {"message.channels.sms.if"}),
        ({"channels": {"email": {"override": {"from": "x"}}}}, {"message.channels.email.override.from"}),
        (
            {"timeout": {"message": 0, "channel": {"sms": "x"}}},
            {"message.timeout.message", "message.timeout.channel.sms"},
        ),
    ]
    for given, places in wrong:
        answer = api.post("/send", {"message": {**HELLO, "to": ANA, **given}})
        assert (answer.status_code, set(faults(answer))) == (400, places), answer.text


def filtered(api: Client, request_id: str) -> list[tuple[str, str, str]]:
    """The channels that a message was not sent by, as its history tells: channel, reason and words."""
    told = api.get(f"/messages/{request_id}/history", params={"type": "FILTERED"}).json()["results"]
    return [(one["channel"]["id"], one["reason"], one["error"]) for one in told]


WAYS: dict[str, Any] = {
    **HELLO,
    "to": {"user_id": "ana"},
    "routing": routing("single", "push", "email", "sms"),
}


def test_a_channel_that_is_not_wanted_is_passed_by(api: Client) -> None:
    """Who opted out of it, or whose address is suppressed, is reached by the next; its history says why."""
    api.world.provider("twilio", "texts")
    api.world.contact("ana", email="ana@example.com", phone_number="+15005550001")
    topic = {"status": "OPTED_IN", "custom_routing": ["sms", "push"]}
    assert api.put("/users/ana/preferences/*", {"topic": topic}).status_code == 200
    request_id, _ = sent(api, WAYS)
    assert gone(api) == {"email": [], "texts": ["+15005550001"]}
    found = api.get(f"/messages/{request_id}").json()
    assert (found["status"], found["channel"], len(found["attempts"])) == ("SENT", "sms", 1)
    assert filtered(api, request_id) == [
        ("push", "NO_CHANNELS", "no_address"),
        ("email", "UNSUBSCRIBED", "opted_out"),
    ]
    kinds = [one["type"] for one in api.get(f"/messages/{request_id}/history").json()["results"]]
    assert kinds == ["ENQUEUED", "FILTERED", "FILTERED", "ROUTED", "RENDERED", "SENT"]
    # Where nothing is left, it ends as the last of them did.
    api.put("/users/ana/preferences/*", {"topic": {"status": "OPTED_IN"}})
    for address in ("ana@example.com", "+15005550001"):
        assert api.post("/api/suppressions", {"address": address, "reason": "manual"}).status_code < 300
    request_id, _ = sent(api, WAYS)
    found = api.get(f"/messages/{request_id}").json()
    assert (found["status"], found["reason"], found["error"]) == ("UNROUTABLE", "UNSUBSCRIBED", "suppressed")
    assert filtered(api, request_id)[-1] == ("email", "UNSUBSCRIBED", "suppressed")


def test_a_channel_on_which_somebody_had_enough_is_passed_by(api: Client) -> None:
    """A cap of one channel leads to the next, whose own cap counts; one of them all keeps the message back."""
    api.world.provider("twilio", "texts")
    api.world.contact("ana", email="ana@example.com", phone_number="+15005550001")
    caps = [{"limit": 1, "period": "P1D", "channel": name} for name in ("email", "sms")]
    api.put("/api/sending-policy", {"caps": caps})
    ids = [sent(api, WAYS)[0] for _ in range(3)]
    assert gone(api) == {"email": ["ana@example.com"], "texts": ["+15005550001"]}
    found = [api.get(f"/messages/{one}").json() for one in ids]
    assert [(one["status"], one["channel"]) for one in found] == [
        ("SENT", "email"),
        ("SENT", "sms"),
        ("THROTTLED", "sms"),
    ]
    assert found[2]["error"] == "capped: 1 in P1D by sms"
    assert filtered(api, ids[1])[-1] == ("email", "FILTERED", "capped: 1 in P1D by email")
    api.put("/api/sending-policy", {"caps": [{"limit": 1, "period": "P1D"}]})
    found = [api.get(f"/messages/{sent(api, WAYS)[0]}").json() for _ in range(2)]
    assert [(one["status"], one["channel"]) for one in found] == [("SENT", "email"), ("THROTTLED", "email")]


def test_a_later_channel_is_asked_about_as_the_first_was(api: Client) -> None:
    """What one channel refused waits for the morning, and counts on the next; caps of all channels count it once."""
    api.world.provider("twilio", "texts")
    api.world.contact("ana", email="ana@example.com", phone_number="+15005550001")
    caps = [{"limit": 2, "period": "P1D"}, {"limit": 1, "period": "P1D", "channel": "sms"}]
    api.put("/api/sending-policy", {"caps": caps})
    api.mailbox.answer = testing.refusing
    ids = [sent(api, WAYS)[0] for _ in range(2)]
    assert gone(api) == {"email": [], "texts": ["+15005550001"]}
    found = [api.get(f"/messages/{one}").json() for one in ids]
    assert [(one["status"], one["error"]) for one in found] == [
        ("SENT", None),
        ("THROTTLED", "capped: 1 in P1D by sms"),
    ]
    api.put("/api/sending-policy", {})
    night = {"quiet_hours": [{"start": "12:10", "end": "20:00"}]}
    api.mailbox.answer = testing.down
    request_id = send(api, {**WAYS, "timeout": {"channel": {"email": 1_800_000}}})
    api.world.run_until_idle()
    api.put("/api/sending-policy", night)
    api.world.pass_time(hours=2)
    assert len(gone(api)["texts"]) == 1
    api.world.pass_time(hours=8)
    assert len(gone(api)["texts"]) == 2
    told = api.get(f"/messages/{request_id}/history", params={"type": "DELAYED"}).json()["results"]
    assert any(one.get("reason") == "quiet_hours" for one in told)


def test_an_address_that_is_suppressed_in_line_is_passed_by(api: Client) -> None:
    """What stood in line when its address was suppressed goes on by the next channel."""
    api.world.provider("twilio", "texts")
    api.mailbox.answer = testing.down
    request_id = send(api, {**WAYS, "to": ANA})
    api.world.run_until_idle()
    api.post("/api/suppressions", {"address": "ana@example.com", "reason": "manual"})
    api.mailbox.answer = testing.refusing
    api.world.pass_time(hours=1)
    found = api.get(f"/messages/{request_id}").json()
    assert (found["status"], found["channel"]) == ("SENT", "sms")
    assert filtered(api, request_id)[-1] == ("email", "UNSUBSCRIBED", "suppressed")


def test_providers_are_chosen_by_the_message(api: Client) -> None:
    """Only those that it names, in its order; one whose condition does not hold is not asked; none left is told."""
    for place, name in enumerate(("one", "two", "three")):
        api.world.provider("twilio", name, position=place)
    by_sms = {**HELLO, "to": ANA, "routing": routing("single", "sms", "email")}

    def went(**said: Any) -> dict[str, int]:
        before = {name: len(found) for name, found in gone(api).items()}
        sent(api, {**by_sms, **said})
        return {name: n for name, f in gone(api).items() if (n := len(f) - before[name])}

    assert went() == {"one": 1}
    assert went(channels={"sms": {"providers": ["three", "two"]}}) == {"three": 1}
    urgent = {"one": {"if": "data.urgent === true"}, "two": {"if": "data.urgent === true"}}
    assert went(providers=urgent, data={"urgent": True}) == {"one": 1}
    assert went(providers=urgent) == {"three": 1}
    api.world.outboxes["three"].answer = testing.refusing
    assert went(channels={"sms": {"providers": ["three"]}}) == {"email": 1}
    assert went(channels={"sms": {"providers": ["two", "one"], "routing_method": "all"}}) == {
        "two": 1,
        "one": 1,
    }
    assert went(channels={"sms": {"providers": ["twilio"]}}) == {"one": 1}


def busy(_: channels.Outgoing) -> channels.Answer:
    """What a provider answers of whose recipient the mailbox is full."""
    return channels.Answer(channels.Outcome.TEMPORARY, "", None, "452", "later")


def test_a_provider_that_takes_too_long_is_left_for_the_next(api: Client) -> None:
    """After its time-out the next provider of the channel is asked; without one, the first goes on alone."""
    for place, name in enumerate(("one", "two")):
        api.world.provider("twilio", name, position=place)
    api.world.outboxes["one"].answer = busy
    by_sms = {**HELLO, "to": ANA, "routing": routing("single", "sms")}
    request_id = send(api, {**by_sms, "timeout": {"provider": {"one": 600_000}}})
    api.world.pass_time(minutes=9)
    assert gone(api)["two"] == []
    api.world.pass_time(minutes=2)
    assert gone(api)["two"] == ["+15005550001"]
    attempts = api.get(f"/messages/{request_id}").json()["attempts"]
    assert {one["provider"] for one in attempts[:-1]} == {"one"}
    assert attempts[-1]["provider"] == "two"


def test_each_channel_says_what_is_said_of_it_instead(api: Client) -> None:
    """Words for text messages, a title for push; of a kind of provider before that of its channel; links tell utm."""
    api.world.provider("twilio", "texts")
    api.world.provider("apprise-push", "pushes")
    api.world.provider("smtp", "mail")
    to = {**ANA, "firebaseToken": "t"}
    elements = [{"type": "text", "content": "Look at [it](https://shop.example/a?x=1)"}]
    message = {
        "to": to,
        "content": {"version": "2022-01-01", "elements": elements},
        "routing": routing("all", "sms", "push", "email"),
        "metadata": {"utm": {"source": "shop", "medium": "mail"}},
        "channels": {
            "sms": {"override": {"body": "Short"}},
            "push": {"override": {"title": "Instead", "body": "There"}},
            "email": {"override": {"subject": "A"}, "metadata": {"utm": {"medium": "e-mail"}}},
        },
        "providers": {"smtp": {"override": {"subject": "B"}}, "twilio": {"override": {"body": "Shorter"}}},
    }
    sent(api, message)
    boxes = api.world.outboxes
    assert [one.content for one in boxes["texts"].received] == [channels.Words("", "Shorter")]
    assert [one.content for one in boxes["pushes"].received] == [channels.Words("Instead", "There")]
    (mail,) = boxes["mail"].received
    assert b"Subject: B" in mail.content
    assert isinstance(mail.content, bytes)
    part = message_from_bytes(mail.content, policy=policy.default).get_body(("html",))
    assert part is not None
    html = part.get_content()
    assert "https://shop.example/a?x=1&amp;utm_source=shop&amp;utm_medium=e-mail" in html


def test_a_provider_is_spoken_of_by_its_own_name(api: Client) -> None:
    """What is said of one wins over its kind and its channel, and nothing of it reaches another."""
    api.world.provider("twilio", "texts")
    api.world.provider("twilio", "more-texts", position=1)
    api.world.provider("apprise-push", "pushes")
    api.world.provider("smtp", "mail")
    message: dict[str, Any] = {
        **HELLO,
        "to": {**ANA, "firebaseToken": "t"},
        "routing": routing("all", "sms", "push", "email"),
        "channels": {
            "sms": {"override": {"from": "Shop", "body": "A"}},
            "push": {"override": {"data": {"order": 7, "open": "orders"}}},
            "email": {"override": {"subject": "A"}},
        },
        "providers": {
            "twilio": {"override": {"body": "B"}},
            "texts": {"override": {"body": "C", "from": "+15005550008"}},
            "pushes": {"override": {"title": "D"}},
            "mail": {"override": {"subject": "E"}, "metadata": {"utm": {"source": "mine"}}},
        },
    }
    sent(api, message)
    boxes = api.world.outboxes
    (text,) = boxes["texts"].received
    assert (text.content, text.sender) == (channels.Words("Hello", "C"), "+15005550008")
    (push,) = boxes["pushes"].received
    assert push.content == channels.Words("D", "There", (("order", "7"), ("open", "orders")))
    (mail,) = boxes["mail"].received
    assert isinstance(mail.content, bytes)
    assert b"Subject: E" in mail.content
    boxes["texts"].answer = testing.refusing
    sent(api, {**message, "routing": routing("single", "sms")})
    (text,) = boxes["more-texts"].received
    assert (text.content, text.sender) == (channels.Words("Hello", "B"), "Shop")
    # A strategy may say as much.
    named = strategy(api, "sms", providers={"more-texts": {"override": {"body": "F"}}})
    sent(api, {**HELLO, "to": ANA, "routing": {"strategy_id": named}})
    assert boxes["more-texts"].received[-1].content == channels.Words("Hello", "F")


def test_what_is_not_served_is_refused(api: Client) -> None:
    """A field that is known and cannot be done is a 400 that says so, as is a provider that there is not."""
    api.world.provider("twilio", "texts")
    wrong: list[tuple[dict[str, Any], set[str]]] = [
        ({"channels": {"sms": {"override": {"from": "+1"}}}}, {"message.channels.sms.override.from"}),
        ({"channels": {"sms": {"override": {"to": "+15005550009"}}}}, {"message.channels.sms.override.to"}),
        ({"channels": {"push": {"override": {"data": []}}}}, {"message.channels.push.override.data"}),
        (
            {"channels": {"push": {"override": {"data": {"k": "x" * 4100}}}}},
            {"message.channels.push.override.data"},
        ),
        ({"channels": {"sms": {"routing_method": "all"}}}, {"message.channels.sms.providers"}),
        ({"channels": {"sms": {"routing_method": "any"}}}, {"message.channels.sms.routing_method"}),
        ({"channels": {"sms": {"providers": ["nobody"]}}}, {"message.channels.sms.providers"}),
        ({"providers": {"mine": {"override": {"colour": "x"}}}}, {"message.providers.mine.override"}),
        ({"providers": {"texts": {"override": {"title": "x"}}}}, {"message.providers.texts.override"}),
        ({"providers": {"texts": {"override": {"subject": "x"}}}}, {"message.providers.texts.override"}),
        (
            {"providers": {"mine": {"if": "data.", "timeouts": 0}}},
            {"message.providers.mine.if", "message.providers.mine.timeouts"},
        ),
        ({"providers": {"nobody": {"timeouts": 1000}}}, {"message.providers.nobody"}),
    ]
    for given, places in wrong:
        answer = api.post("/send", {"message": {**HELLO, "to": ANA, **given}})
        assert (answer.status_code, set(faults(answer))) == (400, places), answer.text


def strategy(api: Client, *channels: str, **said: Any) -> str:
    """A routing strategy; its id."""
    answer = api.post(
        "/routing-strategies", {"name": "Ours", "routing": routing("single", *channels), **said}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_a_template_and_a_workspace_say_by_which_channels(api: Client) -> None:
    """The message's own routing goes before its template's strategy, that before the default, that before e-mail."""
    api.world.provider("twilio", "texts")
    api.world.provider("apprise-push", "pushes")
    api.world.contact("ana", email="ana@example.com", phone_number="+15005550001", push_token="t")
    by_push = strategy(api, "push", channels={"push": {"override": {"title": "Strategic"}}})
    elements = {"version": "2022-01-01", "elements": [{"type": "text", "content": "Hello"}]}
    nothing: dict[str, Any] = {"brand": None, "subscription": None, "tags": [], "content": elements}
    said: dict[str, Any] = {"name": "n", "routing": {"strategy_id": by_push}, **nothing}
    answer = api.post("/notifications", {"notification": said, "state": "PUBLISHED"})
    assert answer.status_code == 200, answer.text
    template = answer.json()["id"]
    to = {"user_id": "ana"}

    def went(message: dict[str, Any]) -> list[str]:
        request_id, _ = sent(api, {"to": to, **message})
        return [one["channel"] for one in messages(api, request_id)]

    assert went({"template": template}) == ["push"]
    assert api.world.outboxes["pushes"].received[0].content == channels.Words("Strategic", "Hello")
    assert went({"template": template, "routing": routing("single", "sms")}) == ["sms"]
    assert went({"template": template, "providers": {"apprise-push": {"if": "data.x === 1"}}}) == ["push"]
    assert went(HELLO) == ["email"]
    assert went({**HELLO, "routing": {"strategy_id": by_push}}) == ["push"]
    put = {"name": "Usual", "routing": routing("single", "sms")}
    assert api.put("/routing-strategies/default", put).status_code == 200
    assert (went(HELLO), went({"template": template})) == (["sms"], ["push"])
    run_id = invoke(api, {"action": "send", "recipient": "ana", "template": template})
    api.world.run_until_idle()
    assert steps_of(api, run_id)[0]["status"] == "PROCESSED"
    assert len(gone(api)["pushes"]) == 4
    # It holds as it stands when a message is planned.
    assert api.put(f"/routing-strategies/{by_push}", put).status_code == 200
    assert went({"template": template}) == ["sms"]


def test_strategies_are_kept(api: Client) -> None:
    """They are read back as they were written, page by page, and go where no template is sent by them."""
    first = strategy(
        api, "push", "email", tags=["a"], description="d", providers={"twilio": {"timeouts": 1000}}
    )
    found = api.get(f"/routing-strategies/{first}").json()
    assert (found["tags"], found["description"], found["channels"]) == (["a"], "d", {})
    assert found["routing"] == routing("single", "push", "email")
    assert (found["providers"], first.startswith("rs_")) == ({"twilio": {"timeouts": 1000}}, True)
    second = strategy(api, "sms")
    page = api.get("/routing-strategies", params={"limit": 1}).json()
    assert ([one["id"] for one in page["results"]], page["paging"]["more"]) == ([first], True)
    page = api.get("/routing-strategies", params={"cursor": page["paging"]["cursor"]}).json()
    assert ([one["id"] for one in page["results"]], page["paging"]["more"]) == ([second], False)
    once = {"Idempotency-Key": "one"}
    body = {"name": "Once", "routing": routing("all", "sms")}
    made = [api.post("/routing-strategies", body, headers=once).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
    assert api.delete(f"/routing-strategies/{second}").status_code == 204
    assert api.get(f"/routing-strategies/{second}").status_code == 404
    elements = {"version": "2022-01-01", "elements": []}
    said: dict[str, Any] = {
        "name": "n",
        "routing": {"strategy_id": first},
        "content": elements,
        "brand": None,
        "tags": [],
    }
    answer = api.post("/notifications", {"notification": {**said, "subscription": None}})
    template = answer.json()["id"]
    listed = api.get(f"/routing-strategies/{first}/notifications").json()["results"]
    assert [(one["id"], one["state"]) for one in listed] == [(template, "DRAFT")]
    assert api.delete(f"/routing-strategies/{first}").status_code == 409


def test_a_wrong_strategy_is_refused(api: Client) -> None:
    """Every fault has its place, and one that there is not is named where it is."""
    fine = {"name": "n", "routing": routing("single", "email")}
    wrong: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"name", "routing"}),
        ({**fine, "routing": routing("some", "a fax")}, {"routing.method", "routing.channels[0]"}),
        ({**fine, "channels": {"sms": {"if": "data."}}}, {"channels.sms.if"}),
        ({**fine, "providers": {"twilio": {"override": {"x": 1}}}}, {"providers.twilio.override.x"}),
        ({**fine, "tags": "a"}, {"tags"}),
        # What a strategy is there for is to say the channels: it leads to no other, and not to itself.
        ({**fine, "routing": {"strategy_id": "default"}}, {"routing.strategy_id"}),
    ]
    for given, places in wrong:
        answer = api.post("/routing-strategies", given)
        assert (answer.status_code, set(faults(answer))) == (400, places), answer.text
    for identity in ("rs_nowhere", "other"):
        assert api.put(f"/routing-strategies/{identity}", fine).status_code == 404
    named = {"routing": {"strategy_id": "rs_nowhere"}}
    answer = api.post("/send", {"message": {**HELLO, "to": ANA, **named}})
    assert set(faults(answer)) == {"message.routing.strategy_id"}
    content = {"version": "2022-01-01", "elements": []}
    template: dict[str, Any] = {
        "name": "n",
        "content": content,
        "brand": None,
        "subscription": None,
        "tags": [],
        **named,
    }
    answer = api.post("/notifications", {"notification": template})
    assert (answer.status_code, set(faults(answer))) == (400, {"notification.routing.strategy_id"})
