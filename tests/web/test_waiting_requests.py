"""Requests of `/send` that wait, among the messages; and what else messages are found by."""

from typing import Any

from heliograph.core import effects
from heliograph.store import schema, waiting_requests
from tests.web import test_requests, test_step_refusals
from tests.web.client import Client
from tests.web.test_requests import TO_ANA, crowd, sent

LATER = {"delay": {"duration": 3_600_000}}


def send(api: Client, message: dict[str, Any]) -> str:
    """A request that was taken in a moment after whatever was before; its id."""
    api.clock.move(1_000)
    return test_requests.send(api, message)


def found(api: Client, **query: Any) -> list[tuple[str, str, str]]:
    """The messages that are listed: id, status and recipient."""
    answer = api.get("/messages", params=query)
    assert answer.status_code == 200, answer.text
    return [(one["id"], one["status"], one["recipient"]) for one in answer.json()["results"]]


def test_a_request_is_listed_as_soon_as_it_is_answered(api: Client) -> None:
    """Before any turn, for one recipient, for several and for a list; then each message stands in its place."""
    crowd(api, "news", "ana", "ben")
    one = send(api, TO_ANA)
    several = send(api, {**TO_ANA, "to": [{"user_id": "ana"}, {"email": "Eve@example.com"}]})
    many = send(api, {**TO_ANA, "to": {"list_id": "news"}})
    assert found(api) == [
        (many, "ENQUEUED", "news"),
        (several, "ENQUEUED", "ana, eve@example.com"),
        (one, "ENQUEUED", "ana"),
    ]
    assert api.get(f"/messages/{many}").json()["status"] == "ENQUEUED"
    assert api.get(f"/messages/{many}/history").json()["results"][0]["type"] == "ENQUEUED"
    assert api.get(f"/messages/{many}/output").json()["results"] is not None
    api.world.run_until_idle()
    assert sorted((status, name) for _, status, name in found(api)) == [
        ("SENT", "ana"),
        ("SENT", "ana"),
        ("SENT", "ana"),
        ("SENT", "ben"),
        ("SENT", "eve@example.com"),
    ]
    assert [api.get(f"/messages/{name}").status_code for name in (one, several, many)] == [200, 404, 404]


def test_what_waits_is_found_by_what_it_says(api: Client) -> None:
    """By recipient, status, event, template, tenant, trace, tag, list and time; other queries do not find it."""
    crowd(api, "news", "ana")
    api.world.template("hi", subject="Hi", text="Hello")
    api.put("/tenants/acme", {"name": "Acme"})
    meta = {"event": "offer", "tags": ["shop"], "trace_id": "t-1"}
    context = {"tenant_id": "acme"}
    said = {"template": "hi", "metadata": meta, "context": context, **LATER}
    noon = api.clock.now() // 1000
    one = send(api, {**said, "to": {"user_id": "ana"}})
    wide = send(api, {**said, "to": {"list_id": "news"}})
    both = [(wide, "DELAYED", "news"), (one, "DELAYED", "ana")]
    queries: list[dict[str, Any]] = [
        {},
        {"status": "DELAYED,SENT"},
        {"event": "offer"},
        {"notification": "hi"},
        {"tenant_id": "acme"},
        {"traceId": "t-1"},
        {"tag": "shop"},
        {"enqueued_after": str(noon)},
    ]
    for query in queries:
        assert found(api, **query) == both, query
    assert found(api, recipient="ana") == both[1:]
    assert found(api, messageId=one) == found(api, traceId=one) == both[1:]
    assert found(api, list="news") == both[:1]
    for query in (
        {"recipient": "an"},
        {"recipient": "news"},
        {"status": "ENQUEUED"},
        {"event": "else"},
        {"notification": "h"},
        {"tenant_id": "bolt"},
        {"traceId": "t-2"},
        {"tag": "sho"},
        {"list": "ana"},
        {"provider": "email"},
        {"enqueued_after": str(noon + 1000)},
    ):
        assert found(api, **query) == [], query
    assert api.put(f"/requests/{one}/archive").status_code == 202
    assert (found(api), len(found(api, archived=True))) == (both[:1], 2)
    api.world.pass_time(hours=2)
    assert [status for _, status, _ in found(api)] == ["SENT"]


def test_a_request_to_many_is_canceled_as_long_as_it_waits(api: Client) -> None:
    """Nobody on the list is written to, and it reads CANCELED from then on."""
    crowd(api, "news", "ana", "ben")
    many = send(api, {**TO_ANA, **LATER, "to": {"list_id": "news"}})
    named = api.get(f"/messages/{many}").json()["recipient"]
    canceled = api.post(f"/messages/{many}/cancel").json()
    assert (canceled["status"], canceled["recipient"]) == ("CANCELED", named)
    api.world.pass_time(hours=2)
    assert (api.mailbox.received, [status for _, status, _ in found(api)]) == ([], ["CANCELED"])
    assert api.get(f"/messages/{many}").json()["status"] == "CANCELED"
    assert api.post(f"/messages/{many}/resend").status_code == 409


def test_what_was_never_written_is_not_sent_again(api: Client) -> None:
    """A request that was canceled as it waited, and a message by a draft, say nothing that could be: 409 tells it."""
    api.world.contact("ana", email="ana@example.com")
    for to in ({"user_id": "ana"}, {"email": "eve@example.com"}):
        waiting = send(api, {**TO_ANA, **LATER, "to": to})
        api.post(f"/messages/{waiting}/cancel")
        draft = send(api, {"to": to, "template": test_step_refusals.template(api, "DRAFT")})
        api.world.run_until_idle()
        for name in (waiting, draft):
            answer = api.post(f"/messages/{name}/resend")
            assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
            assert "was never written" in answer.json()["message"]
    api.world.run_until_idle()
    assert (api.mailbox.received, len(found(api))) == ([], 4)


def test_a_key_of_a_tenant_sees_what_waits_for_it_alone(api: Client) -> None:
    """Neither the list nor the id shows it a request of the workspace, or one that names another tenant's people."""
    api.world.contact("ana", email="ana@example.com")
    for tenant in ("acme", "bolt"):
        api.put(f"/tenants/{tenant}", {"name": tenant})
    key = api.key("agent", tenant="acme")
    own = send(api, {**TO_ANA, **LATER, "context": {"tenant_id": "acme"}})
    mixed = [{"user_id": "ana", "tenant_id": "acme"}, {"user_id": "ben", "tenant_id": "bolt"}]
    others = [send(api, {**TO_ANA, **LATER}), send(api, {**TO_ANA, **LATER, "to": mixed})]
    listed = api.get("/messages", key=key).json()["results"]
    assert [one["id"] for one in listed] == [own]
    assert [api.get(f"/messages/{one}", key=key).status_code for one in (own, *others)] == [200, 404, 404]


def test_pages_hold_what_waits_and_what_was_sent_once_each(api: Client) -> None:
    """In the order in which they were asked for, however they lie across the pages."""
    api.world.contact("ana", email="ana@example.com")
    asked = [send(api, {**TO_ANA, **(LATER if number % 3 else {})}) for number in range(230)]
    api.world.run_until_idle()
    seen: list[str] = []
    cursor = None
    while True:
        page = api.get("/messages", params={} if cursor is None else {"cursor": cursor}).json()
        seen += [one["id"] for one in page["results"]]
        cursor = page["paging"]["cursor"]
        if not page["paging"]["more"]:
            break
    assert seen == asked[::-1]


def test_messages_are_found_by_their_list_and_provider(api: Client) -> None:
    """What `/send` and a journey sent to a list, what a provider took, and by what that provider calls it."""
    crowd(api, "news", "ana", "ben")
    crowd(api, "other", "ben")
    _, mails = sent(api, {**TO_ANA, "to": {"list_id": "news"}, "data": {"list_id": "other"}})
    assert len(mails) == 2
    sent(api, {**TO_ANA, "to": {"list_id": "other"}})
    alone = sent(api, TO_ANA)[0]
    assert sorted(name for _, _, name in found(api, list="news")) == ["ana", "ben"]
    assert [name for _, _, name in found(api, list="other")] == ["ben"]
    assert [name for _, _, name in found(api, list="news", recipient="ana")] == ["ana"]
    assert found(api, list="gone") == found(api, provider="gone") == found(api, reference="gone") == []
    detail = api.get(f"/messages/{alone}").json()
    provider, reference = detail["providers"][0]["provider"], detail["providers"][0]["reference"]
    assert len(found(api, provider=f"gone,{provider}")) == 4
    assert [name for name, _, _ in found(api, reference=reference)] == [alone]


def test_the_index_of_what_waits_is_over_the_timers_of_requests() -> None:
    """The kind that the schema names is that of requests."""
    index = next(one for one in schema.timers.indexes if one.name == "timers_of_requests")
    assert str(index.dialect_options["sqlite"]["where"]) == f"kind = {int(effects.Timer.REQUEST)}"
    assert str(waiting_requests.IS_REQUEST) == f"timers.kind = {int(effects.Timer.REQUEST)}"
