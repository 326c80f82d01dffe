"""Alerts over HTTP: settings that are saved are followed."""

import pytest

from tests.web import client

RULES = "/api/automation/rules"


@pytest.mark.spec("S4-299")
def test_an_alert_reaches_who_is_named_in_the_settings(api: client.Client) -> None:
    """A rule whose actions fail is told to the address of its alert settings, as the list of alerts has it."""
    fails = [{"type": "send_message", "text": "Hello"}]
    rule = api.make_rule(name="Welcome", trigger_type="custom.a", conditions=[], actions=fails)
    settings = {"min_matched_runs": 3, "channels": {"emails": ["ops@example.com"]}}
    path = f"{RULES}/{rule['id']}/alert-settings"
    assert api.patch(path, {"alert_settings": settings}).status_code == 200
    for number in range(3):
        api.happen("custom.a", contact_id=f"c{number}")
    api.decide()
    (alert,) = api.get("/api/automation/stats/alerts").json()["data"]
    assert (alert["rule_id"], alert["alert_level"]) == (rule["id"], "critical")
    assert not api.mailbox.received
    api.world.pass_time(minutes=2)
    (mail,) = api.mailbox.to("ops@example.com")
    assert mail.subject == "[critical] Welcome: its actions fail"
    assert rule["id"] in mail.text
    assert "100.00 % failed (3 of 3)" in mail.text
    (listed,) = api.get("/messages", params={"recipient": "ops@example.com"}).json()["results"]
    assert listed["status"] == "SENT"
    assert api.patch(path, {"preset": "off"}).status_code == 200
    api.world.pass_time(days=2)
    assert len(api.mailbox.received) == 1
