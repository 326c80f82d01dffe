"""Whether a rule would act now, when its schedule lets it, and which rules sleep."""

from typing import Any

import pytest

from heliograph.core import schedule
from tests.web import client

PATH = "/api/automation/rules"
CONTROL = "/api/automation/control"
MINUTE = 60_000_000
NIGHT = {"timezone": "UTC", "windows": [{"start": "22:00", "end": "06:00"}]}
"""A schedule that is closed at client.START."""


def state(api: client.Client, rule: dict[str, Any]) -> dict[str, Any]:
    """A rule's effective state."""
    answer = api.get(f"{PATH}/{rule['id']}/effective-state")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def acts(api: client.Client) -> bool:
    """Whether the rules meet an event that happens now."""
    event = api.happen(contact_id="ana")
    api.decide()
    return bool(api.runs(event))


# ── effective state ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S4-110", "S4-114", "S4-115", "S4-116", "S4-117", "S4-120")
def test_a_rule_tells_whether_it_would_act(api: client.Client) -> None:
    """A rule that nothing keeps back is effective; flag and snooze are shown, and each by itself closes it."""
    rule = api.make_rule(conditions=[])
    assert state(api, rule) == {
        "rule_id": rule["id"],
        "is_active": True,
        "is_snoozed": False,
        "snoozed_until": None,
        "global_paused": False,
        "schedule_active": True,
        "effective_active": True,
        "reasons": [],
    }
    api.post(f"{PATH}/{rule['id']}/snooze", {"snoozed_until": "2026-01-05T13:00:00Z"})
    asleep = state(api, rule)
    assert (asleep["is_active"], asleep["is_snoozed"], asleep["effective_active"]) == (True, True, False)
    assert (asleep["snoozed_until"], asleep["reasons"]) == ("2026-01-05T13:00:00.000000Z", ["snoozed"])
    api.patch(f"{PATH}/{rule['id']}", {"is_active": False})
    off = state(api, rule)
    assert (off["is_active"], off["effective_active"], off["reasons"]) == (
        False,
        False,
        ["inactive", "snoozed"],
    )


@pytest.mark.spec("S4-111", "S4-112", "S4-113", "S4-118", "S4-119")
def test_the_state_is_what_happens_to_an_event(api: client.Client) -> None:
    """Snooze, pause and schedule close a rule in its state exactly when they close it to an event, by the clock."""
    rule = api.make_rule(conditions=[])
    api.post(f"{PATH}/{rule['id']}/snooze", {"snoozed_until": "2026-01-05T12:01:00Z"})
    assert (state(api, rule)["effective_active"], acts(api)) == (False, False)
    api.clock.move(MINUTE)
    assert (state(api, rule)["is_snoozed"], state(api, rule)["effective_active"], acts(api)) == (
        False,
        True,
        True,
    )
    api.patch(CONTROL, {"is_paused": True, "paused_until": "2026-01-05T12:02:00Z"})
    paused = state(api, rule)
    assert (paused["global_paused"], paused["effective_active"], paused["reasons"]) == (
        True,
        False,
        ["paused"],
    )
    api.clock.move(MINUTE)
    assert (state(api, rule)["global_paused"], state(api, rule)["effective_active"], acts(api)) == (
        False,
        True,
        True,
    )
    api.patch(f"{PATH}/{rule['id']}/schedule-settings", {"schedule_settings": NIGHT})
    closed = state(api, rule)
    assert (closed["schedule_active"], closed["effective_active"], closed["reasons"]) == (
        False,
        False,
        ["schedule"],
    )
    assert not acts(api)
    api.clock.move(10 * 60 * MINUTE)
    assert (state(api, rule)["schedule_active"], state(api, rule)["effective_active"], acts(api)) == (
        True,
        True,
        True,
    )


def test_the_state_of_nothing_is_a_404(api: client.Client) -> None:
    """An unknown rule has neither state nor preview, and a state takes no query."""
    nothing = f"{PATH}/00000000-0000-7000-8000-000000000000"
    assert api.get(f"{nothing}/effective-state").status_code == 404
    assert api.get(f"{nothing}/schedule-preview").status_code == 404
    rule = api.make_rule()
    assert api.get(f"{PATH}/{rule['id']}/effective-state", params={"at": "now"}).status_code == 400


# ── preview ─────────────────────────────────────────────────────────────────────────────────────────


def preview(api: client.Client, settings: Any, **query: Any) -> dict[str, Any]:
    """The preview of a rule with this schedule."""
    rule = api.make_rule(schedule_settings=settings)
    answer = api.get(f"{PATH}/{rule['id']}/schedule-preview", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["rule_id"] == rule["id"]
    return found


def spans(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The windows of a preview, to the minute."""
    return [(window["start_at"][:16], window["end_at"][:16]) for window in found["windows"]]


@pytest.mark.spec("S4-133", "S4-134", "S4-137", "S4-138")
def test_the_next_windows_are_shown(api: client.Client) -> None:
    """Unless told otherwise a preview tells of the next 24 hours, in UTC, cut off at both ends."""
    found = preview(
        api,
        {
            "timezone": "Asia/Jakarta",
            "windows": [{"days": ["mon", "tue"], "start": "18:00", "end": "20:00"}],
        },
    )
    assert (found["timezone"], found["from"][:16], found["to"][:16]) == (
        "Asia/Jakarta",
        "2026-01-05T12:00",
        "2026-01-06T12:00",
    )
    assert spans(found) == [
        ("2026-01-05T12:00", "2026-01-05T13:00"),
        ("2026-01-06T11:00", "2026-01-06T12:00"),
    ]


@pytest.mark.spec("S4-135", "S4-136")
def test_a_preview_begins_and_ends_where_it_is_asked_to(api: client.Client) -> None:
    """`start_at`, in the past too, and `hours` choose what is looked at; what touches is one window."""
    settings = {
        "windows": [{"start": "08:00", "end": "12:00"}, {"start": "12:00", "end": "13:00"}],
        "exclude_dates": ["2025-07-02"],
    }
    found = preview(api, settings, start_at="2025-07-01T02:00:00+02:00", hours=72)
    assert found["from"] == "2025-07-01T00:00:00.000000Z"
    assert spans(found) == [
        ("2025-07-01T08:00", "2025-07-01T13:00"),
        ("2025-07-03T08:00", "2025-07-03T13:00"),
    ]


@pytest.mark.parametrize("settings", [None, {}, {"enabled": False, "windows": []}])
def test_no_schedule_is_one_window(api: client.Client, settings: Any) -> None:
    """A rule without limits is awake for the whole of a preview, also while it sleeps or is off."""
    found = preview(api, settings, hours=1)
    assert spans(found) == [("2026-01-05T12:00", "2026-01-05T13:00")]


@pytest.mark.parametrize("start_at", ["2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z"])
@pytest.mark.spec("S4-128", "S4-134")
def test_a_preview_agrees_with_the_gate_when_clocks_change(lone_api: client.Client, start_at: str) -> None:
    """In each quarter of an hour around a change of the clocks, an event is met exactly inside a window."""
    api = lone_api
    settings = {
        "timezone": "Europe/Berlin",
        "windows": [{"start": "00:15", "end": "01:30"}, {"start": "02:30", "end": "03:45"}],
    }
    rule = api.make_rule(conditions=[], schedule_settings=settings)
    api.clock.at = schedule.parse_instant(start_at, "")
    found = api.get(f"{PATH}/{rule['id']}/schedule-preview", params={"hours": 8}).json()
    windows = [
        (schedule.parse_instant(one["start_at"], ""), schedule.parse_instant(one["end_at"], ""))
        for one in found["windows"]
    ]
    assert windows
    for _ in range(4 * 8):
        now = api.clock.now()
        assert acts(api) == any(start <= now < end for start, end in windows)
        api.clock.move(15 * MINUTE)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"hours": 0}, "hours"),
        ({"hours": 745}, "hours"),
        ({"hours": "x"}, "hours"),
        ({"start_at": "2026-01-05T12:00:00"}, "start_at"),
        ({"start_at": "soon"}, "start_at"),
        ({"start_at": "9999-12-31T23:00:00Z"}, "start_at"),
        ({"days": 1}, "days"),
    ],
)
def test_a_wrong_preview_is_refused(lone_api: client.Client, query: dict[str, Any], place: str) -> None:
    """A preview reaches from one hour to 31 days, from an instant with an offset."""
    rule = lone_api.make_rule()
    answer = lone_api.get(f"{PATH}/{rule['id']}/schedule-preview", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_query")
    assert place in client.faults(answer)


# ── who sleeps ──────────────────────────────────────────────────────────────────────────────────────


def asleep(api: client.Client, until: str = "2026-01-05T13:00:00Z", **fields: Any) -> dict[str, Any]:
    """A sleeping rule."""
    rule = api.make_rule(**fields)
    assert api.post(f"{PATH}/{rule['id']}/snooze", {"snoozed_until": until}).status_code == 200
    found: dict[str, Any] = api.get(f"{PATH}/{rule['id']}").json()
    return found


@pytest.mark.spec("S4-37", "S4-38", "S4-39", "S4-42")
def test_sleeping_rules_are_listed(api: client.Client) -> None:
    """The list has the rules that sleep now, whole and in their order, narrowed by flag and trigger."""
    api.make_rule(name="awake")
    late = asleep(api, name="late", priority=200, until="2026-01-06T00:00:00Z")
    idle = asleep(api, name="idle", is_active=False)
    other = asleep(api, name="other", priority=300, trigger_type="contact_created")
    path = f"{PATH}/snoozed"
    assert api.get(path).json() == {"data": [idle, late, other], "total": 3}
    assert api.get(path, params={"is_active": "false"}).json()["data"] == [idle]
    assert api.get(path, params={"is_active": "true"}).json()["data"] == [late, other]
    assert api.get(path, params={"trigger_type": "contact_created"}).json()["data"] == [other]
    api.clock.move(60 * MINUTE)
    assert api.get(path).json() == {"data": [late], "total": 1}


@pytest.mark.spec("S4-40", "S4-41")
def test_sleeping_rules_come_in_pages(api: client.Client) -> None:
    """`page` and `per_page` cut the list, and `total` tells of the whole."""
    names = [asleep(api, name=f"rule {number}", priority=number)["name"] for number in range(5)]
    path = f"{PATH}/snoozed"
    pages = [api.get(path, params={"page": page, "per_page": 2}).json() for page in (1, 2, 3, 4)]
    assert [[rule["name"] for rule in page["data"]] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
        [],
    ]
    assert {page["total"] for page in pages} == {5}
    assert len(api.get(path).json()["data"]) == 5
    for query in ({"page": 0}, {"per_page": 201}, {"per_page": 0}, {"cursor": "x"}, {"is_active": "maybe"}):
        assert api.get(path, params=query).status_code == 400
