"""Libraries that judge rules: each rule's conditions one after the other, which is all that they offer.

rule-engine: expressions are parsed once into `Rule` objects; `matches` is asked. json-logic-qubit: the rule is a
document that is walked for each event; there is nothing to prepare.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Literal

import msgspec

from benchmarks import matching_rules, sides

Library = Literal["rule-engine", "json-logic-qubit"]
LIBRARIES: tuple[Library, ...] = ("rule-engine", "json-logic-qubit")


class Order(msgspec.Struct, frozen=True):
    """What a library is to do."""

    library: Library
    rules: int
    events: int


class Judged(msgspec.Struct, frozen=True):
    """How long it took (s), and by whom."""

    seconds: float
    version: str


def work(order: Order) -> Judged:
    """Judge every rule for every event."""
    judges = _JUDGES[order.library](order.rules)
    payloads = matching_rules.payloads(order.events, order.rules)
    began = time.perf_counter()
    found = [[judge(payload) for judge in judges] for payload in payloads]
    seconds = time.perf_counter() - began
    wanted = [
        [matching_rules.matches(payload, number) for number in range(order.rules)] for payload in payloads
    ]
    if [[bool(one) for one in row] for row in found] != wanted:
        raise sides.Failed(f"{order.library} matched other rules than it had to")
    return Judged(seconds, version(order.library))


def _of_rule_engine(rules: int) -> list[Callable[[dict[str, Any]], object]]:
    import rule_engine  # noqa: PLC0415 - there in the peers' environment alone

    return [rule_engine.Rule(matching_rules.expression(number)).matches for number in range(rules)]


def _of_json_logic(rules: int) -> list[Callable[[dict[str, Any]], object]]:
    from json_logic import jsonLogic  # noqa: PLC0415 - there in the peers' environment alone

    def judge(document: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
        return lambda payload: jsonLogic(document, payload)

    return [judge(matching_rules.json_logic(number)) for number in range(rules)]


_JUDGES: dict[Library, Callable[[int], list[Callable[[dict[str, Any]], object]]]] = {
    "rule-engine": _of_rule_engine,
    "json-logic-qubit": _of_json_logic,
}

if __name__ == "__main__":
    sides.answer(Order, work)
