"""Engines that judge rules: how each is asked which of a type's rules an event matches.

Each is used as its documentation tells, prepared as far as it can be before the clock runs. zen-engine: one decision
table with a row for each rule, hit policy `collect`. common-expression-language: expressions compiled once, and one
context for each event. rule-engine: `Rule` objects made once. json-logic-qubit: the rule is a document that is walked
for each event; there is nothing to prepare. json-rules-engine (Node): one engine with all rules, `run` for each event.

A field that is missing or of another type is no match for any of them; those that raise for it are caught.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Literal

import msgspec

from benchmarks import matching_rules, sides

Library = Literal[
    "zen-engine", "common-expression-language", "json-rules-engine", "rule-engine", "json-logic-qubit"
]
LIBRARIES: tuple[Library, ...] = (
    "zen-engine",
    "common-expression-language",
    "json-rules-engine",
    "rule-engine",
    "json-logic-qubit",
)
_NODE = sides.ROOT / "benchmarks" / "peers" / "node"

Matched = Callable[[dict[str, Any]], list[int]]
"""The numbers of the rules that a payload matches."""


class Order(msgspec.Struct, frozen=True):
    """What a library is to do."""

    library: Library
    rules: int
    events: int


class Judged(msgspec.Struct, frozen=True):
    """How long it took (s), and by whom."""

    seconds: float
    version: str


class _FromNode(msgspec.Struct):
    seconds: float
    version: str
    matched: list[list[int]]


def work(order: Order) -> Judged:
    """Judge every rule for every event."""
    payloads = matching_rules.payloads(order.events, order.rules)
    if order.library == "json-rules-engine":
        told = _in_node(order.rules, payloads)
        judged, found = Judged(told.seconds, told.version), told.matched
    else:
        matched = _MATCHED[order.library](order.rules)
        began = time.perf_counter()
        found = [matched(payload) for payload in payloads]
        judged = Judged(time.perf_counter() - began, version(order.library))
    wanted = [
        [number for number in range(order.rules) if matching_rules.matches(payload, number)]
        for payload in payloads
    ]
    if [sorted(row) for row in found] != wanted:
        raise sides.Failed(f"{order.library} matched other rules than it had to")
    return judged


def _of_zen(rules: int) -> Matched:
    import zen  # noqa: PLC0415 - there in the peers' environment alone

    decision = zen.ZenEngine().create_decision(json.dumps(matching_rules.decision_table(rules)))
    return lambda payload: [row["rule"] for row in decision.evaluate(payload)["result"]]


def _of_cel(rules: int) -> Matched:
    import cel  # noqa: PLC0415 - there in the peers' environment alone

    programs = [cel.compile(matching_rules.cel(number)) for number in range(rules)]

    def matched(payload: dict[str, Any]) -> list[int]:
        context, found = cel.Context(payload), []
        for number, program in enumerate(programs):
            # Of a field that is missing or of another type it makes an error.
            with contextlib.suppress(RuntimeError, TypeError):
                if program.execute(context):
                    found.append(number)
        return found

    return matched


def _of_rule_engine(rules: int) -> Matched:
    import rule_engine  # noqa: PLC0415 - there in the peers' environment alone

    made = [rule_engine.Rule(matching_rules.expression(number)) for number in range(rules)]

    def matched(payload: dict[str, Any]) -> list[int]:
        found = []
        for number, rule in enumerate(made):
            with contextlib.suppress(
                rule_engine.errors.EvaluationError, rule_engine.errors.SymbolResolutionError
            ):
                if rule.matches(payload):
                    found.append(number)
        return found

    return matched


def _of_json_logic(rules: int) -> Matched:
    from json_logic import jsonLogic  # noqa: PLC0415 - there in the peers' environment alone

    documents = [matching_rules.json_logic(number) for number in range(rules)]

    def matched(payload: dict[str, Any]) -> list[int]:
        found = []
        for number, document in enumerate(documents):
            # A text where a number is wanted.
            with contextlib.suppress(ValueError):
                if jsonLogic(document, payload) is True:
                    found.append(number)
        return found

    return matched


def _in_node(rules: int, payloads: list[dict[str, Any]]) -> _FromNode:
    node = shutil.which("node")
    if node is None or not (_NODE / "node_modules").exists():
        raise sides.Failed("needs node and npm when `make bench` sets the peers up")
    order = {"rules": [matching_rules.conditions(number) for number in range(rules)], "payloads": payloads}
    done = subprocess.run(
        [node, "judge.js"], cwd=_NODE, input=msgspec.json.encode(order), capture_output=True, check=False
    )
    if done.returncode:
        raise sides.Failed(done.stderr.decode(errors="replace")[-1_000:])
    return msgspec.json.decode(done.stdout, type=_FromNode)


_MATCHED: dict[Library, Callable[[int], Matched]] = {
    "zen-engine": _of_zen,
    "common-expression-language": _of_cel,
    "rule-engine": _of_rule_engine,
    "json-logic-qubit": _of_json_logic,
}

if __name__ == "__main__":
    sides.answer(Order, work)
