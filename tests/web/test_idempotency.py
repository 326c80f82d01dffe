"""What is asked twice and done once: the keys of requests, and those of steps (J16, J17)."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
import pytest
import sqlalchemy as sa

from heliograph import errors, testing
from heliograph.engine import housekeeping
from heliograph.web import server
from tests import tables
from tests.web.client import Client
from tests.web.test_fetching import FETCH, answers
from tests.web.test_journeys import NUDGE, TO_ANA, faults, invoke, put, status, steps_of

INVOCATION: dict[str, Any] = {"automation": {"steps": [{"action": "send", "message": TO_ANA}]}}
EVENTS = "/api/automation/events"
DAY = 86_400


def keyed(
    api: Client, key: str = "k", body: Any = INVOCATION, path: str = "/automations/invoke", **headers: str
) -> Any:
    """A POST with an idempotency key."""
    return api.post(path, body, headers={"Idempotency-Key": key, **headers})


# ── requests ────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_comes_twice_is_worked_once(api: Client) -> None:
    """The second is answered as the first was, word for word, and says so; another key, path or method is another."""
    first, second = keyed(api), keyed(api)
    assert (second.status_code, second.content) == (200, first.content)
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert second.headers["content-type"] == first.headers["content-type"]
    again: dict[str, Any] = {"automation": {"steps": INVOCATION["automation"]["steps"]}}
    assert keyed(api, body=again).content == first.content
    put(api, "j", {"action": "send", "message": TO_ANA})
    others = [keyed(api, "l"), keyed(api, path="/automations/j/invoke", body={"recipient": None})]
    assert len({first.content, *(one.content for one in others)}) == 3
    assert keyed(api, path="/automations/j/invoke", body={"recipient": None}).content == others[1].content
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 3
    assert keyed(api, path="/profiles/ana", body={"profile": {"n": 1}}).status_code == 200
    api.post("/profiles/ana", {"profile": {"n": 2}})
    assert keyed(api, path="/profiles/ana", body={"profile": {"n": 1}}).json() == {"status": "SUCCESS"}
    assert api.get("/profiles/ana").json() == {"profile": {"n": 2}}


def test_events_are_answered_alike_with_a_key_and_without(api: Client) -> None:
    """Events that come with a key go another way, and are answered in JSON as all others are."""
    event = {"event_type": "custom.order"}
    without = api.post(EVENTS, event)
    first, second = (keyed(api, body=event, path=EVENTS) for _ in range(2))
    assert [one.status_code for one in (without, first, second)] == [202, 202, 202]
    assert {one.headers["content-type"] for one in (without, first, second)} == {"application/json"}


def test_a_key_goes_with_one_body(api: Client) -> None:
    """The same key with another body is refused; one of a tenant's or another workspace's is another key."""
    keyed(api)
    answer = keyed(api, body={**INVOCATION, "recipient": "ana"})
    assert (answer.status_code, answer.json()["message"][:30]) == (422, "This Idempotency-Key came with")
    shop, other = api.key("admin", tenant="shop"), api.key("admin", workspace="other")
    for key in (shop, other):
        answer = api.post("/automations/invoke", INVOCATION, key=key, headers={"Idempotency-Key": "k"})
        assert "idempotent-replayed" not in answer.headers


def test_a_key_is_one_businesss(api: Client) -> None:
    """Who speaks for two businesses may use a key for each: what is made for one is not answered to the other."""
    made = [
        keyed(api, path="/api/automations", body={"name": "Summer"}, **{"Reach-Tenant-Id": business}).json()
        for business in ("shop", "mart", "shop")
    ]
    assert [one["data"]["business_id"] for one in made] == ["shop", "mart", "shop"]
    assert made[0] == made[2]


def test_a_key_holds_on_any_path(api: Client) -> None:
    """A path with a NUL is nobody's, and one longer than an index bears is answered like any other."""
    for path in ("/profiles/a%00b", "/automations/%00/invoke"):
        assert keyed(api, path=path).status_code == api.post(path, INVOCATION).status_code == 404
    drawn = "".join(hashlib.sha256(bytes([count])).hexdigest() for count in range(150))
    path = f"/automations/invoke?passed-over={drawn}"
    first, second = keyed(api, path=path), keyed(api, path=path)
    assert (first.status_code, second.content) == (200, first.content)
    assert second.headers["idempotent-replayed"] == "true"
    assert keyed(api, path=f"{path}0").content != first.content


def test_a_refused_request_leaves_its_key_free(api: Client) -> None:
    """What the caller has to mend may be sent again under the same key."""
    assert keyed(api, body={"automation": {"steps": []}}).status_code == 400
    assert keyed(api).status_code == 200
    assert keyed(api, path="/automations/none/invoke", body={"recipient": None}).status_code == 404
    assert len(tables.rows(api.store, "request_keys")) == 1


def test_whoever_has_an_answer_may_ask_again_at_once(api: Client) -> None:
    """An answer is stored before its end goes out: the same request a moment later is answered the same."""
    body = msgspec.json.encode(INVOCATION)
    headers = [(b"authorization", f"Bearer {api.admin}".encode()), (b"idempotency-key", b"k")]
    scope = {"type": "http", "method": "POST", "path": "/automations/invoke", "query_string": b""}
    stored: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            stored.extend(row["status"] for row in tables.rows(api.store, "request_keys"))

    api.run(api.world.app.asgi()({**scope, "headers": headers}, receive, send))
    assert stored == [200]


def test_of_many_requests_at_once_one_is_worked(api: Client) -> None:
    """The others are told to come again, or answered as it was; none of them fails."""

    async def all_at_once() -> list[Any]:
        headers = {"Idempotency-Key": "k", "Authorization": f"Bearer {api.admin}"}
        asked = (api._http.post("/automations/invoke", json=INVOCATION, headers=headers) for _ in range(8))
        return await asyncio.gather(*asked)

    answers = api.run(all_at_once())
    assert {one.status_code for one in answers} <= {200, 409}
    assert len({one.content for one in answers if one.status_code == 200}) == 1
    assert len(tables.rows(api.store, "starts")) == 1


def test_digits_are_no_number(lone_api: Client) -> None:
    """A body with a great number is another one than that with its digits as text; how it is written is the same."""
    given = {"profile": {"n": 2**53 + 1, "m": [-(10**30)]}}
    assert keyed(lone_api, path="/profiles/ana", body=given).status_code == 200
    again = {"profile": {"m": [-(10**30)], "n": 2**53 + 1}}
    assert keyed(lone_api, path="/profiles/ana", body=again).headers["idempotent-replayed"] == "true"
    for other in ({"n": str(2**53 + 1), "m": [-(10**30)]}, {"n": 2**53 + 1, "m": [str(-(10**30))]}):
        assert keyed(lone_api, path="/profiles/ana", body={"profile": other}).status_code == 422


def test_what_opens_doors_is_kept_nowhere(api: Client) -> None:
    """A token or a link is made anew for whoever asks again with the same key, so no copy of the database has it."""
    wish = {"scope": "user_id:ana read:preferences", "expires_in": "1 hour"}
    assert keyed(api, path="/auth/issue-token", body=wish).status_code == 200
    api.clock.move(3_599_000_000)
    late = keyed(api, path="/auth/issue-token", body=wish)
    assert "idempotent-replayed" not in late.headers
    api.clock.move(2_000_000)
    assert api.get("/users/ana/preferences", key=late.json()["token"]).status_code == 200
    keyed(api, path="/api/preference-links", body={"user_id": "ana"})
    assert tables.rows(api.store, "request_keys") == []


def test_a_request_that_is_being_worked_is_waited_for(api: Client) -> None:
    """Another one is told to come again, without the word that it will not go away (A39)."""
    keyed(api)
    with api.store.writing() as connection:
        connection.exec_driver_sql("UPDATE request_keys SET status = NULL")
    answer = keyed(api)
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert "x-should-retry" not in answer.headers


def test_a_request_that_takes_long_is_worked_once(api: Client) -> None:
    """Its key is held as long as it is at work, here and for other processes; others are told to come again."""
    rests: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    at_work, may_end = asyncio.Event(), asyncio.Event()

    async def rest(_seconds: float) -> None:
        over = asyncio.Event()
        await rests.put(over)
        await over.wait()

    class Slow:
        def read(self, *given: Any) -> Any:
            return api.world.app.ingest.read(*given)

        async def accept(self, batch: Any) -> Any:
            at_work.set()
            await may_end.wait()
            return await api.world.app.ingest.accept(batch)

    async def worked() -> list[tuple[int, bytes]]:
        here, elsewhere = (api.world.app.asgi(rest=rest, ingest=Slow()) for _ in range(2))
        first = asyncio.create_task(said(api, here))
        async with asyncio.timeout(30):
            await at_work.wait()
            over = await rests.get()
            for _ in range(3):
                api.clock.move(50_000_000)
                over.set()
                over = await rests.get()
        held = await said(api, here), await said(api, elsewhere)
        api.clock.move(61_000_000)
        late = await said(api, here)
        may_end.set()
        return [*held, late, await first, await said(api, elsewhere)]

    held, elsewhere, late, first, again = api.run(worked())
    assert (held[0], elsewhere[0], late[0], first[0]) == (409, 409, 409, 202)
    assert again == first
    assert len(tables.rows(api.store, "events")) == 1


async def said(api: Client, door: server.App) -> tuple[int, bytes]:
    """What one of several doors answers to an event with the key `k`."""
    transport = httpx2.ASGITransport(door)
    async with httpx2.AsyncClient(transport=transport, base_url="http://heliograph") as http:
        answer = await http.post(
            "/api/automation/events",
            json={"event_type": "custom.seen"},
            headers={"Idempotency-Key": "k", "Authorization": f"Bearer {api.admin}"},
        )
    return answer.status_code, answer.content


def test_a_request_whose_worker_died_starts_nothing_twice(api: Client) -> None:
    """It is worked again when its lease is over, and finds the run that it started."""
    first = keyed(api)
    with api.store.writing() as connection:
        connection.exec_driver_sql("UPDATE request_keys SET status = NULL")
    api.clock.move(61_000_000)
    assert keyed(api).json() == first.json()
    assert len(tables.rows(api.store, "starts")) == 1


@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("/automations/invoke", INVOCATION, "starts"),
        (
            "/send",
            {"message": {"to": {"email": "ana@example.com"}, "content": {"title": "T", "body": "B"}}},
            "requests",
        ),
    ],
)
def test_a_request_whose_commit_lost_its_answer_is_worked_once(
    api: Client, path: str, body: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told that the database is lost may send the same again at once, and it finds what was committed."""
    writing = api.store.writing

    @contextlib.contextmanager
    def lost() -> Iterator[sa.Connection]:
        before = len(tables.rows(api.store, table))
        with writing() as connection:
            yield connection
        if len(tables.rows(api.store, table)) > before:
            raise errors.DatabaseUnreachable("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(api.store, "writing", lost)
        assert keyed(api, body=body, path=path).status_code == 503
    api.clock.move(1_000_000)
    again = keyed(api, body=body, path=path)
    assert again.status_code == 200
    assert len(tables.rows(api.store, table)) == 1
    assert keyed(api, body=body, path=path).content == again.content


def test_a_key_expires(api: Client) -> None:
    """After a day, or when the request says: seconds, milliseconds or ISO 8601, moved to between a day and a year."""
    first = keyed(api)
    long = keyed(api, "long", **{"X-Idempotency-Expiration": str(1767614400 + 3 * DAY)})
    api.clock.move(DAY * 1_000_000 - 1)
    assert keyed(api).content == first.content
    api.clock.move(1)
    assert keyed(api).content != first.content
    assert keyed(api, "long").content == long.content
    for said in ("2 days", "2026-01-07T12:00:00Z", "1767960000000", "1"):
        assert keyed(api, said, **{"X-Idempotency-Expiration": said}).status_code == 200
    answer = keyed(api, "soon", **{"X-Idempotency-Expiration": "soon"})
    assert answer.status_code == 400
    assert keyed(api, "k" * 256).status_code == 400
    assert keyed(api, "").status_code == 200
    broom = housekeeping.Housekeeping(
        api.store.session, api.clock.now, lambda: 0, watches=False, places_in=api.store
    )
    api.clock.move(400 * DAY * 1_000_000)
    assert api.run(broom.forget()) > 5
    assert tables.rows(api.store, "request_keys") == []


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-77", "S2-78")
def test_a_send_with_a_key_is_sent_once(api: Client) -> None:
    """Whatever run asks for it again is told whose it was; until the key expires, a day if nothing is said."""
    api.world.contact("ana", email="ana@example.com")
    api.world.template("nudge", subject="s", text="t")
    step = {**NUDGE, "idempotency_key": "${`order-${data.n}`}"}
    first = invoke(api, step, data={"n": 1}, recipient="ana")
    api.world.run_until_idle()
    again = invoke(api, step, data={"n": 1}, recipient="bob")
    other = invoke(api, step, data={"n": 2})
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 2
    (sent,), (told,) = steps_of(api, first), steps_of(api, again)
    assert (told["status"], told["message_id"]) == ("PROCESSED", sent["message_id"])
    assert told["skip_reason"] == f"idempotency key already used by run {first}"
    assert steps_of(api, other)[0]["skip_reason"] is None
    long = {**NUDGE, "idempotency_key": "l", "idempotency_expiry": 1767614400 + 3 * DAY}
    invoke(api, long)
    api.world.run_until_idle()
    api.world.pass_time(days=2)
    invoke(api, long)
    invoke(api, {**step, "idempotency_expiry": "${data.until}"}, data={"n": 1, "until": ""})
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 4


def test_one_of_many_runs_with_a_key_sends(api: Client) -> None:
    """However many begin at once, whatever partition they are in."""
    api.world.contact("ana", email="ana@example.com")
    api.world.template("nudge", subject="s", text="t")
    made = [invoke(api, {**NUDGE, "idempotency_key": "k"}, recipient=f"c{n}") for n in range(8)]
    api.world.run_until_idle()
    assert len(api.mailbox.received) == 1
    assert {status(api, one) for one in made} == {"PROCESSED"}


@pytest.mark.spec("S2-39", "S2-40")
def test_a_fetch_with_a_key_is_asked_once(api: Client) -> None:
    """What it was answered is taken again, without asking; a fetch that failed frees its key (A26)."""
    step = {**FETCH, "idempotency_key": "k", "idempotency_expiry": "2026-01-08T12:00:00Z"}
    answers(api, testing.answering("gone", 404), {"a": 1}, {"a": 2})
    invoke(api, step)
    api.world.run_until_idle()
    runs = []
    for days in (0, 2, 2):
        api.world.pass_time(days=days)
        runs.append(invoke(api, step, {"action": "send", "message": {**TO_ANA, "content": SHOWN}}))
        api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.received] == ["1", "1", "2"]
    assert len(api.world.calls.received) == 3
    assert dict(api.world.calls.received[0][1].headers)["Idempotency-Key"] == "k"
    assert steps_of(api, runs[1])[0]["skip_reason"] == f"idempotency key already used by run {runs[0]}"


SHOWN = {"title": "t", "body": "{a}"}


def test_the_keys_of_steps_are_checked_beforehand(api: Client) -> None:
    """They are texts and moments; one that a run makes too long ends it."""
    found = faults(
        api,
        {**FETCH, "idempotency_key": [], "idempotency_expiry": "soon"},
        {**FETCH, "idempotency_key": "k" * 256},
    )
    assert set(found) == {
        "steps[0].idempotency_key",
        "steps[0].idempotency_expiry",
        "steps[1].idempotency_key",
    }
    run_id = invoke(api, {**FETCH, "idempotency_key": "${'k'.repeat(256)}"})
    api.world.run_until_idle()
    assert status(api, run_id) == "ERROR"


def test_tenants_have_keys_of_their_own(api: Client) -> None:
    """What one tenant's runs did is no business of another's."""
    answers(api, {"a": 1})
    body: dict[str, Any] = {"automation": {"steps": [{**FETCH, "idempotency_key": "k"}]}}
    for tenant in ("a", "b", "a"):
        api.post("/automations/invoke", body, key=api.key("admin", tenant=tenant))
        api.world.run_until_idle()
    assert len(api.world.calls.received) == 2
