"""Writes a moment by a pattern of `%` directives, the same on every machine.

Law: the C library's strftime asks for the machine's language, its time zone and its own idea of `%-d`; here a
pattern means one thing: the directives that Ruby and C share, with English names, in the moment's own zone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_DIRECTIVE = re.compile(r"%([-_0^#]*)(:?)(\d?)([A-Za-z%])")

_WHOLE = {
    "c": "%a %b %e %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "r": "%I:%M:%S %p",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "v": "%e-%b-%Y",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}

_NUMBERS: dict[str, tuple[Callable[[dt.datetime], int], int, str]] = {
    "C": (lambda at: at.year // 100, 2, "0"),
    "d": (lambda at: at.day, 2, "0"),
    "e": (lambda at: at.day, 2, " "),
    "f": (lambda at: at.microsecond, 6, "0"),
    "G": (lambda at: at.isocalendar().year, 4, "0"),
    "g": (lambda at: at.isocalendar().year % 100, 2, "0"),
    "H": (lambda at: at.hour, 2, "0"),
    "I": (lambda at: at.hour % 12 or 12, 2, "0"),
    "j": (lambda at: at.timetuple().tm_yday, 3, "0"),
    "k": (lambda at: at.hour, 2, " "),
    "l": (lambda at: at.hour % 12 or 12, 2, " "),
    "L": (lambda at: at.microsecond // 1000, 3, "0"),
    "m": (lambda at: at.month, 2, "0"),
    "M": (lambda at: at.minute, 2, "0"),
    "N": (lambda at: at.microsecond * 1000, 9, "0"),
    "s": (lambda at: int(at.timestamp() // 1), 1, "0"),
    "S": (lambda at: at.second, 2, "0"),
    "u": (lambda at: at.isoweekday(), 1, "0"),
    "U": (lambda at: (_day_of_year(at) + 6 - at.isoweekday() % 7) // 7, 2, "0"),
    "V": (lambda at: at.isocalendar().week, 2, "0"),
    "w": (lambda at: at.isoweekday() % 7, 1, "0"),
    "W": (lambda at: (_day_of_year(at) + 6 - at.weekday()) // 7, 2, "0"),
    "y": (lambda at: at.year % 100, 2, "0"),
    "Y": (lambda at: at.year, 4, "0"),
}

_WORDS: dict[str, Callable[[dt.datetime], str]] = {
    "%": lambda _: "%",
    "A": lambda at: DAYS[at.weekday()],
    "a": lambda at: DAYS[at.weekday()][:3],
    "B": lambda at: MONTHS[at.month - 1],
    "b": lambda at: MONTHS[at.month - 1][:3],
    "h": lambda at: MONTHS[at.month - 1][:3],
    "n": lambda _: "\n",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "P": lambda at: "am" if at.hour < 12 else "pm",
    "t": lambda _: "\t",
    "Z": lambda at: at.tzname() or "UTC",
}


def write(at: dt.datetime, pattern: str) -> str:
    """The moment (which knows its zone) as the pattern wants it.

    Flags before the letter: `-` no padding, `_` blanks, `0` zeros, `^` capitals, `#` the other case. `%:z` is
    `+01:00`, `%3N` milliseconds. A directive that is not known stays as it is written.
    """
    return _DIRECTIVE.sub(lambda found: _written(at, found), pattern)


def _written(at: dt.datetime, found: re.Match[str]) -> str:
    flags, colon, digits, letter = found.groups()
    if letter == "z":
        text = _offset(at, colon)
    elif colon or (digits and letter != "N"):
        return found[0]
    elif letter in _NUMBERS:
        text = _number(at, letter, flags)
        text = text[: int(digits)] if digits else text
    elif letter in _WHOLE:
        text = write(at, _WHOLE[letter])
    elif letter in _WORDS:
        text = _WORDS[letter](at)
    else:
        return found[0]
    if "#" in flags and letter in "pZ":
        return text.lower()
    return text.upper() if "^" in flags or "#" in flags else text


def _number(at: dt.datetime, letter: str, flags: str) -> str:
    number, width, padding = _NUMBERS[letter]
    if "-" in flags:
        return str(number(at))
    padding = "0" if "0" in flags else " " if "_" in flags else padding
    return str(number(at)).rjust(width, padding)


def _offset(at: dt.datetime, colon: str) -> str:
    offset = at.utcoffset() or dt.timedelta()
    minutes = abs(offset) // dt.timedelta(minutes=1)
    return f"{'-' if offset < dt.timedelta() else '+'}{minutes // 60:02}{colon}{minutes % 60:02}"


def _day_of_year(at: dt.datetime) -> int:
    return at.timetuple().tm_yday
