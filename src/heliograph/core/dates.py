"""Date automation: what is done around each contact's birthday; its fields, its faults, and when it is due.

Law: all of it is worked out from a rule, a zone and a date; `now` and what is stored are handed in. A value may come
as JSON or as the text of a form, and is kept in one form. The timetable is read both ways: from a birthday to its
occasion (`occasion`), and from a day to the birthdays whose occasions begin on it (`beginning`); they agree.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import documents, people, plans, schedule
from heliograph.core.steps import dates as steps

DAY_MINUTES = 1440
MOST_MINUTES = 365 * DAY_MINUTES
CATCH_UP = schedule.DAY
"""What began no longer ago than this (µs) is made up for."""
_MOST_NAME, _MOST_SUMMARY = 255, 10_000

ACTIONS = ("addtolist", "email_autoresponder", "notify", "sms_autoresponder")
AUTORESPONDERS = frozenset({"email_autoresponder", "sms_autoresponder"})


class State(IntEnum):
    """How a date automation stands."""

    ACTIVE = 1
    PAUSED = 2
    """Nothing new is queued; what is queued goes on."""
    DELETED = 3
    """What is queued is aborted."""


TRANSITIONS: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.ACTIVE, State.PAUSED}),
    State.ACTIVE: frozenset({State.PAUSED, State.DELETED}),
    State.PAUSED: frozenset({State.ACTIVE, State.DELETED}),
    State.DELETED: frozenset(),
}
"""Where a date automation may go; None is before it exists."""


class LeapDay(StrEnum):
    """When somebody born on the 29th of February has their birthday in other years."""

    FEBRUARY_28 = "feb28"
    MARCH_1 = "mar1"
    SKIP = "skip"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A date automation as people write and read it."""

    name: str
    actiontype: str
    actiontarget: str
    """An address (`notify`), or the number of a list or a message."""
    actionhour: str | None = None
    """`HH:00:00` in the company's zone."""
    actiontimediff: int = 0
    """Minutes after the birthday begins, or before it."""
    actiononweekend: bool = True
    """Whether what falls on a weekend stays there; else it is moved to the Monday."""
    paused: bool = False
    summary: str | None = None


WRITABLE = Definition.__struct_fields__
REQUIRED = ("actiontarget", "actiontype", "name", "summary")


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any]) -> Definition:
    """A new rule. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    faults += [errors.Fault(name, _required(name)) for name in REQUIRED if name not in given]
    return _defined({}, given, faults, None)


def change(stored: Definition, given: Mapping[str, Any]) -> Definition:
    """A stored rule with the given fields replaced; what they make together is checked. Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    return _defined({name: getattr(stored, name) for name in WRITABLE}, given, faults, stored)


def _required(name: str) -> str:
    return "is required, and may be null" if name == "summary" else "is required"


def _defined(
    known: Mapping[str, Any], given: Mapping[str, Any], faults: list[errors.Fault], stored: Definition | None
) -> Definition:
    values = dict(known)
    for name in (name for name in WRITABLE if name in given):
        try:
            values[name] = _READERS[name](given[name], name)
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    # A field that cannot be read has no further faults, and neither have those that are judged with it.
    wrong = {fault.path for fault in faults}
    if not wrong & {"actiontype", "actiontarget"}:
        faults += _action_faults(values, stored)
    if not wrong & {"actiontype", "actionhour", "actiontimediff", "actiononweekend"}:
        faults += _time_faults(values, "actiononweekend" in given)
    if faults:
        raise errors.InvalidInput(faults=faults)
    if _is_soon(values) or values.get("actiononweekend") is None:
        values["actiononweekend"] = True
    return Definition(**values)


def _is_soon(values: Mapping[str, Any]) -> bool:
    return values.get("actionhour") is None and not values.get("actiontimediff")


def _time_faults(values: Mapping[str, Any], says_weekend: bool) -> list[errors.Fault]:
    """The decision table of hour, offset and weekend, on all that the rule is going to say."""
    hour, offset = values.get("actionhour"), values.get("actiontimediff", 0)
    weekend = values.get("actiononweekend")
    faults = []
    if hour is not None and offset % DAY_MINUTES:
        faults.append(("actiontimediff", "is 0 or a multiple of 1440 (whole days) where actionhour is set"))
    if values["actiontype"] == "addtolist" and not offset:
        faults.append(("actiontimediff", "cannot be 0 for addtolist: set a time before or after"))
    # What was kept from another timetable is forgotten where it has no meaning; what is said now is refused.
    if _is_soon(values) and weekend is False and says_weekend:
        faults.append(
            (
                "actiononweekend",
                "cannot be false where neither actionhour nor actiontimediff is set: it is done as soon as possible",
            )
        )
    if offset and weekend is None:
        faults.append(("actiononweekend", "is required where actiontimediff is not 0"))
    return [errors.Fault(*fault) for fault in faults]


def _action_faults(values: Mapping[str, Any], stored: Definition | None) -> list[errors.Fault]:
    action, target = values["actiontype"], values["actiontarget"]
    if stored is not None and stored.actiontype in AUTORESPONDERS:
        kept = {"actiontype": stored.actiontype, "actiontarget": stored.actiontarget}
        return [
            errors.Fault(name, f"cannot be changed where actiontype is {stored.actiontype}")
            for name in kept
            if values[name] != kept[name]
        ]
    if action == "notify":
        fault = people.email_fault(target)
        return [errors.Fault("actiontarget", fault)] if fault else []
    if _NUMBER.fullmatch(target):
        return []
    what = "list" if action == "addtolist" else "message"
    return [errors.Fault("actiontarget", f"is the number of a {what}, such as 12")]


# ── one field ───────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile("[1-9][0-9]{0,17}")
_HOUR = re.compile("([01][0-9]|2[0-3]):00:00")
_WHOLE = re.compile("[+-]?[0-9]{1,9}")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _name(given: object, path: str) -> str:
    if isinstance(given, str) and 1 <= len(given) <= _MOST_NAME:
        return given
    raise errors.InvalidInput.at(path, f"is a text of 1 to {_MOST_NAME} characters")


def _summary(given: object, path: str) -> str | None:
    if given is None or (isinstance(given, str) and len(given) <= _MOST_SUMMARY):
        return given
    raise errors.InvalidInput.at(path, f"is a text of at most {_MOST_SUMMARY} characters, or null")


def _action(given: object, path: str) -> str:
    if isinstance(given, str) and given in ACTIONS:
        return given
    if isinstance(given, str):
        raise errors.InvalidInput.at(path, documents.unknown("actiontype", given, ACTIONS))
    raise errors.InvalidInput.at(path, f"is one of {', '.join(ACTIONS)}")


def _target(given: object, path: str) -> str:
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if isinstance(given, str) and 1 <= len(given.strip()) <= 255:
        return given.strip()
    raise errors.InvalidInput.at(path, "is an e-mail address, or the number of a list or a message")


def _hour(given: object, path: str) -> str | None:
    if given is None or given == "":
        return None
    if isinstance(given, str) and _HOUR.fullmatch(given):
        return given
    raise errors.InvalidInput.at(path, 'is a whole hour from "00:00:00" to "23:00:00", or null')


def _offset(given: object, path: str) -> int:
    if given is None:
        return 0
    if isinstance(given, str) and _WHOLE.fullmatch(given):
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) <= MOST_MINUTES:
        return given
    raise errors.InvalidInput.at(path, f"is a number of minutes from -{MOST_MINUTES} to {MOST_MINUTES}")


def flag(given: object, path: str) -> bool:
    """True or false; 1 and 0 too, and the text of any of them. Raises errors.InvalidInput."""
    if isinstance(given, bool):
        return given
    found = _FLAGS.get(str(given).lower()) if isinstance(given, (int, str)) else None
    if found is None:
        raise errors.InvalidInput.at(path, "is true or false")
    return found


def _weekend(given: object, path: str) -> bool | None:
    return None if given is None else flag(given, path)


_READERS: Mapping[str, Callable[[object, str], Any]] = {
    "name": _name,
    "actiontype": _action,
    "actiontarget": _target,
    "actionhour": _hour,
    "actiontimediff": _offset,
    "actiononweekend": _weekend,
    "paused": flag,
    "summary": _summary,
}


def plan(definition: Definition, template_id: str | None, list_id: str | None = None) -> plans.Plan:
    """What a rule does; `template_id` or `list_id` is what its target is the number of, if there is one."""
    if definition.actiontype == "addtolist":
        return plans.plan((steps.Enlist(definition.actiontarget, list_id),))
    if definition.actiontype == "notify":
        return plans.plan((steps.Tell(people.check_email(definition.actiontarget), definition.name),))
    channel = "sms" if definition.actiontype == "sms_autoresponder" else "email"
    return plans.plan((steps.Autorespond(definition.actiontarget, template_id, channel),))


# ── when it is due ──────────────────────────────────────────────────────────────────────────────────


class Timing(NamedTuple):
    """When a rule acts, relative to a birthday."""

    hour: int | None
    offset: int
    """Minutes."""
    on_weekend: bool

    @property
    def is_soon(self) -> bool:
        """Whether it acts as soon as possible: at the birthday's beginning, or later on that day."""
        return self.hour is None and self.offset == 0


class Company(NamedTuple):
    """What a company has set for all its rules."""

    zone: str = "UTC"
    leap_day: LeapDay = LeapDay.FEBRUARY_28
    keeps_folders: bool = False
    """Whether keys see the lists of their own folders alone (core.folders)."""


def company(settings: Mapping[str, Any]) -> Company:
    """What a workspace's settings say; what is not set is UTC, and the 28th of February."""
    leap_day = LeapDay(settings.get("leap_day_policy", "feb28"))
    return Company(settings.get("timezone", "UTC"), leap_day, settings.get("folderrestrict", False))


class Occasion(NamedTuple):
    """One birthday, and when a rule acts for it."""

    day: int
    """The day (ordinal) on which it is celebrated."""
    year: int
    birthdays: tuple[int, ...]
    """Whose: month * 100 + day, as in people.birthday_of."""
    begins_at: int
    """When it is queued: the beginning of the birthday, or of the day on which it is due where that is earlier."""
    due_at: int
    ends_at: int
    """The end of the birthday."""


def timing(definition: Definition) -> Timing:
    """When a rule acts."""
    hour = None if definition.actionhour is None else int(definition.actionhour[:2])
    return Timing(hour, definition.actiontimediff, definition.actiononweekend)


def occasion(rule: Timing, company: Company, birthday: int, year: int) -> Occasion | None:
    """The occasion of a birthday in a year; None where that year has no such day."""
    day = _celebrated(birthday, year, company.leap_day)
    return None if day is None else occasion_on(rule, company, day)


def beginning(rule: Timing, company: Company, day: int) -> list[Occasion]:
    """The occasions that begin on a local day (ordinal): whoever they are for is queued on that day."""
    before = -(rule.offset // DAY_MINUTES)
    # One begins on its birthday, or where it acts before that, up to two days later than its offset says.
    near = {day + shift for shift in (-1, 0, 1)} | {day + before + shift for shift in range(-3, 3)}
    return [
        occasion_on(rule, company, birth) for birth in sorted(near) if _begins_on(rule, company, birth) == day
    ]


def queued_at(rule: Timing, found: Occasion, since: int) -> int | None:
    """When a rule acts for somebody; None where that lies before `since`.

    `since` is the instant from which the rule and the birthday are known: nothing is done for a time before it, but
    that what is done as soon as possible is done at that instant, as long as the birthday lasts.
    """
    if found.due_at >= since:
        return found.due_at
    return since if rule.is_soon and since < found.ends_at else None


def occasion_on(rule: Timing, company: Company, birth: int) -> Occasion:
    """The occasion of all who celebrate on a day (ordinal)."""
    return Occasion(
        birth,
        date.fromordinal(birth).year,
        _birthdays(birth, company.leap_day),
        schedule.resolve(company.zone, _begins_on(rule, company, birth), 0),
        _due_at(rule, company.zone, birth),
        schedule.resolve(company.zone, birth + 1, 0),
    )


def _begins_on(rule: Timing, company: Company, birth: int) -> int:
    return min(birth, schedule.local_day(company.zone, _due_at(rule, company.zone, birth)))


def _due_at(rule: Timing, zone: str, birth: int) -> int:
    days, minutes = divmod(rule.offset, DAY_MINUTES)
    if rule.hour is not None:
        due_at = schedule.resolve(zone, birth + days, rule.hour * 60)
    else:
        due_at = schedule.resolve(zone, birth + days, 0) + minutes * 60 * schedule.SECOND
    weekday = (schedule.local_day(zone, due_at) - 1) % 7
    if rule.on_weekend or weekday < _SATURDAY:
        return due_at
    return schedule.same_time(zone, due_at, schedule.local_day(zone, due_at) + 7 - weekday)


_SATURDAY = 5
_LEAP_DAY = 229


def _celebrated(birthday: int, year: int, policy: LeapDay) -> int | None:
    """The day (ordinal) of a birthday in a year."""
    month, day = divmod(birthday, 100)
    if birthday == _LEAP_DAY and not calendar.isleap(year):
        if policy is LeapDay.SKIP:
            return None
        return date(year, 2, 28).toordinal() + (policy is LeapDay.MARCH_1)
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        return None


def _birthdays(day: int, policy: LeapDay) -> tuple[int, ...]:
    """The birthdays that are celebrated on a day (ordinal)."""
    on = date.fromordinal(day)
    own = on.month * 100 + on.day
    return (own, _LEAP_DAY) if own != _LEAP_DAY and _celebrated(_LEAP_DAY, on.year, policy) == day else (own,)
