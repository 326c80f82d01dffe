"""Alert settings of a rule: what may be written, the presets, and the effective form.

Law: whoever reads a rule sees the effective settings, defaults filled in (rules.md R44).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph import errors
from heliograph.core import destinations, documents, people

DEFAULTS: Mapping[str, Any] = {
    "enabled": True,
    "window_days": 7,
    "min_matched_runs": 10,
    "failure_rate_threshold_pct": 20,
    "critical_threshold_pct": 50,
    "channels": {"emails": [], "webhook_url": None},
    "renotify_after_secs": 86400,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "off": {"enabled": False},
    "relaxed": {"min_matched_runs": 50, "failure_rate_threshold_pct": 40, "critical_threshold_pct": 75},
    "balanced": {"min_matched_runs": 10, "failure_rate_threshold_pct": 20, "critical_threshold_pct": 50},
    "strict": {"min_matched_runs": 5, "failure_rate_threshold_pct": 5, "critical_threshold_pct": 20},
}

_RANGES: Mapping[str, tuple[float, float]] = {
    "window_days": (1, 365),
    "min_matched_runs": (1, 1_000_000_000),
    "failure_rate_threshold_pct": (0, 100),
    "critical_threshold_pct": (0, 100),
    "renotify_after_secs": (60, 31_536_000),
}
_WHOLE = frozenset({"window_days", "min_matched_runs", "renotify_after_secs"})


def choose(stored: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings after a request that names a `preset` or gives `alert_settings` (rules.md C20).

    A preset sets what it is about and leaves the rest, whom alerts go to for one, as it was. Raises
    errors.InvalidInput.
    """
    faults = documents.unknown_keys(given, ("preset", "alert_settings"), "")
    preset, settings = given.get("preset"), given.get("alert_settings")
    if preset is not None and "alert_settings" in given:
        faults.append(errors.Fault("preset", "goes without alert_settings: give one of them"))
    elif preset is None and "alert_settings" not in given:
        faults.append(
            errors.Fault("preset", f"or alert_settings is required (presets: {', '.join(PRESETS)})")
        )
    elif preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        faults.append(errors.Fault("preset", errors.unknown("preset", preset, list(PRESETS))))
    if faults:
        raise errors.InvalidInput(faults=faults)
    if preset is None:
        checked: dict[str, Any] | None = check(settings, "alert_settings")
        return checked
    return {**(stored or {}), "enabled": True, **PRESETS[preset]}


def effective(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings with every default filled in."""
    given = settings or {}
    channels = {**DEFAULTS["channels"], **(given.get("channels") or {})}
    return {**DEFAULTS, **given, "channels": channels}


def is_told(settings: Mapping[str, Any]) -> bool:
    """Whether anybody is told of alarms, by these effective settings."""
    channels = settings["channels"]
    return bool(settings["enabled"] and (channels["emails"] or channels["webhook_url"]))


def check(settings: object, path: str) -> Any:
    """The settings as given. Raises errors.InvalidInput with every fault at its place."""
    if settings is None:
        return None
    if not isinstance(settings, Mapping):
        raise errors.InvalidInput.at(path, "takes an object, or null for the defaults")
    faults = documents.unknown_keys(settings, DEFAULTS, path)
    if not isinstance(settings.get("enabled", True), bool):
        faults.append(errors.Fault(f"{path}.enabled", "takes true or false"))
    for name, (low, high) in _RANGES.items():
        value: Any = settings.get(name, DEFAULTS[name])
        kinds: tuple[type, ...] = (int,) if name in _WHOLE else (int, float)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            fits = False
        else:
            fits = isinstance(value, kinds) and low <= value <= high
        if not fits:
            whole = "a whole number" if name in _WHOLE else "a number"
            faults.append(errors.Fault(f"{path}.{name}", f"takes {whole} from {low} to {high}"))
    faults += _channel_faults(settings.get("channels"), f"{path}.channels")
    if faults:
        raise errors.InvalidInput(faults=faults)
    return dict(settings)


def _channel_faults(channels: object, path: str) -> list[errors.Fault]:
    if channels is None:
        return []
    if not isinstance(channels, Mapping):
        return [errors.Fault(path, "takes an object with `emails` and `webhook_url`")]
    faults = documents.unknown_keys(channels, DEFAULTS["channels"], path)
    emails = channels.get("emails", [])
    if not isinstance(emails, list):
        faults.append(errors.Fault(f"{path}.emails", "takes an array of e-mail addresses"))
        emails = []
    for index, address in enumerate(emails):
        fault = people.email_fault(address)
        if fault:
            faults.append(errors.Fault(f"{path}.emails[{index}]", fault))
    url = channels.get("webhook_url")
    fault = None if url is None else destinations.url_fault(url)
    if fault:
        faults.append(errors.Fault(f"{path}.webhook_url", f"{fault}; null for none"))
    return faults
