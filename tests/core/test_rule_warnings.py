"""What is allowed and looks wrong."""

from typing import Any, NamedTuple

import pytest

from heliograph.core import rule_warnings, rules

STOP: dict[str, Any] = {"stop_on_match": True, "conditions": None}


class Placed(NamedTuple):
    """A rule among others."""

    id: bytes
    tenant_id: str | None
    created_at: int
    definition: rules.Definition


def rule(number: int, tenant: str | None = None, **fields: Any) -> Placed:
    """A rule with a number for its id and its age."""
    given: dict[str, Any] = {
        "name": f"rule {number}",
        "trigger_type": "message_received",
        "actions": [{"type": "add_tags", "tags": ["a"]}],
        **fields,
    }
    return Placed(bytes([number]), tenant, number, rules.define(given))


def places(one: Placed, *others: Placed) -> list[str]:
    """Where the warnings of a rule point to."""
    return [found.path for found in rule_warnings.of_place(one, [one, *others])]


def test_a_rule_behind_one_that_always_stops_is_never_reached() -> None:
    """Saving either of the two tells so: the hidden one where it stands, the other whom it hides."""
    first, second = rule(1, **STOP), rule(2)
    (hidden,) = rule_warnings.of_place(second, [first, second])
    assert hidden.path == "priority"
    assert "'rule 1'" in hidden.message
    (hides,) = rule_warnings.of_place(first, [first, second])
    assert hides.path == "stop_on_match"
    assert "'rule 2'" in hides.message
    assert places(rule(2, priority=1), first) == []
    assert places(rule(3, priority=100), rule(2, **STOP, priority=101)) == []


@pytest.mark.parametrize(
    ("conditions", "place"),
    [
        ([{"field": "due", "operator": "less_than", "value": "2026-01-02"}], "conditions[0].value"),
        (
            {"any": [{"all": [{"field": "n", "operator": "greater_or_equal", "value": "7"}]}]},
            "conditions.any[0].all[0].value",
        ),
    ],
)
def test_an_order_of_what_has_none_never_holds(conditions: object, place: str) -> None:
    """A text that is no instant is neither more nor less than anything: allowed, and told of at its place."""
    (found,) = rule_warnings.of_content(rule(1, conditions=conditions).definition, rule_warnings.References())
    assert found.path == place
    assert "never holds" in found.message
    kept = [{"field": "due", "operator": "less_than", "value": "2026-01-02T00:00:00Z"}]
    assert not rule_warnings.of_content(rule(1, conditions=kept).definition, rule_warnings.References())


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_on_match": False},
        {"is_active": False},
        {"conditions": [{"field": "a", "operator": "exists"}]},
        {"conditions": {"none": [{"all": []}]}},
        {"rollout_percentage": 99},
        {"cooldown_secs": 1},
        {"schedule_settings": {"windows": [{"start": "09:00", "end": "17:00"}]}},
        {"schedule_settings": {"ends_at": "2030-01-01T00:00:00Z"}},
        {"trigger_type": "message_sent"},
        {"priority": 101},
    ],
)
def test_whatever_lets_some_event_pass_hides_nobody(fields: dict[str, Any]) -> None:
    """A rule that is off, asks for something, has a gate, listens to another type or stands behind hides nobody."""
    first = rule(1, **{**STOP, **fields})
    assert places(rule(2), first) == []
    assert places(first, rule(2)) == []


@pytest.mark.parametrize("written", [None, [], {}, {"all": []}, {"none": []}, {"all": [{"none": []}]}])
def test_an_empty_condition_is_recognised_however_it_is_written(written: Any) -> None:
    """Null, empty lists and empty groups that hold always hold."""
    assert places(rule(2), rule(1, **{**STOP, "conditions": written})) == ["priority"]


def test_a_tenants_rule_hides_that_tenants_alone() -> None:
    """A workspace's rule hides every tenant's, unnamed; a tenant's hides neither the workspace's nor another's."""
    (hidden,) = rule_warnings.of_place(rule(2, "shop"), [rule(1, **STOP)])
    assert "rule 1" not in hidden.message
    assert places(rule(2, "shop"), rule(1, "shop", **STOP)) == ["priority"]
    assert places(rule(2), rule(1, "shop", **STOP)) == []
    assert places(rule(2, "bank"), rule(1, "shop", **STOP)) == []


def test_many_hidden_rules_are_counted() -> None:
    """The first few are named and the rest is a number."""
    (hides,) = rule_warnings.of_place(rule(1, **STOP), [rule(number) for number in range(2, 10)])
    assert "'rule 6' and 3 more" in hides.message


def emitting(number: int, trigger: str, *emitted: str, tenant: str | None = None, **fields: Any) -> Placed:
    """A rule that lets events of these types come in."""
    actions = [{"type": "emit_event", "event_type": one} for one in emitted]
    return rule(number, tenant, trigger_type=trigger, actions=actions, **fields)


def test_a_loop_over_other_rules_is_found() -> None:
    """Events that lead back to the rule are named, over any number of active rules, and only those."""
    one = emitting(1, "custom.a", "custom.end", "custom.b")
    two, three = emitting(2, "custom.b", "custom.c"), emitting(3, "custom.c", "custom.a")
    assert places(one, two, three) == ["actions[1].event_type"]
    assert places(one, two) == []
    assert places(one, two, emitting(3, "custom.c", "custom.a", is_active=False)) == []
    assert places(one, two, emitting(3, "custom.c", "custom.a", tenant="shop")) == ["actions[1].event_type"]
    away = emitting(1, "custom.a", "custom.b", tenant="bank")
    assert places(away, two, emitting(3, "custom.c", "custom.a", tenant="shop")) == []


def test_a_ring_elsewhere_is_not_this_rules_loop() -> None:
    """A rule that leads into a ring of others, but is not in it, is not warned."""
    assert (
        places(
            emitting(1, "custom.a", "custom.b"),
            emitting(2, "custom.b", "custom.c"),
            emitting(3, "custom.c", "custom.b"),
        )
        == []
    )
