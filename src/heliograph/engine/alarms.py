"""Alarms: rules whose counts have changed are looked at, and who is to know is told (a chapter of the turn).

A turn that counts runs of a rule of which somebody wants to be told sets a timer for the end of a minute: one for all
turns of that time. The turn that takes it sums the rule's counts, judges them as the listing over HTTP does, and writes
notices into the ledger with what has been told, in one transaction.

Law: a rule of which nobody is told costs nothing. A notice is told once by whichever worker, since the timer's
partition belongs to one turn; what that turn counts itself is seen, as if it had been written before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import alert_notices, effects, ids, messages, rules, schedule, statistics
from heliograph.engine import desk as desks
from heliograph.engine import faults, match, posting
from heliograph.store import alert_rows, database, rows

TIMERS = frozenset({effects.Timer.ALARM})
_encode = msgspec.json.Encoder().encode


class Seen(NamedTuple):
    """What a turn has read for one look at a rule."""

    watched: match.Watched | None
    """None where nobody is told of it any more."""
    window: statistics.Window
    counts: statistics.Counts
    matched_before: int


class Alarms:
    """The alarms of the turns of one connection."""

    def __init__(self, session: database.Session, known: Callable[[int], match.Workspace]):
        """`known` gives the definitions of a workspace, as the present turn goes by them."""
        self._session, self._known = session, known
        self._seen: dict[tuple[int, bytes], Seen] = {}

    def read(
        self,
        connection: Any,
        timers: Iterable[rows.Timer],
        culprits: Collection[tuple[int, bytes]],
        desk: desks.Desk,
    ) -> None:
        """The counts of the rules that these timers want looked at, and what has been told of them."""
        self._seen = {}
        keys = {(t.workspace_id, t.id) for t in timers if t.kind == effects.Timer.ALARM} - set(culprits)
        if not keys:
            return
        hot = self._session.hot
        desk.alerts = hot.read_alerts(connection, keys)
        watched = {key: self._known(key[0]).watched.get(key[1]) for key in keys}
        windows = {
            key: statistics.window(desk.now, one.settings["window_days"])
            for key, one in watched.items()
            if one is not None
        }
        wanted = [(*key, statistics.preceding(window).first, *window) for key, window in windows.items()]
        found = hot.read_rule_counts(connection, wanted) if wanted else {}
        for key in keys:
            *counts, before = found.get(key, (0, 0, 0, 0, 0))
            window = windows.get(key, statistics.Window(0, 0))
            self._seen[key] = Seen(watched[key], window, statistics.Counts(*counts), before)

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """Look at a rule; `fault` is why the timer's turn failed with it alone, if it did."""
        faults.attempt_timer(desk, timer, fault, self._look)

    def _look(self, desk: desks.Desk, timer: rows.Timer) -> None:
        key = (timer.workspace_id, timer.id)
        seen = self._seen[key]
        stored = desk.alerts.get(key)
        if seen.watched is None:
            if stored is not None:
                desk.put_alert(key, None)
            return
        counts = seen.counts.plus(desk.counted(*key, seen.window))
        settings = seen.watched.settings
        verdict = statistics.verdict(settings, counts, seen.matched_before)
        if verdict is not None:
            verdict = _heard(verdict, seen, self._known(key[0]), desk.now)
        before = None if stored is None else alert_notices.Standing(*stored[2:])
        renotify = settings["renotify_after_secs"]
        is_known = counts.matched >= settings["min_matched_runs"]
        look = alert_notices.Look(verdict, is_known, settings["window_days"], renotify)
        standing, notice = alert_notices.follow(before, look, desk.now)
        if standing != before:
            desk.put_alert(key, None if standing is None else alert_rows.Alert(*key, *standing))
        if notice is not None:
            name = seen.watched.definition.name
            subject = alert_notices.Subject(ids.text(timer.id), name, settings, counts, seen.matched_before)
            _tell(desk, timer, seen.watched, notice, subject, verdict, standing)
        again = alert_notices.look_again_at(standing, counts, seen.matched_before, renotify, desk.now)
        if again is not None:
            desk.writes.timers.append(timer._replace(wake_at=again))

    def note(self, desk: desks.Desk) -> None:
        """Let the rules be looked at that the turn has counted, where somebody is told of them."""
        counted = {(workspace_id, rule_id) for workspace_id, rule_id, _ in desk.writes.rule_counts}
        if not counted:
            return
        wake_at = alert_notices.look_at(desk.now)
        for workspace_id, rule_id in sorted(counted):
            if rule_id in self._known(workspace_id).watched:
                partition = alert_rows.partition_of(workspace_id, rule_id)
                kind = int(effects.Timer.ALARM)
                desk.writes.timers.append(rows.Timer(partition, wake_at, workspace_id, kind, rule_id))


def _heard(
    verdict: statistics.Verdict, seen: Seen, workspace: match.Workspace, now: int
) -> statistics.Verdict | None:
    """The verdict as it is told: not what was to be expected.

    A rule that was made quiet is not said to be so, nor one whose window has hardly begun; and a new one acts more than
    it did before there was any.
    """
    assert seen.watched is not None
    definition = seen.watched.definition
    is_quieted = rules.closed(definition.is_active, definition.snoozed_until, None, now) is not None
    expected = set()
    if is_quieted or workspace.is_paused(now) or not _has_had_time(seen, now):
        expected.add("went_quiet")
    if seen.watched.created_at >= (statistics.preceding(seen.window).first + 1) * schedule.DAY:
        expected.add("volume_spike")
    reasons = tuple(reason for reason in verdict.reasons if reason not in expected)
    return verdict._replace(reasons=reasons) if reasons else None


def _has_had_time(seen: Seen, now: int) -> bool:
    """Whether so much of the window has passed as usually brings enough matches to speak of."""
    assert seen.watched is not None
    begin, end = seen.window.first * schedule.DAY, (seen.window.last + 1) * schedule.DAY
    usual = seen.matched_before / statistics.PRECEDING
    least: int = seen.watched.settings["min_matched_runs"]
    return usual * (now - begin) >= least * (end - begin)


def _tell(
    desk: desks.Desk,
    timer: rows.Timer,
    watched: match.Watched,
    notice: alert_notices.Notice,
    subject: alert_notices.Subject,
    verdict: statistics.Verdict | None,
    standing: alert_notices.Standing | None,
) -> None:
    channels: Mapping[str, Any] = subject.settings["channels"]
    letter = _encode(alert_notices.letter(notice, subject, verdict, desk.now))
    addresses = dict.fromkeys(address.strip().lower() for address in channels["emails"])
    sent = [("email", effects.Kind.MESSAGE, address, letter) for address in addresses]
    if channels["webhook_url"] is not None:
        call = _encode(alert_notices.call(notice, subject, verdict, standing, desk.now))
        sent.append(("webhook", effects.Kind.CALL, channels["webhook_url"], call))
    for ordinal, (channel, kind, address, content) in enumerate(sent):
        partition = timer.partition
        if kind is effects.Kind.MESSAGE:
            partition = rules.partition_of_person(timer.workspace_id, address)
        message = rows.Message(
            workspace_id=timer.workspace_id,
            id=ids.of_notice(timer.id, notice.number, ordinal, desk.head, partition),
            partition=partition,
            tenant_id=watched.tenant_id,
            kind=int(kind),
            channel=channel,
            automation_id=None,
            run_id=None,
            visit=0,
            ordinal=ordinal,
            event_id=None,
            contact_id=None,
            address=address,
            template_id=None,
            template_version=None,
            content=content,
            data=None,
            state=int(messages.State.PLANNED),
            settled_at=None,
            attempts=None,
            error=None,
        )
        posting.post(desk, message, timer.partition)
