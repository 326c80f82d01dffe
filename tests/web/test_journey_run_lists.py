"""Runs of journeys in lists: every filter and any of them together, walked by cursor, however few of them pass."""

import asyncio
import itertools
from typing import Any

import pytest

from heliograph import testing
from heliograph.store import listings
from tests.engine import acts
from tests.web.client import Client
from tests.web.test_journeys import WELCOME

DELAY = {"action": "delay", "duration": "1 day"}
BROKEN = {"action": "delay", "duration": "${data.missing.at}"}
JOURNEYS = ("w", "sch/1 a.b", "never")
SECOND = 1_000_000


@pytest.fixture
def ran(api: Client) -> list[dict[str, Any]]:
    """Runs of two journeys and of none, of every status, oldest first, a second after each other."""
    for journey in JOURNEYS:
        path = "/automations/templates/" + journey.replace("/", "%2F").replace(" ", "%20")
        assert api.put(path, {"name": journey, "steps": [WELCOME, DELAY]}).status_code == 200
    made: list[str] = []
    for number in range(24):
        api.clock.move(SECOND)
        api.mailbox.answer = acts.busy if number % 5 == 3 else testing.accepted
        if number % 3 == 0:
            path = f"/automations/{JOURNEYS[number % 2].replace('/', '%2F').replace(' ', '%20')}/invoke"
            answer = api.post(path, {"recipient": None})
        else:
            step = BROKEN if number == 2 else DELAY if number % 4 == 1 else WELCOME
            answer = api.post("/automations/invoke", {"automation": {"steps": [step]}})
        api.decide()
        made.append(answer.json()["runId"])
    return [api.get(f"/automations/runs/{one}").json() for one in made]


def walked(api: Client, limit: int, **query: str) -> list[list[str]]:
    """The pages of a list."""
    pages: list[list[str]] = []
    given: dict[str, str] = {**query, "limit": str(limit)}
    while True:
        told = api.get("/automations/runs", params=given).json()
        pages.append([one["run_id"] for one in told["runs"]])
        if "next_cursor" not in told:
            return pages
        given["cursor"] = told["next_cursor"]


@pytest.mark.parametrize("look", [8, 4_000])
def test_every_filter_and_any_together_show_each_run_once(
    api: Client, ran: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    """By status, journey (its id may hold anything) and time, together too; a walk shows each once, newest first."""
    monkeypatch.setattr(listings, "LOOK", 2 * look)
    statuses = (
        None,
        "WAITING",
        "PROCESSING",
        "PROCESSED,ERROR",
        "ERROR",
        "WAITING, PROCESSING",
        "waiting",
        "SENT",
    )
    journeys = (None, "w", f"{JOURNEYS[1]}, w", "never", "unknown")
    spans = ((None, None), (ran[5]["created_at"], ran[19]["created_at"]), ("2026-01-05", "2026-01-05"))
    assert {one["status"] for one in ran} == {"WAITING", "PROCESSING", "PROCESSED", "ERROR"}
    for chosen, journey, (since, until) in itertools.product(statuses, journeys, spans):
        query = {"status": chosen, "template_id": journey, "start_date": since, "end_date": until}
        given = {name: value for name, value in query.items() if value is not None}
        wanted = [
            one["run_id"]
            for one in reversed(ran)
            if chosen is None or one["status"] in chosen.upper().split(", " if ", " in chosen else ",")
            if journey is None or one["template_id"] in journey.split(", ")
            if since is None or len(since) == 10 or since <= one["created_at"] <= str(until)
        ]
        pages = walked(api, 3, **given)
        assert list(itertools.chain(*pages)) == wanted, given
        assert all(len(page) <= 3 for page in pages)
        if look > len(ran):
            assert [len(page) for page in pages] == [3] * (len(wanted) // 3) + [len(wanted) % 3] * (
                len(wanted) % 3 > 0 or not wanted
            )


def test_a_page_looks_at_a_bounded_number_of_runs(
    api: Client, ran: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where few pass, a page holds what was found so far and says where to go on; what nobody has is told at once."""
    monkeypatch.setattr(listings, "LOOK", 16)
    (error,) = [one["run_id"] for one in ran if one["status"] == "ERROR"]
    assert walked(api, 3, status="ERROR") == [[], [], [error], []]
    for nothing in ({"status": "SENT"}, {"template_id": "unknown"}, {"template_id": "never"}):
        assert walked(api, 3, **nothing) == [[]]
    everything = {"status": "", "template_id": "", "cursor": ""}
    assert len(api.get("/automations/runs", params={**everything, "limit": "50"}).json()["runs"]) == len(ran)


def test_a_limit_is_brought_into_its_bounds(api: Client, ran: list[dict[str, Any]]) -> None:
    """A whole number is 1 to 50, whatever it was; anything else is 20 (A79)."""
    whole = {"2": 2, "0": 1, "-3": 1, "+2": 2, "9999999999": 24}
    for limit, shown in {**whole, "2.5": 20, "1e1": 20, "": 20, "x": 20}.items():
        listed = api.get("/automations/runs", params={"limit": limit}).json()["runs"]
        assert len(listed) == shown, limit


def test_days_and_moments_bound_a_list(api: Client, ran: list[dict[str, Any]]) -> None:
    """A date is all of its day, a moment without a zone UTC, an empty one none; all else is refused with its place."""
    since = ran[20]["created_at"].removesuffix("Z")
    for span, shown in (
        ({"start_date": since}, 4),
        ({"start_date": since.replace("-", "").replace(":", "")}, 4),
        ({"start_date": f"{since}+01:00"}, 24),
        ({"end_date": since}, 21),
        ({"start_date": "20260105", "end_date": "20260105"}, 24),
        ({"end_date": "2026-01-04"}, 0),
        ({"start_date": "", "end_date": ""}, 24),
    ):
        answer = api.get("/automations/runs", params={**span, "limit": "50"})
        assert len(answer.json()["runs"]) == shown, span
    for bad in ("soon", "2026-02-30", "1767614400"):
        answer = api.get("/automations/runs", params={"start_date": bad})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "start_date"), bad


def test_a_run_is_told_of_for_as_long_as_history_is_kept(database_url: str) -> None:
    """With 95 days, as at Courier: so long after its end, with its steps; one that waits is there for longer."""
    delay = {"action": "delay", "duration": "1 year"}
    with Client(database_url, retention_days=95) as api:

        def made(step: dict[str, Any]) -> str:
            answer = api.post("/automations/invoke", {"automation": {"steps": [step]}})
            return str(answer.json()["runId"])

        def told(days: int) -> list[str]:
            api.world.pass_time(days=days)
            asyncio.run(api.world.app.housekeeping().prune())
            listed = [one["run_id"] for one in api.get("/automations/runs").json()["runs"]]
            assert all(api.get(f"/automations/runs/{one}/steps").status_code == 200 for one in listed)
            assert {api.get(f"/automations/runs/{one}").status_code for one in {*runs} - {*listed}} <= {404}
            return listed

        runs = [made(WELCOME), made(delay)]
        api.decide()
        assert sorted(told(94)) == sorted(runs)
        assert told(2) == runs[1:]
        assert told(365 - 96 + 94) == runs[1:]
        assert api.get(f"/automations/runs/{runs[1]}").json()["status"] == "PROCESSED"
        assert told(2) == []
