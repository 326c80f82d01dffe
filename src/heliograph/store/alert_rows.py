"""The rows of alerts that pass between the engine and the two hot files (rows.py)."""

from __future__ import annotations

from typing import NamedTuple

from heliograph.core import ids


class Alert(NamedTuple):
    """A row of `alerts`: what has been told of an alarming rule (core.alert_notices.Standing)."""

    workspace_id: int
    automation_id: bytes
    told: int
    worst: int
    notified_at: int
    since: int
    alarming_at: int
    notices: int


def partition_of(workspace_id: int, rule_id: bytes) -> int:
    """The partition in which a rule is looked at: its timers stand there."""
    return ids.partition_of_subject(workspace_id, f"alarm:{ids.text(rule_id)}")
