"""Quiet hours and caps, set and seen over HTTP."""

from typing import Any

import pytest

from tests.web import client

PATH = "/api/sending-policy"
NIGHT = [{"start": "21:00", "end": "08:00"}]
POLICY: dict[str, Any] = {
    "quiet_hours": NIGHT,
    "caps": [{"limit": 2, "period": "P1D", "channel": "email", "name": "two a day"}],
    "topics": {"receipt": {"quiet_hours": [], "caps": []}},
}
HOUR = 3_600_000_000


def newest(api: client.Client) -> dict[str, Any]:
    (found, *_) = api.get("/messages").json()["results"]
    return dict(found)


def history(api: client.Client, message: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/messages/{message['id']}/history").json()["results"]
    return found


def test_a_policy_is_set_read_and_kept(api: client.Client) -> None:
    """What is put is read back, whole; what was left out is set no more, and what held before can be asked for."""
    fresh = api.get(PATH).json()
    nothing: dict[str, Any] = {
        "tenant_id": None, "quiet_hours": None, "caps": None, "tracking": None, "topics": {},
    }  # fmt: skip
    assert fresh == {**nothing, "updated_at": None, "updated_by": None}
    put = api.put(PATH, POLICY)
    assert put.status_code == 200, put.text
    read = api.get(PATH).json()
    assert read == put.json()
    assert {name: read[name] for name in POLICY} == {
        **POLICY,
        "topics": {"receipt": {"quiet_hours": [], "caps": []}},
    }
    assert (read["updated_at"], bool(read["updated_by"])) == ("2026-01-05T12:00:00.000000Z", True)
    api.clock.move(HOUR)
    assert api.put(PATH, {"caps": []}).json()["quiet_hours"] is None
    then = api.get(PATH, params={"at": "2026-01-05T12:30:00Z"}).json()
    assert then["caps"] == POLICY["caps"]
    assert api.put(PATH, {"caps": []}).json()["updated_at"] == "2026-01-05T13:00:00.000000Z"


def test_a_tenant_sets_its_own(api: client.Client) -> None:
    """A tenant's key sets and sees its own; an operator names the tenant; nobody sees another one's."""
    acme = api.key("supervisor", tenant="acme")
    assert api.put(PATH, {"quiet_hours": NIGHT}, key=acme).json()["tenant_id"] == "acme"
    assert api.get(f"{PATH}?tenant_id=acme").json()["quiet_hours"] == NIGHT
    assert api.get(PATH).json()["quiet_hours"] is None
    assert api.put(f"{PATH}?tenant_id=zoo", {}, key=acme).status_code == 404
    assert api.get(PATH, key=api.key("agent")).status_code == 403


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"quiet_hour": []}, "quiet_hour"),
        ({"quiet_hours": [{"start": "21", "end": "08:00"}]}, "quiet_hours[0].start"),
        ({"quiet_hours": [{"start": "00:00", "end": "00:00"}]}, "quiet_hours"),
        ({"caps": [{"limit": 0, "period": "P1D"}]}, "caps[0].limit"),
        ({"caps": [{"limit": 1}]}, "caps[0].period"),
        ({"caps": [{"limit": 1, "period": "P1Y"}]}, "caps[0].period"),
        ({"caps": [{"limit": 1, "period": "P1D", "channel": "emial"}]}, "caps[0].channel"),
        ({"topics": {"news": {"cap": []}}}, "topics.news.cap"),
        ({"topics": {"*": {"caps": []}}}, 'topics["*"]'),
    ],
)
def test_what_cannot_hold_is_refused(lone_api: client.Client, body: dict[str, Any], place: str) -> None:
    """A fault names its place, and nothing is set."""
    answer = lone_api.put(PATH, body)
    assert (answer.status_code, list(client.faults(answer))) == (422, [place])
    assert lone_api.get(PATH).json()["updated_at"] is None


def test_a_message_waits_for_the_morning(api: client.Client) -> None:
    """At night it is DELAYED and its history says why; in the morning it goes, unless it is not wanted any more."""
    api.put(PATH, POLICY)
    for name in ("ana", "ben"):
        api.put(
            f"/profiles/{name}", {"profile": {"email": f"{name}@example.com", "zoneinfo": "Pacific/Auckland"}}
        )
    api.make_rule(conditions=None, actions=[{"type": "send_message", "text": "Hello"}])
    # Noon in London is one in the night in Auckland.
    event = api.happen(contact_id="ana")
    api.happen(contact_id="ben")
    api.decide()
    assert api.mailbox.received == []
    listed = api.get("/messages", params={"status": "DELAYED"}).json()["results"]
    assert {(one["recipient"], one["error"]) for one in listed} == {
        ("ana", "quiet_hours"),
        ("ben", "quiet_hours"),
    }
    (run,) = api.runs(event)
    assert run["result"]["outcome"] == "pending"
    api.put("/users/ben/preferences/*", {"topic": {"status": "OPTED_OUT"}})
    api.world.pass_time(hours=6)
    assert api.mailbox.received == []
    api.world.pass_time(hours=1)
    assert [mail.recipient for mail in api.mailbox.received] == ["ana@example.com"]
    for_ana, for_ben = sorted(api.get("/messages").json()["results"], key=lambda one: str(one["recipient"]))
    assert (for_ana["status"], for_ana["error"]) == ("SENT", None)
    assert (for_ben["status"], for_ben["reason"]) == ("UNROUTABLE", "UNSUBSCRIBED")
    (waited,) = [one for one in history(api, for_ana) if one["type"] == "DELAYED"]
    assert (waited["reason"], waited["error"]) == (
        "quiet_hours",
        "quiet_hours: until 2026-01-05T19:00:00.000000Z",
    )
    (run,) = api.runs(event)
    assert (run["result"]["actions"][0]["status"], run["result"]["outcome"]) == ("succeeded", "executed")


def test_a_cap_keeps_back_and_says_so(api: client.Client) -> None:
    """The third of a day is THROTTLED and names its cap; its action is skipped; exempt topics go, and do not count."""
    api.put(PATH, POLICY)
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.world.template("receipt", subject="Paid", text="Thank you")
    api.make_rule(conditions=None, actions=[{"type": "send_message", "text": "Buy!"}])
    api.make_rule(
        trigger_type="paid", conditions=None, actions=[{"type": "send_message", "template_id": "receipt"}]
    )
    api.happen("paid", contact_id="ana")
    event = [api.happen(contact_id="ana") for _ in range(3)][-1]
    api.happen("paid", contact_id="ana")
    api.decide()
    assert len(api.mailbox.received) == 4
    (capped,) = api.get("/messages", params={"status": "THROTTLED"}).json()["results"]
    assert capped["error"] == "capped: two a day (2 in P1D by email)"
    told = history(api, capped)[-1]
    assert (told["type"], told["error"]) == ("THROTTLED", capped["error"])
    (run,) = api.runs(event)
    assert (run["result"]["actions"][0]["status"], run["result"]["outcome"]) == ("skipped", "executed")
    assert api.get(f"/messages/{capped['id']}/output").json()["results"][0]["content"]["body"] == "Buy!"
    api.clock.move(24 * HOUR)
    api.happen(contact_id="ana")
    api.decide()
    assert (len(api.mailbox.received), newest(api)["status"]) == (5, "SENT")
