"""`/users/{user_id}/tokens`: the devices that somebody's push messages go to."""

from typing import Any

from heliograph.core import device_tokens as core
from heliograph.store import device_tokens
from tests.web.client import Client, faults

PHONE = {"provider_key": "firebase-fcm", "device": {"platform": "android"}}
TOKENS = "/users/ana%2F1/tokens"
DAY = 86_400_000_000


def register(api: Client, token: str, **more: Any) -> None:
    """A device that was registered, a second after whatever was before."""
    api.clock.move(1_000_000)
    answer = api.put(f"{TOKENS}/{token}", {**PHONE, **more})
    assert answer.status_code == 204, answer.text


def push_token(api: Client) -> object:
    """Where push messages go."""
    profile: dict[str, Any] = api.get("/profiles/ana%2F1").json()["profile"]
    return profile.get("push_token")


def test_push_messages_go_to_the_newest_device(api: Client) -> None:
    """Registered, revoked, deleted or expired: the newest that is usable stands in the profile, and none if none is."""
    register(api, "a%2Fb", properties={"n": 1}, expiry_date=False)
    register(api, "new", tracking={"ip": "::1"})
    assert push_token(api) == "new"
    listed = api.get(TOKENS).json()["tokens"]
    assert [(one["token"], one["status"], one["device"]) for one in listed] == [
        ("new", "active", PHONE["device"]),
        ("a/b", "active", PHONE["device"]),
    ]
    assert [one["expiry_date"] for one in listed] == ["2026-03-06T12:00:02.000000Z", False]
    revoke = [{"op": "replace", "path": "/status", "value": "revoked"}]
    assert api.patch(f"{TOKENS}/new", {"patch": revoke}).status_code == 204
    assert push_token(api) == "a/b"
    told = api.get(f"{TOKENS}/new").json()
    assert (told["status"], told["expiry_date"]) == ("revoked", listed[0]["expiry_date"])
    register(api, "new")
    assert push_token(api) == "new"
    api.clock.move(core.DEFAULT_LIFE)
    assert device_tokens.forget(api.store, api.clock.now(), 10) == 1
    assert [one["token"] for one in api.get(TOKENS).json()["tokens"]] == ["a/b"]
    assert push_token(api) == "a/b"
    assert api.delete(f"{TOKENS}/a%2Fb").status_code == 204
    assert api.get(TOKENS).json() == {"tokens": []}
    assert push_token(api) is None
    many = [{**PHONE, "token": "x"}, {**PHONE, "token": "y", "expiry_date": "2027-01-01", "more": 1}]
    answer = api.put(TOKENS, {"tokens": many})
    assert (answer.status_code, answer.headers["heliograph-ignored"]) == (204, "tokens[1].more")
    assert push_token(api) in ("x", "y")
    assert api.delete("/profiles/ana%2F1").status_code == 204
    assert api.get(TOKENS).json() == {"tokens": []}


def test_a_device_stays_when_its_profile_is_written_whole(api: Client) -> None:
    """Who is replaced or patched, or updated by a journey, is reached on their devices as before, if they have any."""
    register(api, "phone")
    assert api.put("/profiles/ana%2F1", {"profile": {"plan": "pro"}}).status_code == 200
    assert api.get("/profiles/ana%2F1").json()["profile"] == {"plan": "pro", "push_token": "phone"}
    whole = [{"op": "add", "path": "", "value": {"plan": "free"}}]
    assert api.patch("/profiles/ana%2F1", {"patch": whole}).status_code == 200
    assert push_token(api) == "phone"
    step = {"action": "update-profile", "recipient_id": "ana/1", "profile": {"plan": "new"}}
    assert api.post("/automations/invoke", {"automation": {"steps": [step]}}).status_code == 200
    api.world.run_until_idle()
    assert api.get("/profiles/ana%2F1").json()["profile"] == {"plan": "new", "push_token": "phone"}
    # What is said is said, and what no device stands for goes with the rest of a profile.
    assert api.put("/profiles/ana%2F1", {"profile": {"push_token": "mine"}}).status_code == 200
    assert push_token(api) == "mine"
    assert api.put("/profiles/ana%2F1", {"profile": {}}).status_code == 200
    assert push_token(api) == "phone"
    api.put("/profiles/ben", {"profile": {"push_token": "mine"}})
    api.put("/profiles/ben", {"profile": {"plan": "pro"}})
    assert api.get("/profiles/ben").json()["profile"] == {"plan": "pro"}


def test_what_is_no_device_is_refused(lone_api: Client) -> None:
    """Every fault with its place, and nothing is kept; another tenant's people have no devices to see."""
    one = f"{TOKENS}/t"
    for method, path, body, places in (
        ("PUT", one, {}, {"provider_key"}),
        (
            "PUT",
            one,
            {"provider_key": "x", "device": 1, "tracking": 2},
            {"provider_key", "device", "tracking"},
        ),
        ("PUT", one, {**PHONE, "expiry_date": "soon"}, {"expiry_date"}),
        ("PUT", one, {**PHONE, "expiry_date": True}, {"expiry_date"}),
        ("PUT", one, {**PHONE, "token": "other"}, {"token"}),
        ("PUT", TOKENS, {}, {"tokens"}),
        ("PUT", TOKENS, {"tokens": [{**PHONE, "token": ""}]}, {"tokens[0].token"}),
        ("PUT", TOKENS, {"tokens": [{"token": "t"}]}, {"tokens[0].provider_key"}),
        ("PATCH", one, {"patch": 1}, {"patch"}),
    ):
        answer = lone_api.send(method, path, json=body)
        assert (answer.status_code, {*faults(answer)}) == (400, places), body
    assert lone_api.get(one).status_code == lone_api.delete(one).status_code == 404
    assert lone_api.patch(one, {"patch": []}).status_code == 404
    assert lone_api.get(TOKENS).json() == {"tokens": []}
    register(lone_api, "t")
    wrong = [{"op": "replace", "path": "/status", "value": "gone"}]
    answer = lone_api.patch(one, {"patch": wrong})
    assert (answer.status_code, {*faults(answer)}) == (400, {"status"})
    assert lone_api.put("/tenants/acme", {"name": "Acme"}).status_code == 200
    strange = lone_api.key("admin", tenant="acme")
    assert lone_api.get(TOKENS, key=strange).status_code == 404
    assert lone_api.put(one, PHONE, key=strange).status_code == 404
    full = [{**PHONE, "token": str(number)} for number in range(core.MOST)]
    assert lone_api.put(TOKENS, {"tokens": full}).status_code == 400
    assert len(lone_api.get(TOKENS).json()["tokens"]) == 1
