"""Routing strategies where nobody says a channel: in a journey's send to a list, and in a rule's message."""

from typing import Any

import pytest

from heliograph import testing
from tests.web.client import Client
from tests.web.test_journeys import invoke, status
from tests.web.test_routing import routing, strategy

SOURCE = {"webhook": {"url": "https://crm.example/person"}, "merge_strategy": "overwrite"}
OF_TEMPLATE = [("ana", "push"), ("ben", "email")]
OF_WORKSPACE = [("ana", "email"), ("ana", "sms"), ("ben", "email")]


@pytest.fixture
def town(api: Client) -> Client:
    """Ana with every address and Ben with one, on a list; a template that goes by push, and a default by everything."""
    api.world.provider("twilio", "texts")
    api.world.provider("apprise-push", "pushes")
    api.world.contact("ana", email="ana@example.com", phone_number="+15005550001", push_token="t")
    api.world.contact("ben", email="ben@example.com")
    api.put("/lists/all/subscriptions", {"recipients": [{"recipientId": "ana"}, {"recipientId": "ben"}]})
    by_push = strategy(api, "push", "email", channels={"push": {"if": "data.n === 1"}})
    said: dict[str, Any] = {
        "name": "n",
        "alias": "pushed",
        "routing": {"strategy_id": by_push},
        "brand": None,
        "tags": [],
        "subscription": None,
        "content": {"version": "2022-01-01", "elements": [ELEMENT]},
    }
    assert api.post("/notifications", {"notification": said, "state": "PUBLISHED"}).status_code == 200
    api.world.template("plain", subject="Plain", text="Plain")
    usual = {"name": "Usual", "routing": routing("all", "sms", "email")}
    assert api.put("/routing-strategies/default", usual).status_code == 200
    return api


ELEMENT = {"type": "text", "content": "Hello"}


def went(api: Client) -> list[tuple[str, str]]:
    """(recipient, channel) of every message there is, all of which were sent."""
    api.world.run_until_idle()
    found = api.get("/messages").json()["results"]
    assert {one["status"] for one in found} == {"SENT"}
    return sorted((one["recipient"], one["channel"]) for one in found)


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ({"template": "pushed"}, OF_TEMPLATE),
        ({"template": "pushed", "data_source": SOURCE}, OF_TEMPLATE),
        ({"template": "plain"}, OF_WORKSPACE),
        ({"template": "plain", "data_source": SOURCE}, OF_WORKSPACE),
    ],
)
def test_a_send_to_a_list_goes_by_a_strategy(
    town: Client, step: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    """Everybody on it is reached by their own way, whether something is asked about each of them or not."""
    town.world.calls.answer = testing.answering({"n": 1})
    run_id = invoke(town, {"action": "send-list", "list": "all", **step}, data={"n": 1})
    assert went(town) == wanted
    assert status(town, run_id) == "PROCESSED"


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        ({"template_id": "pushed"}, [("ana", "push")]),
        ({"template_id": "pushed", "data": {"n": 2}}, [("ana", "email")]),
        ({"template_id": "pushed", "channel": "sms"}, [("ana", "sms")]),
        ({"text": "Own"}, [("ana", "email"), ("ana", "sms")]),
        ({"text": "Own", "channel": "email"}, [("ana", "email")]),
    ],
)
def test_a_rules_message_goes_by_a_strategy(
    town: Client, action: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    """A message that names no channel does; `if` of a channel sees the event's payload and the action's data."""
    town.make_rule(conditions=None, actions=[{"type": "send_message", **action}])
    event_id = town.happen(contact_id="ana", payload={"n": 1})
    assert went(town) == wanted
    (run,) = town.runs(event_id)
    assert run["result"]["outcome"] == "executed"


def test_somebody_without_any_address_fails_the_action(town: Client) -> None:
    """It says by which channels nobody could be reached."""
    town.world.contact("eve")
    town.make_rule(conditions=None, actions=[{"type": "send_message", "text": "Own"}])
    event_id = town.happen(contact_id="eve", payload={})
    town.decide()
    (run,) = town.runs(event_id)
    assert run["result"]["actions"][0]["error"] == "contact 'eve' has no address for sms, email"
