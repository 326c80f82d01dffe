"""What operators and readers of the API look at: health, metrics, the description."""

import re

import pytest

from tests.web import client


def value(text: str, name: str) -> float:
    """The value of one line of the metrics."""
    (found,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found)


def test_a_running_process_is_alive_and_ready(api: client.Client) -> None:
    """Health and readiness answer 200 without a key."""
    assert api.get("/healthz", key=None).json() == {"status": "ok"}
    assert api.get("/readyz", key=None).json() == {"status": "ok"}


def test_metrics_tell_what_waits_and_what_was_done(api: client.Client) -> None:
    """Backlog, its age, due messages, events taken in and requests by route are read without a key."""
    api.make_rule(conditions=[], actions=[{"type": "send_message", "text": "x"}])
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.happen(contact_id="ana")
    api.clock.move(3_000_000)
    api.happen(contact_id="ana")
    answer = api.get("/metrics", key=None)
    assert answer.headers["content-type"].startswith("text/plain")
    before = answer.text
    assert value(before, "heliograph_events_waiting") == 2
    assert value(before, "heliograph_oldest_event_wait_seconds") == 3
    assert value(before, "heliograph_events_accepted_total") == 2
    route = '{method="POST",route="/api/automation/events",status="202"}'
    assert value(before, f"heliograph_requests_total{route}") == 2
    api.world.turns.take()
    between = api.get("/metrics").text
    assert (value(between, "heliograph_events_waiting"), value(between, "heliograph_messages_waiting")) == (
        0,
        2,
    )
    api.decide()
    assert value(api.get("/metrics").text, "heliograph_messages_waiting") == 0


def test_metrics_tell_how_late_the_first_timer_is(api: client.Client) -> None:
    """It is the earliest timer that counts; nothing is late before its time, nor when it was taken."""
    name = "heliograph_oldest_timer_overdue_seconds"
    assert value(api.get("/metrics").text, name) == 0
    for hours in (2, 1, 3):
        steps = [{"action": "delay", "duration": f"{hours} hours"}]
        answer = api.post(
            "/automations/invoke", {"automation": {"steps": steps}, "recipient": f"who-{hours}"}
        )
        assert answer.status_code == 200
    api.decide()
    api.clock.move(3_600_000_000)
    assert value(api.get("/metrics").text, name) == 0
    api.clock.move(3_600_000_000 + 7_500_000)
    assert value(api.get("/metrics").text, name) == 3607.5
    api.decide()
    after = api.get("/metrics").text
    assert (value(after, name), value(after, "heliograph_timers_waiting")) == (0, 1)


def test_paths_of_requests_do_not_grow_the_metrics(lone_api: client.Client) -> None:
    """Requests are counted by the template of their route; whatever is not there is one line."""
    for number in range(3):
        lone_api.get(f"/profiles/p{number}")
        lone_api.get(f"/nowhere/{number}")
    text = lone_api.get("/metrics").text
    assert (
        value(text, 'heliograph_requests_total{method="GET",route="/profiles/{user_id}",status="404"}') == 3
    )
    assert value(text, 'heliograph_requests_total{method="GET",route="(none)",status="404"}') == 3
    assert "nowhere" not in text


def test_the_description_is_a_page_and_a_document(lone_api: client.Client) -> None:
    """The page reads the document beside it and nothing from anywhere else."""
    page = lone_api.get("/schema", key=None)
    assert page.headers["content-type"].startswith("text/html")
    assert "/schema/openapi.json" in page.text
    assert not re.search(r"https?://|src=|@import", page.text)
    document = lone_api.get("/schema/openapi.json", key=None).json()
    assert document["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("post", "/send", {"Idempotency-Key", "X-Idempotency-Expiration"}),
        ("post", "/api/automations", {"Idempotency-Key", "X-Idempotency-Expiration", "reach-tenant-id"}),
        ("get", "/api/automations", {"reach-tenant-id"}),
        ("get", "/partner/schema-definitions", set()),
        ("post", "/auth/issue-token", set()),
        ("put", "/profiles/{user_id}", set()),
    ],
)
def test_the_headers_that_a_path_reads_are_described(
    lone_api: client.Client, method: str, path: str, headers: set[str]
) -> None:
    """Where a key makes a request be worked once, or a header names the business, the description says so."""
    document = lone_api.get("/schema/openapi.json", key=None).json()
    told = document["paths"][path][method]["parameters"]
    assert {one["name"] for one in told if one["in"] == "header"} == headers


@pytest.mark.parametrize("path", ["/metrics", "/schema", "/schema/openapi.json", "/healthz"])
def test_a_content_type_names_its_charset_once_at_most(path: str, lone_api: client.Client) -> None:
    """What is served for people and for Prometheus says what it is in a form that strict readers take."""
    content_type = lone_api.get(path).headers["content-type"]
    assert content_type.count("charset") <= 1
