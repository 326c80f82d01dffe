"""Statistics over HTTP: what ran, what failed, and what is worth a look."""

from typing import Any

import pytest

from heliograph.core import alerts
from tests.web import client

STATS = "/api/automation/stats"
RULES = "/api/automation/rules"
DAY = 86_400_000_000

FINE = [{"type": "add_tags", "tags": ["seen"]}]
FAILING = [{"type": "send_message", "text": "hello"}]
"""For a contact without an address."""


def ask(api: client.Client, path: str, **query: Any) -> dict[str, Any]:
    """The answer to a question of statistics."""
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def happen(api: client.Client, count: int, event_type: str = "custom.a", **fields: Any) -> None:
    """So many events, decided."""
    for _ in range(count):
        api.happen(event_type, contact_id="ana", **fields)
    api.decide()


def make(api: client.Client, actions: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A rule for `custom.a` that always matches."""
    return api.make_rule(**{"trigger_type": "custom.a", "conditions": [], "actions": actions, **fields})


# ── overview ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S4-43", "S4-45", "S4-46", "S4-47", "S4-48", "S4-49")
def test_everything_is_counted(api: client.Client) -> None:
    """Rules as they are now, and the events and runs of the window, whatever came of them."""
    make(api, FINE)
    make(api, FAILING, conditions=[{"field": "fail", "operator": "exists"}])
    sleeper = make(api, FINE, trigger_type="custom.other")
    api.post(f"{RULES}/{sleeper['id']}/snooze", {"snoozed_until": "2026-01-06T00:00:00Z"})
    make(api, FINE, is_active=False)
    happen(api, 2)
    happen(api, 1, payload={"fail": True})
    happen(api, 1, "custom.nobody")
    assert ask(api, f"{STATS}/overview") == {
        "total_rules": 4,
        "active_rules": 3,
        "snoozed_rules": 1,
        "total_events": 4,
        "total_runs": 6,
        "matched_runs": 4,
        "executed_runs": 3,
        "pending_runs": 0,
        "failed_events": 0,
        "window_days": 7,
    }


@pytest.mark.spec("S4-44", "S4-50", "S4-51")
def test_an_overview_looks_back_so_many_days(api: client.Client) -> None:
    """Runs and events count on their own day, also those of rules that are gone; rules are those of now."""
    rule = make(api, FINE)
    happen(api, 3)
    api.clock.move(2 * DAY)
    happen(api, 1)
    assert api.delete(f"{RULES}/{rule['id']}").status_code == 204
    for days, count in ((1, 1), (2, 1), (3, 4), (365, 4)):
        found = ask(api, f"{STATS}/overview", window_days=days)
        assert (found["total_rules"], found["total_events"], found["total_runs"]) == (0, count, count)
        assert (found["matched_runs"], found["executed_runs"]) == (count, count)


@pytest.mark.spec("S4-48", "S4-52")
def test_events_count_before_and_after_they_are_decided(
    api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event counts once from its arrival on; one that could not be decided is failed until it is tried again."""
    from heliograph.engine import match

    def failing(*_: Any) -> None:
        raise RuntimeError("a fault of the program")

    make(api, FINE)
    event = api.happen("custom.a", contact_id="ana")
    api.patch("/api/automation/control", {"is_paused": True})
    counts = [ask(api, f"{STATS}/overview")]
    api.patch("/api/automation/control", {"is_paused": False})
    with monkeypatch.context() as broken:
        broken.setattr(match, "match", failing)
        api.decide()
        counts.append(ask(api, f"{STATS}/overview"))
        api.world.pass_time(minutes=10)
        counts.append(ask(api, f"{STATS}/overview"))
    assert api.post(f"/api/automation/events/{event}/retry").status_code == 202
    counts.append(ask(api, f"{STATS}/overview"))
    api.decide()
    counts.append(ask(api, f"{STATS}/overview"))
    assert [one["total_events"] for one in counts] == [1] * 5
    assert [one["failed_events"] for one in counts] == [0, 0, 1, 0, 0]
    assert counts[-1]["executed_runs"] == 1


# ── time series ─────────────────────────────────────────────────────────────────────────────────────


def a_week(api: client.Client) -> dict[str, Any]:
    """A rule that ran thrice on the first day, never on the second, and twice on the third, failing once."""
    rule = make(api, FINE)
    happen(api, 3)
    api.clock.move(2 * DAY)
    api.patch(f"{RULES}/{rule['id']}", {"conditions": [{"field": "go", "operator": "exists"}]})
    happen(api, 1)
    happen(api, 1, payload={"go": True})
    api.patch(f"{RULES}/{rule['id']}", {"actions": FAILING})
    happen(api, 1, payload={"go": True})
    return rule


ZERO = [0, 0, 0]


def rows(found: dict[str, Any]) -> list[tuple[str, list[int]]]:
    """Each bucket's day and counts."""
    return [
        (one["bucket"], [one["total_runs"], one["matched_runs"], one["executed_runs"]])
        for one in found["data"]
    ]


def at(day: int) -> str:
    """The instant at which a day of January 2026 begins."""
    return f"2026-01-{day:02}T00:00:00.000000Z"


@pytest.mark.spec("S4-53", "S4-54", "S4-56", "S4-57", "S4-58", "S4-59")
def test_runs_are_shown_day_by_day(api: client.Client) -> None:
    """Every day of the window is there, oldest first, with zeros where nothing ran."""
    a_week(api)
    found = ask(api, f"{STATS}/timeseries", window_days=4)
    assert rows(found) == [
        (at(4), ZERO),
        (at(5), [3, 3, 3]),
        (at(6), ZERO),
        (at(7), [3, 2, 1]),
    ]
    assert len(ask(api, f"{STATS}/timeseries")["data"]) == 7


@pytest.mark.spec("S4-55")
def test_days_are_put_together(api: client.Client) -> None:
    """Buckets of some days begin with the window; the newest may be shorter."""
    a_week(api)
    found = ask(api, f"{STATS}/timeseries", window_days=5, bucket_days=2)
    assert rows(found) == [(at(3), ZERO), (at(5), [3, 3, 3]), (at(7), [3, 2, 1])]
    whole = ask(api, f"{STATS}/timeseries", window_days=5, bucket_days=5)
    assert rows(whole) == [(at(3), [6, 5, 4])]


@pytest.mark.spec("S4-103", "S4-104", "S4-106", "S4-107", "S4-108", "S4-109")
def test_one_rules_runs_are_its_own(api: client.Client) -> None:
    """A rule's series has its runs alone; an unknown rule has none."""
    rule = a_week(api)
    other = make(api, FINE, trigger_type="custom.b")
    happen(api, 2, "custom.b")
    path = f"{RULES}/{rule['id']}/stats/timeseries"
    assert rows(ask(api, path, window_days=2)) == [(at(6), ZERO), (at(7), [3, 2, 1])]
    assert rows(ask(api, path, window_days=3))[0] == (at(5), [3, 3, 3])
    of_other = ask(api, f"{RULES}/{other['id']}/stats/timeseries", window_days=1)
    assert rows(of_other) == [(at(7), [2, 2, 2])]
    assert rows(ask(api, f"{STATS}/timeseries", window_days=1)) == [(at(7), [5, 4, 3])]
    unknown = f"{RULES}/00000000-0000-7000-8000-000000000000/stats/timeseries"
    assert api.get(unknown).status_code == 404


def test_the_series_of_a_deleted_rule_stays(api: client.Client) -> None:
    """Who deletes a rule keeps what it counted (E22), as its runs stay; another tenant's is still nobody's business."""
    rule = a_week(api)
    path = f"{RULES}/{rule['id']}/stats/timeseries"
    before = ask(api, path, window_days=3)
    assert api.delete(f"{RULES}/{rule['id']}").status_code == 204
    assert ask(api, path, window_days=3) == before
    assert api.get(path, key=api.key("admin", tenant="shop")).status_code == 404
    assert api.get(path, key=api.key("admin", workspace="other")).status_code == 404


@pytest.mark.spec("S4-105")
def test_one_rules_days_are_put_together(api: client.Client) -> None:
    """A rule's series takes buckets of some days too."""
    rule = a_week(api)
    found = ask(api, f"{RULES}/{rule['id']}/stats/timeseries", window_days=3, bucket_days=2)
    assert rows(found) == [(at(5), [3, 3, 3]), (at(7), [3, 2, 1])]


def test_a_run_counts_on_its_own_day_when_it_is_answered(api: client.Client) -> None:
    """What waits overnight is pending, and counts as executed on the day on which it was made."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    make(api, FAILING)
    api.patch("/api/automation/control", {"hold_deliveries": True})
    happen(api, 1)
    (bucket,) = ask(api, f"{STATS}/timeseries", window_days=1)["data"]
    assert (bucket["pending_runs"], bucket["executed_runs"]) == (1, 0)
    api.clock.move(DAY // 2)
    api.patch("/api/automation/control", {"hold_deliveries": False})
    api.decide()
    first, today = ask(api, f"{STATS}/timeseries", window_days=2)["data"]
    assert (first["pending_runs"], first["executed_runs"], today["total_runs"]) == (0, 1, 0)


# ── alerts ──────────────────────────────────────────────────────────────────────────────────────────


def alarming(api: client.Client, **query: Any) -> list[dict[str, Any]]:
    """The rules that are worth a look."""
    found = ask(api, f"{STATS}/alerts", **query)
    assert found["total"] == len(found["data"])
    listed: list[dict[str, Any]] = found["data"]
    return listed


def halves(api: client.Client, name: str, good: int, bad: int, **fields: Any) -> dict[str, Any]:
    """A rule of its own type that executed and failed so often."""
    kind = f"custom.{name}"
    rule = make(api, FINE, trigger_type=kind, name=name, **fields)
    happen(api, good, kind)
    api.patch(f"{RULES}/{rule['id']}", {"actions": FAILING})
    happen(api, bad, kind)
    return rule


@pytest.mark.spec("S4-60", "S4-65", "S4-66", "S4-67", "S4-68", "S4-69")
def test_rules_that_fail_are_listed(lone_api: client.Client) -> None:
    """A rule at or over its threshold is listed with its counts and rate, the worst first; others are not."""
    api = lone_api
    few = {"min_matched_runs": 3}
    bad = halves(api, "bad", 2, 1, alert_settings=few)
    halves(api, "good", 5, 1, alert_settings=few)
    halves(api, "rare", 0, 2, alert_settings=few)
    halves(api, "quiet", 0, 3, alert_settings={**few, "enabled": False})
    worst = halves(api, "worst", 1, 3, alert_settings=few)
    found = alarming(api)
    assert [one["rule_id"] for one in found] == [worst["id"], bad["id"]]
    assert found[1] == {
        "rule_id": bad["id"],
        "rule_name": "bad",
        "matched_runs": 3,
        "executed_runs": 2,
        "pending_runs": 0,
        "failure_rate_pct": 33.33,
        "alert_level": "warning",
        "reasons": ["failure_rate"],
        "window_days": 7,
    }


@pytest.mark.spec("S4-60", "S4-65", "S4-66", "S4-67", "S4-68", "S4-69")
def test_a_failing_rule_is_listed_on_each_database(api: client.Client) -> None:
    """The rule that fails is listed, with what it is called and how often it failed."""
    rule = halves(api, "bad", 1, 3, alert_settings={"min_matched_runs": 4})
    (found,) = alarming(api)
    assert (found["rule_id"], found["rule_name"], found["failure_rate_pct"]) == (rule["id"], "bad", 75.0)
    assert (found["matched_runs"], found["executed_runs"]) == (4, 1)


@pytest.mark.spec("S4-70", "S4-297")
def test_thresholds_decide_the_level(api: client.Client) -> None:
    """The rate follows from what matched and was executed; from the thresholds on it is a warning, then critical."""
    rule = halves(api, "half", 2, 2, alert_settings={"min_matched_runs": 1})
    path = f"{RULES}/{rule['id']}/alert-settings"
    for warning, critical, level in ((50, 51, "warning"), (20, 50, "critical"), (51, 60, None)):
        settings = {
            "min_matched_runs": 1,
            "failure_rate_threshold_pct": warning,
            "critical_threshold_pct": critical,
        }
        api.patch(path, {"alert_settings": settings})
        found = alarming(api)
        assert [(one["alert_level"], one["failure_rate_pct"]) for one in found] == (
            [(level, 50.0)] if level else []
        )


@pytest.mark.spec("S4-62", "S4-63", "S4-64")
def test_a_question_goes_before_the_rules_settings(api: client.Client) -> None:
    """Window, least count and threshold can be asked for, and hold for every rule."""
    rule = halves(api, "half", 2, 2)
    assert alarming(api) == []
    (found,) = alarming(api, min_matched_runs=4)
    assert (found["alert_level"], found["window_days"]) == ("critical", 7)
    (found,) = alarming(api, min_matched_runs=4, failure_rate_threshold_pct=50)
    assert found["alert_level"] == "critical"
    assert alarming(api, min_matched_runs=4, failure_rate_threshold_pct=50.5) == []
    api.clock.move(2 * DAY)
    assert alarming(api, min_matched_runs=4, window_days=2) == []
    (found,) = alarming(api, min_matched_runs=4, window_days=3)
    assert (found["rule_id"], found["window_days"]) == (rule["id"], 3)


@pytest.mark.spec("S4-61")
def test_what_is_unusual_is_listed(api: client.Client) -> None:
    """A rule that matches far more than in the windows before, or not any more, is listed with its reason."""
    rule = make(api, FINE, alert_settings={"min_matched_runs": 2, "window_days": 1})
    happen(api, 2)
    assert alarming(api) == []
    for _ in range(4):
        api.clock.move(DAY)
        happen(api, 2)
    assert alarming(api) == []
    happen(api, 5)
    (spike,) = alarming(api)
    assert (spike["reasons"], spike["alert_level"]) == (["volume_spike"], "warning")
    api.clock.move(DAY)
    (quiet,) = alarming(api)
    assert (quiet["rule_id"], quiet["reasons"], quiet["matched_runs"]) == (rule["id"], ["went_quiet"], 0)


# ── what is refused, and whose it is ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("overview", {"window_days": 0}, "window_days"),
        ("overview", {"window_days": 366}, "window_days"),
        ("overview", {"bucket_days": 1}, "bucket_days"),
        ("timeseries", {"window_days": "week"}, "window_days"),
        ("timeseries", {"window_days": 3, "bucket_days": 4}, "bucket_days"),
        ("timeseries", {"bucket_days": 0}, "bucket_days"),
        ("alerts", {"min_matched_runs": 0}, "min_matched_runs"),
        ("alerts", {"failure_rate_threshold_pct": 101}, "failure_rate_threshold_pct"),
        ("alerts", {"threshold": 1}, "threshold"),
    ],
)
def test_a_wrong_question_is_refused(
    lone_api: client.Client, path: str, query: dict[str, Any], place: str
) -> None:
    """Windows are 1 to 365 days, buckets no longer than they, and unknown parameters are named."""
    answer = lone_api.get(f"{STATS}/{path}", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_query")
    assert place in client.faults(answer)


def test_a_tenant_counts_its_own(api: client.Client) -> None:
    """A tenant's key sees its own rules, runs and events alone, decided or in line; the workspace's sees all."""
    shop = api.key("admin", tenant="shop")
    make(api, FINE)
    rule = make(api, FINE, key=shop, alert_settings={**alerts.DEFAULTS, "min_matched_runs": 1})
    happen(api, 2)
    happen(api, 1, key=shop)
    api.happen("custom.a", key=shop)
    counted = api.get(f"{STATS}/overview", key=shop).json()
    assert (counted["total_rules"], counted["total_events"], counted["total_runs"]) == (1, 2, 1)
    whole = ask(api, f"{STATS}/overview")
    assert (whole["total_rules"], whole["total_events"], whole["total_runs"]) == (2, 4, 4)
    series = api.get(f"{STATS}/timeseries", params={"window_days": 1}, key=shop).json()
    assert series["data"][0]["total_runs"] == 1
    bank = api.key("admin", tenant="bank")
    assert api.get(f"{RULES}/{rule['id']}/stats/timeseries", key=bank).status_code == 404
    assert api.get(f"{STATS}/overview", key=bank).json()["total_events"] == 0


@pytest.mark.spec("S4-287")
def test_schedule_snooze_and_alerts_work_together(api: client.Client) -> None:
    """A rule that sleeps by its schedule or a snooze does not run, so what alarms is what it did while awake."""
    night = {"windows": [{"start": "22:00", "end": "06:00"}]}
    few = {"min_matched_runs": 3, "window_days": 1}
    rule = make(api, FAILING, schedule_settings=night, alert_settings=few)
    happen(api, 3)
    assert alarming(api) == []
    api.patch(f"{RULES}/{rule['id']}/schedule-settings", {"schedule_settings": None})
    api.post(f"{RULES}/{rule['id']}/snooze", {"snoozed_until": "2026-01-05T13:00:00Z"})
    happen(api, 3)
    assert alarming(api) == []
    api.clock.move(DAY // 24)
    happen(api, 3)
    (found,) = alarming(api)
    assert (found["matched_runs"], found["alert_level"]) == (3, "critical")
