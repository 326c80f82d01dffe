"""Typed settings, and the only reader of the environment.

Law: a setting is a field of `Settings` with its meaning in a comment for the docs (docs/settings.md lists
every one; a law test compares). A wrong value names the variable and what it takes. Nothing else in the
program reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from heliograph import errors

PREFIX = "HELIOGRAPH_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set from outside; each field is the variable HELIOGRAPH_<FIELD>."""

    database_url: str = "sqlite:///data/heliograph.db"
    """Where everything is kept: `sqlite:///path/to/file.db` or `postgresql://user:password@host:port/name`."""
    host: str = "127.0.0.1"
    """The address that the server listens on."""
    port: int = 8000
    """The port that the server listens on."""
    smtp_url: str = ""
    """`smtp://user:password@host:587?security=starttls` (security: none, starttls, tls; also `connections`,
    `ca_file`). Empty: e-mails are printed instead of sent."""
    sender: str = "Heliograph <heliograph@localhost>"
    """The From address of e-mails that name none."""
    bounce_address: str = ""
    """Where e-mails that come back are sent, such as bounces@mail.example.com: each message's id is put into it
    (`bounces+<id>@…`). Empty: to the sender."""
    dkim_key_file: str = ""
    """A private key in PEM with which e-mails of the sender's domain are signed (DKIM); empty: none are signed."""
    dkim_selector: str = "heliograph"
    """The name under which the key's public half stands in the DNS: `<selector>._domainkey.<domain>`."""
    dkim_domain: str = ""
    """The domain that signs, for it and those below it; empty: the sender's."""
    default_subject: str = "A message for you"
    """The subject of a message that names none."""
    default_region: str = ""
    """The region (`DE`, `US` …) in which a telephone number without a country code is read."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts (`name`, for the ports 80 and 443, or `name:port`; comma separated) that webhooks, fetches and the
    providers of workspaces may reach although their address is private, fetches also over plain http."""
    uncertain_policy: str = "at_least_once"
    """What happens to a message whose answer was lost: `at_least_once` sends it again, `at_most_once` does not."""
    backlog_limit: int = 500_000
    """Events waiting for a decision above which ingest answers 429; 0 = no limit."""
    max_event_age_hours: float = 24
    """Events older than this when a pause ends are not matched any more."""
    misfire_grace_hours: float = 24
    """Work that is due longer than this is held until an operator releases or drops it."""
    campaign_lock_seconds: float = 60
    """How long before its time a campaign can be changed and called off no more."""
    retention_days: float = 0
    """Events, runs and messages that were finished longer ago than this are forgotten; 0 = never, else at least 1."""
    delivery_attempts: int = 8
    """How often a message is tried before it counts as failed."""
    lease_seconds: float = 60
    """How long a delivery may hold a message before it counts as uncertain."""
    delivery: str = "auto"
    """Where messages are written and handed over on SQLite: `apart`, in a process of its own, or `beside` everything
    else, on the server's loop; `auto`: apart where there is more than one processor."""
    turn_inputs: int = 500
    """The most inputs that one turn takes."""
    secret_key: str = ""
    """The key with which secrets are locked in the database, as `heliograph secret key` makes one; several, divided by
    commas, all open and the first locks."""
    secret_key_file: str = ""
    """A file with such keys, one a line, instead."""
    public_url: str = ""
    """Where people reach this server, such as https://mail.example.com: links to unsubscribe lead there. Without it
    e-mails carry none."""
    tracking: tuple[str, ...] = ()
    """What e-mails tell of their readers: `opens` (by a picture), `clicks` (links lead past this server), or both,
    comma separated; takes HELIOGRAPH_PUBLIC_URL. Empty: nothing."""
    backtests_at_once: int = 1
    """How many backtests may run at once for the clients of a web process; each takes half of a core, at most."""
    pool_size: int = 4
    """Database connections a process has for reading and management: twice as many while many ask."""
    log_level: str = "info"
    """What is logged: debug, info, warning, error."""


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+)(:[0-9]{1,5})?|[0-9A-Fa-f:.]+")
"""A name or an address, and a port; an IPv6 address has brackets before one."""
_HOURS = (0.001, 1_000_000)
_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
_RANGES: Mapping[str, tuple[float, int]] = {
    "port": (0, 65_535),
    "backlog_limit": (0, 1_000_000_000),
    "max_event_age_hours": _HOURS,
    "misfire_grace_hours": _HOURS,
    "campaign_lock_seconds": (0, 86_400),
    "retention_days": (0, 100_000),
    "delivery_attempts": (1, 1_000),
    "lease_seconds": (0.1, 86_400),
    "turn_inputs": (1, 10_000),
    "backtests_at_once": (0, 1_000),
    "pool_size": (1, 1_000),
}
"""The least and the most that each number may be."""


def load(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings of the environment, overridden by what is `given` (None = not given).

    Raises errors.BadSetting, naming the variable.
    """
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = source.get(PREFIX + field.name.upper())
        if text is not None:
            values[field.name] = _read(field, text)
    values.update({name: value for name, value in given.items() if value is not None})
    return _checked(Settings(**values))


def mistyped(environment: Mapping[str, str] | None = None) -> list[str]:
    """A line for each variable that is no setting and looks like one, which would go unnoticed."""
    source = os.environ if environment is None else environment
    known = [field.name.upper() for field in msgspec.structs.fields(Settings)]
    names = [name.removeprefix(PREFIX) for name in sorted(source) if name.startswith(PREFIX)]
    near = [(name, errors.did_you_mean(name, known)) for name in names if name not in known]
    return [f"{PREFIX}{name} is no setting{nearest}" for name, nearest in near if nearest]


def variable(name: str) -> str | None:
    """What the environment has under a name of somebody's own, such as a password that a file names."""
    return os.environ.get(name)


def environment(given: Settings) -> dict[str, str]:
    """The environment for another process of this program that shall have these settings."""
    told = {PREFIX + name.upper(): _written(value) for name, value in msgspec.structs.asdict(given).items()}
    return {**os.environ, **told}


def _written(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _read(field: msgspec.structs.FieldInfo, text: str) -> Any:
    if field.type == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return msgspec.convert(text, field.type, strict=False)
    except msgspec.ValidationError:
        kind = _KINDS[field.type]
        raise errors.BadSetting(f"{PREFIX}{field.name.upper()} takes {kind}, not {text!r}") from None


def _checked(settings: Settings) -> Settings:
    _require(
        # As they stand: what opens them knows no other way to write them.
        settings.database_url.startswith(("sqlite://", "postgresql://", "postgres://"))
        and not settings.database_url.endswith(":memory:")
        and _parts(settings.database_url)[0] != "",
        "DATABASE_URL",
        f"takes sqlite:///file.db or postgresql://user@host/name, not {_shown(settings.database_url)!r}",
    )
    _require(
        settings.smtp_url == "" or _parts(settings.smtp_url)[0] == "smtp",
        "SMTP_URL",
        "takes smtp://user:password@host:port?security=none|starttls|tls",
    )
    for host in settings.allowed_hosts:
        _require(
            _HOST.fullmatch(host) is not None,
            "ALLOWED_HOSTS",
            f"takes hosts such as crm.internal and 10.0.0.7:8080, not {host!r}",
        )
    _require(
        settings.uncertain_policy in ("at_least_once", "at_most_once"),
        "UNCERTAIN_POLICY",
        f"takes at_least_once or at_most_once, not {settings.uncertain_policy!r}",
    )
    _require(
        settings.delivery in ("auto", "apart", "beside"),
        "DELIVERY",
        f"takes auto, apart or beside, not {settings.delivery!r}",
    )
    _require(
        settings.log_level in ("debug", "info", "warning", "error"),
        "LOG_LEVEL",
        f"takes debug, info, warning or error, not {settings.log_level!r}",
    )
    _require(
        settings.retention_days == 0 or settings.retention_days >= 1,
        "RETENTION_DAYS",
        "takes 0 (never) or at least 1",
    )
    _require(
        "@" in settings.sender,
        "SENDER",
        f"takes an address, as in Shop <hello@shop.example.com>, not {settings.sender!r}",
    )
    _require(
        settings.bounce_address == "" or settings.bounce_address.count("@") == 1,
        "BOUNCE_ADDRESS",
        f"takes an address such as bounces@mail.example.com, not {settings.bounce_address!r}",
    )
    _require(
        settings.default_region == ""
        or (len(settings.default_region) == 2 and settings.default_region.isupper()),
        "DEFAULT_REGION",
        f"takes two capital letters, such as DE, not {settings.default_region!r}",
    )
    _require(
        settings.public_url == "" or _parts(settings.public_url) in (("http", True), ("https", True)),
        "PUBLIC_URL",
        f"takes an address such as https://mail.example.com, not {settings.public_url!r}",
    )
    _require(set(settings.tracking) <= {"opens", "clicks"}, "TRACKING", "takes opens, clicks, or both")
    _require(
        not settings.tracking or settings.public_url != "", "TRACKING", "takes HELIOGRAPH_PUBLIC_URL too"
    )
    for name, (least, most) in _RANGES.items():
        value = getattr(settings, name)
        _require(least <= value <= most, name.upper(), f"takes {least:g} to {most:,}, not {value}")
    return settings


def _shown(url: str) -> str:
    """An address without who logs in, whose password would stand in logs."""
    head, at, rest = url.rpartition("@")
    return f"{head.partition('//')[0]}//…@{rest}" if at else url


def _parts(url: str) -> tuple[str, bool]:
    """The scheme of an address, and whether it names a host; nothing of what is none."""
    try:
        read = urlsplit(url)
    except ValueError:
        return "", False
    return read.scheme, bool(read.hostname)


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise errors.BadSetting(f"{PREFIX}{name} {what}")
