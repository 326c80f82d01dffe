"""Tenant automations over HTTP: campaigns from draft to completed."""

from typing import Any

import pytest

from heliograph.core import ids
from tests.web import client
from tests.web.campaigning import (
    action,
    campaign,
    condition,
    data,
    group,
    person,
    read,
    received,
    segment,
    set_status,
)

LATER = {"scheduled_at": "2026-01-05T15:00:00+02:00"}
"""An hour after a client's clock begins."""


def crowd(api: client.Client, count: int, **profile: Any) -> None:
    """So many people with an address."""
    for number in range(count):
        person(api, f"c{number}", email=f"c{number}@example.com", given_name=f"N{number}", **profile)


@pytest.mark.spec("S0-02", "S0-03", "S0-05", "S0-06", "S0-07", "S0-10")
def test_a_campaign_is_returned_as_it_was_made(api: client.Client) -> None:
    """What a campaign is created with can be read back, field for field."""
    key = api.key("admin", tenant="shop")
    actions = [action(group(api, key))]
    trigger = {
        "trigger_type": "one_time",
        "scheduled_at": "2026-11-27T09:00:00",
        "timezone": "America/New_York",
    }
    made = campaign(api, key, name="Sale", description="Once", trigger_metadata=trigger, action_data=actions)
    assert (made["name"], made["description"], made["business_id"]) == ("Sale", "Once", "shop")
    assert (made["trigger_type"], made["trigger_metadata"]) == ("one_time", trigger)
    assert (made["action_data"], made["include_segments"]) == (actions, ["all_users"])
    assert made["id"]
    assert made["created_at"] == made["updated_at"]
    assert made["last_error"] is None
    assert read(api, made["id"], key) == made
    assert data(api.get("/api/automations", key=key))["results"] == [made]


@pytest.mark.spec("S0-04", "S0-08", "S0-09", "S0-31", "S0-32", "S0-34")
def test_a_campaign_can_be_changed_while_it_is_a_draft(api: client.Client) -> None:
    """Each field that is given is replaced whole, the others stay."""
    one, two = segment(api, condition("a", "exists")), segment(api, condition("b", "exists"))
    made = campaign(api, include_segments=[one])
    path = f"/api/automations/{made['id']}"
    group_id = group(api)
    changed = data(
        api.patch(
            path, {"include_segments": [two], "exclude_segments": [one], "action_data": [action(group_id)]}
        )
    )
    assert (changed["include_segments"], changed["exclude_segments"]) == ([two], [one])
    (done,) = changed["action_data"]
    assert done["action_type"] == "send_communication"
    assert done["action_metadata"] == {"communication_group_id": group_id}
    assert (changed["name"], changed["status"], changed["version"]) == (made["name"], "draft", 2)
    assert data(api.patch(path, {"exclude_segments": None}))["exclude_segments"] == []


@pytest.mark.spec("S0-12", "S0-15", "S0-19", "S0-21", "S0-22", "S0-41")
def test_a_campaign_goes_its_way_by_itself(api: client.Client) -> None:
    """Activated, it is locked a minute before its time, runs at its time to who is then in its audience, and ends."""
    crowd(api, 3, plan="free")
    pro, staff = (
        segment(api, condition(name, "equals", value)) for name, value in (("plan", "pro"), ("staff", True))
    )
    made = campaign(api, include_segments=[pro], exclude_segments=[staff], trigger_metadata=LATER)
    assert set_status(api, made["id"], "active")["due_at"] == "2026-01-05T13:00:00.000000Z"
    api.decide()
    assert read(api, made["id"])["status"] == "active"
    person(api, "c1", email="c1@example.com", given_name="Ana", plan="pro")
    person(api, "c2", email="c2@example.com", plan="pro", staff=True)
    api.world.pass_time(minutes=59, seconds=30)
    assert read(api, made["id"])["status"] == "scheduled"
    assert received(api) == []
    api.world.pass_time(minutes=1)
    (mail,) = api.mailbox.received
    assert (mail.recipient, mail.subject, mail.text) == ("c1@example.com", "Sale, Ana!", "Dear Ana, come by.")
    ended = read(api, made["id"])
    assert (ended["status"], ended["started_at"]) == ("completed", "2026-01-05T13:00:00.000000Z")
    assert ended["progress"] == {
        "percent_judged": 100, "judged": 3, "jobs": 1, "pending": 0, "sent": 1, "skipped": 0, "failed": 0,
        "uncertain": 0,
    }  # fmt: skip


@pytest.mark.spec("S0-27", "S0-28", "S0-29", "S0-30", "S3-37", "S3-38")
def test_the_audience_is_the_included_minus_the_excluded(api: client.Client) -> None:
    """One communication to each person of any included segment, none to whom an excluded one holds."""
    for number in range(6):
        person(api, f"c{number}", email=f"c{number}@example.com", n=number)
    person(api, "c6", email="c6@example.com")
    small, even, large = (
        segment(api, condition("n", "less_than", 4)),
        segment(api, condition("n", "equals", [0, 2, 4])),
        segment(api, condition("n", "greater_than", 2), condition("n", "not_equals", 4)),
    )
    made = campaign(api, include_segments=[small, even], exclude_segments=[large])
    set_status(api, made["id"], "active")
    api.decide()
    assert received(api) == [f"c{number}@example.com" for number in (0, 1, 2, 4)]


@pytest.mark.spec("S0-20", "S0-23", "S0-33", "S0-38", "S3-02")
def test_jobs_are_listed(api: client.Client) -> None:
    """Each eligible person has a job, with its channel, status and attempts; who has no address is skipped."""
    crowd(api, 3)
    person(api, "mute", plan="pro")
    made = campaign(api)
    assert data(api.get(f"/api/automations/{made['id']}/recipients"))["results"] == []
    set_status(api, made["id"], "active")
    api.decide()
    path = f"/api/automations/{made['id']}/recipients"
    listed = data(api.get(path))
    assert listed["pagination"] == {"has_next_page": False, "total": 4, "cursor": None}
    jobs = {one["user_id"]: one for one in listed["results"]}
    assert jobs.keys() == {"c0", "c1", "c2", "mute"}
    sent = jobs["c0"]
    assert (sent["status"], sent["channel"], sent["address"]) == ("sent", "email", "c0@example.com")
    assert (sent["attempts"], sent["action_index"], sent["automation_id"]) == (1, 0, made["id"])
    assert sent["sent_at"] > sent["created_at"][:10]
    assert sent["provider_message_id"] == sent["id"]
    assert (jobs["mute"]["status"], jobs["mute"]["skip_reason"]) == ("skipped", "no_address")
    assert [one["user_id"] for one in data(api.get(path, params={"status": "skipped"}))["results"]] == [
        "mute"
    ]
    first = data(api.get(path, params={"limit": 3}))
    rest = data(api.get(path, params={"limit": 3, "cursor": first["pagination"]["cursor"]}))
    assert first["results"] + rest["results"] == listed["results"]
    statistics = data(api.get(f"/api/automations/{made['id']}/statistics"))
    assert statistics["email"] == {
        "number_sent": 3, "number_failed": 0, "number_skipped": 1, "number_pending": 0,
    }  # fmt: skip


def test_jobs_that_bounce_count_as_failed(api: client.Client) -> None:
    """What comes back later has failed, in the list and in every count; what arrives after all is sent again."""
    crowd(api, 3)
    made = campaign(api)
    set_status(api, made["id"], "active")
    api.decide()
    path = f"/api/automations/{made['id']}"
    jobs = {one["user_id"]: one["id"] for one in data(api.get(f"{path}/recipients"))["results"]}

    def count() -> tuple[list[int], list[str]]:
        progress = read(api, made["id"])["progress"]
        statistics = data(api.get(f"{path}/statistics"))["email"]
        counts = [progress["sent"], progress["failed"], progress["pending"]]
        assert counts == [statistics[f"number_{name}"] for name in ("sent", "failed", "pending")]
        for status, number in zip(("sent", "failed"), counts[:2], strict=True):
            listed = data(api.get(f"{path}/recipients", params={"status": status}))
            assert listed["pagination"]["total"] == len(listed["results"]) == number
        failed = data(api.get(f"{path}/recipients", params={"status": "failed"}))["results"]
        return counts, sorted(one["user_id"] for one in failed)

    api.world.report(jobs["c0"], "bounced", bounce="hard")
    api.world.report(jobs["c0"], "bounced", bounce="hard")
    api.world.report(jobs["c1"], "bounced", bounce="soft")
    api.decide()
    assert count() == ([1, 2, 0], ["c0", "c1"])
    api.world.report(jobs["c1"], "delivered")
    api.world.report(jobs["c2"], "opened")
    api.decide()
    assert count() == ([2, 1, 0], ["c0"])
    assert read(api, made["id"])["status"] == "completed"


def test_text_messages_are_counted_apart(api: client.Client) -> None:
    """The statistics say of each channel what became of its jobs; who did not ask for text messages is skipped."""
    api.world.provider("twilio", "texts")
    crowd(api, 2, phone_number="+442079460101")
    topic = {"topic": {"status": "OPTED_IN", "has_custom_routing": True, "custom_routing": ["sms", "email"]}}
    assert api.put("/users/c0/preferences/*", topic).status_code == 200
    texts = {"name": "News", "email": None, "sms": {"message_body": "Come by"}}
    said = data(api.post("/api/communication-groups", texts), 201)["id"]
    made = campaign(api, action_data=[action(group(api)), action(said)])
    set_status(api, made["id"], "active")
    api.decide()
    assert data(api.get(f"/api/automations/{made['id']}/statistics")) == {
        "email": {"number_sent": 2, "number_failed": 0, "number_skipped": 0, "number_pending": 0},
        "sms": {"number_sent": 1, "number_failed": 0, "number_skipped": 1, "number_pending": 0},
    }


@pytest.mark.spec("S0-11", "S0-17")
def test_drafts_and_what_was_called_off_are_not_processed(api: client.Client) -> None:
    """Nothing happens to a draft or to a deactivated campaign, whatever their time is."""
    crowd(api, 1)
    draft = campaign(api, trigger_metadata=LATER)
    called_off = campaign(api, trigger_metadata=LATER)
    back = campaign(api, trigger_metadata=LATER)
    for one in (called_off, back):
        set_status(api, one["id"], "active")
    set_status(api, called_off["id"], "deactivated")
    set_status(api, back["id"], "draft")
    api.world.pass_time(hours=30)
    assert received(api) == []
    statuses = [read(api, one["id"])["status"] for one in (draft, called_off, back)]
    assert statuses == ["draft", "deactivated", "draft"]


@pytest.mark.spec("S0-14")
def test_a_scheduled_campaign_cannot_be_called_off_or_changed(api: client.Client) -> None:
    """Within a minute of its time every change is a 409, and it runs."""
    crowd(api, 1)
    made = campaign(api, trigger_metadata=LATER)
    set_status(api, made["id"], "active")
    api.world.pass_time(minutes=59, seconds=10)
    assert read(api, made["id"])["status"] == "scheduled"
    for change in ({"status": "deactivated"}, {"status": "draft"}, {"name": "x"}):
        refused = api.patch(f"/api/automations/{made['id']}", change)
        assert refused.status_code == 409
        assert refused.json()["success"] is False
    api.world.pass_time(minutes=1)
    assert received(api) == ["c0@example.com"]


@pytest.mark.spec("S0-18")
def test_clients_set_three_of_the_seven_states(api: client.Client) -> None:
    """A new campaign is a draft; states of the system cannot be set, nor moves that the table does not have."""
    made = campaign(api)
    assert made["status"] == "draft"
    path = f"/api/automations/{made['id']}"
    assert api.post("/api/automations", {"name": "x", "status": "active"}).status_code == 409
    for status in ("scheduled", "running", "completed", "failed", "deactivated"):
        assert api.patch(path, {"status": status}).status_code == 409
    unknown = api.patch(path, {"status": "paused"})
    assert (unknown.status_code, list(client.faults(unknown))) == (422, ["status"])
    assert read(api, made["id"])["status"] == "draft"
    set_status(api, made["id"], "active")
    api.decide()
    assert read(api, made["id"])["status"] == "completed"
    for status in ("draft", "active", "deactivated"):
        assert api.patch(path, {"status": status}).status_code == 409


@pytest.mark.spec("S0-25", "S0-26", "S0-37")
@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"trigger_metadata": {"scheduled_at": "2026-11-27T09:00:00"}}, "trigger_metadata.scheduled_at"),
        ({"trigger_metadata": {"scheduled_at": "soon", "timezone": "Europe/Paris"}}, "trigger_metadata.scheduled_at"),
        ({"trigger_metadata": {"scheduled_at": "2026-01-06T09:00:00"}}, "trigger_metadata.scheduled_at"),
        ({"trigger_metadata": {"scheduled_at": "9999-12-31T23:59:59", "timezone": "America/New_York"}},
         "trigger_metadata.scheduled_at"),
        ({"trigger_metadata": {"timezone": "Mars/Base"}}, "trigger_metadata.timezone"),
        ({"trigger_type": "segment_entry"}, "trigger_type"),
        ({"trigger_metadata": {"trigger_type": "daily"}}, "trigger_metadata.trigger_type"),
        ({"action_data": [{"action_type": "send_fax", "action_metadata": {"communication_group_id": "g"}}]},
         "action_data[0].action_type"),
        ({"action_data": [action("nothing")]}, "action_data[0].action_metadata.communication_group_id"),
        ({"include_segments": ["nobody"]}, "include_segments[0]"),
        ({"segments": []}, "segments"),
    ],
)  # fmt: skip
def test_a_wrong_campaign_is_refused(api: client.Client, fields: dict[str, Any], place: str) -> None:
    """Times without a zone, unknown triggers and actions, and what is not there are 422 with their place."""
    refused = api.post("/api/automations", {"name": "x", **fields})
    assert (refused.status_code, list(client.faults(refused))) == (422, [place])
    assert refused.json()["success"] is False
    assert data(api.get("/api/automations"))["pagination"]["total"] == 0


def test_what_a_campaign_lacks_is_told_when_it_is_activated(api: client.Client) -> None:
    """A segment, an action with a text, and a time to come are needed, and everything is told at once."""
    empty = data(api.post("/api/communication-groups", {}), 201)["id"]
    made = data(api.post("/api/automations", {"name": "x", "action_data": [action(empty)]}), 201)
    path = f"/api/automations/{made['id']}"
    refused = api.patch(
        path, {"status": "active", "trigger_metadata": {"scheduled_at": "2026-01-05T11:00:00Z"}}
    )
    assert refused.status_code == 422
    assert set(client.faults(refused)) == {
        "include_segments",
        "action_data[0].action_metadata.communication_group_id",
        "trigger_metadata.scheduled_at",
    }
    assert read(api, made["id"]) == made


@pytest.mark.spec("S0-13", "S0-16")
def test_a_running_campaign_can_be_stopped(api: client.Client) -> None:
    """While its jobs are sent it runs; stopped, it has failed, and what was not sent is skipped."""
    crowd(api, 4)
    api.patch("/api/automation/control", {"hold_deliveries": True})
    made = campaign(api)
    path = f"/api/automations/{made['id']}"
    assert api.post(f"{path}/stop").status_code == 409
    set_status(api, made["id"], "active")
    api.decide()
    running = read(api, made["id"])
    assert (running["status"], running["progress"]["pending"]) == ("running", 4)
    assert api.patch(path, {"name": "x"}).status_code == 409
    stopped = data(api.post(f"{path}/stop"))
    assert (stopped["status"], stopped["last_error"]) == ("failed", "stopped")
    for _ in range(2):
        progress = read(api, made["id"])["progress"]
        assert (progress["pending"], progress["skipped"]) == (0, 4)
        jobs = data(api.get(f"{path}/recipients"))["results"]
        assert {(one["status"], one["skip_reason"]) for one in jobs} == {("skipped", "stopped")}
        api.patch("/api/automation/control", {"hold_deliveries": False})
        api.decide()
    assert received(api) == []
    assert data(api.get(f"{path}/statistics"))["email"]["number_skipped"] == 4


def test_a_campaign_whose_group_was_emptied_fails_and_says_so(lone_api: client.Client) -> None:
    """`last_error` tells a group without a text from one that has a text message and nothing to send it by."""
    wanted = {
        None: "has no text any more",
        "Come by": "has a text message alone, and no provider sends those",
    }
    for text in wanted:
        said = group(lone_api)
        made = campaign(lone_api, action_data=[action(said)], trigger_metadata=LATER)
        set_status(lone_api, made["id"], "active")
        emptied = {"email": None, "sms": {"message_body": text}}
        data(lone_api.patch(f"/api/communication-groups/{said}", emptied))
    lone_api.world.pass_time(hours=30)
    ended = data(lone_api.get("/api/automations"))["results"]
    assert [one["status"] for one in ended] == ["failed", "failed"]
    for one, why in zip(ended, wanted.values(), strict=True):
        assert one["last_error"].endswith(why)


@pytest.mark.spec("S0-35", "S0-36")
def test_actions_are_performed_in_order(api: client.Client) -> None:
    """Several actions go out one after the other, as they stand in the array."""
    crowd(api, 3)
    groups = [group(api, subject=str(number), text_body="x") for number in (1, 2)]
    made = campaign(api, action_data=[action(one) for one in groups])
    set_status(api, made["id"], "active")
    api.decide()
    assert [mail.subject for mail in api.mailbox.received] == ["1"] * 3 + ["2"] * 3


@pytest.mark.spec("S0-40")
def test_a_campaign_is_duplicated_and_found(api: client.Client) -> None:
    """A duplicate is a draft that says the same; lists are searched, filtered and paged."""
    first = campaign(api, name="Summer")
    set_status(api, first["id"], "active")
    api.decide()
    twin = data(
        api.post("/api/automations", {"duplicate": True, "source_id": first["id"], "name": "Autumn"}), 201
    )
    assert (twin["name"], twin["status"], twin["action_data"]) == ("Autumn", "draft", first["action_data"])
    same = data(api.post("/api/automations", {"duplicate": True, "source_id": first["id"]}), 201)
    assert same["name"] == "Summer"

    def listed(**query: Any) -> list[str]:
        return [one["name"] for one in data(api.get("/api/automations", params=query))["results"]]

    assert listed() == ["Summer", "Autumn", "Summer"]
    assert listed(status="completed") == ["Summer"]
    assert listed(search="autu") == ["Autumn"]
    assert listed(limit=1) == ["Summer"]
    assert listed(cursor=twin["id"]) == ["Summer"]
    # What was last on a page may be in another state by now.
    assert listed(cursor=first["id"], status="draft") == ["Autumn", "Summer"]
    for given in ({"duplicate": True}, {"duplicate": "yes"}, {"name": "x", "source_id": first["id"]}):
        assert api.post("/api/automations", given).status_code == 422
    unknown = {"duplicate": True, "source_id": ids.text(bytes(16))}
    assert api.post("/api/automations", unknown).status_code == 404


@pytest.mark.spec("S0-01", "S0-42")
def test_a_business_sees_its_own_campaigns(api: client.Client) -> None:
    """Another business's campaigns, segments and groups do not exist, and its people receive nothing."""
    shop, club = (api.key("admin", tenant=name) for name in ("shop", "club"))
    person(api, "shop:1", key=shop, email="shop@example.com")
    person(api, "club:1", key=club, email="club@example.com")
    made = campaign(api, shop)
    path = f"/api/automations/{made['id']}"
    assert made["business_id"] == "shop"
    for answer in (
        api.get(path, key=club),
        api.patch(path, {"name": "x"}, key=club),
        api.post(f"{path}/stop", key=club),
        api.get(f"{path}/recipients", key=club),
        api.get(f"{path}/statistics", key=club),
        api.post("/api/automations", {"duplicate": True, "source_id": made["id"]}, key=club),
    ):
        assert answer.status_code == 404
    assert data(api.get("/api/automations", key=club))["results"] == []
    foreign = {"name": "x", "action_data": made["action_data"]}
    assert api.post("/api/automations", foreign, key=club).status_code == 422
    set_status(api, made["id"], "active", shop)
    api.decide()
    assert received(api) == ["shop@example.com"]
    (job,) = data(api.get(f"{path}/recipients", key=shop))["results"]
    assert job["user_id"] == "1"


@pytest.mark.spec("S3-41")
def test_a_deactivated_segment(api: client.Client) -> None:
    """It cannot be newly used, nor deactivated while a campaign waits for it; it adds nobody, and still excludes."""
    crowd(api, 3)
    everybody, some = segment(api, condition("email", "exists")), segment(api, condition("email", "exists"))
    waiting = campaign(api, include_segments=[everybody], trigger_metadata=LATER)
    set_status(api, waiting["id"], "active")
    assert api.patch(f"/api/segments/{everybody}", {"status": "deactivated"}).status_code == 409
    draft = campaign(api, include_segments=["all_users"], exclude_segments=[some])
    data(api.patch(f"/api/segments/{some}", {"status": "deactivated"}))
    assert api.post("/api/automations", {"name": "x", "include_segments": [some]}).status_code == 422
    assert data(api.patch(f"/api/automations/{draft['id']}", {"name": "Kept"}))["name"] == "Kept"
    assert api.patch(f"/api/automations/{draft['id']}", {"status": "active"}).status_code == 422
    set_status(api, waiting["id"], "deactivated")
    data(api.patch(f"/api/segments/{everybody}", {"status": "deactivated"}))
    question = {"include_segments": ["all_users", everybody], "exclude_segments": [some]}
    assert data(api.post("/api/segments/count", question))["count"] == 0


@pytest.mark.spec("S0-24")
def test_a_campaign_runs_once(api: client.Client) -> None:
    """Looked at by many turns, and by an engine that starts again, it reaches each person once."""
    crowd(api, 9)
    made = campaign(api, trigger_metadata=LATER)
    set_status(api, made["id"], "active")
    set_status(api, made["id"], "active")
    api.world.pass_time(minutes=60)
    api.world.turns = api.world.app.turns(api.world._session)
    api.world.pass_time(hours=3)
    assert received(api) == [f"c{number}@example.com" for number in range(9)]


def test_the_families_are_told_apart(lone_api: client.Client) -> None:
    """/api/automation and /api/automations are two families, each with its own shape of errors."""
    assert "error" in lone_api.get("/api/automation/rules/none").json()
    assert lone_api.get("/api/automations/none").json() == {
        "success": False,
        "message": "there is nothing with the id 'none': an id is a UUID",
        "errors": [],
    }
