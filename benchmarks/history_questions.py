"""What is asked of a history: every list with its filters and orders, and what a dashboard shows.

Law: a question is asked each time a little differently, by a generator of random numbers that is handed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks import history_rows
from heliograph.core import ids, schedule
from heliograph.web import lists

RUNS, EVENTS, STATS = "/api/automation/runs", "/api/automation/events", "/api/automation/stats"
_QUARTER = 900_000_000
"""A quarter of an hour (µs)."""

Query = dict[str, Any]
Path = Callable[[random.Random], str]
Asked = Callable[[random.Random], Query]


class Question(NamedTuple):
    """Something that is asked again and again."""

    name: str
    path: Path
    query: Asked
    key: str = ""
    """`tenant`: by a key that is bound to one."""


def all_of(made: history_rows.Made) -> Iterator[Question]:
    """Every question to this history."""
    yield from _of_runs(made)
    yield from _of_events(made)
    yield from _of_places(made)
    for days in (7, 90, 365):
        yield Question(f"overview of {days} days", _at(f"{STATS}/overview"), _query(window_days=days))
        yield Question(f"time series of {days} days", _at(f"{STATS}/timeseries"), _query(window_days=days))
    yield Question("alerts", _at(f"{STATS}/alerts"), _query())


def _of_runs(made: history_rows.Made) -> Iterator[Question]:
    for name, path in (("runs", _at(RUNS)), ("runs of a rule", _of_rule(made, f"{RUNS}/by-rule"))):
        yield Question(name, path, _query())
        yield Question(f"{name}, by cursor", path, _cursor(made))
        yield Question(f"{name}, by cursor, oldest first", path, _cursor(made, sort_order="asc"))
        yield Question(f"{name}, a page", path, _page())
        yield Question(f"{name}, matched", path, _cursor(made, matched="true"))
        yield Question(
            f"{name}, matched, not executed", path, _cursor(made, matched="true", executed="false")
        )
        yield Question(
            f"{name} of a quarter of an hour, by executed", path, _within(made, sort_by="executed")
        )
        yield Question(f"{name} of a month, by matched", path, _of_a_month(made, sort_by="matched"))
    yield Question(
        "runs of a rule, 200 a page", _of_rule(made, f"{RUNS}/by-rule"), _cursor(made, per_page=200)
    )
    yield Question("runs of a tenant", _at(RUNS), _cursor(made), "tenant")
    yield Question("runs of an event", _of_event(made, f"{RUNS}/by-event"), _query())


def _of_events(made: history_rows.Made) -> Iterator[Question]:
    events = _at(EVENTS)
    yield Question("events", events, _query())
    yield Question("events, by cursor", events, _cursor(made))
    yield Question("events, a page", events, _page())
    yield Question("events of a tenant", events, _cursor(made), "tenant")
    for status in ("pending", "processing", "processed", "failed"):
        yield Question(f"events that are {status}", events, _query(status=status))
        yield Question(f"events that are {status}, by cursor", events, _cursor(made, status=status))
        yield Question(
            f"events that are {status}, from crm", events, _cursor(made, status=status, source="crm")
        )
    yield Question("events of a type", events, _cursor(made, event_type="custom.order_paid"))
    yield Question("events of a type that is not there", events, _cursor(made, event_type="custom.x"))
    for sort in ("attempts", "status", "processed_at", "available_at"):
        yield Question(f"events of a quarter of an hour, by {sort}", events, _within(made, sort_by=sort))
    yield Question("one event", _of_event(made, EVENTS), _query())


def _of_places(made: history_rows.Made) -> Iterator[Question]:
    """Events by what no hot table is sorted by."""
    of_rule = _of_rule(made, f"{EVENTS}/by-rule")
    yield Question("events of a conversation", _of_conversation, _query())
    yield Question("events of a conversation, by attempts", _of_conversation, _query(sort_by="attempts"))
    yield Question(
        "events of a payload", lambda draw: f"{EVENTS}/by-hash/{draw.choice(made.hashes)}", _query()
    )
    yield Question("events of a rule", of_rule, _query())
    yield Question("events of a rule, by cursor", of_rule, _cursor(made))
    yield Question("events of a rule that failed", of_rule, _cursor(made, status="failed"))
    yield Question(
        "events of a rule with a payload", of_rule, lambda draw: {"payload_hash": draw.choice(made.hashes)}
    )


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────


def _at(path: str) -> Path:
    return lambda _: path


def _of_rule(made: history_rows.Made, path: str) -> Path:
    return lambda draw: f"{path}/{ids.text(draw.choice(made.rules))}"


def _of_event(made: history_rows.Made, path: str) -> Path:
    return lambda draw: f"{path}/{ids.text(draw.choice(made.events))}"


def _of_conversation(draw: random.Random) -> str:
    return f"{EVENTS}/by-conversation/k-{2 * draw.randrange(history_rows.CONVERSATIONS // 2) + 1}"


# ── queries ─────────────────────────────────────────────────────────────────────────────────────────


def _query(**given: Any) -> Asked:
    return lambda _: given


def _cursor(made: history_rows.Made, **given: Any) -> Asked:
    return lambda draw: {**given, "cursor": lists.cursor_of(ids.mint(_instant(draw, made), 0, 0, 0))}


def _page() -> Asked:
    return lambda draw: {"page": draw.randrange(1, 200)}


def _within(made: history_rows.Made, **given: Any) -> Asked:
    return lambda draw: {**given, **_span(_instant(draw, made), _QUARTER)}


def _of_a_month(made: history_rows.Made, **given: Any) -> Asked:
    return lambda _: {**given, **_span(made.last - 30 * schedule.DAY, 30 * schedule.DAY)}


def _instant(draw: random.Random, made: history_rows.Made) -> int:
    return draw.randrange(made.first, made.last)


def _span(since: int, length: int) -> Query:
    return {
        "created_from": schedule.write_instant(since),
        "created_to": schedule.write_instant(since + length),
    }
