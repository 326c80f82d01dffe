"""Statistics: `/api/automation/stats/…` and the time series of one rule (rules.md C5 to C9)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get

from heliograph import errors
from heliograph.core import explain, ids, rules, schedule
from heliograph.core import statistics as days
from heliograph.store import automations, statistics
from heliograph.web import auth, rule_answers
from heliograph.web.calls import Call, in_thread

TAG = "Statistics"

Days = Annotated[int, msgspec.Meta(ge=1, le=365, description="Days of UTC, today among them.")]
_DEFAULT_DAYS = 7


class OverviewQuery(msgspec.Struct):
    """How many days are counted."""

    window_days: Days = _DEFAULT_DAYS


class SeriesQuery(msgspec.Struct):
    """How many days are counted, and how many of them together."""

    window_days: Days = _DEFAULT_DAYS
    bucket_days: Days = 1


class AlertsQuery(msgspec.Struct):
    """What goes before the alert settings of each rule."""

    window_days: Days | None = None
    min_matched_runs: Annotated[int, msgspec.Meta(ge=1)] | None = None
    failure_rate_threshold_pct: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


class Overview(msgspec.Struct, kw_only=True):
    """All rules together: rules as they are now, events and runs of the window."""

    total_rules: int
    active_rules: int
    snoozed_rules: int
    total_events: int
    total_runs: int
    matched_runs: int
    executed_runs: int
    pending_runs: int
    """Runs that matched, and wait for an answer."""
    failed_events: int
    window_days: int


class Bucket(msgspec.Struct, kw_only=True):
    """The runs of some days that follow one another."""

    bucket: explain.Instant
    """Where it begins."""
    total_runs: int
    matched_runs: int
    executed_runs: int
    pending_runs: int


class Series(msgspec.Struct, kw_only=True):
    """Every bucket of the window, oldest first, also those in which nothing ran."""

    data: list[Bucket]
    window_days: int
    bucket_days: int


class AlertStats(msgspec.Struct, kw_only=True):
    """A rule that is worth a look."""

    rule_id: str
    rule_name: str
    matched_runs: int
    executed_runs: int
    pending_runs: int
    failure_rate_pct: float
    """Of those that wait for nothing more, how many of a hundred have failed."""
    alert_level: Literal["warning", "critical"]
    reasons: list[Literal["failure_rate", "volume_spike", "went_quiet"]]
    window_days: int


class AlertStatsList(msgspec.Struct):
    """The rules that are worth a look, the worst first."""

    data: list[AlertStats]
    total: int


@get("/api/automation/stats/overview", opt={"tag": TAG, "query": OverviewQuery})
@in_thread
def read_overview(request: Call) -> Overview:
    """Count rules, events and runs."""
    query, who, now = request.read_query(OverviewQuery), request.principal, request.services.now()
    window = days.window(now, query.window_days)
    with request.services.database.reading() as connection:
        found = automations.list_rules(connection, who.workspace_id, who.tenant_id)
        events = statistics.event_counts(connection, who.workspace_id, who.tenant_id, window)
        by_day = statistics.by_day(connection, who.workspace_id, who.tenant_id, window)
    (bucket,) = days.buckets(window, query.window_days, by_day)
    counts = bucket.counts
    return Overview(
        total_rules=len(found),
        active_rules=sum(rule.definition.is_active for rule in found),
        snoozed_rules=sum(rules.is_snoozed(rule.definition.snoozed_until, now) for rule in found),
        total_events=events.total,
        total_runs=counts.total,
        matched_runs=counts.matched,
        executed_runs=counts.executed,
        pending_runs=counts.pending,
        failed_events=events.failed,
        window_days=query.window_days,
    )


@get("/api/automation/stats/timeseries", opt={"tag": TAG, "query": SeriesQuery})
@in_thread
def read_time_series(request: Call) -> Series:
    """Count the runs of all rules, bucket by bucket."""
    query, who, window = _series(request)
    with request.services.database.reading() as connection:
        by_day = statistics.by_day(connection, who.workspace_id, who.tenant_id, window)
    return _written(query, days.buckets(window, query.bucket_days, by_day))


@get("/api/automation/rules/{rule_id:str}/stats/timeseries", opt={"tag": TAG, "query": SeriesQuery})
@in_thread
def read_rule_time_series(request: Call) -> Series:
    """Count the runs of one rule, bucket by bucket; those of a deleted one stay."""
    query, who, window = _series(request)
    rule_id = request.identity("rule_id")
    with request.services.database.reading() as connection:
        if not automations.had_rule(connection, who.workspace_id, who.tenant_id, rule_id):
            raise rule_answers.missing(request)
        by_day = statistics.by_day(connection, who.workspace_id, who.tenant_id, window, rule_id)
    return _written(query, days.buckets(window, query.bucket_days, by_day))


def _series(request: Call) -> tuple[SeriesQuery, auth.Principal, days.Window]:
    query = request.read_query(SeriesQuery)
    if query.bucket_days > query.window_days:
        raise errors.InvalidQuery(
            faults=[errors.Fault("bucket_days", f"is more than the window's {query.window_days} days")]
        )
    return query, request.principal, days.window(request.services.now(), query.window_days)


def _written(query: SeriesQuery, found: list[days.Bucket]) -> Series:
    data = [
        Bucket(
            bucket=schedule.write_instant(bucket.start),
            total_runs=bucket.counts.total,
            matched_runs=bucket.counts.matched,
            executed_runs=bucket.counts.executed,
            pending_runs=bucket.counts.pending,
        )
        for bucket in found
    ]
    return Series(data=data, window_days=query.window_days, bucket_days=query.bucket_days)


@get("/api/automation/stats/alerts", opt={"tag": TAG, "query": AlertsQuery})
@in_thread
def list_alert_stats(request: Call) -> AlertStatsList:
    """List the rules that fail often, act far more than usual, or went quiet; the worst first."""
    query, who = request.read_query(AlertsQuery), request.principal
    given = {name: value for name, value in msgspec.structs.asdict(query).items() if value is not None}
    with request.services.database.reading() as connection:
        found = statistics.alarms(connection, who.workspace_id, who.tenant_id, request.services.now(), given)
    data = sorted(map(_alert, found), key=_worst_first)
    return AlertStatsList(data, len(data))


def _alert(found: statistics.Alarm) -> AlertStats:
    counts = found.counts
    return AlertStats(
        rule_id=ids.text(found.rule.id),
        rule_name=found.rule.definition.name,
        matched_runs=counts.matched,
        executed_runs=counts.executed,
        pending_runs=counts.pending,
        failure_rate_pct=round(counts.failure_rate, 2),
        alert_level=found.verdict.level,  # type: ignore[arg-type]
        reasons=list(found.verdict.reasons),  # type: ignore[arg-type]
        window_days=found.settings["window_days"],
    )


def _worst_first(one: AlertStats) -> tuple[bool, float, int, str]:
    return one.alert_level != "critical", -one.failure_rate_pct, -one.matched_runs, one.rule_id


HANDLERS = (read_overview, read_time_series, read_rule_time_series, list_alert_stats)
