"""How behaviour is broken: for each item, the names in the code that are replaced.

Modules are imported whole (`from heliograph.core import rules`), so replacing a module's name breaks it for every
caller. A replacement is made from the original: `always(True)`, `lambda original: …`.
"""

import importlib
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from heliograph.core import conditions, dates
from tests.sabotage import wire


class Code(NamedTuple):
    """`place` (`package.module:name`, `package.module:Class.name`) is replaced by what `made` makes of it."""

    place: str
    made: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"{self.place} replaced"


def always(answer: object) -> Callable[[Any], Any]:
    """A function that gives this answer whatever it is asked."""
    return lambda _original: lambda *_args, **_kwargs: answer


def answering(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """A function that gives `change(what the original gives, *what it was asked)`."""
    return lambda original: lambda *asked: change(original(*asked), *asked)


def rules_with(**fields: Any) -> Code:
    """Every rule is read with these fields, whatever is stored."""
    return Code("heliograph.core.rules:ready", answering(lambda rule, *_: rule._replace(**fields)))


def closed(change: Callable[[Any, int], tuple[Any, int]]) -> Code:
    """The first gates judge another rule or another instant."""
    return Code("heliograph.core.rules:closed_by", lambda original: lambda *asked: original(*change(*asked)))


def state(change: Callable[[Any, bool], tuple[Any, bool]]) -> Code:
    """The effective state is that of another rule or pause."""
    return Code(
        "heliograph.core.rules:effective_state",
        lambda original: lambda rule, paused, now: original(*change(rule, paused), now),
    )


def _drawn_anew(_original: object) -> Callable[..., int]:
    numbers = itertools.count()
    return lambda *_: next(numbers) * 7919 % 10_000


_ORDER = "heliograph.core.rules:order"
_ROLLED_OUT = "heliograph.core.rules:rolled_out"

_DATES = "heliograph.core.dates:"


def due(change: Callable[[Any, str, int], tuple[Any, str, int]]) -> Code:
    """What is due for another rule, zone or birthday."""
    return Code(f"{_DATES}_due_at", lambda original: lambda *asked: original(*change(*asked)))


def dated(**fields: Any) -> Code:
    """Every new date automation says this, whatever was given."""
    return Code(f"{_DATES}define", answering(lambda made, *_: msgspec.structs.replace(made, **fields)))


_NO_TIME_FAULTS = Code(f"{_DATES}_time_faults", always([]))
_NO_ACTION_FAULTS = Code(f"{_DATES}_action_faults", always([]))
_AT_WEEKENDS = due(lambda rule, zone, birth: (rule._replace(on_weekend=True), zone, birth))


def _elapsed_from_noon(original: Callable[[str, int, int], int]) -> Callable[[str, int, int], int]:
    return lambda zone, day, minutes: original(zone, day, 720) + (minutes - 720) * 60_000_000


def _no_leap_days(original: Callable[..., int | None]) -> Callable[..., int | None]:
    return lambda birthday, year, _policy: original(birthday, year, dates.LeapDay.SKIP)


SABOTAGE: dict[str, tuple[wire.Wire | Code, ...]] = {
    "S1-51": (_NO_TIME_FAULTS,),
    "S1-52": (dated(actiononweekend=False),),
    "S1-54": (_NO_TIME_FAULTS, Code(f"{_DATES}_is_soon", always(True))),
    "S1-56": (_NO_TIME_FAULTS,),
    "S1-57": (_NO_TIME_FAULTS,),
    "S1-58": (due(lambda rule, zone, birth: (rule._replace(offset=abs(rule.offset)), zone, birth)),),
    "S1-59": (_NO_TIME_FAULTS,),
    "S1-60": (due(lambda rule, zone, birth: (rule._replace(offset=rule.offset // 60), zone, birth)),),
    "S1-61": (due(lambda rule, _zone, birth: (rule, "UTC", birth)),),
    "S1-62": (Code(f"{_DATES}_HOUR", lambda _original: re.compile(".*", re.DOTALL)),),
    "S1-63": (_AT_WEEKENDS,),
    "S1-64": (_AT_WEEKENDS,),
    "S1-65": (Code("heliograph.core.schedule:resolve", _elapsed_from_noon),),
    "S1-66": (Code(f"{_DATES}_celebrated", _no_leap_days),),
    "S1-68": (Code("heliograph.store.dates:close_message", always(None)),),
    "S1-69": (Code("heliograph.store.dates:close_message", always(None)),),
    "S1-70": (_NO_ACTION_FAULTS,),
    "S1-71": (_NO_ACTION_FAULTS,),
    "S4-101": (
        closed(lambda rule, now: (rule._replace(snoozed_until=None), now)),
        closed(lambda rule, now: (rule, 0 if rule.snoozed_until else now)),
    ),
    "S4-102": (
        Code(
            "heliograph.core.rules:snooze",
            lambda original: lambda rule, until, now: rule if until is None else original(rule, until, now),
        ),
    ),
    "S4-111": (state(lambda rule, paused: (rule._replace(snoozed_until=None), paused)),),
    "S4-112": (state(lambda rule, _: (rule, False)),),
    "S4-113": (state(lambda rule, paused: (rule._replace(schedule=None), paused)),),
    "S4-128": (closed(lambda rule, now: (rule._replace(schedule=None), now)),),
    "S4-132": (
        Code(_ROLLED_OUT, always(True)),
        Code(_ROLLED_OUT, always(False)),
        Code("heliograph.core.rules:bucket", _drawn_anew),
    ),
    "S4-134": (Code("heliograph.core.schedule:windows", always([])),),
    "S4-157": (
        Code("heliograph.core.control:is_paused", lambda original: lambda control, _: original(control, 0)),
    ),
    "S4-288": (rules_with(is_active=True),),
    "S4-289": (
        Code(_ORDER, answering(lambda place, _: (-place[0], *place[1:]))),
        Code(_ORDER, answering(lambda place, _: (place[0], -place[1], place[2]))),
    ),
    "S4-290": (rules_with(stop_on_match=False),),
    "S4-291": (Code("heliograph.core.rules:cooling", always(False)),),
    "S4-292": (
        rules_with(condition=conditions.parse(None)),
        rules_with(condition=conditions.parse([{"field": "event_type", "operator": "equals", "value": "-"}])),
    ),
    "S4-293": (
        Code("heliograph.core.steps:parse", answering(lambda steps, *_: tuple(reversed(steps)))),
        Code("heliograph.core.runs:write", always(b"[]")),
    ),
    "S4-294": (Code("heliograph.core.ids:of_run", lambda _original: lambda *_: secrets.token_bytes(16)),),
    "S4-295": (Code("heliograph.core.schedule:event_retry_at", answering(lambda _, _tries, now: now)),),
    "S4-296": (
        wire.Wire(wire.Act.DROP, frozenset({("GET", "/api/automation/events/{id}")}), "processed_at"),
    ),
    "S4-298": (
        Code(
            "heliograph.core.events:fingerprint",
            lambda _original: lambda payload: sha256(json.dumps(payload).encode()).hexdigest(),
        ),
    ),
}
"""By item, each way of breaking it; the item's tests must notice every one."""


@contextmanager
def replaced(code: Code) -> Iterator[None]:
    """Replace the name for a while; LookupError where there is no such name (any more)."""
    module, _, path = code.place.partition(":")
    *owners, name = path.split(".")
    try:
        owner = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        original = owner.__dict__[name]
    except (ModuleNotFoundError, AttributeError, KeyError) as missing:
        if isinstance(missing, ModuleNotFoundError) and missing.name != module:
            raise
        raise LookupError(f"there is no {code.place} to break") from None
    setattr(owner, name, code.made(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
