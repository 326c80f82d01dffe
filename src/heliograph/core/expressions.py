"""Expressions: what a journey's conditions and fields see of its run, and the JavaScript in them (J9).

Law: everything that can be wrong with the text of an expression is found when it is parsed. JavaScript is run by an
`Evaluator` that is handed in; it reads the scope it is given and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import msgspec

from heliograph import errors
from heliograph.core import plain_conditions, scripts

# ── what expressions see ────────────────────────────────────────────────────────────────────────────


class Context(msgspec.Struct, frozen=True, gc=False):
    """What a run holds, and what its steps have left to be read."""

    data: Mapping[str, Any]
    profile: Mapping[str, Any]
    brand: str | None = None
    template: str | None = None
    recipient: str | None = None
    steps: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """By `ref`: what each step that was reached shows, such as `{"status": "SENT"}`."""

    @property
    def user(self) -> Any:
        """Whom the run is about, as it says; None where it is about nobody."""
        places = (
            self.recipient,
            self.profile.get("user_id"),
            self.data.get("user_id"),
            self.data.get("userId"),
        )
        return next((one for one in places if one not in (None, "")), None)


class Answer(NamedTuple):
    """What became of a piece of JavaScript: its value, or why there is none."""

    value: Any
    """JSON, or values.MISSING for undefined."""
    fault: str | None = None


class Want(Enum):
    """As what a value is asked for."""

    VALUE = "value"
    """As it is."""
    TEXT = "text"
    """As text; null and undefined are MISSING."""
    TRUTH = "truth"
    """As JavaScript's own true or false."""


class Evaluator(Protocol):
    """What runs JavaScript: `javascript.Sandbox`."""

    def check(self, code: str) -> str | None:
        """Why this is no expression, or None. Runs nothing of it."""

    def evaluate(self, code: str, want: Want, given: Mapping[str, Any], now: int, seed: int) -> Answer:
        """The value of an expression; `given` holds those of its roots that it reads, and `refs`."""


class Scope(msgspec.Struct, frozen=True, gc=False):
    """Where fields are resolved: in one step of one run."""

    context: Context
    evaluator: Evaluator
    now: int
    """What `Date.now()` is, in microseconds."""
    seed: int
    """Where `Math.random` begins: `seed(run, visit)`."""


def seed(run_id: bytes, visit: int) -> int:
    """Where the random numbers of one step of one run begin: the same for every replay."""
    return crc32(visit.to_bytes(4, "big"), crc32(run_id))


# ── what steps leave ────────────────────────────────────────────────────────────────────────────────


def step_reference(status: str) -> dict[str, Any]:
    """What `refs.<ref>` is for a step that sends nothing, or whose send was skipped."""
    return {"status": status}


def send_reference(statuses: Sequence[str] | Mapping[str, int]) -> dict[str, Any]:
    """What `refs.<ref>` is for a send: the least of its messages' statuses (A57), and how many have which.

    `statuses` is that of each message, or how many have which.

    Where several are the least, it is the first of them by name; a send that made no message is UNROUTABLE.
    """
    if isinstance(statuses, list) and len(statuses) == 1:
        # Most sends make one message.
        return {"status": statuses[0], "counts": {statuses[0]: 1}}
    if isinstance(statuses, Mapping):
        counts = dict(sorted(statuses.items()))
    else:
        counts = {status: statuses.count(status) for status in sorted({*statuses})}
    least = min(counts, key=lambda status: scripts.RANKS.get(status, 0), default="UNROUTABLE")
    return {"status": least, "counts": counts}


_REF = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
MAX_REF = 100


def check_ref(given: object, path: str) -> str:
    """The name that a step is given by `ref`. Raises InvalidInput with the path."""
    if not isinstance(given, str) or not _REF.fullmatch(given) or len(given) > MAX_REF:
        raise errors.InvalidInput.at(
            path, f"is a name of letters, digits, _ and $, not beginning with a digit, {MAX_REF} at most"
        )
    if given in scripts.RESERVED:
        raise errors.InvalidInput.at(path, f'"{given}" is part of the run itself: choose another name')
    return given


# ── JavaScript ──────────────────────────────────────────────────────────────────────────────────────

MAX_CODE = 10_000
"""Characters that one expression may have."""


class Script(NamedTuple):
    """One expression that was checked."""

    source: str
    """As it was written."""
    code: str
    """As it is run: statuses are compared by rank."""
    reads: frozenset[str]
    """What it may look at: some of scripts.ROOTS, `refs.<step>`, or `refs` for all steps."""
    plain: plain_conditions.Plain | None = None
    """What it is where it can be told without the sandbox whether it holds."""

    def holds(self, scope: Scope) -> bool | None:
        """Whether it holds, where that can be told without the sandbox."""
        return None if self.plain is None else self.plain.holds(_given(scope.context, self.reads))

    def answer(self, scope: Scope, want: Want) -> Answer:
        """Its value in this scope."""
        given = _given(scope.context, self.reads)
        return scope.evaluator.evaluate(
            self.code, want, given, scope.now, crc32(self.code.encode(), scope.seed)
        )


def _given(context: Context, reads: frozenset[str]) -> dict[str, Any]:
    steps = context.steps
    if scripts.ALL_STEPS not in reads:
        steps = {name: steps[name] for name in steps if f"refs.{name}" in reads}
    given: dict[str, Any] = {"refs": steps}
    for root in scripts.ROOTS:
        if root in reads:
            given[root] = getattr(context, root)
    return given


def script(source: str, path: str, evaluator: Evaluator) -> Script:
    """The expression, checked. Raises InvalidInput with the path where it cannot be read (A46)."""
    if len(source) > MAX_CODE:
        raise errors.InvalidInput.at(path, f"an expression may have {MAX_CODE:,} characters")
    try:
        code = scripts.tokens(source)
    except scripts.Malformed as refusal:
        raise errors.InvalidInput.at(path, f"is no JavaScript expression: {refusal}") from None
    fault = scripts.fault(code)
    if fault is None:
        ranked = scripts.ranked(source, code)
        fault = evaluator.check(ranked)
        if fault is None:
            return Script(source, ranked, scripts.reads(code), plain_conditions.read(code))
    raise errors.InvalidInput.at(path, f"is no JavaScript expression: {fault}")


def pieces(given: str, path: str) -> list[tuple[bool, str]]:
    """The text of a field and the code in it (true), in order. Raises InvalidInput with the path."""
    try:
        return list(scripts.parts(given))
    except scripts.Malformed as refusal:
        raise errors.InvalidInput.at(path, f"has a ${{ that cannot be read: {refusal}") from None


# ── conditions ──────────────────────────────────────────────────────────────────────────────────────


class Judgement(NamedTuple):
    """Whether a step is to be taken, and where its condition could not be told, why (J9)."""

    holds: bool
    fault: str | None = None


def condition(given: object, path: str, evaluator: Evaluator) -> Script | None:
    """What an `if` says; None where there is none, or an empty one (A02). Raises InvalidInput with the path."""
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise errors.InvalidInput.at(path, "is a JavaScript expression, as text")
    whole = given.strip()
    if whole.startswith("${"):
        # `if` is an expression already; some write it as they write a field.
        found = pieces(whole, path)
        if len(found) == 1:
            whole = found[0][1]
    return script(whole, path, evaluator)


def judge(wanted: Script | None, scope: Scope) -> Judgement:
    """Whether the condition holds: one that throws does not."""
    if wanted is None:
        return Judgement(True)
    told = wanted.holds(scope)
    if told is not None:
        return Judgement(told)
    value, fault = wanted.answer(scope, Want.TRUTH)
    return Judgement(False, fault) if fault else Judgement(bool(value))
