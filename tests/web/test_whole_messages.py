"""A journey's `send` whose message says whatever `/send`'s may: it means the same, and belongs to its run."""

from typing import Any

import pytest

from heliograph.store import delivery_proof
from tests.web.client import Client
from tests.web.test_journeys import faults, invoke, put, status, steps_of
from tests.web.test_requests import crowd, messages, send

SAID = {"content": {"title": "Hello {name}", "body": "{{data.word}} {{profile.given_name}}"}}
WORDS = {"name": "you", "word": "w"}
DAY = {"action": "delay", "duration": "1 day"}


def step(**message: Any) -> dict[str, Any]:
    """A send of SAID with these fields."""
    return {"action": "send", "message": {**SAID, **message}}


def proven(api: Client) -> None:
    """The ledger holds what runs and requests have asked for, and nothing else."""
    found = delivery_proof.prove(api.store, api.world.workspace_id, lambda _: None)
    assert found.faults == []


def town(api: Client) -> None:
    """People, two lists, an audience, and a tenant with a member."""
    crowd(api, "shop.news", "ana", "ben")
    crowd(api, "shop.offers", "ben", "cleo")
    api.put("/audiences/pros", {"filter": {"operator": "EQ", "path": "plan", "value": "pro"}})
    api.put("/tenants/acme", {"name": "Acme", "user_profile": {"given_name": "Member"}})
    api.put("/users/ana/tenants/acme", {})
    api.world.template("of", subject="Of {{ tenant.name }}", text="{{ data.word }} {{ profile.greeting }}")


MEANT: list[dict[str, Any]] = [
    {"to": {"list_id": "shop.news"}},
    {"to": {"list_pattern": "shop.*", "data": {"word": "own"}}},
    {"to": {"audience_id": "pros"}},
    {
        "to": {
            "audience_id": "pros",
            "filters": [{"operator": "MEMBER_OF", "path": "account_id", "value": "acme"}],
        }
    },
    {"to": [{"user_id": "ana"}, {"list_id": "shop.offers"}, {"email": "x@example.com", "given_name": "X"}]},
    {"to": {"user_id": "ana", "tenant_id": "acme"}, "template": "of", "content": None},
    {"to": {"user_id": "ana"}, "context": {"tenant_id": "acme"}, "metadata": {"tags": ["t"], "event": "e"}},
    {
        "to": {"user_id": "ana", "profile": {"given_name": "Else"}, "locale": "de"},
        "expiry": {"expires_in": "1d"},
    },
    {
        "to": {"user_id": "ana", "preferences": {"notifications": {"of": {"status": "OPTED_OUT"}}}},
        "template": "of",
    },
    {"to": {"phone_number": "+12025550123"}, "routing": {"method": "all", "channels": ["sms", "email"]}},
    {"to": {"user_id": "nobody", "phone_number": "+12025550123"}, "metadata": {"trace_id": "t-1"}},
]


@pytest.mark.parametrize("said", MEANT)
def test_a_message_means_in_a_step_what_it_means_at_send(api: Client, said: dict[str, Any]) -> None:
    """The same people have the same words, by the same ways, in the same name, and are told of alike."""
    town(api)
    message = {**SAID, "data": WORDS, **said}
    if "template" in message:
        message.pop("content")
    message = {key: value for key, value in message.items() if value is not None}

    def told(request_id: str) -> list[Any]:
        api.world.run_until_idle()
        mails = sorted((mail.recipient, mail.subject, mail.text) for mail in api.mailbox.received)
        api.mailbox.received.clear()
        names = ("recipient", "status", "reason", "event", "tenant_id", "notification")
        found = sorted([str(one[name]) for name in names] for one in messages(api, request_id))
        return [mails, found]

    asked = told(send(api, message))
    run_id = invoke(api, {"action": "send", "message": message})
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    for each in messages(api, one["message_id"]):
        assert (each["rule_id"], each["campaign_id"]) == (None, None)
    assert told(one["message_id"]) == asked
    assert status(api, run_id) == "PROCESSED"
    proven(api)


def test_values_of_the_run_are_put_in_first(api: Client) -> None:
    """Whom, in whose name, under which tags and with which data may come from the run; its own hold too."""
    town(api)
    wanted = {
        "to": "refs.data.whom",
        "context": {"tenant_id": "${data.tenant}"},
        "data": {"word": "${data.n + 1}"},
    }
    said = step(**wanted, metadata={"tags": ["refs.data.tenant", "b"]})
    whom = [{"user_id": "ben"}, {"list_id": "shop.news"}]
    run_id = invoke(
        api,
        said,
        recipient="ben",
        profile={"given_name": "Benjamin"},
        data={"whom": whom, "tenant": "acme", "n": 1, "name": "N"},
    )
    api.world.run_until_idle()
    found = sorted((mail.recipient, mail.subject, mail.text) for mail in api.mailbox.received)
    assert found == [
        ("ana@example.com", "Hello N", "2 Ana"),
        ("ben@example.com", "Hello N", "2 Ben"),
        ("ben@example.com", "Hello N", "2 Benjamin"),
    ]
    (one,) = steps_of(api, run_id)
    assert one["explain"]["counts"] == {"SENT": 2}
    assert [each["user_id"] for each in one["explain"]["recipients"]] == ["ben"]
    assert len(api.get("/messages", params={"tag": "acme"}).json()["results"]) == 3


def test_a_later_step_counts_all_who_were_written_to(api: Client) -> None:
    """`refs.<ref>.counts` says of how many messages which holds, of people and of everybody on lists."""
    town(api)
    told = {
        "to": {"email": "boss@example.com"},
        "content": {"title": "t", "body": "${refs.sent.counts.SENT}"},
    }
    for to in (
        {"list_id": "shop.news"},
        [{"user_id": "cleo"}, {"list_id": "shop.news"}, {"list_id": "shop.offers"}],
    ):
        invoke(api, step(to=to, data=WORDS) | {"ref": "sent"}, DAY, {"action": "send", "message": told})
    api.world.pass_time(days=2)
    assert sorted(mail.text for mail in api.mailbox.to("boss@example.com")) == ["2", "5"]


@pytest.mark.parametrize("to", [{"user_id": "ana"}, {"list_id": "shop.news"}])
def test_what_is_put_into_a_text_is_not_filled_again(api: Client, to: Any) -> None:
    """A value of the run that is put into `content` stays as it is, though `{name}` stands in it."""
    crowd(api, "shop.news", "ana")
    api.world.contact("ana", email="ana@example.com", note="{secret}")
    title, body = "{word}: ${data.title} {profile.note}", "${data.body}"
    said = {"title": "{secret} {{data.secret}} {}", "body": '{"a": "{{ secret }}"}'}
    content = {"title": title, "body": body}
    invoke(api, step(to=to, content=content), data={**said, "word": "W", "secret": "hush"})
    api.world.run_until_idle()
    (mail,) = api.mailbox.received
    assert mail.subject == "W: {secret} {{data.secret}} {} {secret}"
    assert mail.text == '{"a": "{{ secret }}"}'


@pytest.mark.parametrize("message", ["refs.data.said", {"$ref": "data.said"}, "${data.said}"])
def test_a_whole_message_may_come_from_the_run(api: Client, message: Any) -> None:
    """It means what it would mean as it stands there; what is no message fails the step."""
    town(api)
    assert faults(api, {"action": "send", "message": "hello"}).keys() == {"steps[0].message"}
    said = {**SAID, "to": {"user_id": "ana"}, "data": {"word": "${data.name}"}}
    runs = [
        invoke(api, {"action": "send", "message": message}, data={"said": one, **WORDS})
        for one in (said, {}, 5)
    ]
    api.world.run_until_idle()
    # What stands in data is data, and is not looked through for expressions.
    assert [(mail.subject, mail.text) for mail in api.mailbox.received] == [("Hello you", "${data.name} Ana")]
    assert [status(api, one) for one in runs] == ["PROCESSED", "ERROR", "ERROR"]


@pytest.mark.parametrize("content", ["refs.data.said", {"$ref": "data.said"}, "${data.said}"])
def test_all_of_a_content_may_come_from_the_run(api: Client, content: Any) -> None:
    """It is content as though it stood there, and so are preferences; what is none fails the step, with its place."""
    api.world.contact("ana", email="ana@example.com")
    assert faults(api, step(to={"user_id": "ana"}, content="hello")).keys() == {"steps[0].message.content"}
    wanted = step(to={"user_id": "ana"}, content=content, preferences="refs.data.about")
    about = {"subscription_topic_id": "news"}
    elements = [{"type": "meta", "title": "Drawn"}, {"type": "text", "content": "{{word}}"}]
    drawn = {"version": "2022-01-01", "elements": elements}
    said = (SAID["content"], drawn, {"title": "without a body"}, None)
    runs = [invoke(api, wanted, data={"said": one, "about": about, **WORDS}) for one in said]
    api.world.run_until_idle()
    assert sorted(mail.subject for mail in api.mailbox.received) == ["Drawn", "Hello you"]
    assert [status(api, one) for one in runs] == ["PROCESSED", "PROCESSED", "ERROR", "ERROR"]
    told = [steps_of(api, one)[0]["error"]["message"] for one in runs[2:]]
    assert all(one.startswith("steps[0].message.content") for one in told)


def test_channels_may_come_from_the_run(api: Client) -> None:
    """Routing and overrides are taken from the run; a channel's own `if` is judged of each recipient."""
    api.world.contact("ana", email="ana@example.com", given_name="Ana")
    channels = {"email": {"if": "data.n === 1", "override": {"subject": "${data.subject}"}}}
    said = step(to={"user_id": "ana"}, routing="refs.data.by", channels=channels)
    for number in (1, 2):
        by = {"method": "single", "channels": ["sms", "email"]}
        invoke(api, said, data={**WORDS, "n": number, "subject": "Own", "by": by})
        api.world.run_until_idle()
    assert [mail.subject for mail in api.mailbox.received] == ["Own"]


def test_a_journey_goes_on_and_sees_what_became_of_it(api: Client) -> None:
    """The next step is not held up; `refs` knows the least of its messages, and the step fails with those that do."""
    town(api)
    nowhere = step(to=[{"user_id": "ana"}, {"list_id": "gone"}])
    after = step(to={"user_id": "cleo"}, data={"word": "${refs.first.status} ${refs.second.status}"})
    run_id = invoke(
        api,
        {**step(to={"list_id": "shop.news"}), "ref": "first"},
        {**nowhere, "ref": "second"},
        DAY,
        after,
        data=WORDS,
    )
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 3
    first, second, *_ = steps_of(api, run_id)
    assert (first["status"], second["status"]) == ("PROCESSED", "ERROR")
    assert "there is no list 'gone'" in second["error"]["message"]
    api.world.pass_time(days=1.1)
    assert api.mailbox.to("cleo@example.com")[0].text == "SENT UNROUTABLE Cleo"
    proven(api)


def test_a_delayed_message_waits_and_is_its_runs(api: Client) -> None:
    """It is seen while it waits, goes where its recipient is by then, and only the end of it ends the run."""
    api.world.contact("ana", email="old@example.com", given_name="Ana", timezone="Europe/Lisbon")
    run_id = invoke(api, step(to={"user_id": "ana"}, delay={"duration": 3_600_000}), data=WORDS)
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    assert api.get(f"/messages/{one['message_id']}").json()["status"] == "DELAYED"
    assert one["explain"]["sends_at"] == "2026-01-05T13:00:00.000000Z"
    assert status(api, run_id) == "PROCESSING"
    api.world.contact("ana", email="new@example.com", given_name="Ana")
    api.world.pass_time(hours=1.1)
    assert [mail.recipient for mail in api.mailbox.received] == ["new@example.com"]
    assert status(api, run_id) == "PROCESSED"
    assert api.get(f"/messages/{one['message_id']}").json()["status"] == "SENT"
    proven(api)


@pytest.mark.parametrize(
    "to", [{"user_id": "ana"}, {"list_id": "shop.news"}, [{"user_id": "ana"}, {"user_id": "ben"}]]
)
@pytest.mark.parametrize("by_token", [True, False])
def test_a_canceled_run_takes_its_waiting_message_back(api: Client, to: Any, by_token: bool) -> None:
    """Nothing of it goes out, at once the message is CANCELED, and nobody waits for it any more."""
    town(api)
    run_id = invoke(api, step(to=to, delay={"duration": 3_600_000}), data=WORDS, cancelation_token="t")
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    if by_token:
        invoke(api, {"action": "cancel", "cancelation_token": "t"})
    else:
        assert api.post(f"/automations/runs/{run_id}/cancel").json()["status"] == "CANCELED"
    api.world.run_until_idle()
    assert api.get(f"/messages/{one['message_id']}").json()["status"] == "CANCELED"
    api.world.pass_time(hours=2)
    assert api.mailbox.received == []
    assert status(api, run_id) == "CANCELED"
    proven(api)


def test_a_message_that_people_cancel_ends_its_run(api: Client) -> None:
    """A waiting message that is canceled by itself leaves its step SKIPPED, and the run is over."""
    town(api)
    run_id = invoke(api, step(to={"user_id": "ana"}, delay={"duration": 3_600_000}), data=WORDS)
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    assert api.post(f"/messages/{one['message_id']}/cancel").json()["status"] == "CANCELED"
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    assert (one["status"], status(api, run_id)) == ("SKIPPED", "PROCESSED")
    api.world.pass_time(hours=2)
    assert api.mailbox.received == []
    proven(api)


def test_messages_of_a_canceled_run_that_are_under_way_are_stopped(api: Client) -> None:
    """Those that nobody holds go out no more, whoever they are for, though the run had heard of them already."""
    town(api)
    api.mailbox.answer = lambda *_: (_ for _ in ()).throw(AssertionError("nothing is to be sent"))
    api.patch("/api/automation/control", {"hold_deliveries": True})
    run_id = invoke(
        api, step(to=[{"user_id": "ana"}, {"email": "x@example.com"}], context={"tenant_id": "acme"})
    )
    api.world.run_until_idle()
    assert api.post(f"/automations/runs/{run_id}/cancel").json()["status"] == "CANCELED"
    api.world.run_until_idle()
    api.patch("/api/automation/control", {"hold_deliveries": False})
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    assert {each["status"] for each in messages(api, one["message_id"])} == {"CANCELED"}


def test_what_is_wrong_is_found_before_a_run_starts(api: Client) -> None:
    """Literal parts are checked as `/send` checks them, whatever else comes from the run; unknown ones are refused."""
    at = "steps[0].message"
    told = faults(
        api,
        step(
            to=[{"list_id": "a..b"}, {"user_id": "${data.x}", "email": "nothing"}, {}],
            metadata={"tags": ["${data.tag}", "t" * 31], "colour": "red"},
            delay={"until": "soon", "timezone": "Mars/Base"},
            timeout={"message": 0},
            colour="red",
        ),
    )
    assert told.keys() == {
        f"{at}.to[0].list_id",
        f"{at}.to[1].email",
        f"{at}.to[2]",
        f"{at}.metadata.tags[1]",
        f"{at}.metadata.colour",
        f"{at}.delay.timezone",
        f"{at}.delay.until",
        f"{at}.timeout.message",
        f"{at}.colour",
    }
    assert faults(api, step(to={"user_id": "${data.x}"}, delay={"until": "soon"})).keys() == {
        f"{at}.delay.until"
    }
    assert faults(api, step(to="refs.data.whom", template="also")).keys() == {at}
    assert f"{at}.to" in faults(api, {"action": "send", "message": {**SAID, "metadata": {}}})


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"to": "refs.data.nobody"}, "message.to"),
        ({"to": {"list_id": "${data.word}..x"}}, "message.to.list_id"),
        ({"to": {"user_id": "ana", "tenant_id": "gone"}}, "there is no tenant 'gone'"),
        ({"to": {"user_id": "ana"}, "delay": {"until": "${data.word}"}}, "message.delay.until"),
        ({"to": {"audience_id": "gone"}}, "there is no audience 'gone'"),
        (
            {"to": {"user_id": "ana"}, "metadata": {}, "template": "gone", "content": None},
            "no template 'gone'",
        ),
        ({"to": {"list_id": "l"}, "routing": {"strategy_id": "gone"}}, "no routing strategy 'gone'"),
        ({"to": {"user_id": "ana"}, "routing": {"strategy_id": "gone"}}, "no routing strategy 'gone'"),
        ({"to": {"user_id": "ana"}, "metadata": {}, "brand_id": "gone"}, "no brand 'gone'"),
        ({"to": {"user_id": "ana"}, "brand_id": "gone"}, "no brand 'gone'"),
    ],
)
def test_what_shows_only_in_a_run_fails_its_step(api: Client, said: dict[str, Any], fault: str) -> None:
    """What a value of the run makes wrong, or what is not there, is the step's ERROR, with its place."""
    town(api)
    message = {key: value for key, value in step(**said)["message"].items() if value is not None}
    run_id = invoke(api, {"action": "send", "message": message}, data=WORDS)
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    assert one["status"] == "ERROR"
    assert fault in one["error"]["message"]
    assert api.mailbox.received == []


def test_a_key_that_is_bound_to_a_tenant_reaches_its_own_people_alone(api: Client) -> None:
    """The run of a tenant's key speaks for that tenant, and for no other."""
    town(api)
    key = api.key("admin", tenant="acme")
    api.world.contact("eve", email="eve@example.com")
    body = {"automation": {"steps": [step(to={"user_id": "eve"}, metadata={})]}}
    other = {"automation": {"steps": [step(to={"email": "x@example.com"}, context={"tenant_id": "other"})]}}
    runs = [api.post("/automations/invoke", given, key=key).json()["runId"] for given in (body, other)]
    api.world.run_until_idle()
    assert api.mailbox.received == []
    found = [steps_of(api, run_id)[0] for run_id in runs]
    assert "has no e-mail address" in found[0]["error"]["message"]
    assert "there is no tenant 'other'" in found[1]["error"]["message"]


def test_a_key_of_a_step_holds_for_a_whole_message(api: Client) -> None:
    """Of two runs with the same step key one writes to the list, and the other says which."""
    town(api)
    once = {**step(to={"list_id": "shop.news"}), "idempotency_key": "k"}
    first = invoke(api, once, data=WORDS)
    api.world.run_until_idle()
    second = invoke(api, once, data=WORDS)
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 2
    assert first in steps_of(api, second)[0]["skip_reason"]


def test_a_stored_journey_takes_it_too(api: Client) -> None:
    """A journey that is made by PUT writes to a list in a tenant's name."""
    town(api)
    said = {"to": {"list_id": "shop.news"}, "template": "of", "context": {"tenant_id": "acme"}}
    put(api, "j", {"action": "send", "message": said})
    run_id = api.post("/automations/j/invoke", {"recipient": "ana", "data": WORDS}).json()["runId"]
    api.world.run_until_idle()
    assert {mail.subject for mail in api.mailbox.received} == {"Of Acme"}
    assert status(api, run_id) == "PROCESSED"


@pytest.mark.parametrize("people", [("ana",), ("ana", "ben")])
def test_a_message_to_whom_nothing_is_sent_says_why(api: Client, people: tuple[str, ...]) -> None:
    """A step whose message becomes a request to people who are suppressed is skipped, and says so as any send does."""
    for name in people:
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
        assert api.post("/api/suppressions", {"address": f"{name}@example.com"}).status_code in (200, 201)
    to = [{"user_id": name} for name in people]
    message = {"to": to, "content": {"title": "t", "body": "b"}, "metadata": {"tags": ["a"]}}
    run = api.post("/automations/invoke", {"automation": {"steps": [{"action": "send", "message": message}]}})
    api.decide()
    (step,) = api.get(f"/automations/runs/{run.json()['runId']}/steps").json()["steps"]
    assert (step["status"], step["error"], step["skip_reason"]) == ("SKIPPED", None, "suppressed")
