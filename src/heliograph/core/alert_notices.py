"""Alert notices: when somebody is told that a rule is alarming, and in which words.

Law: who is to be told hears it once when it begins, once more each `renotify_after_secs` while it lasts, once when it
becomes critical, and once when it is over. Within one period an alarm that comes and goes is told once and ended once
(rules.md C6, C7). Values in, values out; sending is the way of all messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from heliograph.core import schedule, statistics

_SETTLING = 30 * schedule.SECOND
"""A count may take so long from its decision to its commit: a look comes after it, never before."""
_RANKS: Mapping[str, int] = {"warning": 1, "critical": 2}


class Kind(StrEnum):
    """What a notice tells; the `type` of the webhook has it after `alert.`."""

    OPENED = "opened"
    WORSENED = "worsened"
    CONTINUED = "continued"
    RECOVERED = "recovered"


class Standing(NamedTuple):
    """What has been told about one rule."""

    told: int
    """How bad it is, as was told last: 0 well, 1 warning, 2 critical."""
    worst: int
    """The worst that was told in this period."""
    notified_at: int
    """When this period began, with the last notice but recoveries (µs)."""
    since: int
    """When it began to be alarming (µs)."""
    alarming_at: int
    """When it was found alarming last (µs)."""
    notices: int
    """How many notices there were."""


class Look(NamedTuple):
    """What a look at a rule has found."""

    verdict: statistics.Verdict | None
    is_known: bool
    """Whether enough runs have matched to say that it is well."""
    window_days: int
    renotify_secs: int


class Notice(NamedTuple):
    """What somebody is to be told."""

    kind: Kind
    number: int
    """Which of the rule's notices it is: its effect key."""


class Subject(NamedTuple):
    """What a notice is about."""

    rule_id: str
    rule_name: str
    settings: Mapping[str, Any]
    """Alert settings, with every default."""
    counts: statistics.Counts
    matched_before: int
    """How many matched in the windows before."""


def follow(standing: Standing | None, look: Look, now: int) -> tuple[Standing | None, Notice | None]:
    """What follows from a look at a rule: what has been told from now on, and what is told now."""
    is_over = standing is None or now >= standing.notified_at + look.renotify_secs * schedule.SECOND
    if look.verdict is None:
        return _well(standing, look, now, is_over=is_over)
    rank = _RANKS[look.verdict.level]
    if standing is not None and not is_over and rank <= standing.worst:
        return standing._replace(alarming_at=now), None
    told, number = (0, 1) if standing is None else (standing.told, standing.notices + 1)
    kind = Kind.OPENED if not told else Kind.WORSENED if rank > told else Kind.CONTINUED
    since = standing.since if standing is not None and told else now
    return Standing(rank, rank, now, since, now, number), Notice(kind, number)


def _well(
    standing: Standing | None, look: Look, now: int, *, is_over: bool
) -> tuple[Standing | None, Notice | None]:
    if standing is None or (is_over and not standing.told):
        return None, None
    if not standing.told:
        return standing, None
    # A day that has just begun proves nothing: that it is over takes enough runs, or a whole window without.
    if not look.is_known and now < standing.alarming_at + look.window_days * schedule.DAY:
        return standing, None
    after = standing._replace(told=0, notices=standing.notices + 1)
    return after, Notice(Kind.RECOVERED, after.notices)


def look_at(now: int) -> int:
    """When a rule is looked at whose counts change now (µs): at the end of a minute, once for all of them."""
    minute = 60 * schedule.SECOND
    return -(-(now + _SETTLING) // minute) * minute


def look_again_at(
    standing: Standing | None, counts: statistics.Counts, matched_before: int, renotify_secs: int, now: int
) -> int | None:
    """When a rule is looked at although nothing happens: each hour, and when a reminder is due; None = not at all."""
    if standing is None and not counts.matched and not matched_before:
        return None
    hour = (now // schedule.HOUR + 1) * schedule.HOUR
    if standing is None:
        return hour
    remind_at = standing.notified_at + renotify_secs * schedule.SECOND
    return min(hour, remind_at) if remind_at > now else hour


# ── words ───────────────────────────────────────────────────────────────────────────────────────────


def letter(notice: Notice, subject: Subject, verdict: statistics.Verdict | None, now: int) -> dict[str, Any]:
    """Subject and text of an e-mail."""
    name = subject.rule_name
    if verdict is None:
        title = f"[recovered] {name}"
        lines = [f"The rule {name!r} is well again: nothing of what was alarming holds any more."]
    else:
        title = f"[{verdict.level}] {name}: {', '.join(_SHORT[reason] for reason in verdict.reasons)}"
        lines = [_OPENINGS[notice.kind].format(name=repr(name)), "", *_reasons(subject, verdict)]
    days = subject.settings["window_days"]
    lines += [
        "",
        f"Counted in the last {days} days: {_counted(subject.counts)}.",
        f"Rule {subject.rule_id}, at {schedule.write_instant(now)}.",
    ]
    return {"subject": title, "text": "\n".join(lines) + "\n", "literal": True}


def call(
    notice: Notice, subject: Subject, verdict: statistics.Verdict | None, standing: Standing | None, now: int
) -> dict[str, Any]:
    """The content of a webhook's message: a POST that is signed when it is sent."""
    counts, settings = subject.counts, subject.settings
    body = {
        "type": f"alert.{notice.kind.value}",
        "timestamp": schedule.write_instant(now),
        "rule_id": subject.rule_id,
        "data": {
            "rule_name": subject.rule_name,
            "alert_level": None if verdict is None else verdict.level,
            "reasons": [] if verdict is None else list(verdict.reasons),
            "matched_runs": counts.matched,
            "executed_runs": counts.executed,
            "pending_runs": counts.pending,
            "failure_rate_pct": round(counts.failure_rate, 2),
            "window_days": settings["window_days"],
            "since": None if standing is None else schedule.write_instant(standing.since),
        },
    }
    url = settings["channels"]["webhook_url"]
    return {"url": url, "method": "POST", "body": body, "timeout_secs": 10}


_OPENINGS: Mapping[Kind, str] = {
    Kind.OPENED: "The rule {name} needs a look:",
    Kind.WORSENED: "The rule {name} has become worse:",
    Kind.CONTINUED: "The rule {name} still needs a look:",
}
_SHORT: Mapping[str, str] = {
    "failure_rate": "its actions fail",
    "volume_spike": "it acts far more than usual",
    "went_quiet": "it went quiet",
}


def _counted(counts: statistics.Counts) -> str:
    return f"{counts.matched} matched, {counts.executed} executed, {counts.pending} pending"


def _reasons(subject: Subject, verdict: statistics.Verdict) -> Iterator[str]:
    counts, settings = subject.counts, subject.settings
    usual = subject.matched_before / statistics.PRECEDING
    for reason in verdict.reasons:
        if reason == "failure_rate":
            yield (
                f"- {counts.failure_rate:.2f} % failed ({counts.settled - counts.executed} of {counts.settled});"
                f" alarming from {settings['failure_rate_threshold_pct']:g} %,"
                f" critical from {settings['critical_threshold_pct']:g} %."
            )
        elif reason == "volume_spike":
            yield f"- It matched {counts.matched} times; {usual:g} times are usual."
        else:
            yield f"- It did not match at all; {usual:g} times are usual."
