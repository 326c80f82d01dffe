"""Metrics: what one process has done, and what waits in the database, for Prometheus.

Law: counters are of this process, gauges of the database are read when somebody asks; a label has few values
(a route's path, never a request's).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import prometheus_client as prometheus
from prometheus_client import core, registry

from heliograph.store import queues
from heliograph.web import services

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")  # the framework adds it
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one web application."""

    def __init__(self, given: services.Services):
        self._registry = prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "heliograph_requests",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = prometheus.Histogram(
            "heliograph_request_seconds",
            "How long answers took, by route.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Engine(given))
        self._known: dict[tuple[str, str, int], tuple[prometheus.Counter, prometheus.Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (method, route, status)
        if key not in self._known:
            self._known[key] = self._requests.labels(*key), self._seconds.labels(route)
        requests, spent = self._known[key]
        requests.inc()
        spent.observe(seconds)

    def text(self) -> bytes:
        """All of them, in Prometheus's text form."""
        return prometheus.generate_latest(self._registry)


class _Engine(registry.Collector):
    """What the engine has done and has before it, read when it is asked for."""

    def __init__(self, given: services.Services):
        self._services = given

    def collect(self) -> Iterable[core.Metric]:
        """Counters of this process, then gauges of the database."""
        yield from _counters(self._services.engine_state())
        with self._services.database.reading() as connection:
            standing = queues.standing(connection)
        yield from _gauges(standing, self._services.now())

    def describe(self) -> Iterable[core.Metric]:
        """Nothing is read to find out the names."""
        return ()


def _counters(state: Mapping[str, Any]) -> Iterable[core.Metric]:
    for name, text in (
        ("events_accepted", "Events that this process has accepted."),
        ("inputs_decided", "Events, timers and answers that this process has decided."),
    ):
        yield core.CounterMetricFamily(f"heliograph_{name}", text, value=state.get(name, 0))
    handed_over = core.CounterMetricFamily(
        "heliograph_deliveries", "Attempts to hand a message over, by outcome.", labels=("outcome",)
    )
    for outcome, count in sorted(state.get("handed_over", {}).items()):
        handed_over.add_metric((str(outcome),), count)
    yield handed_over
    yield core.GaugeMetricFamily(
        "heliograph_deliveries_in_flight",
        "Messages that this process is handing over.",
        state.get("in_flight", 0),
    )


def _gauges(standing: queues.Standing, now: int) -> Iterable[core.Metric]:
    waited, late = _seconds_since(standing.oldest_event_at, now), _seconds_since(standing.first_timer_at, now)
    for name, text, value in (
        ("events_waiting", "Events that wait for a decision.", standing.events),
        ("oldest_event_wait_seconds", "How long the oldest of them has waited.", waited),
        ("answers_waiting", "Answers of the outside that wait to be taken in.", standing.answers),
        ("messages_waiting", "Messages that are due.", standing.messages),
        ("messages_claimed", "Messages that a delivery holds.", standing.claimed),
        ("timers_waiting", "Retries, delays and what else waits for its time.", standing.timers),
        ("oldest_timer_overdue_seconds", "How long the first of them has been due.", late),
    ):
        yield core.GaugeMetricFamily(f"heliograph_{name}", text, value)


def _seconds_since(at: int | None, now: int) -> float:
    return 0.0 if at is None else max(0, now - at) / 1_000_000
