"""Providers over HTTP: by whom a workspace sends, and that its secrets stay secret."""

from typing import Any

import sqlalchemy as sa

from tests.web.client import Client, faults

SMTP: dict[str, Any] = {
    "provider": "smtp",
    "alias": "main-mail",
    "title": "Main",
    "settings": {
        "host": "mail.example.com",
        "username": "shop",
        "password": "pass word of ours",
        "rate_limit": {"rate": 10, "period": "second"},
    },
}
DOTS = "••••"


def stored_text(api: Client) -> str:
    """All that the database holds of providers, as text."""
    with api.store.reading() as connection:
        return repr(connection.execute(sa.text("SELECT * FROM providers")).all())


def test_a_provider_is_set_up_changed_and_deleted(api: Client) -> None:
    """The wire's shape through every method; the secret stands in no answer, and in the database locked."""
    made = api.post("/providers", {**SMTP, "ours": 1})
    assert made.status_code == 200, made.text
    assert made.headers["Heliograph-Ignored"] == "ours"
    now = api.clock.now() // 1000
    shown = made.json()
    assert shown == {
        "id": shown["id"],
        "number": 1,
        "name": "main-mail",
        "channel": "email",
        "provider": "smtp",
        "title": "Main",
        "alias": "main-mail",
        "settings": {**SMTP["settings"], "password": DOTS},
        "position": 0,
        "enabled": True,
        "created": now,
        "updated": now,
    }
    path = f"/providers/{shown['id']}"
    assert api.get(path).json() == shown
    assert api.get("/providers").json() == {"paging": {"cursor": None, "more": False}, "results": [shown]}
    assert "pass word" not in stored_text(api)
    api.clock.move(1_000_000)
    patched = api.patch(path, {"alias": None, "settings": {"port": 2525, "rate_limit": None}}).json()
    expected = {"host": "mail.example.com", "username": "shop", "password": DOTS, "port": 2525}
    assert (patched["settings"], patched["alias"], patched["name"]) == (expected, None, "smtp-1")
    assert patched["updated"] == now + 1_000
    # What was read can be put back: dots leave the secret as it is.
    put = api.put(path, {"provider": "smtp", "settings": patched["settings"]}).json()
    assert (put["settings"], put["title"]) == (expected, "Default Configuration")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_an_alias_may_hold_slashes(api: Client) -> None:
    """It names a provider where it reports, percent-encoded."""
    reports = {"reports": "ses", "reports_topic": "arn:aws:sns:eu-west-1:123456789012:mail"}
    settings = SMTP["settings"] | reports
    made = api.post("/providers", {**SMTP, "alias": "mail/vienna", "settings": settings})
    assert (made.status_code, made.json()["name"]) == (200, "mail/vienna")
    reported = api.post("/inbound/providers/mail%2Fvienna", {})
    unknown = api.post("/inbound/providers/mail%2Flinz", {})
    assert (reported.status_code, unknown.status_code) == (403, 404), "who reports is asked for proof"


def test_what_is_wrong_with_a_provider_is_told(api: Client) -> None:
    """Every fault at its place: unknown kinds and settings, what is missing, rates, aliases that are taken."""
    assert "providers/catalog" in faults(api.post("/providers", {"provider": "sendgird"}))["provider"]
    wrong = {
        "provider": "twilio",
        "alias": "twilio-3",
        "settings": {"acount_sid": "AC1", "rate_limit": {"rate": 5_000, "period": "second"}},
    }
    found = api.post("/providers", wrong)
    assert found.status_code == 400
    told = faults(found)
    assert 'did you mean "account_sid"' in told.pop("settings.acount_sid")
    assert told.pop("settings.rate_limit").startswith("InvalidRateLimit")
    assert told.keys() == {"alias", "settings.account_sid", "settings.auth_token"}
    alone = {"provider": "smtp", "settings": {"host": "h", "username": "u"}}
    assert "password" in faults(api.post("/providers", alone))["settings.username"]
    made = api.post("/providers", SMTP).json()
    assert api.post("/providers", SMTP).status_code == 409
    other = api.put(f"/providers/{made['id']}", {"provider": "webhook"})
    assert faults(other) == {"provider": "is smtp, and stays it"}
    listed = api.get("/providers/catalog", params={"channel": "SMS"}).json()["results"]
    assert [(one["provider"], one["settings"]["auth_token"]) for one in listed] == [
        ("twilio", {"type": "string", "required": True})
    ]
    assert api.get("/providers", key=api.key("supervisor")).status_code == 403
    assert api.get("/providers", key=api.key("admin", tenant="t")).status_code == 403


def test_settings_are_an_object_or_left_out(lone_api: Client) -> None:
    """As they are described: null is refused at its place where a provider is written whole, and patches nothing."""
    wrong: list[Any] = [None, [], "x"]
    for said in wrong:
        refused = lone_api.post("/providers", {"provider": "webhook", "settings": said})
        assert (refused.status_code, faults(refused)) == (400, {"settings": "is an object, or left out"})
    made = lone_api.post("/providers", {"provider": "webhook"}).json()
    path = f"/providers/{made['id']}"
    refused = lone_api.put(path, {"provider": "webhook", "settings": None})
    assert (refused.status_code, faults(refused)) == (400, {"settings": "is an object, or left out"})
    assert lone_api.patch(path, {"settings": None, "title": "T"}).json()["settings"] == made["settings"] == {}


def test_without_a_key_no_secret_is_taken(ready_sqlite_url: str) -> None:
    """A clear refusal names the command that makes a key; what has no secrets is taken all the same."""
    with Client(ready_sqlite_url, secret_key="") as lone_api:
        _refused_without_key(lone_api)


def _refused_without_key(lone_api: Client) -> None:
    refused = lone_api.post("/providers", SMTP)
    assert refused.status_code == 409
    assert "heliograph secret key" in refused.text
    assert lone_api.get("/providers").json()["results"] == []
    plain = {"provider": "smtp", "settings": {"host": "mail.example.com"}}
    keyed = {"Idempotency-Key": "once"}
    made = [lone_api.post("/providers", plain, headers=keyed).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
