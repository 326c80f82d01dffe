"""Date automations over HTTP, in Sign-Up.to's envelope."""

from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from heliograph import errors
from heliograph.store import dates, templates, workspaces
from tests.web import client

PATH = "/v1/dateAutomation"
NOW = client.START / 1_000_000
NOTIFY: dict[str, Any] = {
    "name": "Call them",
    "actiontype": "notify",
    "actiontarget": "sales@shop.example",
    "summary": None,
}
FIELDS = "id actiononweekend actiontarget actionhour actiontimediff actiontype name paused summary user_id cdate mdate"


def template(api: client.Client, name: str = "birthday") -> int:
    """A message that was made by `apply`; its number."""
    with api.store.writing() as connection:
        owner = workspaces.ensure(connection, "default", api.clock.now())
        made = templates.put(
            connection, owner, name, {"subject": "Happy birthday", "text": "Hooray!"}, api.clock.now()
        )
    return made.number


def create(api: client.Client, key: str = "", **fields: Any) -> dict[str, Any]:
    """NOTIFY with these fields, created; the resource."""
    answer = api.post(PATH, {**NOTIFY, **fields}, key=key)
    assert answer.status_code == 202, answer.text
    return one(answer)


def one(answer: httpx2.Response) -> dict[str, Any]:
    """The resource of an answer about one."""
    body = answer.json()
    assert body["status"] == "ok", body
    assert (body["response"]["count"], body["response"]["next"]) == (1, None)
    found: dict[str, Any] = body["response"]["data"]
    return found


def listed(api: client.Client, **query: Any) -> list[int]:
    """The ids of what is listed; none where the answer is 404."""
    answer = api.get(PATH, params=query)
    if answer.status_code == 404:
        return []
    assert answer.status_code == 200, answer.text
    response = answer.json()["response"]
    assert response["count"] == len(response["data"])
    return [found["id"] for found in response["data"]]


def refusal(answer: httpx2.Response, status: int) -> str:
    """The message of a refusal."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["status"] == "error"
    response = body["response"]
    assert response.keys() == {"code", "subcode", "message", "resource_id"}
    assert response["code"] == status
    return str(response["message"])


# ── create and read ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S1-07", "S1-08", "S1-09", "S1-10", "S1-11", "S1-12")
def test_what_is_created_can_be_read(api: client.Client) -> None:
    """POST answers 202 with the whole resource, GET by id gives it as an object; the target is text."""
    number = template(api)
    given: dict[str, Any] = {
        "actiononweekend": True,
        "actiontarget": number,
        "actionhour": "01:00:00",
        "actiontimediff": -1440,
        "actiontype": "email_autoresponder",
        "name": "Birthday Trigger",
        "paused": False,
        "summary": "At approximately 01:00, 1 day(s) before it's the subscriber's birthday",
    }
    made = create(api, **given)
    wanted = {**given, "id": 1, "user_id": 1, "actiontarget": str(number), "cdate": NOW, "mdate": NOW}
    assert list(made) == FIELDS.split()
    assert made == wanted
    assert one(api.get(f"{PATH}/1")) == wanted
    assert one(api.get(PATH, params={"id": 1})) == wanted


@pytest.mark.spec("S1-13", "S1-14", "S1-15", "S1-16", "S1-17", "S1-18")
def test_who_made_it_and_when_can_be_read(api: client.Client) -> None:
    """`user_id` is the number of the key, `cdate` and `mdate` are seconds, and say when it was made and changed."""
    made = create(api, name="Two", paused=True, summary="words", key=api.key("supervisor"))
    assert (made["name"], made["paused"], made["summary"], made["user_id"]) == ("Two", True, "words", 2)
    api.clock.move(1_500_000)
    one(api.put(f"{PATH}/1", {"summary": None}))
    read = one(api.get(f"{PATH}/1"))
    wanted = {"name": "Two", "paused": True, "summary": None, "cdate": NOW, "mdate": NOW + 1.5, "user_id": 2}
    assert {field: read[field] for field in wanted} == wanted


@pytest.mark.spec("S1-27", "S1-28", "S1-29", "S1-30", "S1-31", "S1-32")
def test_every_field_of_a_new_rule_counts(api: client.Client) -> None:
    """What POST says is what is stored, field by field."""
    made = create(
        api,
        name="N",
        actiontype="notify",
        actiontarget="ops@shop.example",
        actionhour="18:00:00",
        actiontimediff=2880,
        actiononweekend=False,
    )
    assert made["name"] == "N"
    assert made["actiontype"] == "notify"
    assert made["actiontarget"] == "ops@shop.example"
    assert (made["actionhour"], made["actiontimediff"], made["actiononweekend"]) == ("18:00:00", 2880, False)


@pytest.mark.parametrize("field", ["actiontarget", "actiontype", "name", "summary"])
@pytest.mark.spec("S1-33", "S1-34")
def test_required_fields_are_required(api: client.Client, field: str) -> None:
    """A new rule without one of them is refused, and made with all; `paused` is false unless it is said."""
    given = {name: value for name, value in NOTIFY.items() if name != field}
    assert refusal(api.post(PATH, given), 400).startswith(f"{field}: is required")
    assert listed(api) == []
    made = create(api, paused=True, summary="said")
    assert (made["paused"], made["summary"]) == (True, "said")
    assert create(api)["paused"] is False


@pytest.mark.parametrize(
    "strange", [{"id": 4}, {"message_id": 4}, {"user_id": 1}, {"cdate": 1}, {"actionTarget": "x"}]
)
@pytest.mark.spec("S1-35", "S1-74")
def test_a_new_rule_says_nothing_unknown(api: client.Client, strange: dict[str, Any]) -> None:
    """`id`, what the server sets and what nobody knows is refused with its name, in the family's shape."""
    answer = api.post(PATH, {**NOTIFY, **strange})
    (name,) = strange
    assert name in refusal(answer, 400)
    assert answer.json()["response"]["subcode"] is None
    assert listed(api) == []


@pytest.mark.parametrize("action", ["webhook", "", None, 3])
@pytest.mark.spec("S1-50")
def test_any_other_action_is_refused(api: client.Client, action: object) -> None:
    """There are four action types, and no more."""
    assert "actiontype" in refusal(api.post(PATH, {**NOTIFY, "actiontype": action}), 400)


@pytest.mark.parametrize("said", [{}, {"actiontimediff": 0}, {"actiontimediff": 0, "actionhour": None}])
@pytest.mark.spec("S1-53")
def test_as_soon_as_possible_cannot_leave_out_weekends(api: client.Client, said: dict[str, Any]) -> None:
    """Without hour and offset `actiononweekend` false is refused."""
    answer = api.post(PATH, {**NOTIFY, **said, "actiononweekend": False})
    assert refusal(answer, 400).startswith("actiononweekend: cannot be false")


def test_every_fault_is_in_the_message(lone_api: client.Client) -> None:
    """The family has one message: it tells all that is wrong."""
    told = refusal(lone_api.post(PATH, {**NOTIFY, "actionhour": "9", "name": ""}), 400)
    assert "actionhour: is a whole hour" in told
    assert "name: is a text" in told


def test_forms_are_read(api: client.Client) -> None:
    """A form says the same as JSON: flags are 1 and 0 or words, numbers are digits."""
    form = {"actionhour": "09:00:00", "actiontimediff": "-1440", "actiononweekend": "0", "paused": "true"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({**NOTIFY, "summary": "é & ü", **form})
    made = one(api.send("POST", PATH, content=body, headers=headers))
    assert (made["actiontimediff"], made["actiononweekend"], made["paused"]) == (-1440, False, True)
    assert made["summary"] == "é & ü"
    changed = one(api.send("PUT", PATH, content="id=1&paused=0&actionhour=", headers=headers))
    assert (changed["paused"], changed["actionhour"]) == (False, None)
    assert refusal(api.send("POST", PATH, content="name=a&name=b", headers=headers), 400)


def test_the_name_of_the_endpoint_may_be_written_in_any_case(api: client.Client) -> None:
    """`dateautomation` is `dateAutomation`; other parts of the path keep their case."""
    assert api.post("/v1/dateautomation", NOTIFY).status_code == 202
    assert one(api.get("/v1/DATEAUTOMATION/1"))["id"] == 1
    assert api.get("/V1/dateAutomation").status_code == 404


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────


def some(api: client.Client) -> None:
    """Three rules in which every filter and order sees something."""
    create(api, name="b", actionhour="09:00:00", actiononweekend=False)
    api.clock.move(1_000_000)
    create(api, name="a", paused=True, actiontimediff=-60, actiononweekend=True)
    api.clock.move(1_000_000)
    create(api, name="b", actionhour="08:00:00", key=api.key("supervisor"))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, [1, 2, 3]),
        ({"actiononweekend": "false"}, [1]),
        ({"actiononweekend": "1"}, [2, 3]),
        ({"name": "b"}, [1, 3]),
        ({"paused": "true"}, [2]),
        ({"paused": "0", "name": "b", "user_id": 1}, [1]),
        ({"user_id": 2}, [3]),
        ({"name": "c"}, []),
        ({"name": "a", "paused": "0"}, []),
        ({"sort": "actionhour"}, [2, 3, 1]),
        ({"sort": "actiontimediff"}, [2, 1, 3]),
        ({"sort": "name"}, [2, 1, 3]),
        ({"sort": "cdate", "reverse": "true"}, [3, 2, 1]),
        ({"sort": "name", "reverse": "1"}, [3, 1, 2]),
        ({"reverse": "true"}, [3, 2, 1]),
        ({"start": 2}, [2, 3]),
        ({"start": 2, "reverse": "1"}, [2, 1]),
        ({"start": 9}, []),
        ({"sort": "name", "start": "aa"}, [1, 3]),
        ({"sort": "name", "start": "b"}, [1, 3]),
        ({"sort": "name", "start": "b|2"}, [3]),
        ({"sort": "actionhour", "start": "|2"}, [2, 3, 1]),
        ({"sort": "actiontimediff", "start": -10}, [1, 3]),
        ({"count": 2}, [1, 2]),
    ],
)
def test_filters_and_orders(lone_api: client.Client, query: dict[str, Any], wanted: list[int]) -> None:
    """Filters are exact and all count; an order is by value, then by id; nothing found is a 404."""
    some(lone_api)
    assert listed(lone_api, **query) == wanted


@pytest.mark.parametrize("sort", ["id", "actionhour", "actiontimediff", "name", "cdate"])
@pytest.mark.parametrize("reverse", ["true", "false"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.spec("S1-20")
def test_a_walk_sees_everything_once(api: client.Client, sort: str, reverse: str, count: int) -> None:
    """`next` is the `start` of the next page, also where values are equal or null; the last page has none."""
    some(api)
    some(api)
    query: dict[str, Any] = {"sort": sort, "reverse": reverse, "count": count}
    whole = [found["id"] for found in api.get(PATH, params=query | {"count": 200}).json()["response"]["data"]]
    walked: list[int] = []
    while True:
        response = api.get(PATH, params=query).json()["response"]
        assert 1 <= response["count"] <= count
        walked += [found["id"] for found in response["data"]]
        if response["next"] is None:
            break
        assert isinstance(response["next"], int if sort == "id" else str)
        query["start"] = response["next"]
    assert walked == whole
    assert sorted(walked) == [1, 2, 3, 4, 5, 6]


def test_a_start_that_looks_like_a_value_and_an_id_is_one(lone_api: client.Client) -> None:
    """A walk ends, whatever rules are called: `name|2` is the rule 2 called name, not one that is called so."""
    for name in ("name|2", "name", "name", "name|2|9"):
        create(lone_api, name=name)
    for reverse, whole in ((False, [2, 3, 1, 4]), (True, [4, 1, 3, 2])):
        walked: list[int] = []
        query: dict[str, Any] = {"sort": "name", "reverse": reverse, "count": 1}
        while len(walked) < 5:
            response = lone_api.get(PATH, params=query).json()["response"]
            walked += [found["id"] for found in response["data"]]
            if response["next"] is None:
                break
            query["start"] = response["next"]
        assert walked == whole
    assert listed(lone_api, sort="name", start="name|2") == [2, 3, 1, 4]
    assert listed(lone_api, sort="name", start="name|2|0") == [1, 4]
    assert listed(lone_api, sort="name", start="name|2|99", reverse=True) == [1, 3, 2]
    assert listed(lone_api, sort="name", start="name") == [2, 3, 1, 4]


@pytest.mark.parametrize(
    "query",
    [
        {"actiontarget": "x"},
        {"actionhour": "09:00:00"},
        {"actiontype": "notify"},
        {"summary": ""},
        {"cdate": 1},
        {"mdate": 1},
        {"sort": "actiontarget"},
        {"sort": "paused"},
        {"sort": "mdate"},
        {"sort": "user_id"},
        {"count": 0},
        {"count": 201},
        {"paused": "maybe"},
        {"id": "x"},
        {"start": "x"},
        {"sort": "cdate", "start": "y"},
        {"sort": "cdate", "start": "nan"},
    ],
)
@pytest.mark.spec("S1-19")
def test_other_filters_and_orders_are_refused(api: client.Client, query: dict[str, Any]) -> None:
    """What cannot be filtered by or sorted by is refused with 400, as is what makes no sense."""
    create(api)
    assert refusal(api.get(PATH, params=query), 400)


@pytest.mark.parametrize("query", [{"id": 7}, {"name": "nobody"}])
def test_nothing_found_is_a_404(lone_api: client.Client, query: dict[str, Any]) -> None:
    """An empty collection is no list but a 404, as is an id that is not there."""
    assert refusal(lone_api.get(PATH), 404)
    create(lone_api)
    assert refusal(lone_api.get(PATH, params=query), 404)
    assert refusal(lone_api.get(f"{PATH}/2"), 404)
    assert refusal(lone_api.get(f"{PATH}/x"), 404)
    assert refusal(lone_api.get(f"{PATH}/1", params={"name": "other"}), 404)


@pytest.mark.spec("S1-21", "S1-22", "S1-23", "S1-24", "S1-25", "S1-26")
def test_head_says_whether_something_is_there(api: client.Client) -> None:
    """HEAD takes the same filters, answers 200 or 404, and has no body."""
    create(api, name="a", paused=True)
    for query in ({}, {"id": 1}, {"actiononweekend": 1}, {"name": "a"}, {"paused": 1}, {"user_id": 1}):
        found = api.send("HEAD", PATH, params=query)
        assert (found.status_code, found.content) == (200, b""), query
    for query in ({"id": 2}, {"actiononweekend": 0}, {"name": "b"}, {"paused": 0}, {"user_id": 2}):
        missing = api.send("HEAD", PATH, params=query)
        assert (missing.status_code, missing.content) == (404, b""), query
    assert api.send("HEAD", f"{PATH}/1").status_code == 200
    assert api.send("HEAD", f"{PATH}/2").status_code == 404


# ── change and delete ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S1-36", "S1-37", "S1-39", "S1-40", "S1-42")
def test_a_change_replaces_what_it_says(api: client.Client) -> None:
    """PUT names the rule in its body and changes the fields that it gives; the whole is answered."""
    made = create(api)
    change = {
        "id": 1,
        "name": "New",
        "actionhour": "20:00:00",
        "actiontimediff": -2880,
        "actiononweekend": False,
    }
    changed = one(api.put(PATH, change))
    assert changed == {**made, **change}
    assert one(api.get(f"{PATH}/1")) == changed


@pytest.mark.spec("S1-38", "S1-41", "S1-43", "S1-44")
def test_type_and_target_of_a_notification_can_be_changed(api: client.Client) -> None:
    """`notify` may become another action with another target; `paused` and `summary` may change too."""
    number = template(api)
    create(api)
    change = {
        "actiontype": "email_autoresponder",
        "actiontarget": number,
        "paused": True,
        "summary": "words",
    }
    changed = one(api.put(f"{PATH}/1", {**change, "id": 1}))
    assert changed | {**change, "actiontarget": str(number)} == changed
    other = create(api)
    target = one(api.put(PATH, {"id": other["id"], "actiontarget": "other@shop.example"}))["actiontarget"]
    assert target == "other@shop.example"


def test_a_change_is_checked_as_a_whole(lone_api: client.Client) -> None:
    """What a change makes of the rule has to hold, or nothing changes."""
    made = create(lone_api, actionhour="09:00:00")
    assert "multiple of 1440" in refusal(lone_api.put(f"{PATH}/1", {"actiontimediff": 60}), 400)
    assert "unknown key" in refusal(lone_api.put(f"{PATH}/1", {"message_id": 60}), 400)
    assert "user_id: is set by the server" in refusal(lone_api.put(f"{PATH}/1", {"user_id": 60}), 400)
    assert one(lone_api.get(f"{PATH}/1")) == made


def test_the_id_may_stand_anywhere_once(lone_api: client.Client) -> None:
    """Path, query and body may name the rule; none of them, or two rules, is refused."""
    create(lone_api)
    assert one(lone_api.put(PATH, {"name": "a"}, params={"id": 1}))["name"] == "a"
    assert one(lone_api.put(f"{PATH}/1", {"name": "b", "id": 1}))["name"] == "b"
    assert refusal(lone_api.put(PATH, {"name": "c"}), 400).startswith("id: is required")
    assert refusal(lone_api.put(f"{PATH}/1", {"name": "c", "id": 2}), 400).startswith("id: is given twice")
    assert refusal(lone_api.put(f"{PATH}/2", {"name": "c"}), 404)
    assert refusal(lone_api.put(PATH, {"name": "c", "id": "x"}), 400)
    assert refusal(lone_api.delete(PATH), 400).startswith("id: is required")


@pytest.mark.spec("S1-45")
def test_a_deleted_rule_is_gone(api: client.Client) -> None:
    """DELETE answers 200 with the rule as it was; after that, and again, it is a 404."""
    made, other = create(api), create(api)
    gone = api.delete(PATH, params={"id": 1})
    assert gone.status_code == 200
    assert one(gone) == made
    for answer in (api.get(f"{PATH}/1"), api.delete(f"{PATH}/1"), api.put(f"{PATH}/1", {"name": "x"})):
        assert refusal(answer, 404)
    assert listed(api) == [2]
    assert one(api.delete(f"{PATH}/2")) == other


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────


def news(api: client.Client, list_id: str = "news") -> int:
    """The number of a list."""
    assert api.put(f"/lists/{list_id}", {"name": list_id}).status_code == 204
    return int(api.get(f"/lists/{list_id}").json()["number"])


def enlisting(number: object, **fields: Any) -> dict[str, Any]:
    """An automation that puts people on a list the day before their birthday."""
    later = {"actiontype": "addtolist", "actiontarget": number, "actiontimediff": -1440}
    return {**NOTIFY, **later, "actionhour": "01:00:00", "actiononweekend": True, **fields}


@pytest.mark.spec("S1-46")
def test_somebody_is_put_on_a_list_before_their_birthday(api: client.Client) -> None:
    """`addtolist` subscribes the contact to the list of its number; who is on it stays as they are."""
    prefers = {"categories": {"sale": {"status": "OPTED_OUT"}}}
    for name in ("ana", "ben"):
        api.put(f"/profiles/{name}", {"profile": {"birthdate": "1990-01-08"}})
    api.put("/profiles/cleo", {"profile": {"birthdate": "1990-01-20"}})
    number = news(api)
    api.put("/lists/news/subscriptions/ben", {"preferences": prefers})
    one(api.post(PATH, enlisting(str(number))))
    api.world.pass_time(days=3)
    found = api.get("/lists/news/subscriptions").json()["items"]
    assert {who["recipientId"]: who["preferences"] for who in found} == {"ana": None, "ben": prefers}


@pytest.mark.spec("S1-78")
def test_a_deleted_list_pauses_what_puts_people_on_it(api: client.Client) -> None:
    """It cannot be unpaused while the list is gone, but with another list, in one request."""
    number, other = news(api), news(api, "other")
    one(api.post(PATH, enlisting(number)))
    one(api.post(PATH, enlisting(other)))
    api.delete("/lists/news")
    assert [each["paused"] for each in api.get(PATH).json()["response"]["data"]] == [True, False]
    refused = api.put(f"{PATH}/1", {"paused": False})
    told = refused.json()["response"]
    assert (refused.status_code, told["subcode"], told["resource_id"]) == (409, 12, number)
    assert told["message"] == (
        f"Automation Rule 1 cannot be unpaused: Dependent list resource {number} no longer exists"
    )
    assert refusal(api.put(f"{PATH}/1", {"actiontarget": 99, "paused": False}), 404)
    changed = one(api.put(f"{PATH}/1", {"actiontarget": other, "paused": False}))
    assert (changed["paused"], changed["actiontarget"]) == (False, str(other))
    api.put("/lists/news/restore")
    assert one(api.put(f"{PATH}/1", {"actiontarget": number}))["paused"] is False


def test_a_list_that_goes_takes_nobody(api: client.Client) -> None:
    """What was queued for a list that is deleted by then is passed over, and goes on where it is restored."""
    api.put("/profiles/ana", {"profile": {"birthdate": "1990-01-06"}})
    number = news(api)
    one(api.post(PATH, enlisting(number, actiontimediff=60, actionhour=None)))
    api.world.pass_time(hours=12.5)
    api.delete("/lists/news")
    api.world.pass_time(hours=1)
    api.put("/lists/news/restore")
    assert api.get("/lists/news/subscriptions").json()["items"] == []


def test_an_unknown_list_is_a_404(api: client.Client) -> None:
    """A target that is no list, or another tenant's, is not found, and nothing is made."""
    told = refusal(api.post(PATH, enlisting(9)), 404)
    assert told == "there is no list 9: actiontarget is the number of a list"
    number = news(api)
    acme = api.key("admin", tenant="acme")
    assert refusal(api.post(PATH, enlisting(number), key=acme), 404)
    # The workspace sees a tenant's list, but its automations put nobody on it.
    assert api.put("/lists/acme.news", {"name": "News of Acme"}, key=acme).status_code == 204
    assert refusal(api.post(PATH, enlisting(number + 1)), 404)
    assert api.get(PATH).status_code == 404
    assert one(api.post(PATH, enlisting(number + 1), key=acme))["actiontarget"] == str(number + 1)


@pytest.mark.spec("S1-67")
def test_a_message_of_others_cannot_be_sent(api: client.Client) -> None:
    """A target is a message of the workspace itself: another workspace's is not found."""
    number = template(api)
    stranger = api.key("admin", workspace="other")
    mine = {**NOTIFY, "actiontype": "email_autoresponder", "actiontarget": number}
    assert refusal(api.post(PATH, mine, key=stranger), 404)
    assert one(api.post(PATH, mine))["actiontarget"] == str(number)


@pytest.mark.spec("S1-81")
def test_a_summary_is_answered_as_it_was_given(api: client.Client) -> None:
    """The text of the document's own example comes back letter for letter, when made, read and changed."""
    summary = (
        "At approximately 01:00, 1 day(s) before it's the subscriber's birthday, send the subscriber the email"
        " campaign 'Happy Birthday'"
    )
    assert create(api, summary=summary)["summary"] == summary
    assert one(api.get(f"{PATH}/1"))["summary"] == summary
    assert one(api.put(f"{PATH}/1", {"name": "x"}))["summary"] == summary


# ── messages ────────────────────────────────────────────────────────────────────────────────────────


def editable(api: client.Client, name: str) -> bool:
    """Whether a template can still be given another text."""
    with api.store.writing() as connection:
        try:
            templates.put(connection, 1, name, {"text": "another"}, api.clock.now())
        except errors.Conflict:
            return False
        connection.rollback()
    return True


@pytest.mark.spec("S1-68")
def test_a_message_that_is_sent_can_be_edited_no_more(api: client.Client) -> None:
    """POST with `email_autoresponder` closes its message, for ever; saying the same again is no edit."""
    number = template(api)
    assert editable(api, "birthday")
    create(api, actiontype="email_autoresponder", actiontarget=number)
    assert not editable(api, "birthday")
    assert template(api) == number
    one(api.delete(f"{PATH}/1"))
    assert not editable(api, "birthday")


@pytest.mark.spec("S1-69")
def test_a_message_that_is_sent_after_a_change_can_be_edited_no_more(api: client.Client) -> None:
    """PUT that makes a rule an autoresponder closes its message too; a notification closes none."""
    number = template(api)
    create(api)
    assert editable(api, "birthday")
    one(api.put(f"{PATH}/1", {"actiontype": "email_autoresponder", "actiontarget": number}))
    assert not editable(api, "birthday")


def test_an_unknown_message_is_a_404(api: client.Client) -> None:
    """A target that is no message is not found, in POST and PUT, and nothing is made or changed."""
    told = refusal(api.post(PATH, {**NOTIFY, "actiontype": "email_autoresponder", "actiontarget": 9}), 404)
    assert told == "there is no message 9: actiontarget is the number of a template"
    assert listed(api) == []
    made = create(api)
    change = {"actiontype": "email_autoresponder", "actiontarget": 9}
    assert refusal(api.put(f"{PATH}/1", change), 404)
    assert one(api.get(f"{PATH}/1")) == made


@pytest.mark.parametrize("field", ["actiontype", "actiontarget"])
@pytest.mark.spec("S1-70", "S1-71")
def test_an_autoresponder_keeps_type_and_target(api: client.Client, field: str) -> None:
    """PUT cannot change them, not even to what is there; the same value is no change."""
    number, other = template(api), template(api, "other")
    made = create(api, actiontype="email_autoresponder", actiontarget=number)
    change = {"actiontype": {"actiontype": "notify"}, "actiontarget": {"actiontarget": other}}[field]
    assert f"{field}: cannot be changed" in refusal(api.put(f"{PATH}/1", change), 400)
    assert one(api.put(f"{PATH}/1", {field: made[field]})) == made
    assert editable(api, "other")


def without_message(api: client.Client, name: str = "birthday") -> None:
    """A template goes."""
    with api.store.writing() as connection:
        assert dates.delete_message(connection, 1, name, api.clock.now()) is not None


@pytest.mark.spec("S1-79")
def test_an_automation_whose_message_goes_is_paused(api: client.Client) -> None:
    """Deleting a message pauses what sends it, and nothing else; deleting it again is deleting nothing."""
    number, other = template(api), template(api, "other")
    sending = create(api, actiontype="email_autoresponder", actiontarget=number)["id"]
    create(api, actiontype="email_autoresponder", actiontarget=other)
    create(api)
    without_message(api)
    assert listed(api, paused=1) == [sending]
    with api.store.writing() as connection:
        assert dates.delete_message(connection, 1, "birthday", api.clock.now()) is None
    # Applied anew it is another message, with another number.
    assert template(api) not in (number, other)
    assert refusal(api.put(f"{PATH}/{sending}", {"paused": False}), 409)


@pytest.mark.spec("S1-75", "S1-76")
def test_a_rule_whose_message_is_gone_cannot_be_unpaused(api: client.Client) -> None:
    """It is a 409 with subcode 12, in the document's words; other changes, and pausing, are taken."""
    number = template(api)
    create(api, actiontype="email_autoresponder", actiontarget=number)
    without_message(api)
    assert one(api.put(f"{PATH}/1", {"name": "still paused"}))["paused"] is True
    answer = api.put(f"{PATH}/1", {"paused": False})
    assert refusal(answer, 409) == (
        f"Automation Rule 1 cannot be unpaused: Dependent emailMessage resource {number} no longer exists"
    )
    assert (answer.json()["response"]["subcode"], answer.json()["response"]["resource_id"]) == (12, number)
    assert one(api.get(f"{PATH}/1"))["paused"] is True


# ── who ─────────────────────────────────────────────────────────────────────────────────────────────


def test_other_workspaces_and_tenants_see_nothing_of_it(api: client.Client) -> None:
    """A rule belongs to the workspace and the tenant of the key that made it; numbers are counted by workspace."""
    create(api)
    tenant, stranger = api.key("admin", tenant="t1"), api.key("admin", workspace="north")
    for key in (tenant, stranger):
        assert api.get(PATH, key=key).status_code == 404
        assert api.put(f"{PATH}/1", {"name": "x"}, key=key).status_code == 404
        assert api.delete(f"{PATH}/1", key=key).status_code == 404
    assert create(api, key=stranger)["id"] == 1
    assert create(api, key=tenant)["id"] == 2
    assert listed(api) == [1, 2]


@pytest.mark.parametrize("role", ["agent", "ingest"])
def test_it_takes_an_operator(lone_api: client.Client, role: str) -> None:
    """Agents and applications may neither see nor change date automations."""
    key = lone_api.key(role)
    assert refusal(lone_api.get(PATH, key=key), 403)
    assert refusal(lone_api.post(PATH, NOTIFY, key=key), 403)
    assert lone_api.get(PATH, key=None).status_code == 401
