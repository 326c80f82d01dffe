"""The sandbox in which expressions of journeys run (engine.md E30).

Law: an expression sees what it is given and nothing else: no host, no clock, no dice, nothing that an earlier one left.
The realm is frozen before anything runs in it, and made anew after anything that it could not bound by itself. Time and
memory are the last line.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec
import quickjs

from heliograph.core import expressions, scripts, values

SECONDS: Final = 0.3
"""How much processor time one expression may take."""
MEMORY: Final = 16 << 20
"""How much memory one expression may take."""
STACK: Final = 256 << 10
DATA: Final = 4 << 20
"""How much of a run's data one expression may read (A78)."""
FUNCTIONS: Final = 1_000
"""How many compiled expressions a realm keeps."""

_TOO_SLOW: Final = f"takes longer than {SECONDS * 1000:.0f} ms"
_TOO_LARGE: Final = f"needs more than {MEMORY >> 20} MiB of memory"
_TOO_MUCH: Final = f"reads more than {DATA >> 20} MiB of the run's data"


class Sandbox:
    """Runs expressions, one at a time, in one realm for the whole process."""

    def __init__(self, stopwatch: Callable[[], int], seconds: float = SECONDS) -> None:
        """`stopwatch` tells microseconds that have passed since whenever."""
        self.spent = 0
        """Microseconds that were spent on expressions in all: who has a budget looks before and after."""
        self._stopwatch, self._seconds = stopwatch, seconds
        self._lock = threading.Lock()
        self._realm: _Realm | None = None

    def check(self, code: str) -> str | None:
        """Why this is no expression, or None. Runs nothing of it."""
        told = self._entered(lambda realm: realm.check(code))
        return told.fault

    def evaluate(
        self, code: str, want: expressions.Want, given: Mapping[str, Any], now: int, seed: int
    ) -> expressions.Answer:
        """The value of an expression that was checked; the same for the same arguments, but for the last line."""
        text = _encoded(given)
        if len(text) > DATA:
            return expressions.Answer(None, _TOO_MUCH)
        return self._entered(lambda realm: realm.run(code, text, now // 1000, seed, want.value))

    def _entered(self, work: Callable[[_Realm], expressions.Answer]) -> expressions.Answer:
        with self._lock:
            began = self._stopwatch()
            realm = self._realm
            if realm is None or realm.is_full:
                realm = _Realm(self._seconds)
            answer = realm.answer(work)
            self._realm = None if realm.is_spoilt else realm
            self.spent += self._stopwatch() - began
        return answer


class _Realm:
    """One JavaScript realm, hardened, and the expressions that were compiled in it."""

    def __init__(self, seconds: float) -> None:
        self._context = quickjs.Context()
        self._context.set_max_stack_size(STACK)
        self._door = self._context.eval(_prelude())
        self._context.set_time_limit(seconds)
        self._functions: dict[str, int] = {}
        self.is_spoilt = False
        """Whether it is to be thrown away: it was stopped, memory ran out, or something was left to be done later."""
        self._bound()

    @property
    def is_full(self) -> bool:
        return len(self._functions) >= FUNCTIONS

    def answer(self, work: Callable[[_Realm], expressions.Answer]) -> expressions.Answer:
        """What the work in this realm came to."""
        try:
            answer = work(self)
        except quickjs.JSException as refusal:
            self.is_spoilt = True
            return expressions.Answer(None, _described(str(refusal)))
        try:
            has_more = self._context.execute_pending_job()
        except quickjs.JSException:
            has_more = True
        self.is_spoilt = has_more or answer.fault == _TOO_LARGE
        return answer

    def check(self, code: str) -> expressions.Answer:
        told = self._door("check", code)
        return expressions.Answer(None, _clean(told[1:]) if told else None)

    def run(self, code: str, text: str, now: int, seed: int, want: str) -> expressions.Answer:
        place = self._functions.get(code)
        if place is None:
            made = self._door("compile", code)
            if isinstance(made, str):
                return expressions.Answer(None, _clean(made[1:]))
            place = self._functions[code] = int(made)
            self._bound()
        # The library hands over integers of 32 bits; a float holds any millisecond.
        return _read(self._door("run", place, text, float(now), float(seed), want))

    def _bound(self) -> None:
        """Leave so much memory for a call, whatever the realm and its functions take themselves."""
        self._context.set_memory_limit(self._context.memory()["malloc_size"] + MEMORY)


def _prelude() -> str:
    text = resources.files(__package__).joinpath("realm.js").read_text("utf-8")
    statuses, ranks = json.dumps(scripts.STATUSES), json.dumps(scripts.RANKS)
    return text.replace("@STATUSES@", statuses).replace("@RANKS@", ranks)


def _encoded(given: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(given).decode()
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(given)  # half a character, or an integer of more than 64 bits


def _read(told: str) -> expressions.Answer:
    """The answer that the realm put into text."""
    match told[:1]:
        case "t" | "f":
            return expressions.Answer(told == "t")
        case "v":
            return expressions.Answer(
                _mended(json.loads(told[1:])) if "\\ud" in told else json.loads(told[1:])
            )
        case "u":
            return expressions.Answer(values.MISSING)
    return expressions.Answer(None, _clean(told[1:]))


def _mended(value: Any) -> Any:
    """The value without halves of characters, which no text may have."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _described(refusal: str) -> str:
    if "interrupted" in refusal:
        return _TOO_SLOW
    if refusal.startswith("null") or "out of memory" in refusal:
        return _TOO_LARGE
    return _clean(refusal.splitlines()[0])


def _clean(told: str) -> str:
    return _TOO_LARGE if told == "InternalError: out of memory" else _mended(told)
