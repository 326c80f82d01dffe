"""Faults: what is left of an input whose decision failed (a chapter of the turn).

Law: it is said once in the log and once in the store, it comes again by a timetable, and it holds up nobody (E2).
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from heliograph.core import effects, events, ids, schedule
from heliograph.engine import desk as desks
from heliograph.store import rows

_log = structlog.get_logger(__name__)


def failed_event(desk: desks.Desk, event: rows.Event, tries: int, version: int, fault: Exception) -> None:
    """An event that could not be decided: later again, and after the last try never."""
    _log.error("event_failed", event_id=ids.text(event.id), attempts=tries, error=str(fault), exc_info=fault)
    error = f"{type(fault).__name__}: {fault}"[:500]
    key = (event.workspace_id, event.id)
    if tries >= events.MAX_ATTEMPTS:
        desk.decide(rows.Decision(*key, events.State.FAILED, tries, None, desk.now, version, error))
        desk.count_event(event, failed=1)
        return
    desk.count_event(event)
    retry_at = schedule.event_retry_at(tries, desk.now)
    desk.decide(rows.Decision(*key, events.State.PENDING, tries, retry_at, None, version, error))
    desk.writes.timers.append(
        rows.Timer(event.partition, retry_at, event.workspace_id, effects.Timer.EVENT, event.id)
    )


def failed_inbox(desk: desks.Desk, inbox: rows.Inbox, fault: Exception) -> None:
    """An answer or a debt that could not be worked: back into the inbox, which sets it aside after five tries."""
    tries = inbox.attempts + 1
    _log.error("inbox_failed", id=ids.text(inbox.id), attempts=tries, error=str(fault), exc_info=fault)
    desk.writes.inbox.append(inbox._replace(attempts=tries))


def attempt_timer(
    desk: desks.Desk,
    timer: rows.Timer,
    fault: Exception | None,
    decide: Callable[[desks.Desk, rows.Timer], None],
) -> None:
    """Decide a timer; `fault` is why its turn failed with it alone, if it did."""
    if fault is None:
        try:
            decide(desk, timer)
        except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
            fault = raised
    if fault is not None:
        failed_timer(desk, timer, fault)


def failed_timer(desk: desks.Desk, timer: rows.Timer, fault: Exception) -> None:
    """A timer that could not be worked: not before long."""
    _log.error("timer_failed", id=ids.text(timer.id), error=str(fault), exc_info=fault)
    desk.writes.timers.append(timer._replace(wake_at=desk.now + schedule.LONGEST_WAIT))
