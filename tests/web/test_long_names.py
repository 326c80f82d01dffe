"""Names that no index holds, and characters that no database takes: refused where they come in, nobody else's loss."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from tests.web.client import Client, faults
from tests.web.test_journeys import WELCOME, invoke, status, steps_of

# One that does not shrink when it is packed.
LONG = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=20_000))
CONTENT = {"title": "T", "body": "B"}


@pytest.mark.parametrize("value", [LONG, "a\0b"])
@pytest.mark.parametrize("name", ["recipient", "template", "brand", "cancelation_token"])
def test_an_invocation_with_such_a_name_is_refused(api: Client, name: str, value: str) -> None:
    """400 with its place: whom a run is for, and by what it is canceled, tables find it by."""
    automation: dict[str, Any] = {"steps": [WELCOME]}
    given = {name: value} if name != "cancelation_token" else {}
    if not given:
        automation[name] = value
    answer = api.post("/automations/invoke", {"automation": automation, **given})
    assert (answer.status_code, [*faults(answer)]) == (400, [name]), answer.text


@pytest.mark.parametrize(
    ("step", "place"),
    [
        (
            {"action": "send", "message": {"to": {"user_id": "${data.x}"}, "content": CONTENT}},
            "message.to.user_id",
        ),
        ({"action": "send", "recipient": "${data.x}", "template": "t"}, "recipient"),
        ({"action": "send-list", "list": "${data.x}", "template": "t"}, "list"),
        ({"action": "subscribe", "list_id": "l", "recipient_id": "${data.x}"}, "recipient_id"),
        ({"action": "update-profile", "recipient_id": "${data.x}", "profile": {"a": 1}}, "recipient_id"),
        ({"action": "get-profile", "user_id": "${data.x}"}, "user_id"),
        ({"action": "cancel", "cancelation_token": "${data.x}"}, "cancelation_token"),
        ({"action": "invoke", "template": "t", "context": {"recipient": "${data.x}"}}, "context.recipient"),
        (
            {
                "action": "throttle",
                "max_allowed": 1,
                "period": "PT1H",
                "scope": "dynamic",
                "throttle_key": "${data.x}",
            },
            "throttle_key",
        ),
    ],
)
def test_a_step_with_such_a_name_ends_its_run_alone(api: Client, step: dict[str, Any], place: str) -> None:
    """The step is an ERROR with its place, and what else that turn took goes its way."""
    api.put("/lists/l", {"name": "L"})
    runs = [invoke(api, step, data={"x": LONG}), invoke(api, WELCOME, data={"name": "Ana"})]
    api.world.run_until_idle()
    assert [status(api, one) for one in runs] == ["ERROR", "PROCESSED"]
    assert steps_of(api, runs[0])[0]["error"]["message"].startswith(f"steps[0].{place}: takes ")
    assert len(api.mailbox.received) == 1


def test_what_a_database_will_not_hold_holds_up_nobody(api: Client) -> None:
    """A key that a rule fills too long is its own event's failure at most, and no outage for the rest."""
    api.put("/automations/templates/j", {"name": "J", "steps": [WELCOME]})
    action = {"type": "invoke_automation", "template": "j", "entry_key": "{{ payload.x }}"}
    api.make_rule(trigger_type="custom.a", conditions=None, actions=[action])
    events = [api.happen("custom.a", contact_id=f"c{n}", payload={"x": x}) for n, x in enumerate((LONG, "k"))]
    api.world.run_until_idle()
    found = [api.get(f"/api/automation/events/{one}").json()["status"] for one in events]
    assert found[1] == "processed"
    assert len(api.mailbox.received) >= 1
