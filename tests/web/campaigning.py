"""What the tests of segments and campaigns make over HTTP."""

from typing import Any

from tests.web import client

EMAIL = {"subject": "Sale, {{ first_name }}!", "text_body": "Dear {{ contact.given_name }}, come by."}


def data(answer: Any, status: int = 200) -> Any:
    """What stands in the envelope of an answer that is as it should be."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is True
    assert body["message"]
    return body["data"]


def person(api: client.Client, user_id: str, key: str = "", **profile: Any) -> None:
    """A person with this profile."""
    assert api.put(f"/profiles/{user_id}", {"profile": profile}, key=key).status_code == 200


def condition(field: str, operator: str, *value: Any) -> dict[str, Any]:
    """A condition."""
    return {"field": field, "operator": operator, **({"value": value[0]} if value else {})}


def segment(api: client.Client, *conditions: dict[str, Any], key: str = "", **fields: Any) -> str:
    """A segment with these conditions; gives its id."""
    given = {"name": "Some", "conditions": list(conditions), **fields}
    made: str = data(api.post("/api/segments", given, key=key), 201)["id"]
    return made


def group(api: client.Client, key: str = "", **email: Any) -> str:
    """A communication group that can be sent; gives its id."""
    given = {"name": "News", "email": {**EMAIL, **email}}
    made: str = data(api.post("/api/communication-groups", given, key=key), 201)["id"]
    return made


def action(group_id: str) -> dict[str, Any]:
    """An action that sends a group."""
    return {"action_type": "send_communication", "action_metadata": {"communication_group_id": group_id}}


def campaign(api: client.Client, key: str = "", **fields: Any) -> dict[str, Any]:
    """A campaign to everybody that can be activated, with these fields; gives it whole."""
    given = {"name": "Black Friday", "include_segments": ["all_users"], **fields}
    if "action_data" not in given:
        given["action_data"] = [action(group(api, key))]
    made: dict[str, Any] = data(api.post("/api/automations", given, key=key), 201)
    return made


def set_status(api: client.Client, campaign_id: str, status: str, key: str = "") -> dict[str, Any]:
    """PATCH of the status; gives the campaign."""
    changed: dict[str, Any] = data(api.patch(f"/api/automations/{campaign_id}", {"status": status}, key=key))
    return changed


def read(api: client.Client, campaign_id: str, key: str = "") -> dict[str, Any]:
    """GET of a campaign."""
    found: dict[str, Any] = data(api.get(f"/api/automations/{campaign_id}", key=key))
    return found


def received(api: client.Client) -> list[str]:
    """Who received something, each as often as they did."""
    return sorted(mail.recipient for mail in api.mailbox.received)
