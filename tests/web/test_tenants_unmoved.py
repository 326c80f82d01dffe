"""What a tenant reads is the same, to the letter, whatever another tenant does meanwhile (E14, A24)."""

import asyncio
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from heliograph.web import auth
from tests.web import test_route_matrix as matrix
from tests.web.client import Client
from tests.web.test_batches import STEP

MILLISECOND = 1_000
WRITTEN = {"title": "Hello", "body": "Dear {given_name}"}
MAIL = "ana@example.com"
WAIT = {"action": "delay", "duration": "1 hour"}
LETTER = {"action": "send", "message": {"to": {"user_id": "ana", "email": MAIL}, "content": WRITTEN}}
THROTTLE = {"action": "throttle", "max_allowed": 1, "period": "PT1H", "scope": "global"}
CANCEL = {"action": "cancel", "cancelation_token": "cart"}
CAMPAIGN = {
    "include_segments": ["all_users"],
    "trigger_metadata": {"scheduled_at": None, "timezone": "UTC"},
    "status": "active",
}
MADE_UP = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|1-[0-9a-f]{8}-[0-9a-f]{24}|deleted-[0-9a-f]{12}"
)
COUNTED = re.compile(r'"(number|user_id|id)":\d+')
"""What a whole workspace counts together."""
NAMED = (
    *(
        "/profiles/ana",
        "/profiles/ana/lists",
        "/users/ana/preferences",
        "/users/ana/tenants",
        "/users/ana/tokens",
    ),
    *(
        "/lists/fans/subscriptions",
        "/audiences/crowd/members",
        "/tenants/bank/users",
        "/api/segments/user/ana",
    ),
    *("/api/conversations/talk", "/api/conversations/talk/notes", "/automations/templates/welcome"),
    "/api/automation/events/by-conversation/talk",
)

Step = tuple[str, str, Any]


def run_of(*steps: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {"automation": {"steps": list(steps), **said}, "recipient": "ana"}


def life(tenant: str) -> Iterator[Step]:
    """What a tenant does, in the same words as another one, but for the names that a workspace gives once."""
    yield "PUT", "/profiles/{ana}", {"profile": {"email": MAIL, "given_name": tenant, "plan": "pro"}}
    yield "PUT", f"/users/ana/tenants/{tenant}", {"profile": {"seat": tenant}}
    yield "PUT", "/users/{ana}/tokens/t1", {"provider_key": "expo"}
    yield "PUT", "/lists/{fans}", {"name": "Fans"}
    yield "PUT", "/lists/{fans}/subscriptions/{ana}", {}
    yield "PUT", "/audiences/{crowd}", {"name": "c", "filter": {"operator": "EXISTS", "path": "email"}}
    yield "POST", "/api/conversations", {"id": "{talk}", "contact_id": "ana"}
    yield "POST", "/api/conversations/{talk}/notes", {"text": tenant}
    yield "POST", "/api/automation/rules", {**matrix.RULE, "stop_on_match": True, "cooldown_secs": 3600}
    welcome = {"name": "w", "status": "published", "steps": [WAIT, LETTER], "alias": "{hello}"}
    yield (
        "PUT",
        "/automations/templates/{welcome}",
        {**welcome, "trigger": {"event_type": "custom.a", "once": True}},
    )
    event = {"event_type": "custom.a", "contact_id": "ana", "conversation_id": "{talk}", "payload": {"n": 5}}
    yield "POST", "/api/automation/events", {**event, "idempotency_key": "5"}
    yield "POST", "/automations/invoke", run_of(WAIT, LETTER, cancelation_token="cart")
    yield "POST", "/automations/invoke", run_of({**STEP, "batch_id": "digest"}, LETTER)
    yield "POST", "/automations/invoke", run_of(THROTTLE, {**LETTER, "idempotency_key": "once"})
    yield "POST", "/automations/{hello}/invoke", {"recipient": "ana"}
    for to in ({"list_id": "{fans}"}, {"user_id": "ana"}, {"audience_id": "{crowd}"}, {"email": MAIL}):
        yield "POST", "/send", {"message": {"to": to, "content": WRITTEN}}
    delayed = {"to": {"user_id": "ana"}, "content": WRITTEN, "delay": {"duration": 7_200_000}}
    yield "POST", "/send", {"message": delayed}
    yield "PUT", "/users/ana/preferences/news", {"topic": {"status": "OPTED_OUT"}}
    yield "PUT", "/api/sending-policy", {"caps": [{"limit": 6, "period": "P1D"}]}
    yield "POST", "/api/segments", {"name": "Pro", "conditions": matrix.CONDITIONS}
    yield "POST", "/api/communication-groups", {"name": "Letter"}
    yield "POST", "/v1/dateAutomation", matrix.DATE
    yield "POST", "/automations/invoke", run_of(CANCEL)
    yield "POST", "/api/suppressions", {"address": MAIL}
    yield "DELETE", "/profiles/{ana}", None
    yield "PUT", "/profiles/{ana}", {"profile": {"email": MAIL}}


def spelled(said: Any, name: Callable[[str], str]) -> Any:
    """A step with the names that a workspace gives once."""
    if isinstance(said, dict):
        return {key: spelled(value, name) for key, value in said.items()}
    if isinstance(said, list):
        return [spelled(one, name) for one in said]
    if isinstance(said, str):
        return re.sub(r"{(ana|fans|crowd|talk|welcome|hello)}", lambda found: name(found[1]), said)
    return said


def take(api: Client, key: str, number: int, step: Step, name: Callable[[str], str]) -> Any:
    """One step of a tenant, with the same Idempotency-Key as that of another."""
    method, path, body = spelled(list(step), name)
    headers = {"Idempotency-Key": f"step {number}"} if method == "POST" else {}
    return api.send(method, path, key=key, json=body, headers=headers)


def seen(api: Client, key: str) -> Iterator[tuple[str, int, str]]:
    """All that the holder of a key can read without knowing an id that was made up."""
    listed = [route[4:] for route in matrix.routes() if route.startswith("GET") and "{" not in route]
    for path in (*(one for one in listed if not auth.is_open(one)), *NAMED):
        answer = api.get(path, key=key)
        known: dict[str, str] = {}
        told = MADE_UP.sub(lambda found: known.setdefault(found[0], f"id {len(known)}"), answer.text)  # noqa: B023
        yield path, answer.status_code, COUNTED.sub(r'"\1":0', told)


def told(url: str, *, is_alone: bool) -> list[tuple[str, int, str]]:
    """What a bank is answered, and reads, while a shop does nothing, or all that the bank does and more."""
    found = []
    with Client(url) as api:
        bank, shop = api.key("admin", tenant="bank"), api.key("admin", tenant="shop")
        for tenant in ("bank", "shop"):
            api.put(f"/tenants/{tenant}", {"name": tenant})
        others = iter(() if is_alone else life("shop"))
        for number, step in enumerate(life("bank")):
            api.clock.move(MILLISECOND)
            answer = take(api, bank, number, step, lambda name: name)
            found.append(
                (" ".join(step[:2]), answer.status_code, COUNTED.sub("", MADE_UP.sub("", answer.text)))
            )
            assert answer.status_code < 300, (step, answer.text)
            if not is_alone:
                theirs = next(others)
                assert take(api, shop, number, theirs, lambda name: f"shop-{name}").status_code < 300, theirs
                # What is the bank's already it cannot take.
                take(api, shop, -number, step, lambda name: name)
            api.decide()
        found += seen(api, bank)
        api.world.pass_time(hours=3)
        asyncio.run(api.world.app.housekeeping().erase())
        found += seen(api, bank)
    return found


def test_a_tenant_reads_the_same_whatever_another_one_does(database_url: str, tmp_path: pathlib.Path) -> None:
    """Answers, lists, totals and what became of everything are as if the other tenant were not there."""
    alone = told(f"sqlite:///{tmp_path}/alone.db", is_alone=True)
    beside = told(database_url, is_alone=False)
    assert [one[0] for one in beside] == [one[0] for one in alone]
    different = [(mine, theirs) for mine, theirs in zip(alone, beside, strict=True) if mine != theirs]
    assert different == []
