"""Communication groups over HTTP."""

import pytest

from tests.web import client
from tests.web.campaigning import data


@pytest.mark.spec("S0-39")
def test_a_group_is_made_empty_filled_and_read(api: client.Client) -> None:
    """A group may be created empty, is changed part by part, and is read as it was written."""
    made = data(api.post("/api/communication-groups", {}), 201)
    assert (made["name"], made["email"], made["sms"], made["version"]) == ("Untitled", None, None, 1)
    path = f"/api/communication-groups/{made['id']}"
    email = {
        "subject": "Hi {{ first_name }}",
        "preview_text": "Look",
        "html_body": "<p>Hi</p>",
        "text_body": "Hi",
        "sender": "Shop <shop@example.com>",
    }
    assert data(api.patch(path, {"name": "News", "email": email}))["email"] == email
    changed = data(api.patch(path, {"email": {"preview_text": None}, "sms": {"message_body": "Hi"}}))
    assert changed["email"] == {**email, "preview_text": None}
    assert changed["sms"] == {"message_body": "Hi"}
    assert changed["version"] == 3
    assert [one["path"] for one in changed["warnings"]] == ["sms"]
    assert data(api.get(path)) == changed
    assert data(api.get("/api/communication-groups"))["results"] == [changed]


def test_a_wrong_group_is_refused(lone_api: client.Client) -> None:
    """A text that cannot be filled is a 422 with its place; an unknown group a 404."""
    refused = lone_api.post("/api/communication-groups", {"email": {"subject": "{{ a", "body": "x"}})
    assert refused.status_code == 422
    assert set(client.faults(refused)) == {"email.subject", "email.body"}
    assert lone_api.get("/api/communication-groups/none").status_code == 404
    assert lone_api.patch("/api/communication-groups/none", {}).status_code == 404


def test_a_business_sees_its_own_groups(lone_api: client.Client) -> None:
    """To another business a group does not exist, nor is it a template of the workspace."""
    shop, club = (lone_api.key("admin", tenant=name) for name in ("shop", "club"))
    made = data(lone_api.post("/api/communication-groups", {"name": "News"}, key=shop), 201)
    path = f"/api/communication-groups/{made['id']}"
    assert data(lone_api.get(path, key=shop))["business_id"] == "shop"
    assert lone_api.get(path, key=club).status_code == 404
    assert lone_api.patch(path, {"name": "x"}, key=club).status_code == 404
    assert data(lone_api.get("/api/communication-groups", key=club))["results"] == []
