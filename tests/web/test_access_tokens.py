"""`/auth/issue-token`: what a person's own device may ask, for a while."""

from heliograph.core import access_tokens, ids, links
from heliograph.store import keys
from tests.web.client import Client, faults

SCOPE = "user_id:ana/1 write:preferences read:user-tokens inbox:read:messages"
TOPIC = "/users/ana%2F1/preferences/news"


def issue(api: Client, scope: str = SCOPE, expires_in: str = "2 hours") -> str:
    """A token."""
    answer = api.post("/auth/issue-token", {"scope": scope, "expires_in": expires_in})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def test_a_token_opens_what_it_says_and_nothing_else(api: Client) -> None:
    """Its person's preferences and devices, by the methods of its scopes; not another person's, nor any other path."""
    token = issue(api)
    assert api.put(TOPIC, {"topic": {"status": "OPTED_OUT"}}, key=token).status_code == 200
    assert api.get(TOPIC, key=token).json()["topic"]["status"] == "OPTED_OUT"
    assert api.get("/users/ana%2F1/tokens", key=token).status_code == 200
    device = {"provider_key": "expo"}
    for method, path in (
        ("PUT", "/users/ana%2F1/tokens/t"),
        ("GET", "/users/ana/preferences"),
        ("GET", "/users/ana%2F1%2Fpreferences/preferences"),
        ("GET", "/users/ben/preferences"),
        ("GET", "/users/ana%2F1/tenants"),
        ("GET", "/profiles/ana%2F1"),
        ("POST", "/auth/issue-token"),
        ("POST", "/send"),
        ("GET", "/messages"),
    ):
        assert api.send(method, path, key=token, json=device).status_code == 403, path
    reading = issue(api, "user_id:ana/1 read:preferences")
    assert api.get(TOPIC, key=reading).status_code == 200
    assert api.delete(TOPIC, key=reading).status_code == 403


def test_a_token_ends(lone_api: Client) -> None:
    """With its time, and with the key that issued it; one that somebody changed is none."""
    token = issue(lone_api, expires_in="1.5 hrs")
    assert lone_api.get(TOPIC, key=token).status_code == 200
    for changed in (token[:-2], token[:9] + ("A" if token[9] != "A" else "B") + token[10:], "hgt_", "hgt_%"):
        assert lone_api.get(TOPIC, headers={"X-API-Key": changed}, key=None).status_code == 401
    lone_api.clock.move(5_400_000_000)
    other = issue(lone_api)
    with lone_api.store.reading() as connection:
        key = keys.find(connection, lone_api.admin)
    assert key is not None
    grant = access_tokens.read(token, lone_api.world.app.deliveries.link_secret(), lone_api.clock.now())
    assert grant is None
    again = access_tokens.read(other, lone_api.world.app.deliveries.link_secret(), lone_api.clock.now())
    assert again is not None
    assert again.key_id == ids.text(key.id)
    with lone_api.store.writing() as connection:
        keys.revoke(connection, key.id, lone_api.clock.now())
    assert lone_api.get(TOPIC, key=other).status_code == 401


def test_a_link_is_no_token() -> None:
    """What signs links signs no tokens, and the other way round."""
    secret, grant = b"s" * 32, access_tokens.Grant("k", "ana", ("read:preferences",), 10)
    token = access_tokens.sign(grant, secret)
    assert access_tokens.read(token, secret, 9) == grant
    assert access_tokens.read(token, secret, 10) is access_tokens.read(token, b"t" * 32, 9) is None
    assert links.read(token.removeprefix(access_tokens.PREFIX), secret) is None
    link = links.sign(links.Preference(1, None, "ana", "email", "*", "a@example.com"), secret)
    assert access_tokens.read(access_tokens.PREFIX + link, secret, 9) is None


def test_a_wish_that_cannot_be_granted_is_refused(lone_api: Client) -> None:
    """Each fault with its place."""
    known = "user_id:a read:preferences"
    wishes: list[tuple[dict[str, object], set[str]]] = [
        ({}, {"scope", "expires_in"}),
        ({"scope": "read:preferences", "expires_in": "1d"}, {"scope"}),
        ({"scope": "user_id:ana inbox:read:messages", "expires_in": "1d"}, {"scope"}),
        ({"scope": f"{known} user_id:b", "expires_in": "1d"}, {"scope"}),
        ({"scope": known, "expires_in": "soon"}, {"expires_in"}),
        ({"scope": known, "expires_in": "2 years"}, {"expires_in"}),
        ({"scope": known, "expires_in": "0 days"}, {"expires_in"}),
        ({"scope": 1, "expires_in": 1}, {"scope", "expires_in"}),
    ]
    for body, places in wishes:
        answer = lone_api.post("/auth/issue-token", body)
        assert (answer.status_code, {*faults(answer)}) == (400, places), body


def test_scopes_that_open_nothing_are_named(lone_api: Client) -> None:
    """What Courier's clients ask for besides is passed over; who sends events issues no tokens."""
    answer = lone_api.post("/auth/issue-token", {"scope": SCOPE, "expires_in": "1d", "more": 1})
    assert answer.headers["heliograph-ignored"] == "more, scope.inbox%3Aread%3Amessages"
    body = {"scope": SCOPE, "expires_in": "1d"}
    assert lone_api.post("/auth/issue-token", body, key=lone_api.key("ingest")).status_code == 403
