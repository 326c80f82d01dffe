"""One setting of a rule at a time: what alerts look at, when it is awake, for how many it is on."""

from typing import Any

import pytest

from heliograph.core import alerts
from tests.web import client

PATH = "/api/automation/rules"
SCHEDULE: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "windows": [{"days": ["mon"], "start": "09:00", "end": "17:00"}],
}


def set_to(api: client.Client, rule: dict[str, Any], what: str, **body: Any) -> dict[str, Any]:
    """The rule after one setting was changed."""
    answer = api.patch(f"{PATH}/{rule['id']}/{what}", body)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    assert api.get(f"{PATH}/{rule['id']}").json().items() <= changed.items()
    return changed


def alerts_after(api: client.Client, rule: dict[str, Any], **body: Any) -> dict[str, Any]:
    """The rule's alert settings after they were changed."""
    settings: dict[str, Any] = set_to(api, rule, "alert-settings", **body)["alert_settings"]
    return settings


@pytest.mark.spec("S4-121", "S4-122", "S4-125")
def test_a_preset_sets_what_it_is_about(api: client.Client) -> None:
    """Each preset brings its thresholds, `off` turns alerts off and any other on; whom they go to stays."""
    channels = {"emails": ["desk@example.com"], "webhook_url": None}
    rule = api.make_rule(alert_settings={"channels": channels, "window_days": 14})
    for preset, thresholds in [("relaxed", (50, 40, 75)), ("strict", (5, 5, 20)), ("balanced", (10, 20, 50))]:
        found = alerts_after(api, rule, preset=preset)
        assert (
            found["min_matched_runs"],
            found["failure_rate_threshold_pct"],
            found["critical_threshold_pct"],
        ) == thresholds
        assert (found["enabled"], found["channels"], found["window_days"]) == (True, channels, 14)
    off = alerts_after(api, rule, preset="off")
    assert (off["enabled"], off["min_matched_runs"]) == (False, 10)
    assert alerts_after(api, rule, preset="strict")["enabled"] is True


@pytest.mark.spec("S4-123")
def test_alert_settings_are_replaced_whole(api: client.Client) -> None:
    """Explicit settings stand as given, with their defaults filled in; null brings the defaults back."""
    rule = api.make_rule(alert_settings={"window_days": 14})
    given = {"enabled": False, "min_matched_runs": 3}
    assert alerts_after(api, rule, alert_settings=given) == alerts.effective(given)
    assert alerts_after(api, rule, alert_settings=None) == alerts.effective(None)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param({}, "preset", marks=pytest.mark.spec("S4-124")),
        pytest.param(
            {"preset": "off", "alert_settings": {"window_days": 1}},
            "preset",
            marks=pytest.mark.spec("S4-124"),
        ),
        pytest.param({"preset": "loud"}, "preset", marks=pytest.mark.spec("S4-124")),
        ({"preset": "off", "alert_settings": None}, "preset"),
        ({"preset": 7}, "preset"),
        ({"preset": None}, "preset"),
        ({"alert_settings": []}, "alert_settings"),
        ({"alert_settings": {"window_days": 0}}, "alert_settings.window_days"),
        ({"alert_settings": {"window": 1}}, "alert_settings.window"),
        ({"preset": "off", "presets": "off"}, "presets"),
    ],
)
def test_a_wrong_choice_of_alerts_is_refused(api: client.Client, body: dict[str, Any], place: str) -> None:
    """Both or neither of preset and settings, an unknown preset and settings with a fault leave the rule alone."""
    rule = api.make_rule()
    answer = api.patch(f"{PATH}/{rule['id']}/alert-settings", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_failed")
    assert place in client.faults(answer)
    assert api.get(f"{PATH}/{rule['id']}").json()["version"] == 1


@pytest.mark.spec("S4-126", "S4-127")
def test_a_schedule_is_replaced_whole(api: client.Client) -> None:
    """A schedule is stored as given, and null takes it away."""
    rule = api.make_rule(name="office hours")
    made = set_to(api, rule, "schedule-settings", schedule_settings=SCHEDULE)
    assert (made["schedule_settings"], made["name"]) == (SCHEDULE, "office hours")
    assert set_to(api, rule, "schedule-settings", schedule_settings=None)["schedule_settings"] is None


@pytest.mark.spec("S4-129", "S4-130", "S4-131")
def test_a_rollout_is_changed(api: client.Client) -> None:
    """The percentage is stored, and changes whom the rule is on for from the next event on."""
    rule = api.make_rule(conditions=[], name="half")
    closed = set_to(api, rule, "rollout", rollout_percentage=0)
    assert (closed["rollout_percentage"], closed["name"]) == (0, "half")
    event = api.happen(contact_id="ana")
    api.decide()
    assert api.runs(event)[0]["result"]["reason"] == "rollout"
    set_to(api, rule, "rollout", rollout_percentage=100)
    event = api.happen(contact_id="ana")
    api.decide()
    assert api.runs(event)[0]["matched"] is True


@pytest.mark.parametrize(
    ("what", "body", "place"),
    [
        ("schedule-settings", {}, "schedule_settings"),
        ("schedule-settings", {"schedule_settings": {"zone": "UTC"}}, "schedule_settings.zone"),
        ("schedule-settings", {"schedule_settings": "always"}, "schedule_settings"),
        ("schedule-settings", {"schedule_settings": None, "priority": 1}, "priority"),
        ("rollout", {}, "rollout_percentage"),
        ("rollout", {"rollout_percentage": None}, "rollout_percentage"),
        ("rollout", {"rollout_percentage": 101}, "rollout_percentage"),
        ("rollout", {"rollout_percentage": 12.5}, "rollout_percentage"),
        ("rollout", {"rollout_percentage": 1, "percentage": 1}, "percentage"),
    ],
)
def test_a_wrong_setting_is_refused(
    lone_api: client.Client, what: str, body: dict[str, Any], place: str
) -> None:
    """Each of these paths takes its one field, which is required, and names what is wrong."""
    rule = lone_api.make_rule()
    answer = lone_api.patch(f"{PATH}/{rule['id']}/{what}", body)
    assert answer.status_code == 422
    assert place in client.faults(answer)
    assert lone_api.get(f"{PATH}/{rule['id']}").json()["version"] == 1


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("alert-settings", {"preset": "strict"}),
        ("schedule-settings", {"schedule_settings": SCHEDULE}),
        ("rollout", {"rollout_percentage": 7}),
    ],
)
def test_a_setting_is_a_change_like_any_other(api: client.Client, what: str, body: dict[str, Any]) -> None:
    """It makes a new version, with the key that asked for it and when; an unknown rule is a 404."""
    rule = api.make_rule()
    api.clock.move(1_000_000)
    other = api.key("supervisor")
    changed = api.patch(f"{PATH}/{rule['id']}/{what}", body, key=other).json()
    assert changed["version"] == 2
    assert changed["updated_at"] == "2026-01-05T12:00:01.000000Z"
    assert changed["updated_by"] not in (None, rule["created_by"])
    unknown = f"{PATH}/00000000-0000-7000-8000-000000000000/{what}"
    assert api.patch(unknown, body).status_code == 404
    assert api.patch(f"{PATH}/{rule['id']}/{what}", body, params={"dry": "1"}).status_code == 400
