"""Somebody is deleted: what was under way for them ends, and history names them no more."""

import asyncio
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from heliograph import channels
from heliograph.core import events, ids, pseudonyms, rules
from heliograph.engine import housekeeping
from heliograph.store import erasures, people, rows, schema
from tests import tables
from tests.web import client
from tests.web.test_journeys import steps_of

PROFILE = {"email": "ana.lee@example.com", "given_name": "Ana", "family_name": "Lee", "zoneinfo": "UTC"}
KEPT = ("consents", "subscriptions", "automations", "automation_versions")
"""What stays for whoever comes back under the same id, and what people define."""


def sweep(api: client.Client) -> int:
    return asyncio.run(api.world.app.housekeeping().erase())


def sweep_now(api: client.Client) -> None:
    """The same, bite by bite, where a loop runs already."""
    while erasures.step(api.store, api.world.workspace_id, api.clock.now()):
        pass


def named(api: client.Client, *words: str) -> list[tuple[str, str]]:
    """(table, word) where a word still stands in any row."""
    content = {name: str(rows) for name, rows in tables.content(api.store).items() if name not in KEPT}
    return [(name, word) for name, rows in content.items() for word in words if word in rows]


def live(api: client.Client) -> tuple[str, str]:
    """Ana buys, is written to, talks to us, and waits in a journey; gives the event and the journey's run."""
    api.put("/profiles/ana-7", {"profile": PROFILE})
    api.put("/users/ana-7/preferences/news", {"topic": {"status": "OPTED_IN"}})
    api.make_rule(
        conditions=[{"field": "contact.given_name", "operator": "equals", "value": "Ana"}],
        actions=[{"type": "send_message", "text": "Thank you, {{contact.given_name}}"}],
    )
    steps: list[dict[str, Any]] = [
        {"action": "delay", "duration": "1 day"},
        {"action": "send", "recipient": "ana-7", "template": "again"},
    ]
    api.world.template("again", subject="Again", text="Hello {{contact.given_name}}")
    payload = {"by": "Ana", "mail": "Ana.Lee@example.com", "text": "I am Ana Lee, banana 7", "n": 7}
    event = api.happen(contact_id="ana-7", conversation_id="k1", payload=payload)
    answer = api.post(
        "/automations/invoke",
        {"automation": {"steps": steps}, "recipient": "ana-7", "data": {"who": "ana.lee@example.com"}},
    )
    to = {"user_id": "ana-7", "email": "ana.lee@example.com"}
    said = {"to": [to, {"email": "ben@example.com"}], "content": {"title": "Hello", "body": "Hello there"}}
    assert api.post("/send", {"message": said}).status_code == 200
    api.decide()
    return event, str(answer.json()["runId"])


def test_somebody_who_was_deleted_is_gone(api: client.Client) -> None:
    """Their runs end CANCELED, what waits is canceled, and history tells the same of somebody without a name."""
    event, run = live(api)
    api.put("/api/sending-policy", {"quiet_hours": [{"start": "11:00", "end": "13:00"}]})
    api.happen(contact_id="ana-7", payload={"by": "Ana"})
    api.decide()
    assert len(api.get("/messages?status=DELAYED").json()["results"]) == 1
    assert api.delete("/profiles/ana-7").status_code == 204
    api.decide()
    told = api.get(f"/automations/runs/{run}/steps").json()["steps"]
    assert [one["status"] for one in told][-1] in ("CANCELED", "NOT PROCESSED", "SKIPPED")
    (canceled,) = api.get("/messages?status=CANCELED").json()["results"]
    assert canceled["error"] == "contact_deleted"
    api.world.pass_time(days=2)
    assert len(api.mailbox.received) == 3
    assert sweep(api) > 0
    assert named(api, "ana-7", "ana.lee@example.com", "Ana.Lee", "Lee", "Ana") == []
    explained = api.get(f"/api/automation/events/{event}/explain").json()
    name = explained["event"]["contact_id"]
    assert name.startswith("deleted-")
    assert explained["event"]["payload"] == {
        "by": name,
        "mail": name,
        "text": f"I am {name} {name}, banana 7",
        "n": 7,
    }
    assert len(api.get("/messages", params={"recipient": name}).json()["results"]) == 3
    assert sweep(api) == 0


def test_the_last_of_very_many_rules_names_nobody(api: client.Client) -> None:
    """However many rules an event has met, whoever is deleted is taken out of the run of each of them."""
    live(api)
    (event,), (decided,) = (tables.rows(api.store, name) for name in ("events", "decisions"))
    (first,) = [row for row in tables.rows(api.store, "runs") if row["event_id"] == event["id"]]
    last = ids.of_run(event["id"], 5_000, ids.head(decided["decided_at"]))
    with api.store.writing() as connection:
        connection.execute(sa.insert(schema.runs).values(**{**first, "id": last}))
    assert api.delete("/profiles/ana-7").status_code == 204
    api.decide()
    sweep(api)
    assert named(api, "ana-7", "Ana") == []


@pytest.mark.parametrize(
    "name",
    [
        {"family_name": "To"},
        {"given_name": "Said"},
        {"given_name": "Data"},
        {"given_name": "Meta", "family_name": "Single"},
    ],
)
def test_names_that_are_words_of_ours_hinder_nobody(api: client.Client, name: dict[str, str]) -> None:
    """Whatever somebody was called who is deleted: the others are written to, and history can be read."""
    api.put("/profiles/ana-7", {"profile": {"email": "ana@example.com", **name}})
    api.put("/profiles/ben-7", {"profile": {"email": "ben@example.com"}})
    elements = [{"type": "meta", "title": "Hello"}, {"type": "text", "content": "{{n}}"}]
    said = {
        "content": {"version": "2022-01-01", "elements": elements},
        "data": {"n": 1},
        "routing": {"method": "single", "channels": ["email"]},
    }
    steps = [{"action": "send", "message": {"to": {"user_id": "ana-7"}, **said}}]
    run = api.post("/automations/invoke", {"automation": {"steps": steps}, "recipient": "ana-7"}).json()[
        "runId"
    ]
    api.decide()
    api.post("/send", {"message": {"to": [{"user_id": "ben-7"}], **said, "delay": {"duration": 3_600_000}}})
    job = api.post("/bulk", {"message": {"event": "e", **said}}).json()["jobId"]
    api.post(f"/bulk/{job}", {"users": [{"recipient": "ben-7", "data": {"n": 2}}]})
    assert api.delete("/profiles/ana-7").status_code == 204
    sweep(api)
    assert tables.rows(api.store, "erasures") == []
    assert api.get(f"/automations/runs/{run}").json()["status"] == "PROCESSED"
    api.post(f"/bulk/{job}/run")
    api.world.pass_time(hours=2)
    told = [(mail.subject, mail.text) for mail in api.mailbox.to("ben@example.com")]
    assert told == [("Hello", "2"), ("Hello", "1")]


def test_nobody_waits_for_the_users_of_a_bulk_job(
    api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they are looked through for who was deleted others write; who is named is written anew, and nobody else."""
    looked_at, scrubbed = pseudonyms.Scrubber.changes, pseudonyms.Scrubber.value
    waited: list[str] = []

    def looked(scrubber: pseudonyms.Scrubber, texts: str) -> bool:
        with api.store.writing() as connection:
            connection.execute(sa.select(1))
        return looked_at(scrubber, texts)

    def read(scrubber: pseudonyms.Scrubber, given: Any) -> Any:
        waited.append(str(given))
        return scrubbed(scrubber, given)

    api.put("/profiles/ana-7", {"profile": PROFILE})
    said = {"content": {"title": "Hello", "body": "there"}}
    job = api.post("/bulk", {"message": {"event": "e", **said}}).json()["jobId"]
    users = [{"recipient": f"ben-{n}", "data": {"of": "Ana" if n == 5 else "Anabel"}} for n in range(50)]
    api.post(f"/bulk/{job}", {"users": users})
    assert api.delete("/profiles/ana-7").status_code == 204
    monkeypatch.setattr(pseudonyms.Scrubber, "changes", looked)
    monkeypatch.setattr(pseudonyms.Scrubber, "value", read)
    sweep(api)
    assert named(api, "ana-7", "'Ana'", '"Ana"') == []
    assert not [one for one in waited if "Anabel" in one]
    stands = tables.rows(api.store, "bulk_users")
    assert sum("Anabel" in row["given"] for row in stands) == 49


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_rule_does_nothing_more_for_somebody_who_was_deleted(
    api: client.Client, is_forgotten: bool
) -> None:
    """What its run waited for ends, and what was to follow is skipped: nobody comes back as a contact by it."""
    api.put("/profiles/ana-7", {"profile": PROFILE})
    api.make_rule(
        conditions=[],
        actions=[
            {"type": "send_message", "text": "Hello", "on_error": "stop"},
            {"type": "update_contact", "fields": {"greeted": True}},
            {"type": "add_tags", "tags": ["greeted"], "target": "contact"},
        ],
    )
    api.patch("/api/automation/control", {"hold_deliveries": True})
    event = api.happen(contact_id="ana-7")
    api.decide()
    assert api.delete("/profiles/ana-7").status_code == 204
    if is_forgotten:
        sweep(api)
    api.decide()
    (rule,) = api.get(f"/api/automation/events/{event}/explain").json()["rules"]
    told = [(one["status"], one["error"]) for one in rule["run"]["result"]["actions"]]
    assert told == [("skipped", "contact_deleted")] * 3
    assert tables.rows(api.store, "contacts") == []


def test_what_waits_for_somebody_who_was_deleted_is_not_sent(api: client.Client) -> None:
    """Nor to an address that came with it: what is for them alone is canceled, what is for several leaves them out."""
    for name in ("ana-7", "ben-7"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
    to = {"user_id": "ana-7", "email": "elsewhere@example.com"}
    later = {"content": {"title": "Hello", "body": "there"}, "delay": {"duration": 3_600_000}}
    alone = api.post("/send", {"message": {"to": to, **later}}).json()["requestId"]
    api.post("/send", {"message": {"to": [to, {"user_id": "ben-7"}], **later}})
    step = {"action": "send", "message": {"to": to, **later}}
    run = api.post("/automations/invoke", {"automation": {"steps": [step]}, "recipient": "ben-7"}).json()[
        "runId"
    ]
    job = api.post("/bulk", {"message": {"event": "e", "content": later["content"]}}).json()["jobId"]
    api.post(f"/bulk/{job}", {"users": [{"recipient": "ana-7", "profile": {"email": to["email"]}}]})
    api.decide()
    assert api.delete("/profiles/ana-7").status_code == 204
    told = api.get(f"/messages/{alone}").json()
    assert (told["status"], told["error"]) == ("CANCELED", "contact_deleted")
    api.decide()
    assert api.get(f"/automations/runs/{run}").json()["status"] == "PROCESSED"
    assert sweep(api) > 0
    # What ben's run was asked to do is his.
    kept = {table for table, _ in named(api, "ana-7", "elsewhere@example.com")}
    assert kept <= {"starts", "runs"}
    api.post(f"/bulk/{job}/run")
    api.world.pass_time(hours=2)
    assert [mail.recipient for mail in api.mailbox.received] == ["ben-7@example.com"]


@pytest.mark.parametrize("is_decided", [False, True])
def test_who_was_deleted_is_not_written_to_before_they_are_forgotten(
    api: client.Client, is_decided: bool
) -> None:
    """What several are sent, and the users of bulk jobs, leave them out from the answer to their deletion on."""
    for name in ("ana-7", "ben-7"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
    to = {"user_id": "ana-7", "email": "elsewhere@example.com"}
    said = {"content": {"title": "Hello", "body": "there"}}
    asked = {"to": [to, {"user_id": "ben-7"}], **said}
    several = api.post("/send", {"message": asked}).json()["requestId"]
    if is_decided:
        # The message to each of them is on its way to their partition.
        api.world.turns.take()
    else:
        api.post("/send", {"message": {**asked, "delay": {"duration": 60_000}}})
    job = api.post("/bulk", {"message": {"event": "e", **said}}).json()["jobId"]
    users = [{"recipient": name, "profile": {"email": to["email"]}} for name in ("ana-7", "ben-7")]
    api.post(f"/bulk/{job}", {"users": users})
    assert api.delete("/profiles/ana-7").status_code == 204
    api.clock.move(1_000)
    if is_decided:
        sweep_now(api)
    api.put("/profiles/ana-7", {"profile": {"email": "ana-7@example.com"}})
    api.clock.move(1_000)
    api.post(f"/bulk/{job}/run")
    api.world.pass_time(hours=1)
    assert {mail.recipient for mail in api.mailbox.received} == {"ben-7@example.com", "elsewhere@example.com"}
    assert [mail.recipient for mail in api.mailbox.received].count("elsewhere@example.com") == 1
    (canceled,) = api.get("/messages", params={"traceId": several, "status": "CANCELED"}).json()["results"]
    assert canceled["error"] == "contact_deleted"
    sweep(api)
    api.decide()
    sweep(api)
    assert tables.rows(api.store, "erasures") == []
    api.post("/send", {"message": asked})
    api.decide()
    assert [mail.recipient for mail in api.mailbox.received].count("elsewhere@example.com") == 2


def test_runs_forget_by_whose_key_they_were_started(api: client.Client) -> None:
    """Of a birthday and of what is done once for each person, the keys alone stay, for whoever comes back."""
    api.put("/profiles/ana-7", {"profile": {**PROFILE, "birthdate": "1990-01-05"}})
    api.world.template("t", subject="Hello", text="Hello")
    api.world.date_automation(template="t", actiontimediff=0)
    api.world.journey(
        "once", {"action": "delay", "duration": "1 minute"}, trigger={"event_type": "custom.a", "once": True}
    )
    api.happen("custom.a", contact_id="ana-7")
    api.world.pass_time(days=1)
    keys = tables.rows(api.store, "start_keys")
    assert {row["start_key"] for row in keys} == {"ana-7:2026", "once:ana-7"}
    api.delete("/profiles/ana-7")
    assert sweep(api) > 0
    assert {table for table, _ in named(api, "ana-7")} == {"start_keys"}
    assert tables.rows(api.store, "start_keys") == keys
    ran = {row["start_key"] for row in tables.rows(api.store, "runs") if row["start_key"] is not None}
    assert {len(key) for key in ran} == {len("once:deleted-5f0c3a9e12b7"), len("deleted-5f0c3a9e12b7:2026")}


@pytest.mark.parametrize("standing", ["in line", "failed", "held"])
def test_what_nobody_had_decided_meets_no_rule(api: client.Client, standing: str) -> None:
    """An event that waits while whom it is about is taken out of history is done with: no rule acts on a pseudonym."""
    api.put("/profiles/ana-7", {"profile": PROFILE})
    acts = [
        {"type": "update_contact", "fields": {"vip": True}},
        {"type": "notify", "emails": ["team@example.com"], "text": "Look"},
    ]
    api.make_rule(trigger_type="custom.a", actions=acts)
    api.patch("/api/automation/control", {"is_paused": True})
    event = api.happen("custom.a", contact_id="ana-7")
    key = (api.world.workspace_id, ids.parse(event) or b"")
    if standing == "failed":
        api.patch("/api/automation/control", {"is_paused": False})
        api.world.turns._culprits[key] = RuntimeError("broken")
        api.world.turns.take()
    elif standing == "held":
        with api.store.writing() as connection:
            connection.execute(sa.delete(schema.due))
            looked_at = rows.Decision(*key, events.State.HELD, 1, None, api.clock.now(), 1, "held: too late")
            connection.execute(sa.insert(schema.decisions).values(looked_at._asdict()))
    assert api.delete("/profiles/ana-7").status_code == 204
    assert sweep(api) > 0
    api.patch("/api/automation/control", {"is_paused": False})
    api.world.pass_time(hours=1)
    found = api.get(f"/api/automation/events/{event}/explain").json()["event"]
    assert (found["status"], found["error"]) == ("processed", "contact_deleted")
    assert found["contact_id"].startswith("deleted-")
    assert api.runs(event) == []
    assert (api.mailbox.received, tables.rows(api.store, "contacts")) == ([], [])
    assert tables.waiting(api.store) == set()


def test_a_rollout_tells_no_bucket_of_somebody_who_was_deleted(api: client.Client) -> None:
    """Whether the rule was on for them stays told; the bucket, which nobody can work out any more, is not made up."""
    rule = api.make_rule(rollout_percentage=50, conditions=None)["id"]
    names = [f"somebody-{number}" for number in range(100)]
    places = {name: rules.bucket(ids.parse(rule) or b"", f"contact:{name}") for name in names}
    states = {min(names, key=places.__getitem__): "open", max(names, key=places.__getitem__): "closed"}
    happened = {name: api.happen(contact_id=name) for name in states}
    api.decide()
    for name, event in happened.items():
        (gate,) = api.runs(event)[0]["result"]["gates"]
        assert (gate["state"], gate["bucket"]) == (states[name], places[name])
        api.put(f"/profiles/{name}", {"profile": PROFILE})
        api.delete(f"/profiles/{name}")
    sweep(api)
    for name, event in happened.items():
        (run,) = api.runs(event)
        (gate,) = run["result"]["gates"]
        assert (gate["state"], "bucket" in gate) == (states[name], False)
        assert run["contact_id"] in gate["note"]


def test_what_is_no_id_holds_up_no_erasure(api: client.Client) -> None:
    """A user of a bulk job that was stored with a list for a `recipient` holds nobody up, whoever it names."""
    api.put("/profiles/ana-7", {"profile": PROFILE})
    hello = {"event": "hello", "content": {"title": "Hello", "body": "Hello"}}
    job = api.post("/bulk", {"message": hello}).json()["jobId"]
    users = [{"recipient": "ben", "to": {"locale": "en"}}, {"recipient": "ana-7", "profile": PROFILE}]
    assert api.post(f"/bulk/{job}", {"users": users}).status_code == 200
    odd = {"recipient": ["ana-7"], "to": {"user_id": {"a": 1}}}
    with api.store.writing() as connection:
        of_ben = schema.bulk_users.c.ordinal == 0
        connection.execute(sa.update(schema.bulk_users).where(of_ben).values(given=msgspec.json.encode(odd)))
    assert api.delete("/profiles/ana-7").status_code == 204
    sweep_now(api)
    assert named(api, "ana-7", "ana.lee@example.com") == []


def test_an_erasure_goes_on_after_any_crash(api: client.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bite by bite, each whole: what a process left that died between any two of them, the next one finishes."""
    live(api)
    for name in ("_AT_ONCE", "_EVENTS_AT_ONCE"):
        monkeypatch.setattr(erasures, name, 1)
    monkeypatch.setattr(housekeeping, "_BREATH", 0)
    api.delete("/profiles/ana-7")
    api.put("/profiles/ana-7", {"profile": {**PROFILE, "given_name": "Anna"}})
    api.clock.move(1_000)
    back = api.happen(contact_id="ana-7", payload={"mail": "ana.lee@example.com"})
    api.decide()
    steps = 0
    while erasures.step(api.store, api.world.workspace_id, api.clock.now()):
        # A process of its own for each bite.
        steps += 1
        assert steps < 50
    assert steps > 2
    assert named(api, "'Ana'", "Ana Lee") == []
    assert api.get("/profiles/ana-7").json()["profile"]["given_name"] == "Anna"
    explained = api.get(f"/api/automation/events/{back}/explain").json()
    assert (explained["event"]["contact_id"], explained["event"]["payload"]) == (
        "ana-7",
        {"mail": "ana.lee@example.com"},
    )


def test_what_is_in_hand_ends_before_it_is_forgotten(api: client.Client) -> None:
    """A message that a delivery holds is left to it; if it comes back it is canceled, and then it is forgotten."""
    api.put("/profiles/ana-7", {"profile": PROFILE})
    api.make_rule(conditions=None, actions=[{"type": "send_message", "text": "Hello"}])
    before = api.mailbox.answer

    def busy(_: channels.Outgoing) -> channels.Answer:
        people.delete_contact(api.store, api.world.workspace_id, None, "ana-7", api.clock.now())
        sweep_now(api)
        return channels.Answer(channels.Outcome.TEMPORARY, "sink", None, "450", "busy, Ana")

    api.mailbox.answer = busy
    api.happen(contact_id="ana-7")
    api.decide()
    api.mailbox.answer = before
    assert len(tables.rows(api.store, "erasures")) == 1
    api.world.pass_time(hours=1)
    assert len(api.mailbox.received) == 0
    (letter,) = api.get("/messages").json()["results"]
    assert (letter["status"], letter["error"]) == ("CANCELED", "contact_deleted")
    sweep(api)
    api.decide()
    sweep(api)
    assert named(api, "ana-7", "ana.lee@example.com") == []
    assert tables.rows(api.store, "erasures") == []


def test_nobody_waits_for_somebody_else_to_be_forgotten(api: client.Client) -> None:
    """While something of one person is on its way, those who are deleted after them are taken out of history."""
    for name in ("ana-7", "ben-8", "cleo-9"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
    api.make_rule(conditions=None, actions=[{"type": "send_message", "text": "Hello"}])
    api.happen(contact_id="ben-8")
    api.happen(contact_id="cleo-9")
    api.decide()
    before, left = api.mailbox.answer, []

    def busy(outgoing: channels.Outgoing) -> channels.Answer:
        for name in ("ana-7", "ben-8", "cleo-9"):
            people.delete_contact(api.store, api.world.workspace_id, None, name, api.clock.now())
            sweep_now(api)
            left.append(sorted({word for _, word in named(api, "ana-7", "ben-8", "cleo-9")}))
        return before(outgoing)

    api.mailbox.answer = busy
    api.happen(contact_id="ana-7")
    api.decide()
    assert left == [["ana-7", "ben-8", "cleo-9"], ["ana-7", "cleo-9"], ["ana-7"]]
    sweep(api)
    assert named(api, "ana-7") == []
    assert tables.rows(api.store, "erasures") == []


def test_what_bounced_goes_with_whoever_it_bounced_from(api: client.Client) -> None:
    """Soft bounces of their address are forgotten, of others kept, as are addresses that nothing is sent to."""
    for name in ("ana", "ben"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
        said = {"to": {"user_id": name}, "content": {"title": "Hello", "body": "Hello"}}
        mail = api.post("/send", {"message": said}).json()["requestId"]
        api.decide()
        api.world.report(ids.text(ids.of_wire(mail) or b""), "bounced", bounce="soft")
        api.decide()
    api.post("/api/suppressions", {"address": "ana@example.com"})
    assert [row["address"] for row in tables.rows(api.store, "soft_bounces")] == [
        "ana@example.com",
        "ben@example.com",
    ]
    api.delete("/profiles/ana")
    sweep_now(api)
    assert [row["address"] for row in tables.rows(api.store, "soft_bounces")] == ["ben@example.com"]
    assert named(api, "ana@example.com") == [("suppressions", "ana@example.com")]


def test_who_comes_back_and_is_deleted_again_takes_both_lives_along(api: client.Client) -> None:
    """Deleted twice before anybody has looked, somebody is gone as who they were first, and as who they were then."""
    for mail in ("old.mail@example.com", "new.mail@example.com"):
        api.put("/profiles/ana-7", {"profile": {"email": mail}})
        api.happen(contact_id="ana-7", payload={"mail": mail})
        api.decide()
        assert api.delete("/profiles/ana-7").status_code == 204
        api.decide()
        api.world.pass_time(seconds=1)
    sweep(api)
    assert named(api, "ana-7", "old.mail@example.com", "new.mail@example.com") == []


ADDRESSED: tuple[dict[str, Any], ...] = (
    {
        "action": "send",
        "message": {"to": {"email": PROFILE["email"]}, "content": {"title": "t", "body": "b"}},
    },
    {
        "action": "send",
        "recipient": "ana-7",
        "template": "t",
        "override": {"email": {"reply_to": PROFILE["email"]}},
    },
    {"action": "update-profile", "recipient_id": "ana-7", "profile": PROFILE, "merge": "replace"},
)


def test_steps_that_named_an_address_are_still_told(lone_api: client.Client) -> None:
    """A run whose own steps named somebody by their address tells its steps after they were deleted, too."""
    lone_api.put("/profiles/ana-7", {"profile": PROFILE})
    begun = [
        lone_api.post("/automations/invoke", {"automation": {"steps": [one]}, "recipient": "ana-7"})
        for one in ADDRESSED
    ]
    lone_api.decide()
    before = [steps_of(lone_api, one.json()["runId"]) for one in begun]
    assert lone_api.delete("/profiles/ana-7").status_code == 204
    lone_api.decide()
    sweep(lone_api)
    after = [steps_of(lone_api, one.json()["runId"]) for one in begun]
    assert [one["status"] for (one,) in after] == [one["status"] for (one,) in before]
    assert PROFILE["email"] not in str(after)


def called_ana(api: client.Client, key: str) -> tuple[str, str]:
    """What somebody has under way and behind them with whoever holds this key; gives the event, and the run."""
    mail = "ana@example.com"
    told = {"to": {"user_id": "ana", "email": mail}, "content": {"title": "Hello", "body": "Ana Lee"}}
    steps = [{"action": "delay", "duration": "1 day"}, {"action": "send", "message": told}]
    automation = {"automation": {"steps": steps}, "recipient": "ana", "profile": {"email": mail}}
    run = api.post("/automations/invoke", automation, key=key).json()["runId"]
    for message in (told, {**told, "delay": {"duration": 86_400_000}}, {**told, "to": {"email": mail}}):
        assert api.post("/send", {"message": message}, key=key).status_code == 200
    job = api.post("/bulk", {"message": {"event": "x", "content": {"title": "t", "body": "b"}}}, key=key)
    users = {"users": [{"to": told["to"], "data": {"called": "Ana Lee"}}]}
    assert api.post(f"/bulk/{job.json()['jobId']}", users, key=key).status_code == 200
    api.put("/users/ana/preferences/news", {"topic": {"status": "OPTED_OUT"}}, key=key)
    conversation = {"id": f"k-{key[-5:]}", "contact_id": "ana"}
    assert api.post("/api/conversations", conversation, key=key).status_code == 201
    event = api.happen("custom.a", key=key, contact_id="ana", payload={"who": "Ana Lee", "mail": mail})
    api.decide()
    return event, str(run)


def known_of_ana(api: client.Client, key: str, event: str, run: str) -> list[str]:
    """All that whoever holds this key reads of these."""
    messages = api.get("/messages", key=key).json()["results"]
    read = [f"/messages/{one['id']}/{part}" for one in messages for part in ("output", "history")]
    paths = (
        *("/messages", "/tenants/bank/users", "/preferences/logs", "/api/conversations"),
        *(f"/automations/runs/{run}", f"/automations/runs/{run}/steps", f"/api/automation/events/{event}"),
    )
    return [api.get(path, key=key).text for path in (*paths, *read)]


def test_a_tenant_deletes_nobody_of_another_one(api: client.Client) -> None:
    """Whom a tenant deletes goes from what it and the workspace have; another tenant's of that name is untouched."""
    shop, bank = api.key("admin", tenant="shop"), api.key("admin", tenant="bank")
    for tenant, key in (("shop", shop), ("bank", bank)):
        api.put(f"/tenants/{tenant}", {"name": tenant})
        api.put(f"/users/ana/tenants/{tenant}", {"profile": {"seat": tenant}}, key=key)
    profile = {"email": "ana@example.com", "given_name": "Ana", "family_name": "Lee"}
    api.put("/profiles/ana", {"profile": profile}, key=shop)
    theirs, ours, everybodys = (called_ana(api, key) for key in (bank, shop, ""))
    waiting = api.happen("custom.a", key=bank, contact_id="ana")
    before = known_of_ana(api, bank, *theirs)
    assert api.delete("/profiles/ana", key=shop).status_code == 204
    api.decide()
    sweep(api)
    sweep(api)
    assert tables.rows(api.store, "erasures") == []
    assert known_of_ana(api, bank, *theirs) == before
    assert api.get(f"/api/automation/events/{waiting}", key=bank).json()["error"] is None
    assert "Lee" not in str(known_of_ana(api, shop, *ours))
    api.clock.move(2 * 86_400 * 1_000_000)
    api.decide()
    told = [[one["status"] for one in steps_of(api, run)] for _, run in (theirs, ours, everybodys)]
    assert told == [["PROCESSED", "PROCESSED"], ["CANCELED", "CANCELED"], ["CANCELED", "CANCELED"]]
    assert len(api.mailbox.to("ana@example.com")) == 3 * 2 + 2, "what waited for the bank's came to them"
    api.put("/profiles/ana", {"profile": profile}, key=bank)
    assert api.delete("/profiles/ana").status_code == 204
    api.decide()
    sweep(api)
    assert named(api, "Lee") == [], "the workspace means all of them"


def test_where_a_campaign_has_come_to_names_nobody(api: client.Client) -> None:
    """A campaign that has walked over somebody who is deleted keeps no word of them."""
    api.put("/profiles/ana-7", {"profile": {"email": "old.mail@example.com"}})
    world = api.world
    world.campaign(group=world.communication_group(subject="News", text_body="Hello {{ contact.email }}"))
    world.run_until_idle()
    assert len(api.mailbox.received) == 1
    assert api.delete("/profiles/ana-7").status_code == 204
    api.decide()
    sweep(api)
    assert named(api, "ana-7", "old.mail@example.com") == []


TAKEN = "deleted-0123456789ab"


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("put", f"/profiles/{TAKEN}", {"profile": {}}, "user_id"),
        ("post", f"/profiles/{TAKEN}", {"profile": {}}, "user_id"),
        ("post", "/api/contacts", {"id": TAKEN}, "id"),
        ("post", "/api/automation/events", {"event_type": "custom.a", "contact_id": TAKEN}, "contact_id"),
        ("post", "/send", {"message": {"to": {"user_id": TAKEN}, "template": "t"}}, "message.to.user_id"),
        (
            "post",
            "/lists/fans/subscriptions",
            {"recipients": [{"recipientId": TAKEN}]},
            "recipients[0].recipientId",
        ),
        ("put", f"/lists/fans/subscriptions/{TAKEN}", {}, "user_id"),
        ("post", f"/profiles/{TAKEN}/lists", {"lists": [{"listId": "fans"}]}, "user_id"),
        ("put", f"/users/{TAKEN}/preferences/news", {"topic": {"status": "OPTED_IN"}}, "user_id"),
        ("put", f"/users/{TAKEN}/tokens/t1", {"provider_key": "expo"}, "user_id"),
        (
            "post",
            "/automations/invoke",
            {"automation": {"steps": [{"action": "delay", "duration": "1 day"}]}, "recipient": TAKEN},
            "recipient",
        ),
    ],
)
def test_nobody_is_called_as_somebody_who_was_deleted(
    lone_api: client.Client, method: str, path: str, body: dict[str, Any], place: str
) -> None:
    """An id of the form of the names in history is refused where it enters: whoever had it would count as deleted."""
    before = tables.content(lone_api.store)
    answer = getattr(lone_api, method)(path, body)
    assert answer.status_code in (400, 422), answer.text
    found = client.faults(answer)
    assert list(found) == [place]
    assert "stands for somebody who was deleted" in found[place]
    assert tables.content(lone_api.store) == before


def test_what_only_begins_like_somebody_who_was_deleted_is_an_id(lone_api: client.Client) -> None:
    """It is the whole form alone that is refused."""
    for user_id in (
        "deleted-0123456789",
        "deleted-0123456789abc",
        "deleted-0123456789AB",
        "x-deleted-0123456789ab",
    ):
        assert lone_api.put(f"/profiles/{user_id}", {"profile": {}}).status_code == 200


TO_TAKEN = {"user_id": "${data.who}"}


@pytest.mark.parametrize(
    "step",
    [
        {"action": "update-profile", "recipient_id": "${data.who}", "profile": {"a": 1}},
        {"action": "subscribe", "list_id": "fans", "recipient_id": "${data.who}"},
        {"action": "send", "recipient": "${data.who}", "template": "letter"},
        {"action": "send", "message": {"to": TO_TAKEN, "content": {"title": "t", "body": "b"}}},
        {"action": "invoke", "template": "welcome", "context": {"recipient": "${data.who}"}},
    ],
)
def test_a_step_names_nobody_as_somebody_who_was_deleted(
    lone_api: client.Client, step: dict[str, Any]
) -> None:
    """A journey's step whose recipient comes to be such an id ends the run, which says why, and leaves nothing."""
    wait = {"steps": [{"action": "delay", "duration": "1 day"}]}
    lone_api.put("/automations/templates/welcome", {"name": "W", "status": "published", **wait})
    asked = {"automation": {"steps": [step]}, "data": {"who": TAKEN}}
    run_id = lone_api.post("/automations/invoke", asked).json()["runId"]
    lone_api.decide()
    told = lone_api.get(f"/automations/runs/{run_id}").json()
    assert told["status"] == "ERROR"
    assert "stands for somebody who was deleted" in steps_of(lone_api, run_id)[0]["error"]["message"]
    assert named(lone_api, f"'user_id': '{TAKEN}'", f"'contact_id': '{TAKEN}'") == []


def test_an_action_names_nobody_as_somebody_who_was_deleted(lone_api: client.Client) -> None:
    """An event that a rule emits is about nobody of such an id: the action fails and says why."""
    emit = {"type": "emit_event", "event_type": "custom.b", "contact_id": "{{ payload.who }}"}
    static = {**emit, "contact_id": TAKEN}
    refused = lone_api.post("/api/automation/rules", {**client.RULE, "actions": [static]})
    assert "stands for somebody who was deleted" in str(client.faults(refused)["actions[0].contact_id"])
    update = {"type": "update_contact", "fields": {"plan": "max"}}
    lone_api.make_rule(trigger_type="custom.a", conditions=[], actions=[emit])
    lone_api.make_rule(trigger_type="custom.b", conditions=[], actions=[update])
    event_id = lone_api.happen("custom.a", payload={"who": TAKEN})
    lone_api.decide()
    (run,) = lone_api.runs(event_id)
    assert "stands for somebody who was deleted" in str(run)
    assert tables.rows(lone_api.store, "contacts") == []
