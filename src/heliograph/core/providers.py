"""Provider: one way out that a workspace has set up for a channel: whose server, with which settings and secrets.

Law: what is stored can be opened; a fault is found when a provider is written, not when somebody waits for a message.
Secrets are named apart from settings: they are locked before they are stored and never shown.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from heliograph import errors
from heliograph.core import documents, ids, mime, people, provider_limits, report_signatures, signatures

CHANNELS: Final = people.CHANNELS
"""The channels that a message can be sent by."""
WRITABLE: Final = ("provider", "title", "alias", "settings", "position", "enabled")
HIDDEN: Final = "••••"
"""What stands in an answer in place of a secret; given back, it leaves the secret as it is."""
DEFAULT_TITLE: Final = "Default Configuration"
_LONGEST_ALIAS = 64
_RESERVED = frozenset(("smtp", "http", "console", "webhook"))
"""What attempts call the ways out that the installation itself has."""
_MOST_POSITION = 10_000


class Field(NamedTuple):
    """One setting of a kind of provider."""

    type: str = "string"
    is_required: bool = False
    values: tuple[str, ...] | None = None
    """What it may be, where `type` is `enum`."""
    is_secret: bool = False
    fault: Callable[[Any], str | None] = lambda _: None
    """What is wrong with a value of its type."""


class Kind(NamedTuple):
    """A kind of provider: what it reaches people by, and what has to be said of it."""

    channel: str
    name: str
    description: str
    fields: Mapping[str, Field]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as people write it, its secrets in the clear."""

    provider: str
    """The key of its kind."""
    title: str = DEFAULT_TITLE
    alias: str | None = None
    settings: dict[str, Any] = {}
    """Without secrets."""
    secrets: dict[str, str] = {}
    position: int = 0
    """Of a channel's providers the one with the least is asked first; of equals, the older one."""
    enabled: bool = True

    def __repr__(self) -> str:
        return f"Definition({self.provider!r}, {self.alias!r})"  # no secret in a log


# ── what single settings take ───────────────────────────────────────────────────────────────────────


def _host_fault(given: str) -> str | None:
    fine = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[?[0-9A-Fa-f:]{2,45}\]?", given)
    return None if fine else "takes a host's name such as mail.example.com"


def _between(least: float, most: float) -> Callable[[Any], str | None]:
    return lambda given: None if least <= given <= most else f"takes {least:g} to {most:g}"


def _mailbox_fault(given: str) -> str | None:
    try:
        mime.mailbox(given, "from")
    except errors.InvalidInput as fault:
        return fault.faults[0].message
    return None


def _url_fault(given: str) -> str | None:
    try:
        parts = urlsplit(given)
    except ValueError:
        parts = urlsplit("")
    fine = parts.scheme in ("http", "https") and parts.netloc and not parts.query and not parts.fragment
    return None if fine else "takes an address such as https://api.example.com"


def _signing_fault(given: str) -> str | None:
    try:
        drawn = base64.b64decode(given.removeprefix(signatures.PREFIX), validate=True)
    except (binascii.Error, ValueError):
        drawn = b""
    return None if 24 <= len(drawn) <= 64 else f"takes {signatures.PREFIX} and 24 to 64 octets in base64"


def _apprise_fault(given: str) -> str | None:
    fine = re.match(r"[a-z][a-z0-9+.-]*://.", given)
    return None if fine else "takes an Apprise address such as tgram://bot-token/{address}"


_SHARED: Mapping[str, Field] = {"rate_limit": Field("object", fault=provider_limits.rate_fault)}
_APPRISE: Mapping[str, Field] = {
    "url": Field(is_required=True, is_secret=True, fault=_apprise_fault),
    **_SHARED,
}

KINDS: Mapping[str, Kind] = {
    "smtp": Kind(
        "email",
        "SMTP",
        "Any mail server, or a service that speaks SMTP.",
        {
            "host": Field(is_required=True, fault=_host_fault),
            "port": Field("number", fault=_between(1, 65_535)),
            "security": Field("enum", values=("none", "starttls", "tls")),
            "username": Field(),
            "password": Field(is_secret=True),
            "from": Field(fault=_mailbox_fault),
            "connections": Field("number", fault=_between(1, 100)),
            "messages": Field("number", fault=_between(1, 100_000)),
            "warm_up": Field("object", fault=provider_limits.warm_up_fault),
            "reports": Field("enum", values=("ses", "sendgrid", "mailgun")),
            "reports_key": Field(is_secret=True),
            "reports_topic": Field(),
            **_SHARED,
        },
    ),
    "twilio": Kind(
        "sms",
        "Twilio",
        "Text messages by Twilio's HTTP interface, or by another service that speaks it.",
        {
            "account_sid": Field(is_required=True),
            "auth_token": Field(is_required=True, is_secret=True),
            "api_key_sid": Field(),
            "from": Field(),
            "messaging_service_sid": Field(),
            "base_url": Field(fault=_url_fault),
            **_SHARED,
        },
    ),
    "webhook": Kind(
        "webhook",
        "Webhook",
        "A signed request (Standard Webhooks) to the address in the recipient's profile.",
        {"signing_secret": Field(is_secret=True, fault=_signing_fault), **_SHARED},
    ),
    "apprise-push": Kind(
        "push", "Apprise (push)", "Push messages by any service that Apprise knows.", _APPRISE
    ),
    "apprise-chat": Kind(
        "direct_message", "Apprise (chat)", "Chat messages by any service that Apprise knows.", _APPRISE
    ),
}
"""The catalog."""


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any], known: Mapping[str, str] | None = None) -> Definition:
    """A provider from what people write; raises errors.InvalidInput with every fault at its place.

    `known` is the secrets that it has so far, which `HIDDEN` stands for.
    """
    faults: list[errors.Fault] = []
    kind = KINDS.get(given["provider"]) if isinstance(given.get("provider"), str) else None
    if kind is None:
        message = errors.unknown("provider", given.get("provider"), tuple(KINDS))
        raise errors.InvalidInput.at("provider", f"{message}: see GET /providers/catalog")
    title, alias = given.get("title"), given.get("alias")
    if title is not None and (not isinstance(title, str) or not 1 <= len(title.strip()) <= 255):
        faults.append(errors.Fault("title", "takes a text of 1 to 255 characters"))
    alias_fault = None if alias is None else _alias_fault(alias)
    if alias_fault:
        faults.append(errors.Fault("alias", alias_fault))
    position, enabled = given.get("position", 0), given.get("enabled", True)
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position <= _MOST_POSITION:
        faults.append(errors.Fault("position", f"takes a whole number from 0 to {_MOST_POSITION}"))
    if not isinstance(enabled, bool):
        faults.append(errors.Fault("enabled", "takes true or false"))
    settings, secrets = _settings(kind, given.get("settings", {}), known or {}, faults)
    if not faults:
        faults += _together(str(given["provider"]), settings, secrets)
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return Definition(
        provider=str(given["provider"]),
        title=DEFAULT_TITLE if title is None else title.strip(),
        alias=alias,
        settings=settings,
        secrets=secrets,
        position=position,
        enabled=enabled,
    )


def _alias_fault(alias: object) -> str | None:
    fault = ids.name_fault(alias, "main-mail", _LONGEST_ALIAS)
    if fault:
        return fault
    kind, _, number = str(alias).rpartition("-")
    if alias in _RESERVED or (kind in KINDS and number.isdecimal()):
        return "is the name that a provider without an alias has: take another"
    return None


def _settings(
    kind: Kind, given: object, known: Mapping[str, str], faults: list[errors.Fault]
) -> tuple[dict[str, Any], dict[str, str]]:
    settings: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    if not isinstance(given, Mapping):
        faults.append(errors.Fault("settings", "is an object, or left out"))
        return settings, secrets
    said = {name: value for name, value in given.items() if value is not None}
    faults += [
        errors.Fault(f"settings.{name}", errors.unknown("setting", name, tuple(kind.fields)))
        for name in sorted(said.keys() - kind.fields.keys())
    ]
    for name, field in kind.fields.items():
        value = said.get(name)
        if field.is_secret and value == HIDDEN:
            value = known.get(name)
        if value is None:
            if field.is_required:
                faults.append(errors.Fault(f"settings.{name}", "is required"))
            continue
        fault = _value_fault(field, value) or field.fault(value)
        if fault:
            faults.append(errors.Fault(f"settings.{name}", fault))
        elif field.is_secret:
            secrets[name] = value
        else:
            settings[name] = value
    return settings, secrets


def _value_fault(field: Field, value: object) -> str | None:
    if field.type == "number":
        fine = isinstance(value, int) and not isinstance(value, bool)
        return None if fine else "takes a whole number"
    if field.type == "object":
        return None if isinstance(value, Mapping) else "takes an object"
    if field.values is not None:
        return None if value in field.values else f"takes {', '.join(field.values)}"
    if not isinstance(value, str) or not 1 <= len(value) <= 4_096 or not value.isprintable():
        return "takes a text of 1 to 4096 characters in one line"
    return None


def _together(provider: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[errors.Fault]:
    """What is wrong with settings beside each other."""
    if provider == "smtp" and ("username" in settings) != ("password" in secrets):
        return [errors.Fault("settings.username", "stands with a password, and a password with it")]
    told_by, key = settings.get("reports"), secrets.get("reports_key")
    if told_by == "ses" and not settings.get("reports_topic"):
        return [errors.Fault("settings.reports_topic", "is required: the ARN of the topic of SNS that tells")]
    if told_by in ("sendgrid", "mailgun") and key is None:
        return [errors.Fault("settings.reports_key", "is required: by it is known who tells")]
    if told_by == "sendgrid" and (fault := report_signatures.sendgrid_key_fault(key or "")):
        return [errors.Fault("settings.reports_key", fault)]
    if provider == "twilio" and ("from" in settings) == ("messaging_service_sid" in settings):
        return [errors.Fault("settings.from", "give either `from` or `messaging_service_sid`")]
    return []


# ── what follows from it ────────────────────────────────────────────────────────────────────────────


def channel_of(provider: str) -> str:
    """The channel of a kind of provider."""
    return KINDS[provider].channel


def name_of(provider: str, number: int, alias: str | None) -> str:
    """What a provider is called where attempts are kept."""
    return alias or f"{provider}-{number}"


def reports(provider: str, settings: Mapping[str, Any]) -> bool:
    """Whether a provider tells what became of the messages that it took."""
    return provider == "twilio" or bool(settings.get("reports"))


def shown(settings: Mapping[str, Any], secrets: Mapping[str, object]) -> dict[str, Any]:
    """The settings as answers and exports have them: of a secret only that it is set."""
    return {**settings, **dict.fromkeys(secrets, HIDDEN)}


def merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Settings after a JSON Merge Patch (RFC 7396)."""
    made = dict(before)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            inner = made.get(name)
            made[name] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            made[name] = value
    return made
