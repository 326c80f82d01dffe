"""The step `send-list` over HTTP: who on a list is written to, with what, and what of those who cannot be."""

from typing import Any

import pytest

from heliograph import channels, testing
from tests.web import test_brands
from tests.web.client import Client, faults
from tests.web.test_journeys import invoke, put, status, steps_of

SEND = {"action": "send-list", "list": "news", "template": "weekly"}
SOURCE = {"webhook": {"url": "https://crm.example/person"}, "merge_strategy": "overwrite"}


def crowd(api: Client, *names: str, template: str = "{{ profile.given_name }}: {{ data.words }}") -> None:
    """A list `news` of these people, and a template `weekly`."""
    for name in names:
        api.world.contact(name, email=f"{name}@example.com", given_name=name.title())
    api.put("/lists/news/subscriptions", {"recipients": [{"recipientId": name} for name in names]})
    api.world.template("weekly", subject="News", text=template)


def run(api: Client, *steps: dict[str, Any], **context: Any) -> tuple[str, dict[str, str]]:
    """These steps, done: the run's id, and what was written to whom."""
    before = len(api.mailbox.received)
    run_id = invoke(api, *steps, **context)
    api.world.run_until_idle()
    return run_id, {mail.recipient: mail.text for mail in api.mailbox.received[before:]}


def answers(api: Client, said: dict[str, Any]) -> None:
    """The program that is asked about somebody answers with what is said of them; of anybody else, a 404."""

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        name = outgoing.address.rpartition("recipient_id=")[2]
        assert f"recipientId={name}&" in outgoing.address
        if name not in said:
            return channels.Answer(channels.Outcome.PERMANENT, "webhook", None, "404", "404")
        return testing.answering(said[name])(outgoing)

    api.world.calls.answer = answer


@pytest.mark.spec("S2-89", "S2-91", "S2-103", "S2-105", "S2-93")
def test_everybody_on_the_list_is_written_to(api: Client) -> None:
    """Each subscriber has the template once, with their own profile and the data of the run and the step."""
    crowd(api, "ana", "ben", "cleo")
    api.world.contact("dan", email="dan@example.com")
    run_id, mails = run(api, {**SEND, "data": {"words": "step"}}, data={"words": "run"})
    assert mails == {f"{name}@example.com": f"{name.title()}: step" for name in ("ana", "ben", "cleo")}
    (step,) = steps_of(api, run_id)
    assert (step["action"], step["status"], status(api, run_id)) == ("send-list", "PROCESSED", "PROCESSED")
    assert step["explain"]["counts"] == {"SENT": 3}
    found = api.get("/messages", params={"traceId": step["message_id"]}).json()["results"]
    assert sorted(one["recipient"] for one in found) == ["ana", "ben", "cleo"]
    assert {(one["notification"], one["campaign_id"] is None) for one in found} == {("weekly", True)}
    assert api.get(f"/messages/{step['message_id']}").status_code == 404
    assert run(api, SEND, data={"words": "run"})[1]["ana@example.com"] == "Ana: run"


@pytest.mark.spec("S2-102", "S2-106")
def test_a_send_to_a_list_may_be_skipped_and_looked_at(api: Client) -> None:
    """`if` says whether it is taken, and `refs.<ref>` how its messages stand, the least of them."""
    crowd(api, "ana", "ben")
    skipped, mails = run(api, {**SEND, "if": "data.words === 'go'", "ref": "sent"}, data={"words": "no"})
    assert (mails, steps_of(api, skipped)[0]["status"]) == ({}, "SKIPPED")
    wait = {"action": "delay", "duration": "1 minute"}
    tell = {
        "action": "send",
        "if": "refs.sent.status === 'UNROUTABLE'",
        "message": {
            "to": {"email": "boss@example.com"},
            "content": {"title": "t", "body": "${refs.sent.counts.SENT} were written to"},
        },
    }
    api.put("/lists/news/subscriptions/nobody")
    run_id = invoke(api, {**SEND, "ref": "sent"}, wait, tell, data={"words": "go"})
    api.world.pass_time(minutes=2)
    assert [mail.text for mail in api.mailbox.to("boss@example.com")] == ["2 were written to"]
    assert status(api, run_id) == "PROCESSED"


def test_who_cannot_or_will_not_be_written_to_has_a_reason(api: Client) -> None:
    """Without a profile, an address, or where they opted out on this list, nobody is written to, and it is said."""
    crowd(api, "ana", "ben", "cleo")
    api.put("/profiles/ben", {"profile": {"given_name": "Ben"}})
    api.put("/lists/news/subscriptions/nobody")
    prefers = {"notifications": {"weekly": {"status": "OPTED_OUT"}}}
    api.put("/lists/news/subscriptions/cleo", {"preferences": prefers})
    run_id, mails = run(api, SEND, data={"words": "hi"})
    assert mails == {"ana@example.com": "Ana: hi"}
    found = api.get("/messages").json()["results"]
    assert {one["recipient"]: (one["status"], one["reason"], one["error"]) for one in found} == {
        "ana": ("SENT", None, None),
        "ben": ("UNROUTABLE", "NO_CHANNELS", "no_address"),
        "cleo": ("UNROUTABLE", "UNSUBSCRIBED", "opted_out"),
        "nobody": ("UNROUTABLE", "NO_CHANNELS", "no_profile"),
    }
    assert steps_of(api, run_id)[0]["explain"]["counts"] == {"SENT": 1, "UNROUTABLE": 3}


def test_an_unknown_list_or_template_is_the_steps_error(api: Client) -> None:
    """The step says what is missing, a deleted list too, and the run goes on (A37)."""
    crowd(api, "ana")
    tell = {
        "action": "send",
        "message": {"to": {"user_id": "ana"}, "content": {"title": "t", "body": "after"}},
    }
    api.delete("/lists/news")
    run_id, mails = run(
        api, SEND, {**SEND, "template": "none"}, {**SEND, "list": "${data.list}"}, tell, data={"list": "x"}
    )
    assert mails == {"ana@example.com": "after"}
    assert [(one["status"], one["error"] and one["error"]["message"]) for one in steps_of(api, run_id)] == [
        ("ERROR", "there is no list 'news'"),
        ("ERROR", "there is no list 'news'"),
        ("ERROR", "there is no list 'x'"),
        ("PROCESSED", None),
    ]
    api.put("/lists/news/restore")
    assert run(api, SEND, data={"words": "back"})[1] == {"ana@example.com": "Ana: back"}


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"list": None}, "steps[0].list"),
        ({"list": "a..b"}, "steps[0].list"),
        ({"template": None}, "steps[0].template"),
        ({"data": []}, "steps[0].data"),
        ({"data_source": 7}, "steps[0].data_source"),
        ({"data_source": {}}, "steps[0].data_source.webhook"),
        ({"data_source": {**SOURCE, "merge_strategy": "deep"}}, "steps[0].data_source.merge_strategy"),
        ({"data_source": {"webhook": {"url": "http://crm.example/"}}}, "steps[0].data_source.webhook.url"),
        ({"recipient": "ana"}, "steps[0].recipient"),
    ],
)
@pytest.mark.spec("S2-103", "S2-105")
def test_what_is_wrong_with_the_step_is_refused(lone_api: Client, step: dict[str, Any], place: str) -> None:
    """A fault is a 400 with its place before anything starts."""
    steps = [{key: value for key, value in {**SEND, **step}.items() if value is not None}]
    answer = lone_api.post("/automations/invoke", {"automation": {"steps": steps}})
    assert (answer.status_code, list(faults(answer))) == (400, [place])


def test_a_template_of_the_run_stands_in(lone_api: Client) -> None:
    """A step without a template sends that of its run (A45)."""
    crowd(lone_api, "ana")
    mails = run(lone_api, {"action": "send-list", "list": "news"}, template="weekly", data={"words": "x"})[1]
    assert mails == {"ana@example.com": "Ana: x"}


@pytest.mark.parametrize("asks", [False, True], ids=["a message", "a run of their own"])
@pytest.mark.spec("S2-92")
def test_a_list_is_written_to_in_the_look_of_a_brand(api: Client, *, asks: bool) -> None:
    """`brand` says in whose look the template is drawn, however the recipient is written to."""
    crowd(api, "ana")
    test_brands.brand(api, "shop")
    test_brands.brand(api, "other", settings={"colors": {"primary": "#111111", "secondary": "#222222"}})
    template = test_brands.template(api, brand={"id": "other"})
    answers(api, {"ana": {"points": 1}})
    step = {
        **SEND,
        "template": template,
        "data": {"name": "Ana"},
        **({"data_source": SOURCE} if asks else {}),
    }
    assert "#222222" in run(api, step)[1]["ana@example.com"]
    assert "#00ff00" in run(api, {**step, "brand": "shop"})[1]["ana@example.com"]


@pytest.mark.parametrize("source", [{}, {"data_source": {"webhook": {"url": "https://crm.example/person"}}}])
def test_who_has_no_address_is_counted_as_their_message_stands(api: Client, source: dict[str, Any]) -> None:
    """UNROUTABLE, with a data source too: the step counts what the list of its messages says."""
    crowd(api, "ana", "ben")
    api.put("/profiles/ben", {"profile": {"locale": "de"}})
    answers(api, {"ana": {}, "ben": {}})
    (told,) = steps_of(api, run(api, {**SEND, **source})[0])
    found = api.get("/messages", params={"traceId": told["message_id"]}).json()["results"]
    assert sorted(one["status"] for one in found) == ["SENT", "UNROUTABLE"]
    assert told["explain"]["counts"] == {"SENT": 1, "UNROUTABLE": 1}


@pytest.mark.spec("S2-90", "S2-94", "S2-95", "S2-98")
def test_each_recipient_has_data_of_their_own(api: Client) -> None:
    """The address is asked about each, by both names of the recipient; what it answers is merged, and sent."""
    crowd(api, "ana", "ben", "cleo", template="{{ data.words }} {{ data.points }}")
    answers(api, {"ana": {"points": 1}, "ben": {"points": 2, "words": "own"}})
    webhook = {
        "url": "https://crm.example/person",
        "method": "POST",
        "headers": {"Authorization": "${data.token}"},
        "params": {"v": 1},
        "body": {"words": "refs.data.words"},
    }
    step = {
        **SEND,
        "data_source": {"webhook": webhook, "merge_strategy": "overwrite"},
        "data": {"words": "hi"},
    }
    run_id, mails = run(api, step, data={"words": "run", "token": "t0"})
    assert mails == {"ana@example.com": "hi 1", "ben@example.com": "own 2"}
    asked = dict(api.world.calls.received)
    assert sorted(asked) == [
        f"https://crm.example/person?v=1&recipientId={name}&recipient_id={name}"
        for name in ("ana", "ben", "cleo")
    ]
    first = next(iter(asked.values()))
    assert (first.method, dict(first.headers)["Authorization"], first.body) == (
        "POST",
        "t0",
        b'{"words":"run"}',
    )
    (told,) = steps_of(api, run_id)
    assert (told["status"], told["explain"]["counts"]) == ("PROCESSED", {"SENT": 2, "UNDELIVERABLE": 1})
    for query in ({"traceId": told["message_id"]}, {"list": "news"}):
        found = api.get("/messages", params=query).json()["results"]
        assert sorted(one["recipient"] for one in found) == ["ana", "ben"]
    assert status(api, run_id) == "PROCESSED"
    (failed,) = [
        one
        for one in api.get("/automations/runs").json()["runs"]
        if any(step["status"] == "ERROR" for step in steps_of(api, one["run_id"]))
    ]
    assert failed["source"] == ["send-list/news", f"run/{run_id}"]
    assert (
        steps_of(api, failed["run_id"])[1]["error"]["message"]
        == "nothing is sent: its data could not be fetched"
    )


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        pytest.param("replace", " 1", marks=pytest.mark.spec("S2-96")),
        pytest.param("soft-merge", "hi 1", marks=pytest.mark.spec("S2-97")),
        pytest.param("overwrite", "own 1", marks=pytest.mark.spec("S2-98")),
        pytest.param("none", "hi ", marks=pytest.mark.spec("S2-99")),
    ],
)
def test_an_answer_is_merged_as_the_step_says(api: Client, strategy: str, text: str) -> None:
    """Each strategy makes of data and answer what it says."""
    crowd(api, "ana", template="{{ data.words }} {{ data.points }}")
    said = {"points": 1} if strategy == "replace" else {"points": 1, "words": "own"}
    answers(api, {"ana": said})
    step = {**SEND, "data_source": {**SOURCE, "merge_strategy": strategy}}
    assert run(api, step, data={"words": "hi"})[1] == {"ana@example.com": text}


def test_what_is_asked_may_be_taken_from_the_run(api: Client) -> None:
    """All of the `data_source`, or its webhook; what is none ends the run with its place, and nobody is written to."""
    crowd(api, "ana", template="{{ data.words }} {{ data.points }}")
    answers(api, {"ana": {"points": 1}})
    said = {"ask": {**SOURCE, "merge_strategy": "overwrite"}, "words": "hi"}
    for source in ("refs.data.ask", {"$ref": "data.ask"}):
        assert run(api, {**SEND, "data_source": source}, data=said)[1] == {"ana@example.com": "hi 1"}
    source = {"webhook": "${data.ask.webhook}", "merge_strategy": "refs.data.ask.merge_strategy"}
    assert run(api, {**SEND, "data_source": source}, data=said)[1] == {"ana@example.com": "hi 1"}
    before = len(api.mailbox.received)
    for ask, place in (({"x": 1}, ".x"), ({}, ".webhook.url"), ({**SOURCE, "merge_strategy": "deep"}, "")):
        run_id = invoke(api, {**SEND, "data_source": "refs.data.ask"}, data={"ask": ask})
        api.world.run_until_idle()
        (step,) = steps_of(api, run_id)
        assert step["status"] == "ERROR"
        assert f"steps[0].data_source{place}" in step["error"]["message"]
    assert len(api.mailbox.received) == before


def test_an_answer_may_say_what_it_is(api: Client) -> None:
    """One with `data` and `profile` alone is data and profile; who has no address of their own may be given one."""
    crowd(api, "ana", template="{{ profile.given_name }} {{ data.points }}")
    api.put("/profiles/ana", {"profile": {"given_name": "Ana"}})
    answers(api, {"ana": {"data": {"points": 3}, "profile": {"email": "new@example.com"}}})
    assert run(api, {**SEND, "data_source": SOURCE}, data={})[1] == {"new@example.com": "Ana 3"}


def test_an_answer_may_override_what_is_said(api: Client) -> None:
    """Its `override` holds for this recipient beside the step's; one that is wrong lets this one go unwritten."""
    crowd(api, "ana", "ben", "cleo", template="{{ data.words }}")
    own = {"email": {"subject": "For Ana", "cc": "eva@example.com"}}
    wrong = {"email": {"from": "nobody at all"}}
    answers(api, {"ana": {"override": own}, "ben": {"data": {"words": "ben"}}, "cleo": {"override": wrong}})
    step = {
        **SEND,
        "data_source": SOURCE,
        "override": {"email": {"subject": "All", "reply_to": "re@example.com"}},
    }
    run_id, _ = run(api, step, data={"words": "run"})
    told = {
        mail.recipient: (mail.subject, mail.text, b"re@example.com" in mail.raw)
        for mail in api.mailbox.received
    }
    assert told == {
        "ana@example.com": ("For Ana", "run", True),
        "eva@example.com": ("For Ana", "run", True),
        "ben@example.com": ("All", "ben", True),
    }
    assert steps_of(api, run_id)[0]["explain"]["counts"] == {"SENT": 2, "UNDELIVERABLE": 1}


@pytest.mark.parametrize("source", [None, SOURCE])
def test_a_canceled_run_writes_to_nobody_any_more(api: Client, source: dict[str, Any] | None) -> None:
    """What nobody holds when the run is canceled does not go out, and the run's step ends with it."""
    crowd(api, *(f"p{number}" for number in range(30)))
    answers(api, {f"p{number}": {"points": number} for number in range(30)})
    api.patch("/api/automation/control", {"hold_deliveries": True})
    step = {**SEND, **({"data_source": source} if source else {})}
    run_id = invoke(api, step, data={"words": "x"})
    api.world.run_until_idle()
    canceled = api.post(f"/automations/runs/{run_id}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "CANCELED")
    api.patch("/api/automation/control", {"hold_deliveries": False})
    api.world.pass_time(minutes=5)
    assert api.mailbox.received == []
    assert {one["status"] for one in api.get("/automations/runs", params={"limit": "50"}).json()["runs"]} == {
        "CANCELED"
    }
    assert {one["status"] for one in api.get("/messages").json()["results"]} <= {"CANCELED"}


def test_a_journey_writes_to_a_list(api: Client) -> None:
    """A stored journey may hold the step."""
    crowd(api, "ana")
    put(api, "letter", SEND)
    assert (
        api.post("/automations/letter/invoke", {"recipient": None, "data": {"words": "yes"}}).status_code
        == 200
    )
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.received] == ["Ana: yes"]


def test_a_step_puts_somebody_on_a_list(api: Client) -> None:
    """`subscribe` puts its recipient on the list with what they prefer, and the next step writes to them (J18)."""
    crowd(api, "ana")
    api.world.contact("ben", email="ben@example.com", given_name="Ben")
    prefers = {"categories": {"sale": {"status": "OPTED_OUT"}}}
    join = {"action": "subscribe", "list_id": "news", "recipient_id": "refs.data.who"}
    step = {**join, "subscription": {"preferences": prefers}}
    run_id, mails = run(api, step, {**join, "list_id": "none"}, SEND, data={"who": "ben", "words": "hi"})
    assert mails == {"ana@example.com": "Ana: hi", "ben@example.com": "Ben: hi"}
    found = api.get("/lists/news/subscriptions").json()["items"]
    assert {one["recipientId"]: one["preferences"] for one in found} == {"ana": None, "ben": prefers}
    first, second, _ = steps_of(api, run_id)
    assert (first["status"], second["status"], second["error"]["message"]) == (
        "PROCESSED",
        "ERROR",
        "there is no list 'none'",
    )


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"list_id": None}, "steps[0].list_id"),
        ({"list_id": "a*"}, "steps[0].list_id"),
        ({"recipient_id": None}, "steps[0].recipient_id"),
        ({"subscription": {"preferences": []}}, "steps[0].subscription.preferences"),
    ],
)
def test_a_wrong_subscribe_is_refused(lone_api: Client, step: dict[str, Any], place: str) -> None:
    """A fault is a 400 at its place."""
    whole = {"action": "subscribe", "list_id": "news", "recipient_id": "ana", **step}
    steps = [{key: value for key, value in whole.items() if value is not None}]
    answer = lone_api.post("/automations/invoke", {"automation": {"steps": steps}})
    assert (answer.status_code, list(faults(answer))) == (400, [place])


@pytest.mark.spec("S2-100", "S2-101")
def test_a_list_is_written_to_once_with_a_key(api: Client) -> None:
    """The same `idempotency_key` sends to nobody a second time, and says whose it was, until its expiry has come."""
    crowd(api, "ana", "ben")
    step = {
        **SEND,
        "data": {"words": "w"},
        "idempotency_key": "week-${data.week}",
        "idempotency_expiry": "2026-01-08T12:00:00Z",
    }
    first, mails = run(api, step, data={"week": 7})
    assert len(mails) == 2
    again, mails = run(api, step, data={"week": 7})
    assert mails == {}
    (told,) = steps_of(api, again)
    assert (told["status"], told["explain"]["repeats"]) == ("PROCESSED", first)
    assert told["message_id"] == steps_of(api, first)[0]["message_id"] is not None
    assert len(run(api, step, data={"week": 8})[1]) == 2
    api.clock.move(2 * 24 * 3_600_000_000)
    assert run(api, step, data={"week": 7})[1] == {}, "a key without an expiry would be forgotten by now"
    api.clock.move(24 * 3_600_000_000 + 1)
    assert len(run(api, step, data={"week": 7})[1]) == 2


@pytest.mark.spec("S2-104")
def test_what_a_list_is_sent_may_be_overridden(api: Client) -> None:
    """`override` says subject, sender and copies of every e-mail instead, with a data source too; faults are told."""
    crowd(api, "ana", "ben")
    override = {
        "channel": {
            "email": {
                "subject": "Week ${data.week}",
                "from": "Eva <eva@example.com>",
                "bcc": "log@example.com",
            }
        }
    }
    for more in ({}, {"data_source": SOURCE}):
        answers(api, {"ana": {"words": "a"}, "ben": {"words": "b"}})
        before = len(api.mailbox.received)
        run(api, {**SEND, **more, "override": override, "data": {"words": "w"}}, data={"week": 7})
        sent = api.mailbox.received[before:]
        assert {mail.subject for mail in sent} == {"Week 7"}
        assert sorted(mail.recipient for mail in sent) == [
            "ana@example.com",
            "ben@example.com",
            *["log@example.com"] * 2,
        ]
        assert all(b"eva@example.com" in mail.raw for mail in sent)
    bad = {**SEND, "override": "no", "idempotency_expiry": "soon"}
    answer = api.put("/automations/templates/bad", {"name": "Bad", "steps": [bad]})
    assert faults(answer).keys() == {"steps[0].override", "steps[0].idempotency_expiry"}


def test_a_message_of_ones_own_is_sent_once_with_a_key(api: Client) -> None:
    """A `send` with a `message` takes a key beside it: who is named in it has it once, whatever run asks."""
    step = {
        "action": "send",
        "idempotency_key": "hello-${data.n}",
        "message": {
            "to": [{"email": "ana@example.com"}, {"email": "ben@example.com"}],
            "content": {"title": "Hello", "body": "World"},
        },
    }
    first, mails = run(api, step, data={"n": 1})
    assert len(mails) == 2
    again, mails = run(api, step, data={"n": 1})
    assert (mails, steps_of(api, again)[0]["explain"]["repeats"]) == ({}, first)
    assert len(run(api, step, data={"n": 2})[1]) == 2
