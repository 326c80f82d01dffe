"""Journeys over HTTP: invoking, templates, runs and their steps, and canceling, in Courier's shape."""

import json
from typing import Any

import pytest

from heliograph import testing
from heliograph.core import ids, schedule
from heliograph.web.routes import journeys as routes
from tests import tables
from tests.engine import acts
from tests.web.client import Client

TO_ANA = {"to": {"email": "ana@example.com"}, "content": {"title": "Hi", "body": "Hello {name}"}}
WELCOME = {"action": "send", "message": TO_ANA}
NUDGE = {"action": "send", "recipient": "ana", "template": "nudge"}


def invoke(api: Client, *steps: dict[str, Any], **context: Any) -> str:
    """Invoke steps of one's own; gives the run's id."""
    automation: dict[str, Any] = {"steps": list(steps)}
    if "cancelation_token" in context:
        automation["cancelation_token"] = context.pop("cancelation_token")
    answer = api.post("/automations/invoke", {"automation": automation, **context})
    assert answer.status_code == 200, answer.json()
    return str(answer.json()["runId"])


def steps_of(api: Client, run_id: str) -> list[dict[str, Any]]:
    """The steps of a run, as they stand."""
    answer = api.get(f"/automations/runs/{run_id}/steps")
    assert answer.status_code == 200, answer.json()
    return list(answer.json()["steps"])


def status(api: Client, run_id: str) -> str:
    """How a run stands."""
    return str(api.get(f"/automations/runs/{run_id}").json()["status"])


def statuses(api: Client, run_id: str) -> list[str]:
    """How the steps of a run stand."""
    return [step["status"] for step in steps_of(api, run_id)]


def faults(api: Client, *steps: Any, **context: Any) -> dict[str, str]:
    """What is wrong with these steps, by place; no run is started."""
    answer = api.post("/automations/invoke", {"automation": {"steps": list(steps)}, **context})
    assert answer.status_code == 400, answer.json()
    told = answer.json()
    assert told["type"] == "invalid_request_error"
    assert told["message"].startswith("Invalid Steps Definition: "), told
    assert tables.rows(api.store, "starts") == []
    return {one["path"]: one["message"] for one in told["errors"]}


# ── send ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-01", "S2-83", "S2-84", "S2-85", "S2-87")
def test_steps_of_ones_own_run_in_one_call(api: Client) -> None:
    """A message with content goes out; the run says at once that it is there, and afterwards what it did."""
    run_id = invoke(api, WELCOME, data={"name": "Ana"})
    assert ids.of_wire(run_id) is not None
    assert status(api, run_id) == "PROCESSING"
    api.world.run_until_idle()
    (mail,) = api.mailbox.to("ana@example.com")
    assert (mail.subject, mail.text) == ("Hi", "Hello Ana")
    assert status(api, run_id) == "PROCESSED"
    (step,) = steps_of(api, run_id)
    assert (step["action"], step["status"], step["message_id"]) == ("send", "PROCESSED", mail.message_id)
    assert (step["error"], step["skip_reason"]) == (None, None)
    assert api.get(f"/messages/{mail.message_id}").status_code == 200


@pytest.mark.spec("S2-71", "S2-72", "S2-73", "S2-75", "S2-80")
def test_a_stored_template_goes_to_a_stored_person(api: Client) -> None:
    """`recipient` and `template` name them; the step's data and profile win over the run's."""
    api.world.contact("ana", email="old@example.com", given_name="Ana")
    api.world.template(
        "nudge", subject="{{ what }}", text="{{ profile.given_name }} {{ data.size }} {{ size }}"
    )
    step = {**NUDGE, "data": {"size": 2}, "profile": {"email": "ana@example.com"}}
    invoke(api, step, data={"what": "News", "size": 1})
    api.world.run_until_idle()
    (mail,) = api.mailbox.to("ana@example.com")
    assert (mail.subject, mail.text) == ("News", "Ana 2 2")


def test_what_a_send_leaves_out_the_run_says(api: Client) -> None:
    """Recipient, template, data and profile of the run hold for every send."""
    api.world.template("nudge", subject="s", text="{{ data.n }}")
    invoke(
        api, {"action": "send"}, recipient="bob", template="nudge", data={"n": 7}, profile={"email": "b@x.de"}
    )
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.to("b@x.de")] == ["7"]


@pytest.mark.spec("S2-86")
def test_a_message_takes_a_stored_template(api: Client) -> None:
    """`message.template` goes to one person or to several, each with data of their own."""
    api.world.contact("ana", email="ana@example.com")
    api.world.template("nudge", subject="s", text="{{ data.n }}")
    to = [{"user_id": "ana", "data": {"n": 1}}, {"email": "bob@example.com"}]
    run_id = invoke(api, {"action": "send", "message": {"to": to, "template": "nudge", "data": {"n": 2}}})
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.to("ana@example.com")] == ["1"]
    assert [mail.text for mail in api.mailbox.to("bob@example.com")] == ["2"]
    (step,) = steps_of(api, run_id)
    assert step["message_id"] is None
    assert [one["user_id"] for one in step["explain"]["recipients"]] == ["ana", None]


def test_who_cannot_be_reached_holds_up_nobody(api: Client) -> None:
    """No address and no template are told of the step; the run goes on."""
    api.world.template("nudge", subject="s", text="t")
    run_id = invoke(api, NUDGE, {**NUDGE, "template": "gone"}, WELCOME)
    api.world.run_until_idle()
    first, second, third = steps_of(api, run_id)
    assert (first["status"], first["error"]["message"]) == ("ERROR", "contact 'ana' has no e-mail address")
    assert (second["status"], second["error"]["message"]) == ("ERROR", "there is no template 'gone'")
    assert (third["status"], status(api, run_id)) == ("PROCESSED", "PROCESSED")


@pytest.mark.spec("S2-79")
def test_an_override_says_what_the_mail_is_instead(api: Client) -> None:
    """Subject, texts, sender, answers, headers and copies; each copy is a message of its own, for whom it was."""
    api.world.contact("ana", email="ana@example.com")
    api.world.template("nudge", subject="s", text="t", html="<p>t</p>")
    email = {
        "subject": "Other ${data.n}",
        "text": "plain",
        "html": "<b>bold</b>",
        "from": "Shop <shop@example.com>",
        "reply_to": "help@example.com",
        "cc": ["bob@example.com"],
        "bcc": "cid@example.com, ana@example.com",
        "headers": {"X-Order": "7"},
    }
    run_id = invoke(
        api, {**NUDGE, "override": {"channel": {"email": email}, "sendgrid": {"x": 1}}}, data={"n": 1}
    )
    api.world.run_until_idle()
    invoke(api, {**NUDGE, "override": {"email": {"subject": "Short"}}})
    api.world.run_until_idle()
    for address in ("ana@example.com", "bob@example.com", "cid@example.com"):
        mail = next(one for one in api.mailbox.to(address) if one.subject == "Other 1")
        assert (mail.text, (mail.html or "").strip()) == ("plain", "<b>bold</b>")
        head = mail.raw.decode().partition("\r\n\r\n")[0].split("\r\n")
        assert {
            "To: ana@example.com",
            "Cc: bob@example.com",
            "From: Shop <shop@example.com>",
            "Reply-To: help@example.com",
            "X-Order: 7",
        } <= set(head)
        assert "cid" not in mail.raw.decode()
    assert [(mail.subject, mail.text) for mail in api.mailbox.to("ana@example.com")][-1] == ("Short", "t")
    assert len(api.mailbox.received) == 4
    assert [one["email"] for one in steps_of(api, run_id)[0]["explain"]["recipients"]] == [
        "ana@example.com",
        "bob@example.com",
        "cid@example.com",
    ]


def test_an_override_that_cannot_be_ends_the_run(api: Client) -> None:
    """What is no address or header is told with its place: beforehand, or at the step where the run makes it."""
    assert set(faults(api, {**NUDGE, "override": "x"})) == {"steps[0].override"}
    api.world.contact("ana", email="ana@example.com")
    api.world.template("nudge", subject="s", text="t")
    for email, place in (
        ({"cc": ["x"]}, "cc"),
        ({"from": "nobody"}, "from"),
        ({"headers": {"To": "x"}}, "headers"),
    ):
        assert set(faults(api, {**NUDGE, "override": {"email": {**email, "text": "${data.x}"}}})) == {
            f"steps[0].override.email.{place}"
        }
    for email, place in (
        ({"cc": ["${data.no}"]}, "cc"),
        ({"from": "${data.no}"}, "from"),
        ({"headers": "${({To: data.no})}"}, "headers"),
    ):
        run_id = invoke(api, {**NUDGE, "override": {"email": email}}, data={"no": "x"})
        api.world.run_until_idle()
        assert status(api, run_id) == "ERROR"
        assert f"steps[0].override.email.{place}" in steps_of(api, run_id)[0]["error"]["message"]
    assert api.mailbox.received == []


def test_what_people_say_is_no_template(api: Client) -> None:
    """Tags of a template in data or content are text."""
    invoke(api, WELCOME, data={"name": "{{ 7 | times: 6 }} {b}"})
    api.world.run_until_idle()
    assert api.mailbox.received[0].text == "Hello {{ 7 | times: 6 }} {b}"


# ── delay, if, ref ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-31", "S2-32", "S2-33")
def test_a_delay_waits(api: Client) -> None:
    """A duration in words or ISO, or a moment; the step says until when it waits."""
    for delay in ({"duration": "2 hours"}, {"duration": "PT2H"}, {"until": "2026-01-05T14:00:00Z"}):
        wanted = delay if "duration" in delay else {"until": in_two_hours(api)}
        run_id = invoke(api, {"action": "delay", **wanted}, WELCOME)
        api.world.run_until_idle()
        before = len(api.mailbox.received)
        assert status(api, run_id) == "WAITING"
        first, second = steps_of(api, run_id)
        assert (first["status"], second["status"]) == ("WAITING", "NOT PROCESSED")
        assert first["explain"]["wakes_at"].endswith("Z")
        api.world.pass_time(hours=1.9)
        assert len(api.mailbox.received) == before
        api.world.pass_time(hours=0.2)
        assert len(api.mailbox.received) == before + 1
        assert statuses(api, run_id) == ["PROCESSED", "PROCESSED"]


def in_two_hours(api: Client) -> str:
    """Two hours from now."""
    return schedule.write_instant(api.clock.now() + 2 * 3_600_000_000)


def test_a_moment_that_has_passed_is_no_wait(api: Client) -> None:
    """The source document's own example lies in the past: the run goes on at once; `until` wins."""
    invoke(api, {"action": "delay", "until": "20240408T080910.123", "duration": "soon"}, WELCOME)
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 1


def test_days_follow_the_clocks_of_the_persons_zone(api: Client) -> None:
    """A day from a winter evening in Berlin is the same time of day, also where the clocks change."""
    api.world.contact("ana", email="ana@example.com", timezone="Europe/Berlin")
    api.clock.at = 1774720800000000  # 2026-03-28 19:00 in Berlin, the night before the clocks go forward
    run_id = invoke(api, {"action": "delay", "duration": "1 day"}, recipient="ana")
    api.world.run_until_idle()
    assert steps_of(api, run_id)[0]["explain"]["wakes_at"] == "2026-03-29T17:00:00.000000Z"


def test_a_tenants_zone_stands_between_the_persons_and_the_workspaces(api: Client) -> None:
    """What is said of the person in the tenant, the profile, the tenant's people, the tenant, the workspace (E32)."""
    api.world.company(timezone="Asia/Tokyo")
    api.clock.at = 1774720800000000  # 2026-03-28 18:00 UTC: in the night the clocks of Europe go forward
    shop = api.key("admin", tenant="shop")
    steps = {"automation": {"steps": [{"action": "delay", "duration": "1 day"}]}, "recipient": "ana"}

    def hour(key: str = shop) -> str:
        run_id = api.post("/automations/invoke", steps, key=key).json()["runId"]
        api.world.run_until_idle()
        return str(steps_of(api, run_id)[0]["explain"]["wakes_at"])[11:13]

    assert hour() == "18"
    api.put("/tenants/all", {"name": "All", "properties": {"timezone": "Europe/Berlin"}})
    api.put("/tenants/shop", {"name": "Shop", "parent_tenant_id": "all"})
    assert (hour(), hour(api.admin)) == ("17", "18")
    api.put("/tenants/all", {"name": "All", "user_profile": {"timezone": "Asia/Tokyo"}})
    api.put(
        "/tenants/shop",
        {"name": "Shop", "parent_tenant_id": "all", "user_profile": {"timezone": "Europe/Berlin"}},
    )
    assert hour() == "17"
    assert api.put("/profiles/ana", {"profile": {"zoneinfo": "Asia/Tokyo"}}, key=shop).status_code == 200
    assert hour() == "18"
    api.put("/users/ana/tenants/shop", {"profile": {"timezone": "Europe/Berlin"}})
    assert hour() == "17"


def test_a_moment_that_the_run_does_not_say_leaves_the_duration(api: Client) -> None:
    """`until` counts where it is there; without a duration it has to be; a duration that is none is refused at once."""
    until = {"action": "delay", "until": "${data.at}"}
    assert set(faults(api, {**until, "duration": "soon"})) == {"steps[0].duration"}
    for given, wakes_at in (({}, in_two_hours(api)), ({"at": "2026-01-07"}, "2026-01-07T00:00:00.000000Z")):
        run_id = invoke(api, {**until, "duration": "2 hours"}, data=given)
        api.world.run_until_idle()
        assert steps_of(api, run_id)[0]["explain"]["wakes_at"] == wakes_at
    run_id = invoke(api, until)
    api.world.run_until_idle()
    assert status(api, run_id) == "ERROR"


@pytest.mark.spec("S2-35", "S2-36", "S2-76", "S2-82", "S2-27", "S2-29")
def test_a_step_is_taken_where_its_condition_holds(api: Client) -> None:
    """`if` is JavaScript over the run and over what earlier steps with a `ref` came to."""
    api.mailbox.answer = acts.refused
    run_id = invoke(
        api,
        {**WELCOME, "ref": "first"},
        {"action": "delay", "duration": "1 hour", "if": "data.n > 1", "ref": "pause"},
        {**WELCOME, "if": "refs.first.status < MessageStatus.Sent", "ref": "again"},
        {**WELCOME, "if": "refs.pause.status === 'SKIPPED'"},
        {"action": "cancel", "cancelation_token": "x", "if": "refs.nothing.at.all", "ref": "end"},
        data={"n": 2},
    )
    api.world.run_until_idle()
    api.mailbox.answer = testing.accepted
    api.world.pass_time(hours=2)
    told = steps_of(api, run_id)
    assert [step["status"] for step in told] == ["ERROR", "PROCESSED", "PROCESSED", "SKIPPED", "SKIPPED"]
    assert told[3]["skip_reason"] == "the condition does not hold"
    assert "undefined" in told[4]["skip_reason"]
    assert told[2]["explain"]["read"]["first"]["status"] == "UNDELIVERABLE"
    assert [step["ref"] for step in told] == ["first", "pause", "again", None, "end"]
    assert status(api, run_id) == "PROCESSED"


def test_fields_are_taken_from_the_run(api: Client) -> None:
    """`$ref`, `refs.` and `${…}` stand in any field, and keep the type of what they name."""
    invoke(
        api,
        {
            "action": "send",
            "message": {
                "to": {"email": {"$ref": "data.mail"}},
                "content": {"title": "${data.a + data.b}", "body": "Bearer ${refs.data.token}"},
            },
        },
        {"action": "delay", "duration": "${data.n} minutes"},
        data={"mail": "ana@example.com", "a": 1, "b": 2, "token": "t", "n": 5},
    )
    api.world.run_until_idle()
    assert [(mail.subject, mail.text) for mail in api.mailbox.received] == [("3", "Bearer t")]
    assert len(tables.rows(api.store, "timers")) == 1


def test_a_message_never_goes_out_with_a_hole(api: Client) -> None:
    """A field that throws, or a text with nothing to put in, ends the run with an error."""
    for title in ("${data.missing.deep}", "${data.missing}", "refs.data.missing"):
        message = {**TO_ANA, "content": {"title": title, "body": "b"}}
        run_id = invoke(api, {"action": "send", "message": message}, WELCOME)
        api.world.run_until_idle()
        assert (status(api, run_id), statuses(api, run_id)) == ("ERROR", ["ERROR", "NOT PROCESSED"])
        assert "missing" in steps_of(api, run_id)[0]["error"]["message"]
    assert api.mailbox.received == []


# ── cancel ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-28")
def test_a_cancel_may_look_at_what_came_of_a_send(api: Client) -> None:
    """Its `if` reads earlier steps: what was sent in vain is not waited for."""
    api.mailbox.answer = acts.refused
    waiting = invoke(api, {"action": "delay", "duration": "1 day"}, cancelation_token="t")
    for status_wanted, expected in (("SENT", "WAITING"), ("UNDELIVERABLE", "CANCELED")):
        step = {
            "action": "cancel",
            "cancelation_token": "t",
            "if": f"refs.first.status === '{status_wanted}'",
        }
        invoke(api, {**WELCOME, "ref": "first"}, {"action": "delay", "duration": "1 second"}, step)
        api.world.pass_time(seconds=2)
        assert status(api, waiting) == expected


@pytest.mark.spec("S2-34")
def test_a_delay_says_how_long_or_until_when(api: Client) -> None:
    """One that says neither is refused; either is enough."""
    assert set(faults(api, {"action": "delay"})) == {"steps[0]"}
    for enough in ({"duration": "1 hour"}, {"until": "2030-01-01"}):
        assert status(api, invoke(api, {"action": "delay", **enough})) == "PROCESSING"


@pytest.mark.spec("S2-24", "S2-25")
def test_a_token_cancels_every_run_in_progress(api: Client) -> None:
    """Whatever partition it is in; what has ended stays as it was."""
    done = invoke(api, WELCOME, cancelation_token="cart-7")
    api.world.run_until_idle()
    waiting = [
        invoke(
            api,
            {"action": "delay", "duration": "1 hour"},
            NUDGE,
            recipient=f"c{number}",
            data={"id": 7},
            cancelation_token="${`cart-${data.id}`}",
        )
        for number in range(5)
    ]
    api.world.run_until_idle()
    canceler = invoke(api, {"action": "cancel", "cancelation_token": "cart-7"})
    api.world.run_until_idle()
    assert [status(api, one) for one in waiting] == ["CANCELED"] * 5
    assert statuses(api, waiting[0]) == ["CANCELED", "CANCELED"]
    assert (status(api, done), status(api, canceler)) == ("PROCESSED", "PROCESSED")
    api.world.pass_time(hours=2)
    assert len(api.mailbox.received) == 1


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (7.0, "7"), (0.5, "0.5"), (1e21, "1e+21"), (True, "true")]
)
def test_a_number_in_a_name_is_written_as_javascript_writes_it(api: Client, number: Any, text: str) -> None:
    """So a token is the same text whether a path takes it from the run, an expression, or it stands there (A63)."""
    waiting = [
        invoke(api, {"action": "delay", "duration": "1 hour"}, data={"n": number}, cancelation_token=token)
        for token in ("refs.data.n", {"$ref": "data.n"}, "${data.n}", "${`${data.n}`}", number)
    ]
    api.world.run_until_idle()
    invoke(api, {"action": "cancel", "cancelation_token": text})
    api.world.run_until_idle()
    assert [status(api, one) for one in waiting] == ["CANCELED"] * 5


def test_a_run_can_cancel_itself(api: Client) -> None:
    """A cancel of the run's own token ends it there (A22)."""
    run_id = invoke(api, {"action": "cancel"}, WELCOME, cancelation_token="mine")
    api.world.run_until_idle()
    assert (status(api, run_id), statuses(api, run_id)) == ("CANCELED", ["PROCESSED", "CANCELED"])
    assert api.mailbox.received == []


def test_a_run_is_canceled_by_its_id(api: Client) -> None:
    """The answer says so, and from then on nothing goes out: neither steps nor messages that are to be tried again."""
    api.mailbox.answer = acts.busy
    run_id = invoke(api, WELCOME, {"action": "delay", "duration": "1 hour"}, WELCOME)
    api.world.run_until_idle()
    answer = api.post(f"/automations/runs/{run_id}/cancel")
    assert (answer.status_code, answer.json()) == (200, {"run_id": run_id, "status": "CANCELED"})
    assert status(api, run_id) == "CANCELED"
    api.mailbox.answer = testing.accepted
    api.world.pass_time(hours=24)
    assert api.mailbox.received == []
    again = api.post(f"/automations/runs/{run_id}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "CANCELED")


def test_a_run_that_has_ended_is_not_canceled(api: Client) -> None:
    """Its own status is answered; an unknown run is 404."""
    run_id = invoke(api, WELCOME)
    api.world.run_until_idle()
    assert api.post(f"/automations/runs/{run_id}/cancel").json()["status"] == "PROCESSED"
    for unknown in ("1-00000000-000000000000000000000000", "nonsense"):
        answer = api.post(f"/automations/runs/{unknown}/cancel")
        assert (answer.status_code, answer.json()["type"]) == (404, "not_found_error")


# ── templates and invoke ────────────────────────────────────────────────────────────────────────────


def put(api: Client, template_id: str, *steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Put a journey."""
    body = {"name": "A journey", "steps": list(steps), **fields}
    answer = api.put(f"/automations/templates/{template_id}", body)
    assert answer.status_code == 200, answer.json()
    return dict(answer.json())


def test_a_journey_is_made_changed_and_deleted(api: Client) -> None:
    """Each change is a version, its end too; what says nothing new is none; a deleted one is gone, its runs go on."""
    assert put(api, "welcome", WELCOME)["version"] == 1
    assert put(api, "welcome", WELCOME)["version"] == 1
    changed = put(api, "welcome", WELCOME, WELCOME, alias="hello")
    assert (changed["version"], changed["id"], changed["alias"]) == (2, "welcome", "hello")
    assert api.get("/automations/templates/hello").json() == changed
    versions = api.get("/automations/templates/welcome/versions").json()["versions"]
    assert [(one["version"], len(one["steps"])) for one in versions] == [(2, 2), (1, 1)]
    assert [one["id"] for one in api.get("/automations").json()["templates"]] == ["welcome"]
    assert api.send("DELETE", "/automations/templates/welcome").status_code == 204
    for path in ("", "/versions"):
        assert api.get(f"/automations/templates/welcome{path}").status_code == 404
    assert put(api, "welcome", WELCOME)["version"] == 4


def test_true_for_1_is_a_new_version(api: Client) -> None:
    """A journey that says `true` where it said 1, or 1.0, is stored as it says."""
    for version, value in enumerate((1, True, 1.0), 1):
        made = put(api, "vip", {"action": "invoke", "template": "other", "context": {"data": {"vip": value}}})
        assert (made["version"], json.dumps(made["steps"][0]["context"]["data"]["vip"])) == (
            version,
            json.dumps(value),
        )


def test_journeys_are_listed_by_what_they_are(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published ones or drafts, page by page, with a cursor for what follows; in Courier's words where it is none."""
    monkeypatch.setattr(routes, "_PER_PAGE", 3)
    for number in range(5):
        put(api, f"j{number}", WELCOME)
    put(api, "draft", WELCOME, status="draft")
    first = api.get("/automations").json()
    assert len(first["templates"]) == 3
    assert set(first["templates"][0]) == {"id", "name", "version", "createdAt", "updatedAt"}
    second = api.get(f"/automations?cursor={first['cursor']}").json()
    assert [one["id"] for one in second["templates"]] == ["j3", "j4"]
    assert "cursor" not in second
    (draft,) = api.get("/automations?version=draft").json()["templates"]
    assert (draft["id"], draft["version"]) == ("draft", "draft")
    answer = api.get("/automations?version=invalid")
    assert answer.json()["message"] == (
        'Invalid version parameter "invalid". Accepted values are: published (for published templates) or draft'
        " (for draft templates)"
    )
    assert api.get("/automations?cursor=nonsense").json()["message"] == "Invalid cursor format"


def test_a_run_keeps_the_version_that_it_began_with(api: Client) -> None:
    """A journey that is changed or deleted while somebody waits in it goes on as it was (E22)."""
    put(api, "welcome", {"action": "delay", "duration": "1 hour"}, WELCOME)
    run_id = api.post("/automations/welcome/invoke", {"recipient": None}).json()["runId"]
    api.world.run_until_idle()
    put(api, "welcome", {"action": "delay", "duration": "1 hour"})
    api.send("DELETE", "/automations/templates/welcome")
    api.world.pass_time(hours=2)
    assert len(api.mailbox.received) == 1
    assert statuses(api, run_id) == ["PROCESSED", "PROCESSED"]


def test_a_journey_is_invoked_by_id_or_alias(api: Client) -> None:
    """What the request gives is what the run holds; drafts and unknown ones are not there."""
    api.world.contact("ana", email="ana@example.com")
    api.world.template("nudge", subject="s", text="{{ data.n }}")
    put(api, "w", {"action": "send"}, alias="hello")
    put(api, "draft", WELCOME, status="draft")
    for name in ("w", "hello"):
        body = {"recipient": "ana", "template": "nudge", "data": {"n": name}}
        assert api.post(f"/automations/{name}/invoke", body).status_code == 200
    api.world.run_until_idle()
    assert sorted(mail.text for mail in api.mailbox.received) == ["hello", "w"]
    for name in ("draft", "unknown"):
        assert api.post(f"/automations/{name}/invoke", {"recipient": None}).status_code == 404
    answer = api.post("/automations/w/invoke", {"recipient": "ana"})
    assert answer.json()["errors"][0]["path"] == "steps[0].template"


def test_names_of_journeys_are_one_journeys(api: Client) -> None:
    """An id or alias that names another journey is refused, and is not worth trying again."""
    put(api, "a", WELCOME, alias="b")
    answer = api.put("/automations/templates/b", {"name": "n", "steps": [WELCOME]})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")


@pytest.mark.spec("S2-60", "S2-61", "S2-63", "S2-66", "S2-69", "S2-67")
def test_a_step_starts_another_journey(api: Client) -> None:
    """The child holds what the context names, and for the rest what its parent holds; the parent does not wait."""
    api.world.contact("bob", email="bob@example.com")
    api.world.template("nudge", subject="s", text="{{ data.n }}")
    put(api, "child", {"action": "send"}, alias="kid", cancelation_token="refs.data.n")
    step = {
        "action": "invoke",
        "template": "kid",
        "context": {"recipient": "bob", "data": {"n": "x"}},
        "ref": "c",
    }
    never = {**step, "if": "false", "ref": "d"}
    run_id = invoke(api, step, never, template="nudge", recipient="ana", data={"n": "y"})
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.to("bob@example.com")] == ["x"]
    first, second = steps_of(api, run_id)
    assert (first["status"], second["status"]) == ("PROCESSED", "SKIPPED")
    child = api.get(f"/automations/runs/{first['explain']['run_id']}").json()
    assert (child["source"], child["template_id"]) == (["invoke/child", f"run/{run_id}"], "child")


def test_a_journey_that_no_path_could_invoke_is_refused(api: Client) -> None:
    """What stands below /automations is no id and no alias: `POST /automations/runs/invoke` would be something else."""
    paths = api.get("/schema/openapi.json").json()["paths"]
    parts = {path.split("/")[2] for path in paths if path.startswith("/automations/")}
    names = sorted(part for part in parts if not part.startswith("{"))
    assert "runs" in names
    for name in names:
        given = {"name": "W", "steps": [WELCOME]}
        answers = {
            "id": api.put(f"/automations/templates/{name}", given),
            "alias": api.put("/automations/templates/w", {**given, "alias": name}),
        }
        for place, answer in answers.items():
            if api.post(f"/automations/{name}/invoke", {"recipient": "ana"}).status_code == 405:
                assert answer.status_code == 400, name
                assert [one["path"] for one in answer.json()["errors"]] == [place]


@pytest.mark.spec("S2-62", "S2-64", "S2-65", "S2-68")
def test_a_child_holds_what_the_context_says(api: Client) -> None:
    """Brand, profile and template too; `ref` names the step, which has started it when it is read."""
    api.world.template("nudge", subject="s", text="{{ profile.plan }} {{ data.brand }}")
    assert api.post("/brands", {"id": "b1", "name": "B", "settings": {}}).status_code == 200
    put(api, "child", {"action": "send", "recipient": "x", "data": {"brand": "${brand}"}})
    context = {"brand": "b1", "profile": {"email": "kid@example.com", "plan": "pro"}, "template": "nudge"}
    step = {"action": "invoke", "template": "child", "context": context, "ref": "kid"}
    after = {**WELCOME, "if": "refs.kid.status === 'PROCESSED'"}
    run_id = invoke(api, step, after, brand="b0", profile={"plan": "free"}, template="other")
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.to("kid@example.com")] == ["pro b1"]
    assert [one["status"] for one in steps_of(api, run_id)] == ["PROCESSED", "PROCESSED"]


@pytest.mark.spec("S2-81")
def test_a_profile_of_the_request_is_laid_over_the_stored_one(api: Client) -> None:
    """What the request says of the recipient counts, and what it does not say is as it is stored."""
    api.world.contact("ana", email="ana@example.com", given_name="Ana", plan="free")
    api.world.template("nudge", subject="s", text="{{ profile.given_name }} {{ profile.plan }}")
    step = {"action": "send", "recipient": "ana", "template": "nudge"}
    invoke(api, step, recipient="ana", profile={"plan": "pro"})
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.to("ana@example.com")] == ["Ana pro"]


def test_a_circle_of_journeys_says_where_it_ended(api: Client) -> None:
    """The step that would go on says how often runs have started each other, and which, round in the cycle."""

    def ended(journey: str) -> str:
        put(api, "start", {"action": "invoke", "template": journey})
        api.post("/automations/start/invoke", {"recipient": None})
        before = {one["run_id"] for one in api.get("/automations/runs?limit=50").json()["runs"]}
        api.world.run_until_idle()
        ran = [one["run_id"] for one in api.get("/automations/runs?limit=50").json()["runs"]]
        assert len({*ran} - before) == 5
        new = {*ran} - before
        (told,) = [step["error"]["message"] for one in new for step in steps_of(api, one) if step["error"]]
        return str(told.removeprefix("depth: runs have started each other 5 times already, and "))

    for journey, following in (("again", "again"), ("a", "b"), ("b", "a")):
        put(api, journey, {"action": "invoke", "template": following})
    for number in range(7):
        put(api, f"n{number}", {"action": "invoke", "template": f"n{number + 1}"})
    assert ended("again") == "'again' would be one more, in a cycle: again -> again"
    assert ended("a") == "'b' would be one more, in a cycle: b -> a -> b"
    assert ended("n0") == "'n5' would be one more: start -> n0 -> n1 -> n2 -> n3 -> n4 -> n5"


def test_journeys_that_start_each_other_come_to_an_end(api: Client) -> None:
    """A circle of journeys that wait for nothing ends after five."""
    put(api, "again", {"action": "invoke", "template": "again"}, WELCOME)
    api.post("/automations/again/invoke", {"recipient": None})
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 6


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_newest_first(api: Client) -> None:
    """By status, journey and day; a cursor goes on where the page ended, and the last page has none."""
    put(api, "w", WELCOME)
    made = []
    for number in range(5):
        api.clock.move(1_000_000)
        made.append(
            invoke(api, WELCOME) if number % 2 else api.post("/automations/w/invoke", {}).json()["runId"]
        )
    api.world.run_until_idle()
    api.clock.move(1_000_000)
    made.append(invoke(api, {"action": "delay", "duration": "1 day"}))
    api.world.run_until_idle()
    made.reverse()
    first = api.get("/automations/runs?limit=4").json()
    assert [one["run_id"] for one in first["runs"]] == made[:4]
    second = api.get(f"/automations/runs?limit=4&cursor={first['next_cursor']}").json()
    assert [one["run_id"] for one in second["runs"]] == made[4:]
    assert "next_cursor" not in second
    assert [one["run_id"] for one in api.get("/automations/runs?status=WAITING").json()["runs"]] == made[:1]
    assert len(api.get("/automations/runs?status=PROCESSED,ERROR&limit=soon").json()["runs"]) == 5
    assert {one["template_id"] for one in api.get("/automations/runs?template_id=w").json()["runs"]} == {"w"}
    assert len(api.get("/automations/runs?start_date=2026-01-05&end_date=2026-01-05").json()["runs"]) == 6
    assert api.get("/automations/runs?start_date=2026-01-06").json() == {"runs": []}
    for bad in ("start_date=soon", "cursor=nonsense"):
        assert api.get(f"/automations/runs?{bad}").status_code == 400


def test_a_tenant_sees_its_own_runs_and_journeys(api: Client) -> None:
    """A tenant's key makes and sees its own alone."""
    shop = api.key("admin", tenant="shop")
    ours = invoke(api, WELCOME)
    theirs = api.post("/automations/invoke", {"automation": {"steps": [WELCOME]}}, key=shop).json()["runId"]
    assert [one["run_id"] for one in api.get("/automations/runs", key=shop).json()["runs"]] == [theirs]
    assert api.get(f"/automations/runs/{ours}", key=shop).status_code == 404
    put(api, "w", WELCOME)
    assert api.get("/automations/templates/w", key=shop).status_code == 404


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-02", "S2-88")
def test_steps_are_checked_whole_before_a_run_starts(api: Client) -> None:
    """Every step's first fault at least is named with its place, and nothing is started."""
    told = faults(
        api,
        {"action": "dance"},
        {"action": "delay", "duration": "soon"},
        {"action": "delay"},
        {
            "action": "send",
            "message": {"to": {"email": "a@x.de"}, "template": "t", "content": {"title": "", "body": ""}},
        },
        {"action": "send", "message": {"to": {"email": "a@x.de"}}},
        {"action": "send", "message": {"content": {"title": "t", "body": "b"}}},
        {"action": "invoke"},
        {"action": "cancel", "if": "data.x ===", "ref": "data"},
        {"action": "cancel", "tokn": "x"},
        "delay",
        {"action": "send", "recipient": "ana"},
    )
    assert set(told) == {
        "steps[0].action",
        "steps[1].duration",
        "steps[2]",
        "steps[3].message",
        "steps[4].message",
        "steps[5].message.to",
        "steps[6].template",
        "steps[7].if",
        "steps[7].ref",
        "steps[8].tokn",
        "steps[9]",
        "steps[10].template",
    }
    assert set(faults(api, {"action": "send", "recipient": "ana"})) == {"steps[0].template"}
    assert set(faults(api, {"action": "cancel", "ref": "a"}, {"action": "cancel", "ref": "a"})) == {
        "steps[1].ref"
    }


def test_nothing_to_run_is_refused(api: Client) -> None:
    """An invocation without steps, or with parts of another type, says what it takes."""
    for body in ({}, {"automation": None}):
        told = api.post("/automations/invoke", body)
        assert told.status_code == 400
        assert told.json()["message"] == "Either an ad hoc automation or valid templateId is required."
    told = api.post("/automations/invoke", {"automation": {"steps": [WELCOME]}, "data": 5, "recipient": 7})
    assert [one["path"] for one in told.json()["errors"]] == ["recipient", "data"]


def test_what_nobody_knows_is_passed_over_outside_of_steps(api: Client) -> None:
    """It is named in a header (E29); older places of recipient and data are taken."""
    automation = {"steps": [NUDGE], "cancelationToken": "t", "recipient": "ana", "extra": 1}
    answer = api.post("/automations/invoke", {"automation": automation, "more": 2})
    assert answer.status_code == 200
    assert answer.headers["heliograph-ignored"] == "automation.extra, more"
    (start,) = tables.rows(api.store, "starts")
    assert (start["token"], start["contact_id"]) == ("t", "ana")


def test_empty_texts_in_optional_fields_are_nothing(api: Client) -> None:
    """As the source document's own examples have them (A02)."""
    invoke(api, {**WELCOME, "if": "", "ref": ""}, {"action": "delay", "duration": "1 hour", "until": ""})


def test_faults_of_a_journey_have_their_places(api: Client) -> None:
    """A template is checked as an invocation is, and its name, alias and status with it."""
    body = {
        "alias": "",
        "status": "live",
        "steps": [{"action": "dance"}],
        "cancelation_token": {"of": "${data.id}"},
    }
    answer = api.put("/automations/templates/w", body)
    assert answer.status_code == 400
    assert {one["path"] for one in answer.json()["errors"]} == {
        "name",
        "status",
        "steps[0].action",
        "alias",
        "cancelation_token",
    }


def test_every_step_with_a_fault_is_told_at_once(api: Client) -> None:
    """What a step is missing that the run has not, and an address that is shut, stand beside what cannot be read."""
    found = faults(
        api,
        {"action": "send"},
        {"action": "delay", "duration": "soon"},
        {"action": "update-profile"},
        {"action": "fetch-data", "webhook": {"url": "http://example.com"}},
        {"action": "cancel", "cancelation_token": "a", "ref": "again"},
        {"action": "cancel", "cancelation_token": "b", "ref": "again"},
    )
    assert list(found) == [
        "steps[0].recipient",
        "steps[0].template",
        "steps[1].duration",
        "steps[2].recipient_id",
        "steps[3].webhook.url",
        "steps[5].ref",
    ]
