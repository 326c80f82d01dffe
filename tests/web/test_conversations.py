"""Conversations over HTTP: written by people, listed, matched by rules, noted beside, each role as it may."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.web import client

PATH = "/api/conversations"


@pytest.fixture
def team(api: client.Client) -> None:
    """An agent and a division."""
    assert api.put("/api/agents/maya", {"name": "Maya", "email": "Maya@Example.com"}).status_code == 200
    assert api.put("/api/divisions/billing", {"name": "Billing"}).status_code == 200


def make(api: client.Client, identity: str, **fields: Any) -> dict[str, Any]:
    """A conversation, a second after the one before it."""
    api.clock.move(1_000_000)
    answer = api.post(PATH, {"id": identity, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def listed(api: client.Client, **query: Any) -> list[str]:
    answer = api.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


def test_a_conversation_is_made_changed_and_read(api: client.Client, team: None) -> None:
    """POST makes it with all it says, PATCH sets what it names, GET gives it back."""
    said = {
        "contact_id": "ana", "channel": "whatsapp", "status": "pending", "priority": "high", "agent_id": "maya",
        "division_id": "billing", "tags": ["vip", " vip", "refund"], "attributes": {"order": 7},
    }  # fmt: skip
    made = make(api, "wa/49 1", **said)
    assert made == {
        **said,
        "id": "wa/49 1",
        "number": made["number"],
        "tags": ["vip", "refund"],
        "created_at": "2026-01-05T12:00:01.000000Z",
        "updated_at": "2026-01-05T12:00:01.000000Z",
    }
    api.clock.move(1_000_000)
    path = f"{PATH}/{quote('wa/49 1', safe='')}"
    changed = api.patch(path, {"status": "resolved", "agent_id": None, "tags": []})
    wanted = {**made, "status": "resolved", "agent_id": None, "tags": []}
    assert changed.json() == {**wanted, "updated_at": "2026-01-05T12:00:02.000000Z"}
    assert api.get(path).json() == changed.json()


def test_a_conversation_begins_open(lone_api: client.Client) -> None:
    """Without a word about it a new one is open and normal, nobody's, and has an id that was made up."""
    made = lone_api.post(PATH, {}).json()
    assert len(made.pop("id")) == 36
    assert {
        name: made[name] for name in ("contact_id", "channel", "agent_id", "division_id")
    } == dict.fromkeys(("contact_id", "channel", "agent_id", "division_id"))
    assert (made["status"], made["priority"], made["tags"], made["attributes"]) == ("open", "normal", [], {})


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"status": "opne"}, {"status": 'unknown status "opne", did you mean "open"?'}),
        ({"priority": None, "stauts": 1}, {"priority": "is one of low", "stauts": "status"}),
        (
            {"agent_id": "nora", "division_id": "x"},
            {"agent_id": "no agent 'nora'", "division_id": "no division 'x'"},
        ),
        ({"contact_id": 7, "channel": ""}, {"contact_id": "1 to 255", "channel": "1 to 255"}),
        ({"tags": ["a", ""], "attributes": []}, {"tags[1]": "1 to 100", "attributes": "takes an object"}),
        ({"tags": "vip"}, {"tags": "list of texts"}),
        ({"tags": ["t"] * 51}, {"tags": "at most 50"}),
    ],
)
def test_what_is_wrong_is_refused_whole(
    lone_api: client.Client, body: dict[str, Any], places: dict[str, str]
) -> None:
    """All faults at once, each with its place, whether it is made or changed, and nothing is written."""
    lone_api.post(PATH, {"id": "k1", "status": "pending"})
    for answer in (lone_api.post(PATH, {"id": "k2", **body}), lone_api.patch(f"{PATH}/k1", body)):
        assert answer.status_code == 422, answer.text
        found = client.faults(answer)
        assert found.keys() == places.keys()
        assert all(words in found[place] for place, words in places.items())
    assert listed(lone_api) == ["k1"]
    assert lone_api.get(f"{PATH}/k1").json()["status"] == "pending"


def test_what_is_not_there_or_there_already(lone_api: client.Client) -> None:
    """An unknown id is 404 wherever it stands in a path, an id that is taken is 409, an id of nothing 422."""
    assert lone_api.post(PATH, {"id": "k1"}).status_code == 201
    assert lone_api.post(PATH, {"id": "k1"}).status_code == 409
    for identity in ("", "x" * 256, 7):
        assert list(client.faults(lone_api.post(PATH, {"id": identity}))) == ["id"]
    missing = (
        lone_api.get(f"{PATH}/no"),
        lone_api.patch(f"{PATH}/no", {"status": "open"}),
        lone_api.get(f"{PATH}/no/notes"),
        lone_api.post(f"{PATH}/no/notes", {"text": "hm"}),
    )
    assert [answer.status_code for answer in missing] == [404] * 4
    assert lone_api.patch(f"{PATH}/k1", {"attributes": {"a": "x" * 200_000}}).status_code == 413


def test_conversations_are_listed_by_what_they_say(api: client.Client, team: None) -> None:
    """Every filter finds those that say so, alone and together, newest first or oldest first."""
    make(api, "a", status="open", agent_id="maya", contact_id="ana", tags=["vip"])
    make(api, "b", status="closed", agent_id="maya", contact_id="ana", channel="sms")
    make(api, "c", status="open", division_id="billing", contact_id="bob", priority="urgent")
    assert listed(api) == ["c", "b", "a"]
    assert listed(api, sort_order="asc") == ["a", "b", "c"]
    for query, wanted in (
        ({"status": "open"}, ["c", "a"]),
        ({"agent_id": "maya"}, ["b", "a"]),
        ({"contact_id": "ana"}, ["b", "a"]),
        ({"division_id": "billing"}, ["c"]),
        ({"priority": "urgent"}, ["c"]),
        ({"channel": "sms"}, ["b"]),
        ({"tag": "vip"}, ["a"]),
        ({"created_from": "2026-01-05T12:00:02Z"}, ["c", "b"]),
        ({"created_to": "2026-01-05T12:00:02Z"}, ["a"]),
        ({"contact_id": "ana", "status": "open", "agent_id": "maya"}, ["a"]),
        ({"status": "pending"}, []),
    ):
        assert listed(api, **query) == wanted, query
        assert api.get(PATH, params=query).json()["total"] == len(wanted)


def test_a_walk_by_cursor_shows_every_conversation_once(api: client.Client) -> None:
    """Page by page, with filters and without, in both directions, also where several were made at one instant."""
    for number in range(7):
        if number % 3 == 0:
            api.clock.move(1_000_000)
        api.post(PATH, {"id": f"k|{number}", "status": "open" if number % 2 else "closed"})
    whole = listed(api)
    assert len(whole) == 7
    for query in ({}, {"sort_order": "asc"}, {"status": "open"}, {"tag": "none"}):
        wanted = listed(api, **query)
        seen: list[str] = []
        cursor = None
        for _ in range(9):
            page = api.get(
                PATH, params={**query, "per_page": 2, **({"cursor": cursor} if cursor else {})}
            ).json()
            seen += [one["id"] for one in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert (seen, cursor) == (wanted, None)
    assert api.get(PATH, params={"cursor": "yesterday"}).status_code == 400
    assert list(client.faults(api.get(PATH, params={"stat": "open"}))) == ["stat"]


def test_notes_are_kept_in_order(api: client.Client) -> None:
    """Notes say what, by whom and when; they are listed oldest first, page by page."""
    api.post(PATH, {"id": "k1"})
    for number in range(3):
        api.clock.move(1_000_000)
        answer = api.post(f"{PATH}/k1/notes", {"text": f" n{number} "})
        assert (answer.status_code, answer.json()["text"]) == (201, f"n{number}")
    first = api.get(f"{PATH}/k1/notes", params={"per_page": 2}).json()
    assert [one["text"] for one in first["data"]] == ["n0", "n1"]
    assert first["data"][0]["created_at"] == "2026-01-05T12:00:01.000000Z"
    assert first["data"][0]["author"].startswith("key:")
    rest = api.get(f"{PATH}/k1/notes", params={"per_page": 2, "cursor": first["next_cursor"]}).json()
    assert ([one["text"] for one in rest["data"]], rest["next_cursor"]) == (["n2"], None)
    for body in ({}, {"text": " "}, {"text": "x" * 10_001}, {"text": "a", "by": "me"}):
        assert api.post(f"{PATH}/k1/notes", body).status_code == 422


def test_the_next_event_meets_the_conversation_as_it_stands(api: client.Client, team: None) -> None:
    """A write has happened when it is answered: rules see it, and what they do to it can be read."""
    api.make_rule(
        conditions=[{"field": "conversation.agent_id", "operator": "equals", "value": "maya"}],
        actions=[
            {"type": "set_status", "status": "pending"},
            {"type": "add_note", "text": "She wrote again"},
        ],
    )
    api.post(PATH, {"id": "k1"})
    first = api.happen(conversation_id="k1")
    api.decide()
    api.patch(f"{PATH}/k1", {"agent_id": "maya"})
    second = api.happen(conversation_id="k1")
    api.decide()
    assert [api.runs(event)[0]["matched"] for event in (first, second)] == [False, True]
    assert api.get(f"{PATH}/k1").json()["status"] == "pending"
    (note,) = api.get(f"{PATH}/k1/notes").json()["data"]
    assert (note["text"], note["author"]) == ("She wrote again", f"rule:{api.runs(second)[0]['rule_id']}")


def test_a_write_over_http_is_told(api: client.Client, team: None) -> None:
    """PATCH of a conversation and of a contact are events of the engine's own, where a rule waits for them."""
    for trigger_type in ("conversation_assigned", "contact_updated", "contact_created"):
        api.make_rule(trigger_type=trigger_type, conditions=[])
    api.post(PATH, {"id": "k1", "contact_id": "ana"})
    api.patch(f"{PATH}/k1", {"agent_id": "maya"})
    api.post("/api/contacts", {"id": "ana", "profile": {"plan": "free"}})
    api.patch("/api/contacts/ana", {"profile": {"plan": "pro"}, "tags": ["vip"]})
    api.decide()
    found = api.get("/api/automation/events", params={"source": "engine", "status": "processed"}).json()[
        "data"
    ]
    assert {one["event_type"]: (one["payload"], one["previous"]) for one in found} == {
        "conversation_assigned": (
            {"agent_id": "maya", "division_id": None},
            {"agent_id": None, "division_id": None},
        ),
        "contact_created": ({"plan": "free", "tags": []}, None),
        "contact_updated": ({"plan": "pro", "tags": ["vip"]}, {"plan": "free", "tags": []}),
    }


def test_agents_work_with_conversations_and_contacts(lone_api: client.Client) -> None:
    """An agent's key reads and writes conversations and contacts and reads the team; an ingest key none (E28)."""
    agent, ingest = lone_api.key("agent"), lone_api.key("ingest")
    calls: tuple[tuple[str, str, Any], ...] = (
        ("POST", PATH, {"id": "k1"}),
        ("PATCH", f"{PATH}/k1", {"status": "closed"}),
        ("GET", f"{PATH}/k1", None),
        ("GET", PATH, None),
        ("POST", f"{PATH}/k1/notes", {"text": "hm"}),
        ("GET", f"{PATH}/k1/notes", None),
        ("POST", "/api/contacts", {"id": "ana"}),
        ("PATCH", "/api/contacts/ana", {"tags": ["vip"]}),
        ("GET", "/api/contacts/ana", None),
        ("GET", "/api/contacts", None),
        ("GET", "/api/agents", None),
        ("GET", "/api/divisions", None),
    )
    for method, path, body in calls:
        assert lone_api.send(method, path, key=ingest, json=body).status_code == 403, path
        assert lone_api.send(method, path, key=agent, json=body).status_code in (200, 201), path
    assert lone_api.put("/api/agents/me", {"name": "Me"}, key=agent).status_code == 403
    assert lone_api.get("/api/automation/rules", key=agent).status_code == 403


def test_a_tenants_conversations_are_its_own(api: client.Client) -> None:
    """A key of one tenant finds nothing of another one's conversations, contacts, agents."""
    shop, rival = api.key("admin", tenant="shop"), api.key("admin", tenant="rival")
    assert api.put("/api/agents/maya", {"name": "Maya"}, key=shop).status_code == 200
    assert api.post(PATH, {"id": "k1", "agent_id": "maya"}, key=shop).status_code == 201
    assert api.post("/api/contacts", {"id": "ana"}, key=shop).status_code == 201
    assert api.get(f"{PATH}/k1", key=rival).status_code == 404
    assert api.patch(f"{PATH}/k1", {"status": "closed"}, key=rival).status_code == 404
    assert api.patch("/api/contacts/ana", {"tags": ["x"]}, key=rival).status_code == 404
    for path in (PATH, "/api/contacts", "/api/agents"):
        assert api.get(path, key=rival).json()["data"] == []
        assert len(api.get(path, key=shop).json()["data"]) == 1
    assert list(client.faults(api.post(PATH, {"id": "k2", "agent_id": "maya"}, key=rival))) == ["agent_id"]
    assert api.put("/api/agents/maya", {"name": "Me"}, key=rival).status_code == 409
    assert api.delete("/api/agents/maya", key=rival).status_code == 404


def test_agents_and_divisions_come_and_go(api: client.Client, team: None) -> None:
    """PUT makes or renames, GET lists, DELETE lets go: then nothing new is assigned, and what was stays."""
    assert api.put("/api/agents/maya", {"name": " Maya B. "}).json()["name"] == "Maya B."
    (agent,) = api.get("/api/agents").json()["data"]
    assert (agent["id"], agent["email"]) == ("maya", None)
    api.post(PATH, {"id": "k1", "agent_id": "maya", "division_id": "billing"})
    assert [api.delete(f"/api/{one}").status_code for one in ("agents/maya", "divisions/billing")] == [
        204,
        204,
    ]
    assert [api.delete(f"/api/{one}").status_code for one in ("agents/maya", "divisions/billing")] == [
        404,
        404,
    ]
    assert api.get("/api/divisions").json() == {"data": [], "total": 0}
    assert api.get(f"{PATH}/k1").json()["agent_id"] == "maya"
    event = api.happen("custom.a", conversation_id="k1")
    api.make_rule(
        trigger_type="custom.a", conditions=[], actions=[{"type": "assign_agent", "agent_id": "maya"}]
    )
    api.decide()
    (action,) = api.runs(event)[0]["result"]["actions"]
    assert (action["status"], action["error"]) == ("failed", "there is no agent 'maya'")
    for body, place in (
        ({}, "name"),
        ({"name": "x", "email": "y"}, "email"),
        ({"name": "x", "age": 1}, "age"),
    ):
        assert list(client.faults(api.put("/api/agents/nora", body))) == [place]


def test_a_rule_is_warned_of_what_it_names_and_is_not_there(api: client.Client, team: None) -> None:
    """What a rule names and nobody knows (agent, division, template, journey, list) is a warning, no fault (R40)."""
    assert api.put("/lists/regulars", {"name": "Regulars"}).status_code == 204
    made = api.make_rule(
        trigger_type="conversation_status_changed",
        actions=[
            {"type": "assign_agent", "agent_id": "maya"},
            {"type": "assign_agent", "agent_id": "nora"},
            {"type": "assign_agent", "agent_id": "{{ payload.agent_id }}"},
            {"type": "assign_division", "division_id": "legal"},
            {"type": "send_message", "template_id": "hello"},
            {"type": "invoke_automation", "template": "welcome"},
            {"type": "add_to_list", "list_id": "regulars"},
            {"type": "add_to_list", "list_id": "friends"},
            {"type": "set_status", "status": "closed"},
        ],
    )
    assert {one["path"]: one["message"] for one in made["warnings"]} == {
        "actions[1].agent_id": "there is no agent 'nora' yet",
        "actions[3].division_id": "there is no division 'legal' yet",
        "actions[4].template_id": "there is no template 'hello' yet",
        "actions[5].template": "there is no published journey 'welcome' yet",
        "actions[7].list_id": "there is no list 'friends' yet",
        "actions[8].type": "is this rule's own trigger: it may start itself",
    }


def test_a_dry_run_says_what_would_become_of_a_conversation(api: client.Client, team: None) -> None:
    """A dry run sees the conversation as it stands, fills the actions, fails those that would fail, does nothing."""
    api.post(PATH, {"id": "k1", "status": "pending"})
    answer = api.post(
        "/api/automation/rules/dry-run",
        {
            "event_payload": {"who": "maya"},
            "conversation_id": "k1",
            "trigger_type": "custom.a",
            "conditions": [{"field": "conversation.status", "operator": "equals", "value": "pending"}],
            "actions": [
                {"type": "assign_agent", "agent_id": "{{ who }}"},
                {"type": "assign_agent", "agent_id": "nora"},
                {"type": "set_status", "status": "closed"},
            ],
        },
    ).json()
    assert answer["would_execute"]
    assert answer["actions"][0]["agent_id"] == "maya"
    outcomes = [action["outcome"] for action in answer["actions"]]
    assert [one["status"] for one in outcomes] == ["succeeded", "failed", "succeeded"]
    assert outcomes[1]["error"] == "there is no agent 'nora'"
    assert api.get(f"{PATH}/k1").json()["status"] == "pending"
