"""How behaviour is broken: for each item, the names in the code that are replaced.

Modules are imported whole (`from heliograph.core import rules`), so replacing a module's name breaks it for every
caller. A replacement is made from the original: `always(True)`, `lambda original: …`.
"""

import importlib
import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

from heliograph.core import conditions
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

SABOTAGE: dict[str, tuple[wire.Wire | Code, ...]] = {
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
