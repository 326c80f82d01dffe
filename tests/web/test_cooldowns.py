"""Cooldowns that a rule is given after it has matched: a match counts, whatever the rule said when it did."""

from typing import Any

import pytest
import sqlalchemy as sa

from heliograph.store import cooldowns, schema
from tests.web import client

HOUR = 3_600_000_000
RULES = "/api/automation/rules"


def outcomes(api: client.Client, *events: dict[str, Any]) -> list[str]:
    """What the one rule made of these events, decided one after the other."""
    found = []
    for event in events:
        identity = api.happen("custom.a", **event)
        api.decide()
        (run,) = api.runs(identity)
        found.append(run["result"]["reason"] or run["result"]["outcome"])
        api.clock.move(1_000_000)
    return found


RULE: dict[str, Any] = {
    "trigger_type": "custom.a",
    "conditions": [{"field": "n", "operator": "not_equals", "value": 0}],
    "actions": [{"type": "emit_event", "event_type": "custom.b"}],
}
ANA, BEN, CARLA = ({"contact_id": name} for name in ("ana", "ben", "carla"))
TALK: dict[str, Any] = {"conversation_id": "c-1"}


@pytest.mark.spec("S4-93", "S4-291")
def test_a_cooldown_that_is_switched_on_counts_the_matches_before(api: client.Client) -> None:
    """Contacts, conversations and nobody in particular: whoever the rule matched is left alone from that match on."""
    rule = api.make_rule(**RULE)
    assert outcomes(api, ANA, TALK, {}, {**BEN, "payload": {"n": 0}}) == ["executed"] * 3 + ["not_matched"]
    assert api.patch(f"{RULES}/{rule['id']}", {"cooldown_secs": 3600}).status_code == 200
    tried = api.post(f"{RULES}/dry-run", {"event_payload": {}, "rule_id": rule["id"], **ANA}).json()
    assert tried["reasons"] == ["cooldown"]
    assert outcomes(api, ANA, TALK, {}, BEN, CARLA) == ["cooldown"] * 3 + ["executed"] * 2
    api.clock.move(HOUR - 8_000_000)  # an hour after the first match, to the second
    assert outcomes(api, ANA, BEN) == ["executed", "cooldown"]


def test_matches_in_between_count_too(api: client.Client) -> None:
    """The newest match counts, also where it fell in a time without a cooldown; one that is older changes nothing."""
    rule = api.make_rule(**RULE, cooldown_secs=3600)
    assert outcomes(api, ANA) == ["executed"]
    for seconds in (0, 3600):
        api.patch(f"{RULES}/{rule['id']}", {"cooldown_secs": seconds})
        assert outcomes(api, ANA, BEN) == (["executed"] * 2 if not seconds else ["cooldown"] * 2)
        api.clock.move(HOUR // 2)
    with api.store.reading() as connection:
        before = sorted(connection.execute(sa.select(schema.cooldowns)).all())
    api.patch(f"{RULES}/{rule['id']}", {"cooldown_secs": 0})
    api.patch(f"{RULES}/{rule['id']}", {"cooldown_secs": 60})
    with api.store.reading() as connection:
        assert sorted(connection.execute(sa.select(schema.cooldowns)).all()) == before


def test_no_more_than_the_newest_runs_are_looked_at(
    api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of a rule that runs all the time stays quick: of older matches it does not know."""
    monkeypatch.setattr(cooldowns, "LOOKED_AT", 2)
    rule = api.make_rule(**RULE)
    assert outcomes(api, ANA, BEN, CARLA) == ["executed"] * 3
    api.patch(f"{RULES}/{rule['id']}", {"cooldown_secs": 3600})
    assert outcomes(api, ANA, BEN, CARLA) == ["executed", "cooldown", "cooldown"]
