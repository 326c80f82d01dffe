"""Tenants of one workspace who use the same words: start keys, tokens, journeys and lists never meet (E14)."""

from typing import Any

import pytest

from heliograph.store import listings, record_lists
from tests.web.campaigning import condition, segment
from tests.web.client import Client

HOUR = {"action": "delay", "duration": "1 hour"}


def keys_of(api: Client) -> tuple[str, str]:
    """The keys of two tenants of one workspace."""
    return api.key("admin", tenant="shop"), api.key("admin", tenant="bank")


def define(api: Client, identity: str, key: str = "", **fields: Any) -> None:
    """Publish a journey that waits for an hour."""
    given = {"name": identity, "status": "published", "steps": [HOUR], **fields}
    answer = api.put(f"/automations/templates/{identity}", given, key=key)
    assert answer.status_code == 200, answer.text


def found(api: Client, key: str = "") -> list[str]:
    """How the runs of journeys stand that this key sees."""
    api.decide()
    listed = api.get("/automations/runs", key=key).json()["runs"]
    return sorted(one["status"] for one in listed)


@pytest.mark.parametrize("trigger", [{"once": True}, {"entry_key": "order-{{ payload.n }}"}])
def test_each_tenant_enters_a_workspaces_journey_once(api: Client, trigger: dict[str, Any]) -> None:
    """Of one journey's starts with one key each tenant has its own, and the workspace too; a repeat starts nothing."""
    define(api, "welcome", trigger={"event_type": "custom.a", **trigger})
    keys = (*keys_of(api), "")
    for key in (*keys, *keys):
        api.happen("custom.a", key=key, contact_id="ana", payload={"n": 5})
    assert [len(found(api, key)) for key in keys] == [1, 1, 3]


@pytest.mark.parametrize("tenant", ["key:x", "a/key:x", "of:a", "a%2Fkey:x", "%"])
def test_no_tenant_is_named_like_a_key(api: Client, tenant: str) -> None:
    """However a tenant is called, and whatever stands in a key, only the same key of the same tenant is taken."""
    define(api, "welcome", trigger={"event_type": "custom.a", "entry_key": "{{ payload.key }}"})
    odd, plain = api.key("admin", tenant=tenant), api.key("admin", tenant="a")
    given = ["x", "key:x", "/key:x", "of:a/key:x", "of:of:a/key:x", "%2Fkey:x", f"of:{tenant}/x"]
    for key in (odd, plain, ""):
        for one in given:
            api.happen("custom.a", key=key, payload={"key": one})
    assert len(found(api, odd)) == len(found(api, plain)) == len(given)
    with api.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM start_keys").scalar_one() == 3 * len(given)


def test_steps_of_a_rules_own_are_entered_once_for_each_tenant(api: Client) -> None:
    """The steps that stand in a workspace's rule are entered once for each key of each tenant."""
    api.make_rule(
        trigger_type="custom.a",
        conditions=[],
        actions=[{"type": "invoke_automation", "steps": [HOUR], "entry_key": "the one"}],
    )
    keys = keys_of(api)
    for key in (*keys, *keys):
        api.happen("custom.a", key=key, contact_id="ana")
    assert [len(found(api, key)) for key in keys] == [1, 1]


def test_a_tenants_cancel_reaches_its_own_runs(api: Client) -> None:
    """A token of a tenant ends that tenant's runs alone; the workspace's ends every run in it that has the token."""
    shop, bank = keys_of(api)
    steps = {"automation": {"steps": [HOUR], "cancelation_token": "cart-7"}}
    for key in (shop, bank, ""):
        assert api.post("/automations/invoke", steps, key=key).status_code == 200
    api.decide()
    cancel = {"automation": {"steps": [{"action": "cancel", "cancelation_token": "cart-7"}]}}
    assert api.post("/automations/invoke", cancel, key=shop).status_code == 200
    assert found(api, shop) == ["CANCELED", "PROCESSED"]
    assert found(api, bank) == ["WAITING"]
    assert found(api) == ["CANCELED", "PROCESSED", "WAITING", "WAITING"]
    assert api.post("/automations/invoke", cancel).status_code == 200
    assert found(api, bank) == ["CANCELED"]
    assert found(api) == ["CANCELED"] * 3 + ["PROCESSED"] * 2


def test_a_rules_cancel_reaches_the_tenant_of_its_event(api: Client) -> None:
    """A workspace's rule that a tenant's event meets cancels runs of that tenant, in the same turn too."""
    define(api, "cart", cancelation_token="cart-7", trigger={"event_type": "custom.left"})
    api.make_rule(
        trigger_type="custom.bought",
        conditions=[],
        actions=[{"type": "cancel_automation", "cancelation_token": "cart-7"}],
    )
    shop, bank = keys_of(api)
    for key in (shop, bank):
        api.happen("custom.left", key=key, contact_id="ana")
    api.happen("custom.bought", key=shop, contact_id="ana")
    assert (found(api, shop), found(api, bank)) == (["CANCELED"], ["WAITING"])
    api.happen("custom.bought", key=bank, contact_id="ana")
    assert found(api, bank) == ["CANCELED"]


def test_a_tenants_journey_is_started_by_nobody_elses_events(api: Client) -> None:
    """A rule, a dry run and an `invoke` step find the journeys of their tenant and of the workspace, no other's."""
    shop, bank = keys_of(api)
    define(api, "secret", shop, alias="hidden")
    define(api, "public")
    actions = [{"type": "invoke_automation", "template": name} for name in ("secret", "hidden", "public")]
    rule = {"trigger_type": "custom.a", "conditions": [], "actions": actions}
    errors = []
    for key in (bank, shop):
        api.make_rule(key=key, **rule)
        event = api.happen("custom.a", key=key, contact_id="ana")
        api.decide()
        (run,) = api.get(f"/api/automation/runs/by-event/{event}", key=key).json()["data"]
        told = api.get(f"/api/automation/runs/{run['id']}", key=key).json()
        errors.append([one.get("error") for one in told["result"]["actions"]])
    assert errors == [
        [f"there is no published journey {name!r}" for name in ("secret", "hidden")] + [None],
        [None] * 3,
    ]
    before = len(found(api, bank))
    invoke = {"automation": {"steps": [{"action": "invoke", "template": "hidden"}]}}
    assert api.post("/automations/invoke", invoke, key=bank).status_code == 200
    assert len(found(api, bank)) == before + 1
    tried = {**rule, "event_payload": {}, "contact_id": "ana"}
    answer = api.post("/api/automation/rules/dry-run", tried, key=bank)
    assert answer.status_code == 200, answer.text
    assert answer.text.count("there is no published journey") == 2


def test_a_rule_is_warned_of_a_journey_that_its_tenant_does_not_have(lone_api: Client) -> None:
    """Saving a rule tells of another tenant's journey what it tells of one that there is not: the action would fail."""
    shop, bank = keys_of(lone_api)
    define(lone_api, "secret", shop, alias="hidden")
    define(lone_api, "public")
    actions = [
        {"type": "invoke_automation", "template": name} for name in ("secret", "hidden", "none", "public")
    ]
    told = {}
    for key in (bank, shop, ""):
        made = lone_api.make_rule(key=key, trigger_type="custom.a", conditions=[], actions=actions)
        told[key] = [one["path"] for one in made["warnings"] if "journey" in one["message"]]
    missing = "actions[2].template"
    assert told == {
        bank: ["actions[0].template", "actions[1].template", missing],
        shop: [missing],
        "": [missing],
    }


def test_a_journey_that_was_somebody_elses_is_not_taken_over(api: Client) -> None:
    """The id of a journey that a tenant, or the workspace, has deleted is not another tenant's: it has versions."""
    shop, bank = keys_of(api)
    for owner, name in ((shop, "theirs"), ("", "ours")):
        path = f"/automations/templates/{name}"
        define(api, name, owner)
        assert api.delete(path, key=owner).status_code == 204
        said = {"name": "mine", "status": "published", "steps": [HOUR]}
        assert api.put(path, said, key=bank).status_code == 409
        assert api.get(f"{path}/versions", key=bank).status_code == 404
        define(api, name, owner)
        assert [one["version"] for one in api.get(f"{path}/versions", key=owner).json()["versions"]] == [3, 1]


def test_a_name_that_is_taken_tells_a_tenant_of_no_journey_but_its_own(lone_api: Client) -> None:
    """An alias that another tenant's journey has is refused without the name of that journey."""
    shop, bank = keys_of(lone_api)
    define(lone_api, "secret", shop, alias="cart")
    told = []
    for key, name in ((bank, "mine"), (shop, "ours"), ("", "everybodys")):
        said = {"name": name, "alias": "cart", "steps": [HOUR]}
        answer = lone_api.put(f"/automations/templates/{name}", said, key=key)
        assert answer.status_code == 409
        told.append(answer.json()["message"])
    assert told == [
        "'cart' names a journey already: choose another one",
        *["'cart' names the journey 'secret' already: choose another one"] * 2,
    ]


def test_what_uses_a_tenants_segment_is_named_to_whoever_sees_it(lone_api: Client) -> None:
    """A segment that a campaign of the workspace uses is not switched off, and its tenant is not told which one."""
    shop, _ = keys_of(lone_api)
    made = segment(lone_api, condition("plan", "exists"), key=shop)
    waits: dict[str, Any] = {"include_segments": [made], "scheduled_at": "2027-01-01T00:00:00Z"}
    lone_api.world.campaign(
        group=lone_api.world.communication_group(subject="s", text_body="t"), name="Secret", **waits
    )
    told = [
        lone_api.patch(f"/api/segments/{made}", {"status": "deactivated"}, key=key).json()["message"]
        for key in (shop, "")
    ]
    assert told == [
        f"it is used by {who}: call these off, or let them run first" for who in ("the workspace", "'Secret'")
    ]


@pytest.mark.parametrize("path", ["/api/contacts", "/api/conversations"])
def test_an_id_that_is_taken_is_told_as_such(lone_api: Client, path: str) -> None:
    """Who cannot see what has an id is told to choose another one, and not to change that."""
    shop, bank = keys_of(lone_api)
    assert lone_api.post(path, {"id": "one"}, key=shop).status_code == 201
    answers = [lone_api.post(path, {"id": "one"}, key=key) for key in (bank, shop, "")]
    assert [one.status_code for one in answers] == [409] * 3
    told = [one.json()["error"]["message"] for one in answers]
    assert told[0] == "the id 'one' is taken: choose another one"
    assert all(one.endswith("change it with PATCH") for one in told[1:])


def test_a_tenant_is_not_told_who_stands_below_it(lone_api: Client) -> None:
    """A tenant that others stand below is not deleted, and its own key does not learn their names."""
    bank = lone_api.key("admin", tenant="bank")
    for name, parent in (("bank", None), ("branch", "bank")):
        assert lone_api.put(f"/tenants/{name}", {"name": name, "parent_tenant_id": parent}).status_code == 200
    told = [lone_api.delete("/tenants/bank", key=key).json()["message"] for key in (bank, "")]
    below = "stands below it: move or delete that first"
    assert told == [f"another tenant {below}", f"the tenant 'branch' {below}"]


def test_a_tenants_run_puts_nobody_elses_people_on_a_list(api: Client) -> None:
    """`subscribe` in a tenant's run takes its own people and whoever has no profile; others are not there."""
    shop, bank = keys_of(api)
    people = (("ana", shop), ("ben", bank), ("cleo", ""))
    for name, key in people:
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}}, key=key)
    api.put("/lists/clients", {"name": "Clients"}, key=bank)
    api.put("/lists/everybody", {"name": "Everybody"})
    joining = [
        {"action": "subscribe", "list_id": name, "recipient_id": who}
        for name in ("clients", "everybody")
        for who in ("ana", "ben", "nobody", "cleo")
    ]
    made = api.post("/automations/invoke", {"automation": {"steps": joining}}, key=bank)
    api.decide()
    run = api.get(f"/automations/runs/{made.json()['runId']}/steps", key=bank)
    told = [one["error"] and one["error"]["message"] for one in run.json()["steps"]]
    assert told == ["there is no profile 'ana'", None, None, "there is no profile 'cleo'"] * 2
    for name in ("clients", "everybody"):
        listed = api.get(f"/lists/{name}/subscriptions").json()["items"]
        assert {one["recipientId"] for one in listed} == {"ben", "nobody"}


def test_a_tenant_writes_to_its_own_people_on_a_list(api: Client) -> None:
    """Whoever put people of others on a list, or gave them a profile later, a tenant's send passes them over."""
    shop, bank = keys_of(api)
    api.put("/lists/clients", {"name": "Clients"}, key=bank)
    api.put("/lists/everybody", {"name": "Everybody"})
    for name, key in (("ana", shop), ("ben", bank), ("cleo", "")):
        for listed in ("clients", "everybody"):
            assert api.put(f"/lists/{listed}/subscriptions/{name}", {}).status_code == 204
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}}, key=key)
    api.world.template("hello", subject="Hello", text="{{ contact.email }}")
    message = {"to": {"list_id": "clients"}, "template": "hello"}
    assert api.post("/send", {"message": message}, key=bank).status_code == 200
    for name in ("clients", "everybody"):
        steps = [{"action": "send-list", "list": name, "template": "hello"}]
        assert api.post("/automations/invoke", {"automation": {"steps": steps}}, key=bank).status_code == 200
    api.decide()
    assert [mail.text for mail in api.mailbox.received] == ["ben@example.com"] * 3
    assert {one["recipient"] for one in api.get("/messages", key=bank).json()["results"]} == {"ben"}
    assert api.post("/send", {"message": message}).status_code == 200
    api.decide()
    assert sorted(mail.text for mail in api.mailbox.received[3:]) == [
        f"{name}@example.com" for name in ("ana", "ben", "cleo")
    ]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/contacts", {}),
        ("/api/contacts", {"tag": "x"}),
        ("/api/conversations", {}),
        ("/api/conversations", {"status": "open", "priority": "high"}),
        ("/api/conversations", {"contact_id": "ana", "sort_order": "asc"}),
    ],
)
def test_a_list_leads_over_nobody_elses_rows(
    api: Client, monkeypatch: pytest.MonkeyPatch, path: str, query: dict[str, str]
) -> None:
    """However many rows of others lie between a tenant's own, its pages are full, and a cursor names its own alone."""
    monkeypatch.setattr(listings, "LOOK", 4)
    monkeypatch.setattr(record_lists, "_AT_ONCE", 2)
    shop, bank = keys_of(api)
    said = {"tags": ["x"]} if path == "/api/contacts" else {"priority": "high", "contact_id": "ana"}
    for number in range(30):
        key = bank if number in (0, 14, 29) else shop
        made = api.post(path, {"id": f"n{number:02}", **said}, key=key)
        assert made.status_code == 201, made.text
    pages, cursors = [], []
    asked: dict[str, Any] = {"per_page": 2, **query}
    while True:
        page = api.get(path, params=asked, key=bank).json()
        pages.append({one["id"] for one in page["data"]})
        if page["next_cursor"] is None:
            break
        cursors.append(page["next_cursor"].rpartition("|")[2])
        asked["cursor"] = page["next_cursor"]
    assert [len(one) for one in pages] == [2, 1]
    assert set().union(*pages) == {"n00", "n14", "n29"}
    assert set(cursors) <= pages[0]
    assert (page["total"], page.get("total_is")) == (3, None)
