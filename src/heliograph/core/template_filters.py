"""The filters of templates that differ from the library's: `date`, and those that could grow without end.

Law: a filter reads no clock, no zone and no language of the machine, and refuses, before it works, what would
make more than a template may put out (`LIMIT`); the sandbox weighs what every filter gives.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import liquid
import msgspec
from liquid import exceptions, stringify, undefined
from liquid import filter as wrappers
from liquid.builtin.filters import array, string

from heliograph.core import strftime

LIMIT = 1 << 20
"""Bytes that a template may put out, and about as many that a value made in it may take."""

WEB_SCHEMES = ("http", "https", "mailto", "tel", "sms")
"""What an address in a letter may begin with."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Context(Protocol):
    """What filters ask of the render they stand in."""

    @property
    def now(self) -> dt.datetime:
        """The instant handed in."""

    def spend(self, steps: int) -> None:
        """Pay for work; raises when the render has none left."""


# ── dates ───────────────────────────────────────────────────────────────────────────────────────────


@wrappers.with_context
def date(value: object, pattern: object = None, zone: object = None, *, context: Context) -> object:
    """A moment by a strftime pattern; `zone` is an IANA name, without it the value's own offset holds, else UTC.

    Takes ISO 8601 text, seconds since 1970, "now" and "today". A date alone is the same date in every zone.
    What is none of these stays as it is.
    """
    if value is None or undefined.is_undefined(value):
        return ""
    at = _moment(value, context.now)
    if at is None or not isinstance(pattern, str):
        return value
    context.spend(len(pattern) * 4)
    if isinstance(zone, str) and zone and not _is_day(value):
        at = at.astimezone(_zone(zone))
    written = strftime.write(at, str(pattern))
    return liquid.Markup(written) if isinstance(pattern, liquid.Markup) else written


def _moment(value: object, now: dt.datetime) -> dt.datetime | None:
    if value in ("now", "today"):
        return now
    if isinstance(value, str) and not value.isdecimal():
        return _of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return _EPOCH + dt.timedelta(seconds=float(value))
    except (OverflowError, ValueError):
        return None


def _of_text(text: str) -> dt.datetime | None:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def _is_day(value: object) -> bool:
    return isinstance(value, str) and len(value.strip()) == len("2026-01-31") and not value.isdecimal()


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise exceptions.FilterArgumentError(f'unknown time zone "{name[:64]}"', token=None) from None


# ── what could grow without end ─────────────────────────────────────────────────────────────────────


@wrappers.string_filter
def replace(value: str, wanted: object, given: object = "") -> str:
    """Every `wanted` replaced by `given`."""
    wanted, given = liquid.soft_str(wanted), liquid.soft_str(given)
    _keep_small(value.count(wanted) * len(given))
    return value.replace(wanted, given)


@wrappers.with_environment
@wrappers.sequence_filter
def join(items: Sequence[object], separator: object = " ", *, environment: liquid.Environment) -> object:
    """The items as one text, `separator` between them, each written as an output of its own."""
    between = word(separator)
    _keep_small(len(items) * len(liquid.soft_str(between)))
    return array.join([word(item) for item in items], between, environment=environment)


@wrappers.with_context
@wrappers.sequence_filter
def uniq(items: Sequence[object], key: object = None, *, context: Context) -> object:
    """Each item once; every one is compared with those before it."""
    context.spend(len(items) ** 2 >> 5)
    return array.uniq(items, key)


@wrappers.with_context
@wrappers.with_environment
@wrappers.string_filter
def strip_html(value: str, *, context: Context, environment: liquid.Environment) -> object:
    """The text without its HTML tags; the parser may go back to every `<`."""
    context.spend(value.count("<") * len(value) >> 11)
    return string.strip_html(value, environment=environment)


def _keep_small(size: int) -> None:
    if size > LIMIT:
        raise exceptions.ResourceLimitError(
            f"would make a text of more than {LIMIT:,} characters", token=None
        )


def weight(value: object) -> int:
    """About how many bytes a value takes, counted through to its leaves and not on beyond LIMIT."""
    total, waiting = 0, [value]
    while waiting and total <= LIMIT:
        one = waiting.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, (list, tuple, range)):
            total += 16 * len(one)
            waiting.extend(one)
        elif isinstance(one, dict):
            total += 16 * len(one)
            waiting.extend(one)
            waiting.extend(one.values())
    return total


# ── values as text ──────────────────────────────────────────────────────────────────────────────────


def shown(value: object, *, escape: bool) -> str:
    """What an output writes: a list item after item, an object as JSON; escaped for HTML if that is wanted."""
    if isinstance(value, (list, tuple)):
        return "".join(shown(item, escape=escape) for item in value)
    return stringify.to_liquid_string(_json(value) if isinstance(value, dict) else value, escape)


def word(value: object) -> object:
    """The value as an output writes it, where Python would write it otherwise."""
    return shown(value, escape=False) if value is None or isinstance(value, _UNLIKE) else value


_UNLIKE = (bool, list, tuple, dict)


def of_words(function: Callable[..., object]) -> Callable[..., object]:
    """A filter of texts that is given words alone."""

    @functools.wraps(function)
    def asked(*given: object, **named: object) -> object:
        return function(*map(word, given), **named)

    return asked


def _json(value: object) -> str:
    return msgspec.json.encode(plain(value)).decode()


# ── of our own ──────────────────────────────────────────────────────────────────────────────────────


@wrappers.liquid_filter
def json(value: object) -> str:
    """The value as JSON."""
    return _json(value)


@wrappers.liquid_filter
def written(value: object, name: str) -> object:
    """What `{name}` of Courier's content becomes: the value, or `{name}` itself where there is none."""
    if value is None or undefined.is_undefined(value):
        return f"{{{name}}}"
    return value if isinstance(value, str) else _json(value)


@wrappers.string_filter
def web_address(value: str) -> str:
    """An address that a letter may lead to; empty for one that would run something (`javascript:`)."""
    scheme = _SCHEME.match(value.strip())
    return value if scheme is None or scheme[1].lower() in WEB_SCHEMES else ""


def plain(value: Any) -> Any:
    """A value of Liquid's as JSON has it: a range is a list, a missing variable is an empty text."""
    if isinstance(value, (str, int, float, dict)) or value is None:
        return value
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    return "" if undefined.is_undefined(value) else None


OF_WORDS = ("replace", "strip_html", "web_address")
"""Those of ours that work on texts."""
OWN: dict[str, Callable[..., object]] = {
    "date": date,
    "join": join,
    "json": json,
    "replace": replace,
    "strip_html": strip_html,
    "uniq": uniq,
    "web_address": web_address,
    "written": written,
}
