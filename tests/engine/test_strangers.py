"""Strangers: people of another tenant, or the workspace's own, whom a tenant's event names."""

from typing import Any

import pytest

from heliograph import testing
from heliograph.core import ids
from tests import tables
from tests.engine import acts
from tests.engine.test_backtests import told

ACTIONS: list[dict[str, Any]] = [
    {"type": "update_contact", "fields": {"plan": "pro"}},
    {"type": "add_tags", "tags": ["seen"], "target": "contact"},
    {"type": "add_to_list", "list_id": "news"},
    {"type": "send_message", "channel": "email", "text": "Hello {{ contact.given_name }}"},
]


def tell(world: testing.World, tenant: str) -> str:
    """An event of a tenant about Ana; gives its id."""
    body = b'{"event_type": "custom.a", "contact_id": "ana"}'
    batch = world.app.ingest.read(body, "application/json", world.workspace_id, tenant)
    (event,) = world._loop.run_until_complete(world.app.ingest.accept(batch))
    world.run_until_idle()
    return ids.text(event)


@pytest.mark.parametrize("owner", ["other", None])
def test_a_tenants_event_sees_nobody_elses_contacts(world: testing.World, owner: str | None) -> None:
    """To an event of a tenant another's contact has a name alone: nothing of them is read, changed or written to."""
    world.contact("ana", email="ana@shop.example", given_name="Ana", plan="free")
    acts.change(world, "contacts", tenant_id=owner)
    made = [
        world.rule(
            name=operator,
            trigger_type="custom.a",
            conditions=[{"field": "contact.plan", "operator": operator}],
            actions=[{**action, "on_error": "continue"} for action in ACTIONS],
        )
        for operator in ("exists", "not_exists")
    ]
    before = acts.contact(world, "ana")
    event = tell(world, "shop")
    assert [run.rule_name for run in world.explain(event).runs if run.matched] == ["not_exists"]
    found = [said for said in acts.actions(world, event) if said][-1]
    assert [(kind, status) for kind, status, _ in found] == [(one["type"], "failed") for one in ACTIONS]
    assert {error for _, _, error in found[:3]} == {"there is no contact 'ana'"}
    tried = [told(world, rule_id=rule).matched for rule in made]
    assert tried == [0, 1], "a backtest sees what the event saw"
    assert "ana@shop.example" not in str(tables.rows(world.app.store, "messages"))
    assert acts.contact(world, "ana") == before


def test_a_tenants_event_sees_its_own_contacts(world: testing.World) -> None:
    """Of a tenant's own contacts its events see everything, as the workspace's events see everybody."""
    world.contact("ana", email="ana@shop.example", plan="free")
    acts.change(world, "contacts", tenant_id="shop")
    world.rule(
        trigger_type="custom.a",
        conditions=[{"field": "contact.plan", "operator": "equals", "value": "free"}],
        actions=[{"type": "add_tags", "tags": ["seen"], "target": "contact"}],
    )
    assert acts.outcomes(world, tell(world, "shop")) == ["executed"]
    assert acts.outcomes(world, world.event("custom.a", contact_id="ana")) == []
    world.run_until_idle()
    assert acts.contact(world, "ana")["tags"] == '["seen"]'
