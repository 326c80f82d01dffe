"""`throttle` over HTTP: who passes, who is one too many, and what that looks like."""

from typing import Any

from tests.web.client import Client
from tests.web.test_journeys import WELCOME, faults, invoke, put, status, steps_of

THROTTLE = {"action": "throttle", "max_allowed": 2, "period": "PT1H", "scope": "dynamic", "throttle_key": "k"}


def passed(api: Client, count: int, step: dict[str, Any], **context: Any) -> list[str]:
    """How so many runs stand that come one after the other."""
    made = [invoke(api, step, WELCOME, **context) for _ in range(count)]
    api.world.run_until_idle()
    return sorted(status(api, one) for one in made)


def test_so_many_pass_in_any_period(api: Client) -> None:
    """The others end there; the period is counted back from when a run comes, so it slides."""
    assert passed(api, 1, THROTTLE) == ["PROCESSED"]
    api.world.pass_time(minutes=40)
    assert passed(api, 2, THROTTLE) == ["PROCESSED", "THROTTLED"]
    assert len(api.mailbox.received) == 2
    api.world.pass_time(minutes=19)
    assert passed(api, 1, THROTTLE) == ["THROTTLED"]
    api.world.pass_time(minutes=2)
    assert passed(api, 2, THROTTLE) == ["PROCESSED", "THROTTLED"]
    (run,) = api.get("/automations/runs?status=THROTTLED&limit=1").json()["runs"]
    told = steps_of(api, run["run_id"])
    assert [step["status"] for step in told] == ["THROTTLED", "NOT PROCESSED"]
    assert run["status"] == "THROTTLED"


def test_scopes_are_apart(api: Client) -> None:
    """A key is anybody's; `user` is each person's, `global` each journey's; a tenant's are its own."""
    assert passed(api, 4, THROTTLE) == ["PROCESSED"] * 2 + ["THROTTLED"] * 2
    assert passed(api, 1, {**THROTTLE, "throttle_key": "other"}) == ["PROCESSED"]
    user = {**THROTTLE, "scope": "user", "max_allowed": 1}
    for context in ({"recipient": "ana"}, {"data": {"user_id": "bob"}}, {"profile": {"user_id": "cid"}}):
        assert passed(api, 2, user, **context) == ["PROCESSED", "THROTTLED"]
    assert passed(api, 1, user) == ["ERROR"]
    for name in ("a", "b"):
        put(api, name, {**THROTTLE, "scope": "global", "max_allowed": 1})
        made = [
            api.post(f"/automations/{name}/invoke", {"recipient": None}).json()["runId"] for _ in range(2)
        ]
        api.world.run_until_idle()
        assert sorted(status(api, one) for one in made) == ["PROCESSED", "THROTTLED"]


def test_a_throttle_is_checked_beforehand(api: Client) -> None:
    """Every field with its place; what a run makes of them ends it where it is no good."""
    found = faults(
        api,
        {"action": "throttle"},
        {**THROTTLE, "max_allowed": 0, "period": "1 hour", "scope": "all", "should_alert": True},
        {"action": "throttle", "max_allowed": 1, "period": "PT1H", "scope": "dynamic", "on_throttle": "x"},
    )
    assert set(found) == {
        *(f"steps[0].{name}" for name in ("max_allowed", "period", "scope")),
        *(f"steps[1].{name}" for name in ("max_allowed", "period", "scope", "should_alert")),
        *(f"steps[2].{name}" for name in ("throttle_key", "on_throttle")),
    }
    assert passed(api, 1, {**THROTTLE, "max_allowed": "${data.n}"}, data={"n": "many"}) == ["ERROR"]
    assert passed(api, 2, {**THROTTLE, "max_allowed": "${data.n}"}, data={"n": 1}) == [
        "PROCESSED",
        "THROTTLED",
    ]
