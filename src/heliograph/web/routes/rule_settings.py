"""One setting of a rule at a time: its alerts, its schedule, its rollout (rules.md C11, C20, C21)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import patch

from heliograph.core import rules
from heliograph.web import rule_answers
from heliograph.web.calls import Call, in_thread

TAG = "Rules"


class AlertChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A preset by its name, or the settings in full: one of them."""

    preset: Literal["off", "relaxed", "balanced", "strict"] | msgspec.UnsetType = msgspec.UNSET
    """It sets the thresholds and whether alerts are on, and leaves the rest as it was."""
    alert_settings: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class ScheduleChange(msgspec.Struct):
    """The schedule from now on, whole; null puts no limit."""

    schedule_settings: dict[str, Any] | None


class RolloutChange(msgspec.Struct):
    """For how many of a hundred subjects the rule is on."""

    rollout_percentage: Annotated[int, msgspec.Meta(ge=0, le=100)]


@patch("/api/automation/rules/{rule_id:str}/alert-settings", opt={"tag": TAG, "body": AlertChoice})
@in_thread
def choose_alert_settings(request: Call) -> rule_answers.SavedRule:
    """Choose when a rule raises an alert, by a preset or in full."""
    request.refuse_query()
    given = request.read_object()
    return rule_answers.changed(request, lambda stored: rules.choose_alerts(stored, given))


@patch("/api/automation/rules/{rule_id:str}/schedule-settings", opt={"tag": TAG, "body": ScheduleChange})
@in_thread
def change_schedule_settings(request: Call) -> rule_answers.SavedRule:
    """Change when a rule is awake."""
    request.refuse_query()
    given = request.read_object()
    return rule_answers.changed(request, lambda stored: rules.change_one(stored, given, "schedule_settings"))


@patch("/api/automation/rules/{rule_id:str}/rollout", opt={"tag": TAG, "body": RolloutChange})
@in_thread
def change_rollout(request: Call) -> rule_answers.SavedRule:
    """Change for how many subjects a rule is on: always the same ones, and more when it is raised."""
    request.refuse_query()
    given = request.read_object()
    return rule_answers.changed(request, lambda stored: rules.change_one(stored, given, "rollout_percentage"))


HANDLERS = (choose_alert_settings, change_schedule_settings, change_rollout)
