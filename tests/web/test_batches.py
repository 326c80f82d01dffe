"""`add-to-batch` over HTTP: what its fields say, what it refuses, and how operators see batches."""

from typing import Any

import pytest

from tests import tables
from tests.web.client import Client
from tests.web.test_journeys import faults, invoke, put, status, statuses, steps_of

STEP = {
    "action": "add-to-batch",
    "batch_id": "comments",
    "wait_period": "PT10M",
    "max_wait_period": "PT1H",
    "retain": {"type": "first", "count": 10},
}
SAY = {
    "action": "send",
    "message": {
        "to": {"email": "ana@example.com"},
        "content": {
            "title": "${data.batch.count} new",
            "body": "${data.batch.items.map(item => item.n).join(' ')}",
        },
    },
}


def retain(kind: str, count: int = 10, sort_key: str | None = None) -> dict[str, Any]:
    """A `retain`."""
    return {"type": kind, "count": count, **({} if sort_key is None else {"sort_key": sort_key})}


def add(api: Client, *numbers: Any, context: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    """Runs that add to a batch, one after the other, a second between them; gives their ids."""
    made = []
    for number in numbers:
        data = number if isinstance(number, dict) else {"n": number}
        made.append(invoke(api, {**STEP, **fields}, SAY, data=data, **(context or {})))
        api.world.run_until_idle()
        api.clock.move(1_000_000)
    return made


def said(api: Client) -> list[tuple[str, str]]:
    """(subject, text) of what was sent, in the order of sending."""
    return [(mail.subject, mail.text) for mail in api.mailbox.received]


@pytest.mark.spec("S2-04", "S2-05", "S2-06", "S2-07", "S2-08")
def test_items_of_many_runs_go_out_as_one(api: Client) -> None:
    """Runs with the same batch_id add to one batch; nothing follows before it is released, and then it follows once."""
    first, *others = add(api, 1, 2, 3)
    (stranger,) = add(api, 9, batch_id="likes")
    assert [status(api, one) for one in (first, *others, stranger)] == [
        "WAITING",
        "PROCESSED",
        "PROCESSED",
        "WAITING",
    ]
    assert said(api) == []
    api.world.pass_time(minutes=9)
    assert said(api) == []
    api.world.pass_time(minutes=2)
    assert sorted(said(api)) == [("1 new", "9"), ("3 new", "1 2 3")]
    assert statuses(api, first) == ["PROCESSED", "PROCESSED"]
    assert [statuses(api, one) for one in others] == [["PROCESSED", "NOT PROCESSED"]] * 2
    api.world.pass_time(hours=2)
    assert len(said(api)) == 2
    assert not any(tables.content(api.store, "batches", "batch_items", "timers", "inbox").values())


def test_steps_tell_of_their_batch(api: Client) -> None:
    """The owner's says how many there were and why it was released, the others' whose run goes on with their item."""
    first, second = add(api, 1, 2)
    waiting = steps_of(api, first)[0]
    assert waiting["status"] == "WAITING"
    now = waiting["explain"]["batch"]
    assert (now["owner"], now["item"], now["size"]) == (True, 1, 2)
    assert now["releases_at"] == "2026-01-05T12:10:01.000000Z"
    told = steps_of(api, second)[0]["explain"]["batch"]
    assert (told["owner"], told["item"], told["owner_run_id"]) == (False, 2, first)
    api.world.pass_time(hours=1)
    owner = steps_of(api, first)[0]["explain"]["batch"]
    assert (owner["batch_id"], owner["size"], owner["retained"]) == ("comments", 2, 2)
    assert (owner["reason"], owner["id"]) == ("wait_period", told["id"])
    assert owner["released_at"] == "2026-01-05T12:10:01.000000Z"


@pytest.mark.spec("S2-09")
def test_a_batch_is_released_when_it_has_been_quiet(api: Client) -> None:
    """Each item begins the wait_period anew."""
    add(api, 1)
    api.world.pass_time(minutes=9)
    add(api, 2)
    api.world.pass_time(minutes=9.9)
    assert said(api) == []
    api.world.pass_time(minutes=0.2)
    assert said(api) == [("2 new", "1 2")]


@pytest.mark.spec("S2-10", "S2-12")
def test_a_batch_is_released_after_the_longest_wait(api: Client) -> None:
    """However busy it is; which of the two periods is the longer does not matter: the earlier limit counts."""
    for number in range(8):
        add(api, number)
        api.world.pass_time(minutes=8)
    assert said(api) == [("8 new", "0 1 2 3 4 5 6 7")]
    (last,) = add(api, 9, batch_id="other", wait_period="P1D", max_wait_period="PT10M")
    api.world.pass_time(minutes=9)
    assert len(said(api)) == 1
    api.world.pass_time(minutes=2)
    assert said(api)[1:] == [("1 new", "9")]
    assert steps_of(api, last)[0]["explain"]["batch"]["reason"] == "max_wait_period"


@pytest.mark.spec("S2-13")
def test_a_full_batch_is_released_at_once(api: Client) -> None:
    """The item that makes it full is its last; the next one opens another. A later call may lower the number."""
    add(api, 1, 2, 3, 4, 5, max_items=2)
    assert said(api) == [("2 new", "1 2"), ("2 new", "3 4")]
    add(api, 6, max_items=3)
    add(api, 7, max_items=1)
    assert said(api)[2:] == [("3 new", "5 6 7")]
    assert said(api) == said(api)[:3], "nothing waits any more"
    assert tables.rows(api.store, "batches") == []


@pytest.mark.spec("S2-14", "S2-15", "S2-16")
def test_the_first_or_the_last_items_are_retained(api: Client) -> None:
    """As many as `count` says, in the order in which they came; the count tells of all."""
    for kind, kept in (("first", "1 2"), ("last", "3 4")):
        add(api, 1, 2, 3, 4, retain=retain(kind, 2), max_items=4)
        assert said(api)[-1] == ("4 new", kept)


@pytest.mark.spec("S2-17", "S2-18", "S2-20")
def test_the_highest_or_the_lowest_items_are_retained(api: Client) -> None:
    """Numbers before texts before the rest, those with nothing there last; equals in the order in which they came."""
    items = [
        {"n": 1, "votes": 5},
        {"n": 2},
        {"n": 3, "votes": "9"},
        {"n": 4, "votes": 7},
        {"n": 5, "votes": 5},
    ]
    for kind, kept in (("highest", "4 1 5 3 2"), ("lowest", "1 5 4 3 2")):
        for sort_key in ("votes", "data.votes", "refs.data.votes"):
            add(api, *items, retain=retain(kind, 10, sort_key), max_items=5)
            assert said(api)[-1] == ("5 new", kept)
    add(api, *items, retain=retain("highest", 1, "votes"), max_items=5)
    assert said(api)[-1] == ("5 new", "4")
    deep = [{"n": number, "a": {"b": [0, number]}} for number in (3, 1, 2)]
    add(api, *deep, retain=retain("lowest", 2, "a.b.1"), max_items=3)
    assert said(api)[-1] == ("3 new", "1 2")
    dotted = [{"n": number, "a.b": number, "a": {"b": -number}} for number in (3, 1, 2)]
    add(api, *dotted, retain=retain("lowest", 2, "a.b"), max_items=3)
    assert said(api)[-1] == ("3 new", "1 2")


@pytest.mark.spec("S2-19")
def test_ten_items_are_retained_or_up_to_a_hundred(api: Client) -> None:
    """Ten are, as the source document has it; a call while the batch is open may change how many, and which."""
    add(api, *range(12), retain=retain("first", 10), max_items=12)
    assert said(api) == [("12 new", "0 1 2 3 4 5 6 7 8 9")]
    add(api, *range(3), retain=retain("first", 1))
    add(api, 3, retain=retain("last", 2), max_items=4)
    assert said(api)[1:] == [("4 new", "2 3")]


@pytest.mark.spec("S2-21")
def test_a_batch_is_set_under_its_category(api: Client) -> None:
    """`batch` unless a name is given; taken from the run it makes a batch of its own for each value."""
    content = {"title": "t", "body": "${JSON.stringify(data)}"}
    say = {"action": "send", "message": {"to": {"email": "ana@example.com"}, "content": content}}
    invoke(api, {**STEP, "category_key": "likes", "max_items": 1}, say, data={"n": 1, "likes": "old"})
    api.world.run_until_idle()
    assert said(api) == [("t", '{"n":1,"likes":{"count":1,"items":[{"n":1,"likes":"old"}]}}')]
    for number, kind in enumerate(("share", "like", "share", "like", None)):
        step = {**STEP, "category_key": "refs.data.kind", "max_items": 2}
        invoke(api, step, say, data={"n": number, "kind": kind})
        api.world.run_until_idle()
        api.clock.move(1_000_000)
    share, like = (text for _, text in said(api)[1:])
    assert share.startswith('{"n":0,"kind":"share","share":{"count":2,"items":[{"n":0,')
    assert like.startswith('{"n":1,"kind":"like","like":{"count":2,')
    (left,) = api.get("/automations/batches").json()["batches"]
    assert left["category_key"] == "batch"


@pytest.mark.spec("S2-22")
def test_the_example_of_the_source_document_is_accepted(api: Client) -> None:
    """With its batch_id and periods filled in, and empty texts where nothing is said."""
    example = {
        "action": "add-to-batch",
        "batch_id": "digest",
        "wait_period": "PT5M",
        "max_wait_period": "P1D",
        "max_items": 10,
        "retain": {"type": "first", "count": 10, "sort_key": ""},
        "category_key": "",
    }
    run_id = invoke(api, example, SAY, data={"n": 1})
    api.world.pass_time(minutes=6)
    assert (status(api, run_id), said(api)) == ("PROCESSED", [("1 new", "1")])


def test_whose_batch_it_is(api: Client) -> None:
    """In the scope `user` each has their own, found in the recipient, else in profile or data; scopes do not meet."""
    for context in (
        {"recipient": "ana"},
        {"data": {"n": 2, "user_id": "ana"}},
        {"data": {"n": 3, "userId": "bob"}},
        {"profile": {"user_id": "bob"}, "data": {"n": 4}},
    ):
        invoke(api, {**STEP, "scope": "user"}, **context)
    for scope in ("global", "dynamic"):
        invoke(api, {**STEP, "scope": scope}, data={"n": 1})
    invoke(api, STEP, data={"n": 1})
    lost = invoke(api, {**STEP, "scope": "user"})
    api.world.run_until_idle()
    open_ones = api.get("/automations/batches").json()["batches"]
    assert sorted((one["scope"], one["user_id"] or "", one["size"]) for one in open_ones) == [
        ("dynamic", "", 2),
        ("global", "", 1),
        ("user", "ana", 2),
        ("user", "bob", 2),
    ]
    (told,) = steps_of(api, lost)
    assert (status(api, lost), told["status"]) == ("ERROR", "ERROR")
    assert "the run says of no user" in told["error"]["message"]


def test_fields_of_a_batch_are_taken_from_the_run(api: Client) -> None:
    """Key, periods, numbers and what is retained; what comes out of it wrong ends the run and joins nothing."""
    dynamic = {
        "action": "add-to-batch",
        "batch_key": "${`post-${data.post}`}",
        "wait_period": {"$ref": "data.wait"},
        "max_wait_period": "PT${data.hours}H",
        "max_items": "refs.data.most",
        "retain": {"type": "${data.which}", "count": {"$ref": "data.kept"}},
    }
    good = {"post": 7, "wait": "PT5M", "hours": 2, "most": 2, "which": "last", "kept": 1}
    for number in (1, 2):
        invoke(api, dynamic, SAY, data={**good, "n": number})
        api.world.run_until_idle()
        api.clock.move(1_000_000)
    assert said(api) == [("2 new", "2")]
    for name, value, place in (
        ("wait", "soon", "wait_period"),
        ("most", 0, "max_items"),
        ("kept", 101, "retain.count"),
        ("which", "best", "retain.type"),
        ("post", "\x00", "batch_key"),
    ):
        run_id = invoke(api, dynamic, SAY, data={**good, name: value})
        api.world.run_until_idle()
        assert (status(api, run_id), statuses(api, run_id)) == ("ERROR", ["ERROR", "NOT PROCESSED"])
        assert f"steps[0].{place}" in steps_of(api, run_id)[0]["error"]["message"]
    assert tables.rows(api.store, "batches") == []


@pytest.mark.spec("S2-02", "S2-11")
def test_what_is_wrong_with_a_batch_is_found_beforehand(api: Client) -> None:
    """Each fault with its place: what is missing, periods that are none or too long, numbers, words."""
    assert faults(api, {"action": "add-to-batch"}).keys() == {
        f"steps[0].{name}" for name in ("batch_id", "wait_period", "max_wait_period", "retain")
    }
    for field, value, place in (
        ("max_wait_period", "P61D", "max_wait_period"),
        ("wait_period", "PT1441H", "wait_period"),
        ("wait_period", "P1M", "wait_period"),
        ("wait_period", "PT0S", "wait_period"),
        ("wait_period", "10 minutes", "wait_period"),
        ("max_items", 0, "max_items"),
        ("max_items", 2.5, "max_items"),
        ("max_items", True, "max_items"),
        ("scope", "everybody", "scope"),
        ("retain", [], "retain"),
        ("retain", {"type": "first"}, "retain.count"),
        ("retain", {"count": 10}, "retain.type"),
        ("retain", retain("best"), "retain.type"),
        ("retain", retain("first", 0), "retain.count"),
        ("retain", retain("first", 101), "retain.count"),
        ("retain", retain("highest"), "retain.sort_key"),
        ("retain", retain("lowest", 10, "a..b"), "retain.sort_key"),
        ("retain", {**retain("first"), "order": 1}, "retain.order"),
        ("batch_id", "x" * 256, "batch_id"),
        ("if", "1 +", "if"),
        ("keep", 1, "keep"),
    ):
        assert list(faults(api, {**STEP, field: value})) == [f"steps[0].{place}"], (field, value)
    assert api.get("/automations/runs").json() == {"runs": []}
    invoke(api, {**STEP, "max_wait_period": "P60D"})


def test_a_run_that_is_canceled_takes_its_item_out(api: Client) -> None:
    """The run of the oldest other item goes on as the owner, waiting again, and says in whose place; the rest stays."""
    first, second, third = add(api, 1, 2, 3)
    assert api.post(f"/automations/runs/{first}/cancel").json()["status"] == "CANCELED"
    api.world.run_until_idle()
    assert [status(api, one) for one in (first, second, third)] == ["CANCELED", "WAITING", "PROCESSED"]
    told = steps_of(api, second)[0]["explain"]["batch"]
    assert (told["owner"], told["instead_of"], "owner_run_id" in told) == (True, first, False)
    assert api.post(f"/automations/runs/{third}/cancel").json()["status"] == "PROCESSED"
    api.world.pass_time(minutes=11)
    assert said(api) == [("2 new", "2 3")]
    assert [status(api, one) for one in (first, second)] == ["CANCELED", "PROCESSED"]
    told = steps_of(api, second)[0]["explain"]["batch"]
    assert (told["instead_of"], "owner_run_id" in told) == (first, False)
    (alone,) = add(api, 4)
    api.post(f"/automations/runs/{alone}/cancel")
    api.world.pass_time(hours=2)
    assert len(said(api)) == 1
    assert tables.rows(api.store, "batches") == []


def test_tenants_do_not_share_batches(api: Client) -> None:
    """The same batch_id of two tenants is two batches, and each sees its own alone."""
    keys = [api.key("admin", tenant=tenant) for tenant in ("shop", "club")]
    for key in keys:
        api.post("/automations/invoke", {"automation": {"steps": [STEP]}, "data": {}}, key=key)
    api.world.run_until_idle()
    assert [one["size"] for one in api.get("/automations/batches").json()["batches"]] == [1, 1]
    other, key = keys
    (own,) = api.get("/automations/batches", key=key).json()["batches"]
    assert api.get(f"/automations/batches/{own['id']}", key=key).json() == own
    assert api.get(f"/automations/batches/{own['id']}", key=other).status_code == 404
    assert api.post(f"/automations/batches/{own['id']}/release", key=other).status_code == 404


def test_open_batches_are_listed_and_released(api: Client) -> None:
    """How many items each has and when it is due; one can be released now, and what comes later opens the next."""
    first, _ = add(api, 1, 2)
    add(api, 1, batch_id="likes", max_items=5, retain=retain("highest", 3, "n"))
    page = api.get("/automations/batches?limit=1").json()
    (likes,) = page["batches"]
    assert (likes["batch_id"], likes["status"], likes["max_items"]) == ("likes", "OPEN", 5)
    assert likes["retain"] == {"type": "highest", "count": 3, "sort_key": "n"}
    rest = api.get(f"/automations/batches?cursor={page['next_cursor']}").json()
    (comments,) = rest["batches"]
    assert "next_cursor" not in rest
    assert (comments["size"], comments["owner_run_id"]) == (2, first)
    assert (comments["opened_at"], comments["releases_at"]) == (
        "2026-01-05T12:00:00.000000Z",
        "2026-01-05T12:10:01.000000Z",
    )
    assert [one["batch_id"] for one in api.get("/automations/batches?batch_id=likes").json()["batches"]] == [
        "likes"
    ]
    path = f"/automations/batches/{comments['id']}"
    for _ in range(2):
        assert api.post(f"{path}/release").status_code == 202
    api.world.run_until_idle()
    assert said(api) == [("2 new", "1 2")]
    assert steps_of(api, first)[0]["explain"]["batch"]["reason"] == "operator"
    assert api.get(path).status_code == 404
    assert api.get("/automations/batches?cursor=x").status_code == 400
    add(api, 3)
    assert len(api.get("/automations/batches").json()["batches"]) == 2


@pytest.mark.spec("S2-03")
def test_a_batch_has_its_frame(api: Client) -> None:
    """A journey's step is skipped where its `if` does not hold, and later steps see what it came to by its `ref`."""
    step = {**STEP, "if": "data.n > 1", "ref": "pool", "max_items": 1}
    put(api, "j", step, {**SAY, "if": "refs.pool.status === 'PROCESSED'"})
    for number in (1, 2):
        body = {"recipient": None, "data": {"n": number}}
        run_id = api.post("/automations/j/invoke", body).json()["runId"]
        api.world.run_until_idle()
        assert statuses(api, run_id) == (["SKIPPED"] * 2 if number == 1 else ["PROCESSED"] * 2)
    assert said(api) == [("1 new", "2")]
