"""The edge itself: shapes of refusals, strict JSON, sizes, HEAD, unknown paths."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from heliograph import errors
from heliograph.web import errors as wire
from tests.web import client

RULES = "/api/automation/rules"
FILTER = {"operator": "EQ", "path": "plan", "value": "pro"}


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/api/automation/rules", wire.Family.OURS),
        ("/api/automation", wire.Family.OURS),
        ("/api/contacts/ana", wire.Family.OURS),
        ("/healthz", wire.Family.OURS),
        ("/nowhere", wire.Family.OURS),
        ("/profilesx/ana", wire.Family.OURS),
        ("/v11/x", wire.Family.OURS),
        ("/api/automationsx", wire.Family.OURS),
        ("/profiles/ana", wire.Family.COURIER),
        ("/messages", wire.Family.COURIER),
        ("/send", wire.Family.COURIER),
        ("/automations/invoke", wire.Family.COURIER),
        ("/api/automations/7", wire.Family.REACH),
        ("/api/segments", wire.Family.REACH),
        ("/partner/login", wire.Family.REACH),
        ("/v1/dateAutomation", wire.Family.SIGN_UP),
    ],
)
def test_families_are_told_apart_by_whole_segments(path: str, family: wire.Family) -> None:
    """A path belongs to the family of its first segments, never to one whose name it only begins with."""
    assert wire.family_of(path) is family


def test_each_family_has_its_own_shape() -> None:
    """The same fault leaves in four shapes; in Courier's and Sign-Up.to's a body that breaks a rule is a 400."""
    fault = errors.InvalidInput.at("a.b", "is wrong")
    found = {path: wire.answer(fault, path) for path in ("/x", "/send", "/api/segments", "/v1/list")}
    assert {path: answer.status for path, answer in found.items()} == {
        "/x": 422,
        "/send": 400,
        "/api/segments": 422,
        "/v1/list": 400,
    }
    listed = b'[{"path":"a.b","message":"is wrong"}]'
    assert found["/x"].body == (
        b'{"error":{"code":"validation_failed","message":"a.b: is wrong","details":' + listed + b"}}"
    )
    assert found["/send"].body == (
        b'{"message":"a.b: is wrong","type":"invalid_request_error","errors":' + listed + b"}"
    )
    assert found["/api/segments"].body == (
        b'{"success":false,"message":"a.b: is wrong","errors":' + listed + b"}"
    )
    assert found["/v1/list"].body == (
        b'{"status":"error","response":{"code":400,"subcode":null,"message":"a.b: is wrong","resource_id":null}}'
    )


def test_an_unforeseen_fault_tells_nothing_of_itself() -> None:
    """What nobody foresaw is a 500 without its words, which may hold somebody's data."""
    answer = wire.answer(ZeroDivisionError("the secret of ana@example.com"), "/x")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"internal_error" in answer.body


BROKEN = [
    (b"", 400, ""),
    (b"{", 400, ""),
    (b'{"name": }', 400, ""),
    (b"\xff\xfe", 400, ""),
    (b"\xef\xbb\xbf{}", 400, ""),
    (b'{"name": "a", "name": "b"}', 422, ""),
    (b'{"conditions": [{"value": {"a": 1, "a": 2}}]}', 422, "conditions[0].value"),
    (b'{"priority": NaN}', 422, "priority"),
    (b'{"priority": -Infinity}', 422, "priority"),
    (b'{"priority": 1e999}', 422, "priority"),
    (b'{"name": "\\ud800"}', 422, "name"),
    (b'{"name": ' + b"[" * 100 + b"]" * 100 + b"}", 422, "name" + "[0]" * 63),
    (b"[" * 200_000, 422, "[0]" * 64),
    (b"[]", 422, ""),
    (b'"text"', 422, ""),
    (b"null", 422, ""),
]


@pytest.mark.parametrize(
    ("body", "status", "place"), BROKEN, ids=[str(number) for number in range(len(BROKEN))]
)
def test_json_that_readers_would_not_agree_upon_is_refused(
    lone_api: client.Client, body: bytes, status: int, place: str
) -> None:
    """Bad syntax is a 400 with line and column; repeated keys, NaN, half characters and deep nesting name the place."""
    for path in (RULES, "/profiles/ana"):
        answer = lone_api.send("POST", path, content=body)
        assert answer.status_code == (400 if path == "/profiles/ana" else status), answer.text
        if status == 422 and place:
            assert place in client.faults(answer)


def test_bad_syntax_is_pointed_at(lone_api: client.Client) -> None:
    """The message of malformed JSON says in which line and column it breaks."""
    answer = lone_api.send("POST", RULES, content=b'{"name": "a",\n "priority": }')
    assert answer.json()["error"]["code"] == "malformed_json"
    assert "line 2, column 14" in answer.json()["error"]["message"]


def test_a_body_of_ten_megabytes_is_too_large(lone_api: client.Client) -> None:
    """A body over the limit is a 413 that says the limit, whether or not its length was announced."""

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 1_000_000

    for path in (RULES, "/profiles/ana", "/api/automation/events"):
        announced = lone_api.send("POST", path, content=b"x" * 10_000_000)
        assert announced.status_code == 413
        assert "8 MiB" in announced.text
        streamed = lone_api.send("POST", path, content=pieces(10))
        assert streamed.status_code == 413


def test_who_sends_more_than_is_read_is_hung_up_on(lone_api: client.Client) -> None:
    """Where the rest of a body is left unread no other request comes on its connection; else it stays open."""
    for size, ends in ((9_000_000, None), (70_000_000, "close")):
        answer = lone_api.send("POST", RULES, content=b"{}", headers={"Content-Length": str(size)})
        assert (answer.status_code, answer.headers.get("connection")) == (413, ends)


def test_what_is_cut_off_is_told(lone_api: client.Client) -> None:
    """A request that is still under way when a server has waited long enough hears that it was not finished."""
    told: list[Any] = []
    headers = [(b"authorization", f"Bearer {lone_api.admin}".encode())]
    scope = {"type": "http", "method": "POST", "path": RULES, "query_string": b"", "headers": headers}

    async def cut_off() -> None:
        asked = asyncio.Event()

        async def receive() -> None:
            asked.set()
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            told.append(message)

        under_way = asyncio.create_task(lone_api.world.app.asgi()(scope, receive, send))
        await asked.wait()
        under_way.cancel()
        await under_way

    lone_api.run(cut_off())
    assert (told[0]["status"], (b"connection", b"close") in told[0]["headers"]) == (503, True)
    assert b"before this was finished" in told[1]["body"]


def test_a_body_that_is_no_json_by_its_own_word_is_refused(lone_api: client.Client) -> None:
    """A form is a 415 that says what to send; `+json` types are JSON."""
    form = lone_api.send(
        "POST", RULES, content=b"name=x", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (form.status_code, form.json()["error"]["code"]) == (415, "unsupported_media_type")
    kind = {"Content-Type": "application/vnd.api+json; charset=utf-8"}
    assert lone_api.send("POST", RULES, content=b"{}", headers=kind).status_code == 422


def test_a_body_that_is_packed_is_refused(lone_api: client.Client) -> None:
    """A body in gzip is a 415 that says what to send, wherever it is sent to."""
    for path in (RULES, "/api/automation/events", "/profiles/ana"):
        packed = lone_api.send(
            "POST", path, content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}
        )
        assert packed.status_code == 415
        assert "not as gzip" in packed.text
    plain = lone_api.send("POST", RULES, content=b"{}", headers={"Content-Encoding": "identity"})
    assert plain.status_code == 422


def test_an_unknown_path_is_a_404_for_anybody(lone_api: client.Client) -> None:
    """Where nothing is, a 404 says so with or without a key, in the shape of the path's family."""
    for key in (None, ""):
        answer = lone_api.get("/api/automation/nowhere", key=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert "/api/automation/nowhere" in answer.json()["error"]["message"]
        assert lone_api.get("/profiles/ana/x/y", key=key).json()["type"] == "not_found_error"
        assert lone_api.get("/%ff", key=key).status_code == 404


def test_a_wrong_method_is_a_405_that_names_the_right_ones(lone_api: client.Client) -> None:
    """A path that takes other methods says which, in its words and in Allow."""
    answer = lone_api.delete("/api/automation/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
    assert "POST" in answer.json()["error"]["message"]


def test_head_is_get_without_its_body(lone_api: client.Client) -> None:
    """HEAD answers with the status and the headers of GET, and nothing else."""
    rule = lone_api.make_rule()
    for path in (RULES, f"{RULES}/{rule['id']}", "/healthz", "/nowhere"):
        got, head = lone_api.get(path), lone_api.send("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
    assert lone_api.send("HEAD", RULES, key=None).status_code == 401


def test_a_query_is_read_strictly(lone_api: client.Client) -> None:
    """A query that is no UTF-8, holds NUL, is endless, or stands where none belongs is a 400."""
    for query in ("trigger_type=%ff", "trigger_type=%00", "&".join(f"a{n}=1" for n in range(101))):
        assert lone_api.get(f"{RULES}?{query}").status_code == 400
    for path in ("/api/automation/control?x=1", f"{RULES}/nothing?x=1"):
        answer = lone_api.get(path)
        assert (answer.status_code, list(client.faults(answer))) == (400, ["x"])
    posted = lone_api.post("/api/automation/events?dry=1", {"event_type": "custom.a"})
    assert (posted.status_code, list(client.faults(posted))) == (400, ["dry"])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{RULES}?is_active=null", "takes true or false, not 'null'"),
        ("/api/automation/events?per_page=201", "takes a whole number from 1 to 200, not '201'"),
        ("/api/automation/events?page=null", "takes a whole number of at least 1, not 'null'"),
        ("/tenants?limit=ten", "takes a whole number, not 'ten'"),
    ],
)
def test_a_query_says_what_it_takes(lone_api: client.Client, path: str, said: str) -> None:
    """A parameter of the wrong kind is refused with what it takes; `null` is no way to leave one out."""
    answer = lone_api.get(path)
    assert (answer.status_code, [*client.faults(answer).values()]) == (400, [said])


def test_a_null_is_no_word_of_a_query(lone_api: client.Client) -> None:
    """A filter that takes words takes `null` for none of them, and does not pass it over."""
    for path in ("/api/automation/events?status=null", "/api/conversations?status=null"):
        answer = lone_api.get(path)
        assert (answer.status_code, [*client.faults(answer)]) == (400, ["status"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/users/ana/tokens/t", {"provider_key": "apn", "device": ""}),
        ("PUT", "/users/ana/tokens/t", {"provider_key": "apn", "tracking": False}),
        ("PATCH", "/users/ana/tokens/known", {"patch": [{"op": "replace", "path": "", "value": "x"}]}),
        ("PUT", "/audiences/a", {"filter": {"filters": []}, "operator": {}}),
        ("PUT", "/api/agents/a", {"name": "a\0b"}),
        ("PUT", "/lists/a", {"name": "a\0b"}),
        ("PUT", "/audiences/a", {"name": "a\0b"}),
        ("PUT", "/audiences/a", {"description": "a\0b"}),
        ("PUT", "/tenants/a", {"name": "a", "parent_tenant_id": "a\0b"}),
        ("PUT", "/users/ana/tenants", {"tenants": [{"tenant_id": "a\0b"}]}),
        ("POST", "/inbound/segment", {"type": "identify", "messageId": "1", "userId": "a\0b"}),
        (
            "POST",
            "/notifications",
            {"notification": {"name": "n", "content": {"elements": []}, "alias": "\0"}},
        ),
        (
            "POST",
            "/notifications",
            {"notification": {"name": "n", "content": {"elements": []}, "subscription": {"topic_id": "a\0"}}},
        ),
        (
            "POST",
            "/providers",
            {"provider": "twilio", "settings": {"rate_limit": {"rate": 1, "period": []}}},
        ),
        ("POST", f"{RULES}/dry-run", {**client.RULE, "event_payload": None}),
    ],
)
def test_what_nobody_would_send_is_refused(
    api: client.Client, method: str, path: str, body: dict[str, Any]
) -> None:
    """A value of any other type than is taken, or a NUL in a name, is the caller's fault and kept nowhere."""
    known = {"provider_key": "apn", "device": {"model": "x"}}
    assert api.put("/users/ana/tokens/known", known).status_code == 204
    assert api.send(method, path, json=body).status_code in (400, 422)
    assert [one["token"] for one in api.get("/users/ana/tokens").json()["tokens"]] == ["known"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (
            "/audiences/a",
            {"filter": {"x": 1, "operator": "OR", "filters": [{**FILTER, "y": 1}]}, "operator": "AND"},
            "filter.filters[0].y, filter.x",
        ),
        ("/users/ana/preferences/t", {"topic": {"status": "OPTED_IN", "x": 1}, "y": 1}, "topic.x, y"),
        ("/users/ana/tenants/acme", {"profile": {}, "x": 1}, "x"),
        ("/users/ana/tenants", {"tenants": [{"tenant_id": "acme", "x": 1}], "y": 1}, "tenants[0].x, y"),
    ],
)
def test_what_nobody_knows_is_passed_over_and_named(
    api: client.Client, path: str, body: dict[str, Any], named: str
) -> None:
    """In Courier's family the unknown, at any depth, stops nothing, is kept nowhere, and stands in a header."""
    assert api.put("/tenants/acme", {"name": "Acme"}).status_code == 200
    answer = api.put(path, body)
    assert answer.status_code in (200, 204), answer.text
    assert ", ".join(sorted(answer.headers["heliograph-ignored"].split(", "))) == named
    if path == "/audiences/a":
        assert api.get(path).json()["filter"] == {"operator": "OR", "filters": [FILTER]}


@pytest.mark.parametrize("value", [None, True, 5, ["open"], {"a": 1}])
def test_what_is_no_word_is_told_which_there_are(lone_api: client.Client, value: Any) -> None:
    """Where one of some words is wanted, null, a number or a list is answered with them, and not as a word of ours."""
    action = {"type": "send_message", "text": "x", "on_error": value}
    answer = lone_api.post(RULES, {**client.RULE, "actions": [action]})
    assert client.faults(answer) == {"actions[0].on_error": "is one of continue, stop"}
    answer = lone_api.post("/api/conversations", {"priority": value})
    assert client.faults(answer) == {"priority": "is one of low, normal, high, urgent"}


def test_what_stands_in_a_definition_is_any_text(api: client.Client) -> None:
    """The name of a rule may hold a NUL, and what is listed of it is read."""
    rule = api.make_rule(name="a\0b", description="\0")
    api.happen(payload={"message": {"text": "refund"}})
    api.decide()
    for path in (RULES, f"{RULES}/{rule['id']}", "/api/automation/runs"):
        assert api.get(path).status_code == 200


def test_a_database_that_does_not_answer_is_told_in_one_line(lone_api: client.Client) -> None:
    """A request that the database cannot serve is a 503 with the reason, and readiness says the same."""
    lone_api.store.close()
    assert lone_api.store.path is not None
    for path in lone_api.store.path.parent.glob("*.db*"):
        path.unlink()
    lone_api.store.path.mkdir()
    answer = lone_api.get(RULES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unreachable")
    assert answer.headers["retry-after"] == "1"
    ready = lone_api.get("/readyz", key=None)
    assert (ready.status_code, ready.json()["error"]["code"]) == (503, "unavailable")
    assert lone_api.get("/healthz", key=None).status_code == 200


def test_options_are_those_of_the_path(api: client.Client) -> None:
    """OPTIONS and a refusal of a method name all methods that a path takes, in one order."""
    for path, methods in (
        ("/profiles/ana", "DELETE, GET, PATCH, POST, PUT, OPTIONS"),
        ("/api/automation/events", "GET, POST, OPTIONS"),
    ):
        told = [api.send(method, path) for method in ("OPTIONS", "TRACE")]
        assert [answer.headers["allow"] for answer in told] == [methods] * 2
        assert [answer.status_code for answer in told] == [200, 405]
    assert api.send("OPTIONS", "/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("path", "possible", "impossible"),
    [
        ("/lists", "gone.weekly", "gar*bage"),
        ("/profiles/ana/lists", "gone.weekly", "a..b"),
        ("/audiences", "gone|one", "x" * 256),
        ("/notifications", "gone", "gar|bage"),
        ("/tenants", "gone|one", "x" * 201),
        ("/users/ana/tenants", "gone|one", "x" * 201),
    ],
)
def test_what_no_page_can_have_given_is_no_cursor(
    lone_api: client.Client, path: str, possible: str, impossible: str
) -> None:
    """A walk goes on behind an id that is there no more; what cannot be an id of the list is refused at `cursor`."""
    assert lone_api.get(path, params={"cursor": possible}).status_code == 200
    refused = lone_api.get(path, params={"cursor": impossible})
    assert (refused.status_code, client.faults(refused)) == (400, {"cursor": "is none that this list gave"})
