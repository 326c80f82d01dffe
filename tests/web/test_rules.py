"""Rules over HTTP: what is sent comes back, what is wrong is told with its place."""

from typing import Any

import pytest

from heliograph.core import alerts, steps
from tests.web import client

PATH = "/api/automation/rules"

FULL: dict[str, Any] = {
    "name": "VIP refunds",
    "description": "Somebody important wants money back.",
    "is_active": False,
    "trigger_type": "conversation_created",
    "conditions": {
        "all": [
            {"field": "message.text", "operator": "contains", "value": "refund"},
            {"any": [{"field": "contact.tags", "operator": "contains", "value": "vip"}]},
        ]
    },
    "actions": [
        {"type": "add_tags", "tags": ["refund"], "target": "contact"},
        {"type": "send_message", "text": "We are on it.", "subject": "Your refund", "on_error": "stop"},
        {"type": "notify", "emails": ["desk@example.com"], "text": "A refund"},
        {"type": "update_contact", "fields": {"refunds": 1}},
        {"type": "call_webhook", "url": "https://example.com/hook", "method": "PUT", "body": {"a": 1}},
        {"type": "emit_event", "event_type": "custom.refund", "payload": {"by": "rule"}},
        {"type": "assign_agent", "agent_id": "{{ payload.agent_id }}"},
        {"type": "assign_division", "division_id": "{{ payload.division_id }}"},
        {"type": "unassign", "on_error": "stop"},
        {"type": "set_status", "status": "pending"},
        {"type": "set_priority", "priority": "urgent"},
        {"type": "remove_tags", "tags": ["new"]},
        {"type": "add_note", "text": "Look at {{ message.text }}"},
        {"type": "invoke_automation", "steps": [{"action": "delay", "duration": "1 day"}], "once": True},
        {"type": "cancel_automation", "cancelation_token": "refund"},
        {"type": "add_to_list", "list_id": "refunded"},
    ],
    "alert_settings": {"enabled": False, "window_days": 14},
    "schedule_settings": {
        "enabled": True,
        "timezone": "Asia/Jakarta",
        "windows": [{"days": ["mon"], "start": "09:00", "end": "17:00"}],
    },
    "priority": -7,
    "rollout_percentage": 30,
    "stop_on_match": True,
    "cooldown_secs": 3600,
}
"""Every field, none at its default."""

SHOWN = {**FULL, "alert_settings": alerts.effective(FULL["alert_settings"])}
"""As it is shown: alert settings with their defaults filled in."""


def only(fields: tuple[str, ...], rule: dict[str, Any]) -> dict[str, Any]:
    """These fields of a rule."""
    return {name: rule[name] for name in fields}


FIELDS = [
    ("name", "trigger_type", "description"),
    ("is_active", "conditions", "actions"),
    ("priority", "rollout_percentage", "stop_on_match"),
    ("cooldown_secs", "alert_settings", "schedule_settings"),
]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(FIELDS[0], marks=pytest.mark.spec("S4-03", "S4-04", "S4-06", "S4-24", "S4-25", "S4-26")),
        pytest.param(FIELDS[1], marks=pytest.mark.spec("S4-05", "S4-07", "S4-08", "S4-27", "S4-28", "S4-35")),
        pytest.param(FIELDS[2], marks=pytest.mark.spec("S4-09", "S4-10", "S4-11", "S4-31", "S4-32", "S4-33")),
        pytest.param(FIELDS[3], marks=pytest.mark.spec("S4-12", "S4-18", "S4-29", "S4-30", "S4-34")),
    ],
)
def test_what_a_rule_is_created_with_is_what_is_read(api: client.Client, fields: tuple[str, ...]) -> None:
    """Every field of a new rule is stored and given back, in the answer and when it is read again."""
    made = api.post(PATH, FULL).json()
    read = api.get(f"{PATH}/{made['id']}").json()
    assert only(fields, made) == only(fields, read) == only(fields, SHOWN)


def test_every_action_type_stands_in_a_rule() -> None:
    """The rule with every field has every action of the union, so that each is taken and given back."""
    assert {action["type"] for action in FULL["actions"]} == set(steps.KINDS)


@pytest.mark.spec("S4-35")
@pytest.mark.parametrize(
    ("action", "place"),
    [
        ({"type": "assign_agent"}, "agent_id"),
        ({"type": "assign_division", "division_id": " "}, "division_id"),
        ({"type": "unassign", "agent_id": "maya"}, "agent_id"),
        ({"type": "set_status", "status": "opened"}, "status"),
        ({"type": "set_priority", "priority": "{{ "}, "priority"),
        ({"type": "remove_tags", "tags": []}, "tags"),
        ({"type": "add_tags", "tags": ["a", " "]}, "tags[1]"),
        ({"type": "add_note", "text": " "}, "text"),
        ({"type": "invoke_automation", "template": "a", "steps": []}, ""),
        ({"type": "invoke_automation", "steps": [{"action": "delay", "duration": "?"}]}, "steps[0].duration"),
        ({"type": "cancel_automation"}, "cancelation_token"),
        ({"type": "add_to_list", "list_id": ""}, "list_id"),
    ],
)
def test_a_wrong_action_is_refused_with_its_place(
    lone_api: client.Client, action: dict[str, Any], place: str
) -> None:
    """What is missing from an action, strange to it or impossible is told where it stands, and no rule is made."""
    answer = lone_api.post(PATH, {**FULL, "actions": [FULL["actions"][0], action]})
    assert (answer.status_code, list(client.faults(answer))) == (422, [f"actions[1].{place}".rstrip(".")])
    assert lone_api.get(PATH).json()["total"] == 0


@pytest.mark.spec("S4-23", "S4-36", "S4-80", "S4-81")
def test_a_created_rule_is_read_by_its_id(api: client.Client) -> None:
    """Creating answers 201 with the whole rule, reading gives the same, and an unknown id is a 404."""
    answer = api.post(PATH, FULL)
    assert answer.status_code == 201
    made = answer.json()
    assert [one["message"] for one in made.pop("warnings")] == ["there is no list 'refunded' yet"]
    read = api.get(f"{PATH}/{made['id']}")
    assert (read.status_code, read.json()) == (200, made)
    assert SHOWN.items() <= made.items()
    unknown = api.get(f"{PATH}/00000000-0000-7000-8000-000000000000")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert api.get(f"{PATH}/nothing").status_code == 404


@pytest.mark.spec("S4-02", "S4-13", "S4-14", "S4-15", "S4-16", "S4-17")
def test_a_rule_tells_when_and_by_whom_it_was_written(api: client.Client) -> None:
    """Id, instants and authors are set by the program: the key that made the rule and the one that changed it."""
    made = api.make_rule()
    path = f"{PATH}/{made['id']}"
    assert (made["created_at"], made["updated_at"]) == ("2026-01-05T12:00:00.000000Z",) * 2
    assert (made["updated_by"], made["snoozed_until"]) == (None, None)
    api.clock.move(1_000_000)
    other = api.key("supervisor")
    api.patch(path, {"priority": 1}, key=other)
    api.post(f"{path}/snooze", {"snoozed_until": "2026-01-06T00:00:00Z"}, key=other)
    changed = api.get(path).json()
    assert changed["id"] == made["id"]
    assert changed["created_at"] == "2026-01-05T12:00:00.000000Z"
    assert changed["updated_at"] == "2026-01-05T12:00:01.000000Z"
    assert changed["snoozed_until"] == "2026-01-06T00:00:00.000000Z"
    assert changed["created_by"] == made["created_by"] != changed["updated_by"]
    assert changed["updated_by"] is not None


@pytest.mark.spec("S4-19", "S4-20", "S4-21", "S4-22")
def test_rules_are_listed_in_the_order_of_evaluation(api: client.Client) -> None:
    """The list holds whole rules, the lower priority number first, and can be narrowed by flag and trigger."""
    late = api.make_rule(name="late", priority=200)
    idle = api.make_rule(name="idle", priority=1, is_active=False)
    other = api.make_rule(name="other", trigger_type="contact_created")
    for rule in (late, idle, other):
        del rule["warnings"]
    listed = api.get(PATH).json()
    assert listed == {"data": [idle, other, late], "total": 3}
    assert api.get(PATH, params={"is_active": "false"}).json()["data"] == [idle]
    assert api.get(PATH, params={"trigger_type": "contact_created"}).json()["data"] == [other]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(FIELDS[0], marks=pytest.mark.spec("S4-82", "S4-83", "S4-84", "S4-86")),
        pytest.param(FIELDS[1], marks=pytest.mark.spec("S4-85", "S4-87", "S4-94")),
        pytest.param(FIELDS[2], marks=pytest.mark.spec("S4-90", "S4-91", "S4-92")),
        pytest.param(FIELDS[3], marks=pytest.mark.spec("S4-88", "S4-89", "S4-93", "S4-95")),
    ],
)
def test_a_change_replaces_the_given_fields_alone(api: client.Client, fields: tuple[str, ...]) -> None:
    """PATCH replaces what it names, each field whole, keeps the rest, and answers with the whole rule."""
    made = api.make_rule()
    answer = api.patch(f"{PATH}/{made['id']}", only(fields, FULL))
    assert answer.status_code == 200
    changed = answer.json()
    assert only(fields, changed) == only(fields, SHOWN)
    kept = made.keys() - {*fields, "version", "updated_by", "warnings"}
    assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}
    assert changed["version"] == made["version"] + 1


def test_what_changes_nothing_makes_no_version(api: client.Client) -> None:
    """Saying once more what a rule says leaves it as it is, whoever asks; `true` where it said 1 is a change."""
    made = api.make_rule(**{**FULL, "conditions": [{"field": "n", "operator": "equals", "value": 1}]})
    rule = api.get(f"{PATH}/{made['id']}").json()
    api.clock.move(1_000_000)
    other = api.key("supervisor")
    again = {name: rule[name] for name in FULL if name != "alert_settings"}
    for body in ({}, {"name": rule["name"]}, again):
        answer = api.patch(f"{PATH}/{rule['id']}", body, key=other)
        assert answer.status_code == 200, answer.text
        assert {**answer.json(), "warnings": None} == {**rule, "warnings": None}
    assert api.post(f"{PATH}/{rule['id']}/snooze", {"snoozed_until": None}).status_code == 200
    assert api.get(f"{PATH}/{rule['id']}").json() == rule
    truth = [{"field": "n", "operator": "equals", "value": True}]
    changed = api.patch(f"{PATH}/{rule['id']}", {"conditions": truth}).json()
    assert (changed["version"], changed["conditions"]) == (rule["version"] + 1, truth)


def test_null_takes_settings_back_to_their_defaults(api: client.Client) -> None:
    """A null for settings, conditions or description empties them."""
    made = api.make_rule(**FULL)
    nothing = {"conditions": None, "alert_settings": None, "schedule_settings": None, "description": None}
    changed = api.patch(f"{PATH}/{made['id']}", nothing).json()
    assert changed["alert_settings"] == alerts.effective(None)
    assert (changed["conditions"], changed["schedule_settings"], changed["description"]) == (None, None, None)


def test_a_deleted_rule_is_gone(api: client.Client) -> None:
    """After DELETE a rule can be neither read, listed, changed nor deleted again, and events do not meet it."""
    path = f"{PATH}/{api.make_rule(conditions=[])['id']}"
    gone = api.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert api.get(path).status_code == 404
    assert api.patch(path, {"name": "back"}).status_code == 404
    assert api.delete(path).status_code == 404
    assert api.get(PATH).json() == {"data": [], "total": 0}
    event = api.happen(contact_id="ana")
    api.decide()
    assert api.runs(event) == []


def test_runs_keep_the_name_that_their_rule_had(api: client.Client) -> None:
    """A run names its rule as it was called then, also after the rule was renamed and deleted."""
    rule = api.make_rule(name="old name", conditions=[])
    event = api.happen(contact_id="ana")
    api.decide()
    api.patch(f"{PATH}/{rule['id']}", {"name": "new name"})
    later = api.happen(contact_id="ana")
    api.decide()
    api.delete(f"{PATH}/{rule['id']}")
    (then,), (now,) = api.runs(event), api.runs(later)
    assert (then["rule_name"], then["rule_version"]) == ("old name", 1)
    assert (now["rule_name"], now["rule_version"]) == ("new name", 2)


def test_what_is_allowed_but_looks_wrong_is_warned_about(api: client.Client) -> None:
    """Saving answers with warnings for an unknown event type, a template that is not there, and a rule's own event."""
    made = api.make_rule(
        trigger_type="mesage_received",
        actions=[
            {"type": "send_message", "template_id": "welcome"},
            {"type": "emit_event", "event_type": "mesage_received"},
        ],
    )
    places = [warning["path"] for warning in made["warnings"]]
    assert places == ["trigger_type", "actions[0].template_id", "actions[1].event_type"]
    assert '"message_received"' in made["warnings"][0]["message"]


def test_a_rule_that_is_never_reached_is_warned_about(api: client.Client) -> None:
    """Saving a rule behind one that always matches and stops tells so, however it came to stand there."""
    first = api.make_rule(name="first", priority=1, conditions=[], stop_on_match=True)
    assert first["warnings"] == []
    (behind,) = api.make_rule(name="behind")["warnings"]
    assert (behind["path"], "'first'" in behind["message"]) == ("priority", True)
    (hides,) = api.patch(f"{PATH}/{first['id']}", {"description": "all"}).json()["warnings"]
    assert (hides["path"], "'behind'" in hides["message"]) == ("stop_on_match", True)
    api.patch(f"{PATH}/{first['id']}", {"is_active": False})
    assert api.make_rule(name="reached")["warnings"] == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": 7}, "name"),
    ({"trigger_type": "Bad Type"}, "trigger_type"),
    ({"description": 1}, "description"),
    ({"is_active": "yes"}, "is_active"),
    ({"is_active": None}, "is_active"),
    ({"priority": 1.5}, "priority"),
    ({"priority": 2**31}, "priority"),
    ({"priority": True}, "priority"),
    ({"rollout_percentage": 101}, "rollout_percentage"),
    ({"rollout_percentage": -1}, "rollout_percentage"),
    ({"stop_on_match": 1}, "stop_on_match"),
    ({"cooldown_secs": -1}, "cooldown_secs"),
    ({"cooldown_secs": "60"}, "cooldown_secs"),
    ({"actions": []}, "actions"),
    ({"actions": {}}, "actions"),
    ({"actions": [{"type": "fly"}]}, "actions[0].type"),
    ({"actions": [{"tags": ["a"]}]}, "actions[0].type"),
    ({"actions": [{"type": "add_tags", "tags": "a"}]}, "actions[0].tags"),
    ({"actions": [{"type": "add_tags", "tags": ["a"], "tag": 1}]}, "actions[0].tag"),
    ({"actions": [{"type": "send_message"}]}, "actions[0]"),
    ({"actions": [{"type": "call_webhook", "url": "ftp://x"}]}, "actions[0].url"),
    ({"actions": [{"type": "notify", "emails": ["nobody"], "text": "t"}]}, "actions[0].emails[0]"),
    ({"actions": [{"type": "notify", "emails": ["{{ who"], "text": "t"}]}, "actions[0].emails[0]"),
    ({"actions": [{"type": "call_webhook", "url": "http://["}]}, "actions[0].url"),
    ({"actions": [{"type": "call_webhook", "url": "http://a b/"}]}, "actions[0].url"),
    ({"actions": [{"type": "unassign", "on_error": "wait"}]}, "actions[0].on_error"),
    ({"actions": [{"type": "add_tags", "tags": ["a"], "target": "both"}]}, "actions[0].target"),
    (
        {"actions": [{"type": "update_contact", "fields": {"birthdate": "soon"}}]},
        "actions[0].fields.birthdate",
    ),
    (
        {"actions": [{"type": "call_webhook", "url": "https://example.com", "headers": {"A": "a\nb"}}]},
        "actions[0].headers.A",
    ),
    (
        {"alert_settings": {"channels": {"webhook_url": "http://["}}},
        "alert_settings.channels.webhook_url",
    ),
    ({"conditions": [{"field": "a", "operator": "equal", "value": 1}]}, "conditions[0].operator"),
    ({"conditions": {"any": []}}, "conditions.any"),
    ({"conditions": {"all": [{"any": [{"field": "a"}]}]}}, "conditions.all[0].any[0].operator"),
    ({"alert_settings": {"window_days": 0}}, "alert_settings.window_days"),
    ({"alert_settings": {"presets": 1}}, "alert_settings.presets"),
    ({"schedule_settings": {"timezone": "Mars/Base"}}, "schedule_settings.timezone"),
    (
        {"schedule_settings": {"windows": [{"start": "9", "end": "17:00"}]}},
        "schedule_settings.windows[0].start",
    ),
    ({"colour": "red"}, "colour"),
    ({"id": "x"}, "id"),
    ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
    ({"snoozed_until": None}, "snoozed_until"),
]


@pytest.mark.parametrize(
    ("change", "place"), WRONG, ids=[f"{place}{number}" for number, (_, place) in enumerate(WRONG)]
)
def test_a_wrong_field_is_refused_with_its_place(
    lone_api: client.Client, change: dict[str, Any], place: str
) -> None:
    """Create and change refuse what a field cannot be, with 422 and the place, and store nothing."""
    answer = lone_api.post(PATH, {**client.RULE, **change})
    assert answer.status_code == 422
    assert place in client.faults(answer)
    assert lone_api.get(PATH).json()["total"] == 0
    made = lone_api.make_rule()
    changed = lone_api.patch(f"{PATH}/{made['id']}", change)
    assert (changed.status_code, list(client.faults(changed))) == (422, list(client.faults(answer)))
    assert lone_api.get(f"{PATH}/{made['id']}").json()["version"] == 1


def test_all_faults_are_told_at_once(lone_api: client.Client) -> None:
    """One answer lists every fault that was found, each with its place and a nearest word."""
    answer = lone_api.post(
        PATH,
        {
            "nmae": "x",
            "trigger_type": "Bad",
            "priority": "high",
            "actions": [{"type": "add_tag", "tags": ["a"]}, {"type": "notify"}],
            "conditions": [
                {"field": "a", "operator": "equal", "value": 1},
                {"field": "b", "operator": "exsts"},
            ],
        },
    )
    found = client.faults(answer)
    assert {"nmae", "name", "trigger_type", "priority", "actions[0].type"} <= found.keys()
    assert {"conditions[0].operator", "conditions[1].operator"} <= found.keys()
    assert 'did you mean "name"?' in found["nmae"]
    assert 'did you mean "equals"?' in found["conditions[0].operator"]
    assert 'did you mean "add_tags"?' in found["actions[0].type"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("is_actve=true", "is_actve"),
        ("is_active=perhaps", "is_active"),
        ("is_active=true&is_active=false", "is_active"),
    ],
)
def test_a_wrong_query_is_refused(lone_api: client.Client, query: str, place: str) -> None:
    """A query parameter that is unknown, wrong or given twice is a 400 that names it."""
    answer = lone_api.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert list(client.faults(answer)) == [place]
