"""Messages over HTTP, in Courier's shape, with what our ledger knows besides."""

import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from heliograph import channels
from heliograph.core import effects
from heliograph.store import messages, schema
from tests.web import client

NOON = 1_767_614_400_000
"""client.START in milliseconds."""


def write_to(api: client.Client, *people: str, **action: Any) -> None:
    """A rule that writes to whom an event is about, and one event for each of these people."""
    api.make_rule(conditions=[], actions=[{"type": "send_message", "text": "hello", **action}])
    for user_id in people:
        api.happen(contact_id=user_id)
    api.decide()


def found(api: client.Client, **query: Any) -> list[str]:
    """The recipients of the messages that a query finds, in order."""
    answer = api.get("/messages", params=query)
    assert answer.status_code == 200, answer.text
    return [message["recipient"] for message in answer.json()["results"]]


def test_a_message_is_listed_and_read(api: client.Client) -> None:
    """A message tells recipient, event, status and instants in milliseconds, and its attempts when it is read."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, "ana")
    listed = api.get("/messages").json()
    assert listed["paging"] == {"cursor": None, "more": False}
    (message,) = listed["results"]
    (run,) = api.runs(message["event_id"])
    assert message == {
        "id": message["id"],
        "recipient": "ana",
        "event": "message_received",
        "notification": "",
        "status": "SENT",
        "reason": None,
        "error": None,
        "enqueued": NOON,
        "sent": NOON,
        "delivered": None,
        "opened": None,
        "clicked": None,
        "bounce": None,
        "complained": None,
        "channel": "email",
        "address": "ana@example.com",
        "tenant_id": None,
        "event_id": message["event_id"],
        "rule_id": run["rule_id"],
        "campaign_id": None,
        "run_id": run["id"],
        "uncertain": False,
        "possibly_repeated": False,
        "repeats": None,
        "follows": None,
        "followed_by": None,
    }
    read = api.get(f"/messages/{message['id']}").json()
    assert message.items() <= read.items()
    assert [attempt["outcome"] for attempt in read["attempts"]] == ["accepted"]
    assert read["providers"] == [{"provider": "world", "reference": read["attempts"][0]["reference"]}]


def test_who_has_no_address_is_unroutable(api: client.Client) -> None:
    """A message that could not go out at all says UNROUTABLE and why."""
    write_to(api, "ben")
    (message,) = api.get("/messages").json()["results"]
    assert (message["status"], message["reason"]) == ("UNROUTABLE", "NO_CHANNELS")
    assert "no e-mail address" in message["error"]
    assert (message["sent"], message["address"]) == (None, None)


def test_a_refused_message_is_undeliverable(api: client.Client) -> None:
    """A message that the provider refused for good says UNDELIVERABLE, PROVIDER_ERROR and what was said."""
    api.mailbox.answer = lambda _: channels.Answer(
        channels.Outcome.PERMANENT, "world", None, "550", "no such user"
    )
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, "ana")
    (message,) = api.get("/messages", params={"status": "UNDELIVERABLE"}).json()["results"]
    assert (message["status"], message["reason"], message["sent"]) == (
        "UNDELIVERABLE",
        "PROVIDER_ERROR",
        None,
    )
    (attempt,) = api.get(f"/messages/{message['id']}").json()["attempts"]
    assert (attempt["outcome"], attempt["code"], attempt["text"]) == ("permanent", "550", "no such user")


def test_a_possible_repeat_has_a_name(api: client.Client) -> None:
    """A message that was sent again because an answer was lost says so for ever."""
    answers = [
        channels.Answer(channels.Outcome.UNCERTAIN, "world", None, None, "cut"),
        channels.Answer(channels.Outcome.ACCEPTED, "world", "r", "250", "ok"),
    ]
    api.mailbox.answer = lambda _: answers.pop(0)
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, "ana")
    api.world.pass_time(hours=2)
    (message,) = api.get("/messages").json()["results"]
    assert (message["status"], message["possibly_repeated"], message["uncertain"]) == ("SENT", True, False)
    read = api.get(f"/messages/{message['id']}").json()
    assert [attempt["outcome"] for attempt in read["attempts"]] == ["uncertain", "accepted"]


def test_an_answer_that_never_came_leaves_the_message_uncertain(database_url: str) -> None:
    """Where messages are never sent twice, one whose answer was lost is SENT and uncertain."""
    with client.Client(database_url, uncertain_policy="at_most_once") as api:
        api.mailbox.answer = lambda _: channels.Answer(channels.Outcome.UNCERTAIN, "world", None, None, "cut")
        api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
        write_to(api, "ana")
        (message,) = api.get("/messages").json()["results"]
        assert (message["status"], message["possibly_repeated"], message["uncertain"]) == (
            "SENT",
            False,
            True,
        )


def test_messages_are_found_by_what_is_known_of_them(api: client.Client) -> None:
    """Recipient, status, event, id and instant each narrow the list, newest first."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, "ana", "ben", "ana")
    api.make_rule(
        trigger_type="custom.x",
        conditions=[],
        actions=[{"type": "notify", "emails": ["desk@example.com"], "text": "x"}],
    )
    api.clock.move(1_000_000)
    api.happen("custom.x")
    api.decide()
    assert found(api) == ["desk@example.com", "ana", "ben", "ana"]
    assert found(api, recipient="ana") == ["ana", "ana"]
    assert found(api, recipient="desk@example.com") == ["desk@example.com"]
    assert found(api, recipient="nobody") == []
    assert found(api, status="UNROUTABLE") == ["ben"]
    assert found(api, status="sent,UNROUTABLE") == ["desk@example.com", "ana", "ben", "ana"]
    assert found(api, status="CLICKED") == []
    assert found(api, event="custom.x") == ["desk@example.com"]
    assert found(api, notification="welcome") == []
    assert found(api, enqueued_after=str(NOON + 1)) == ["desk@example.com"]
    assert found(api, enqueued_after="2026-01-05T12:00:00Z") == ["desk@example.com", "ana", "ben", "ana"]
    identity = api.get("/messages", params={"status": "UNROUTABLE"}).json()["results"][0]["id"]
    assert found(api, messageId=identity) == ["ben"]
    assert found(api, messageId="none") == []


def test_lists_of_a_query_are_written_either_way(api: client.Client) -> None:
    """With commas between, or a parameter for each, as older clients of Courier do."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, "ana", "ben")
    several = [("status", "SENT"), ("status", "UNROUTABLE,CLICKED")]
    assert recipients(api, several) == ["ben", "ana"]
    assert recipients(api, [("status", "SENT"), ("tag", "a"), ("tag", "b")]) == []
    twice = api.get("/messages", params=[("recipient", "ana"), ("recipient", "ben")])
    assert (twice.status_code, list(client.faults(twice))) == (400, ["recipient"])


def recipients(api: client.Client, query: list[tuple[str, str]]) -> list[str]:
    """Who is written to in the messages that a query finds."""
    return [one["recipient"] for one in api.get("/messages", params=query).json()["results"]]


def test_what_a_query_says_nothing_of_narrows_nothing(api: client.Client) -> None:
    """A parameter of Courier's family without a value is one that is not given: so its clients write null."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, "ana")
    nothing = (
        "archived",
        "cursor",
        "enqueued_after",
        "event",
        "list",
        "messageId",
        "notification",
        "provider",
        "recipient",
        "status",
        "tag",
        "tags",
        "tenant_id",
        "traceId",
    )
    assert recipients(api, [(name, "") for name in nothing]) == ["ana"]
    identity = api.get("/messages").json()["results"][0]["id"]
    assert api.get(f"/messages/{identity}/history?type=").json()["results"] != []
    api.put("/tenants/acme", {"name": "Acme"})
    for path in ("/tenants", "/tenants/acme/users", "/users/ana/tenants"):
        assert api.get(f"{path}?limit=&cursor=").status_code == 200
    assert api.get("/notifications?notes=&cursor=").status_code == 200


def test_a_cursor_walks_through_the_messages(api: client.Client) -> None:
    """A hundred a page, newest first: every message of the beginning is seen once, also while others come in."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    write_to(api, *[f"n{number}" for number in range(123)])
    seen: list[str] = []
    cursor, pages = None, 0
    while (pages == 0 or cursor) and pages < 9:
        page = api.get("/messages", params={"cursor": cursor} if cursor else {}).json()
        seen += [message["recipient"] for message in page["results"]]
        cursor, pages = page["paging"]["cursor"], pages + 1
        assert page["paging"]["more"] is (cursor is not None)
        api.happen(contact_id="late")
        api.decide()
    assert pages == 2
    assert sorted(seen) == sorted(f"n{number}" for number in range(123))


def test_calls_are_no_messages(api: client.Client) -> None:
    """What a rule calls by HTTP stands in the ledger, not among the messages."""
    api.make_rule(conditions=[], actions=[{"type": "call_webhook", "url": "https://example.com/hook"}])
    event = api.happen(contact_id="ana")
    api.decide()
    assert found(api) == []
    told = api.world.explain(event)
    assert [(one.kind, one.state) for one in told.messages] == [("call", "accepted")]
    assert [run.result.actions[0].status for run in told.runs] == ["succeeded"]


def test_an_event_is_explained_to_its_deliveries(api: client.Client) -> None:
    """Everything that runs asked for is in the explanation, whoever it was for, in the order it was asked."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.make_rule(
        name="first",
        priority=1,
        conditions=[],
        actions=[
            {"type": "notify", "emails": ["a@example.com", "b@example.com"], "text": "x", "on_error": "stop"},
            {"type": "send_message", "text": "then", "on_error": "stop"},
        ],
    )
    api.make_rule(name="second", conditions=[], actions=[{"type": "send_message", "text": "too"}])
    api.happen(contact_id="ben")
    event = api.happen(contact_id="ana")
    api.decide()
    told = api.world.explain(event)
    assert [run.rule_name for run in told.runs] == ["first", "second"]
    assert [message.address for message in told.messages] == [
        "a@example.com",
        "b@example.com",
        "ana@example.com",
        "ana@example.com",
    ]
    assert [message.action for message in told.messages] == [0, 0, 1, 0]
    assert {message.state for message in told.messages} == {"accepted"}


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"status": "SENT,LOST"}, "status"),
        ({"cursor": "x"}, "cursor"),
        ({"enqueued_after": "soon"}, "enqueued_after"),
    ],
)
def test_a_wrong_query_is_refused(lone_api: client.Client, query: dict[str, str], place: str) -> None:
    """What a filter cannot be is a 400 in Courier's shape that names the parameter."""
    answer = lone_api.get("/messages", params=query)
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid_request_error")
    assert list(client.faults(answer)) == [place]


def test_filters_that_our_ledger_has_nothing_for_are_named(lone_api: client.Client) -> None:
    """Courier's other filters are passed over, and named in a header."""
    answer = lone_api.get("/messages", params={"list": "news", "shoe": "a", "hat": "b"})
    assert (answer.status_code, answer.headers["heliograph-ignored"]) == (200, "hat, shoe")


def test_an_unknown_message_is_a_404(lone_api: client.Client) -> None:
    """GET of no message answers in Courier's shape."""
    for identity in ("nothing", "00000000-0000-7000-8000-000000000000"):
        answer = lone_api.get(f"/messages/{identity}")
        assert (answer.status_code, answer.json()["type"]) == (404, "not_found_error")


def test_what_became_of_it_is_listed_and_told(api: client.Client) -> None:
    """A message that was delivered, opened, clicked or came back says so, when, and why, and is found by it."""
    for name in ("ana", "ben", "cleo", "dot"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
    write_to(api, "ana", "ben", "cleo", "dot")
    mails = {one["recipient"]: one["id"] for one in api.get("/messages").json()["results"]}
    second = 1_000_000
    sent_at = api.clock.now()
    api.clock.move(100 * second)
    api.world.report(mails["ana"], "delivered", at=sent_at + second)
    api.world.report(mails["ana"], "clicked", at=sent_at + 3 * second, link="https://shop.example/")
    api.world.report(mails["ana"], "opened", at=sent_at + 2 * second)
    api.world.report(mails["ben"], "opened", at=sent_at + 2 * second)
    api.world.report(mails["cleo"], "bounced", at=sent_at + second, bounce="hard", words="550 no such user")
    api.decide()
    (ana,) = api.get("/messages", params={"recipient": "ana"}).json()["results"]
    assert (ana["status"], ana["reason"]) == ("CLICKED", None)
    assert (ana["sent"], ana["delivered"], ana["opened"], ana["clicked"]) == (
        NOON,
        NOON + 1000,
        NOON + 2000,
        NOON + 3000,
    )
    cleo = api.get(f"/messages/{mails['cleo']}").json()
    assert (cleo["status"], cleo["reason"], cleo["bounce"]) == ("UNDELIVERABLE", "BOUNCED", "hard")
    assert (cleo["error"], cleo["delivered"]) == ("550 no such user", None)
    for status, who in (
        ("SENT", ["dot"]),
        ("DELIVERED", []),
        ("OPENED", ["ben"]),
        ("CLICKED", ["ana"]),
        ("UNDELIVERABLE", ["cleo"]),
        ("OPENED,CLICKED,SENT", ["dot", "ben", "ana"]),
    ):
        assert found(api, status=status) == who
    told = api.get(f"/messages/{mails['ana']}/history").json()["results"]
    assert [one["type"] for one in told[-3:]] == ["DELIVERED", "OPENED", "CLICKED"]
    assert told[-1]["links"] == ["https://shop.example/"]
    assert told[-3]["integration"] == {"id": "world", "provider": "world"}
    assert told[-3]["reference"] == {"id": mails["ana"]}
    (back,) = api.get(f"/messages/{mails['cleo']}/history", params={"type": "UNDELIVERABLE"}).json()[
        "results"
    ]
    assert (back["reason"], back["ts"]) == ("BOUNCED", NOON + 1000)


def test_a_message_is_called_back(api: client.Client) -> None:
    """What waits is canceled and who waits for it goes on; what was sent, or is in hand, is not: 409."""
    for name in ("ana", "ben"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
    write_to(api, "ana")
    (sent,) = api.get("/messages").json()["results"]
    answer = api.post(f"/messages/{sent['id']}/cancel")
    assert (answer.status_code, answer.json()) == (409, sent)

    api.patch("/api/automation/control", {"hold_deliveries": True})
    event = api.happen(contact_id="ben")
    api.decide()
    (waiting,) = api.get("/messages", params={"status": "ENQUEUED"}).json()["results"]
    for key in (api.key("agent"), api.key("ingest")):
        assert api.post(f"/messages/{waiting['id']}/cancel", key=key).status_code == 403
    assert api.post(f"/messages/{waiting['id']}/cancel", key=api.key("admin", tenant="t1")).status_code == 404
    for _ in range(2):
        answer = api.post(f"/messages/{waiting['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "CANCELED")
    api.patch("/api/automation/control", {"hold_deliveries": False})
    api.decide()
    assert len(api.mailbox.received) == 1
    (run,) = api.runs(event)
    assert [action["status"] for action in run["result"]["actions"]] == ["skipped"]
    assert run["result"]["outcome"] == "executed"


def test_a_message_is_sent_again_as_a_new_one(api: client.Client) -> None:
    """A message sent again says the same to the same address, has an id of its own and names the first."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Ana"}})
    write_to(api, "ana", text="Hello {{ contact.given_name }}, {{ payload.n }}")
    api.happen(contact_id="ana", payload={"n": 7})
    api.decide()
    first = api.get("/messages").json()["results"][0]
    api.put("/profiles/ana", {"profile": {"email": "other@example.com", "given_name": "Anna"}})
    asked = [api.post(f"/messages/{first['id']}/resend", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    (again,) = {one.json()["messageId"] for one in asked}
    api.decide()
    assert [mail.text for mail in api.mailbox.received[1:]] == ["Hello Ana, 7"] * 2
    assert {mail.recipient for mail in api.mailbox.received} == {"ana@example.com"}
    told = api.get(f"/messages/{again}").json()
    assert (told["status"], told["repeats"], told["event_id"]) == ("SENT", first["id"], first["event_id"])
    assert (told["rule_id"], told["run_id"]) == (None, None)
    api.world.report(again, "delivered")
    api.decide()
    assert api.get(f"/messages/{again}").json()["repeats"] == first["id"]
    assert api.get(f"/messages/{first['id']}").json()["status"] == "SENT"

    api.post("/api/suppressions", {"address": "ana@example.com"})
    unwanted = api.post(f"/messages/{first['id']}/resend").json()["messageId"]
    api.decide()
    assert api.get(f"/messages/{unwanted}").json()["reason"] == "UNSUBSCRIBED"
    api.patch("/api/automation/control", {"hold_deliveries": True})
    api.happen(contact_id="ben")
    api.put("/profiles/ben", {"profile": {"email": "ben@example.com"}})
    api.happen(contact_id="ben")
    api.decide()
    waiting, nowhere = api.get("/messages", params={"recipient": "ben"}).json()["results"]
    assert api.post(f"/messages/{waiting['id']}/resend").status_code == 409
    assert api.post(f"/messages/{nowhere['id']}/resend").status_code == 409


def test_what_an_application_sent_is_sent_again(lone_api: client.Client) -> None:
    """A message of a request to send is sent once more as any other, and is none of the request."""
    asked = {"to": {"email": "ana@example.com"}, "content": {"title": "Hello", "body": "Ana"}}
    assert lone_api.post("/send", {"message": asked}).status_code == 200
    lone_api.decide()
    (first,) = lone_api.get("/messages").json()["results"]
    again = lone_api.post(f"/messages/{first['id']}/resend")
    assert again.status_code == 200, again.text
    lone_api.decide()
    assert [mail.text for mail in lone_api.mailbox.received] == ["Ana", "Ana"]
    assert lone_api.get(f"/messages/{again.json()['messageId']}").json()["repeats"] == first["id"]


def test_what_a_list_was_sent_is_found_however_often_it_was_written_to(
    api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is on a list no more is found among its messages behind many later sends, and a walk ends with the first."""
    monkeypatch.setattr(messages, "_SENDS_AT_ONCE", 2)
    api.world.template("t", text="hello")
    api.put("/lists/news", {"name": "News"})
    for name in ("ana", "ben", "ben", "ben", "ben"):
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
        api.put("/lists/news/subscriptions", {"recipients": [{"recipientId": name}]})
        api.post("/send", {"message": {"to": {"list_id": "news"}, "template": "t"}})
        api.decide()
        api.clock.move(1_000_000)
    assert found(api, list="news", recipient="ana") == ["ana"]
    assert found(api, list="news") == ["ben", "ben", "ben", "ben", "ana"]


def test_an_old_send_that_still_writes_is_passed_over_in_no_walk(
    api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a send to a list writes after many later sends to it is found in its place in the walk."""
    api.world.contact("ana", email="ana@example.com")
    api.world.subscribe("news", "ana")
    for number in range(7):
        asked = {"to": {"list_id": "news"}, "content": {"title": str(number), "body": "hello"}}
        assert api.post("/send", {"message": asked}).status_code == 200
        if number == 0:
            api.world.turns.take()
            later = schema.timers.c.wake_at + 4_500_000
            with api.store.writing() as connection:
                held = sa.update(schema.timers).where(schema.timers.c.kind == int(effects.Timer.CURSOR))
                assert connection.execute(held.values(wake_at=later)).rowcount > 0
        api.decide()
        api.clock.move(1_000_000)
    (all_at_once,) = walk(api, 100, list_id="news")
    assert [mail.subject for mail in api.mailbox.received] == ["1", "2", "3", "4", "0", "5", "6"]
    monkeypatch.setattr(messages, "_SENDS_AT_ONCE", 2)
    assert [*itertools.chain.from_iterable(walk(api, 2, list_id="news"))] == all_at_once


def walk(api: client.Client, limit: int, **chosen: Any) -> list[list[bytes]]:
    """The ids on the pages of a walk through messages, each of so many at most."""
    pages: list[list[bytes]] = []
    while not pages or len(pages[-1]) == limit:
        before = pages[-1][-1] if pages else None
        asked = messages.Filter(before=before, **chosen)
        with api.store.reading() as connection:
            page = messages.list_messages(connection, api.world.workspace_id, asked, limit, api.clock.now())
        pages.append([sent.row.id for sent in page])
    return pages
