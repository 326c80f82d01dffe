"""Many rules that differ in the value that a field must equal: for our conditions and for the libraries.

Law: values only, the same for the same numbers. Of a type's rules at most one matches an event, and the libraries get
the same question in their own language.
"""

from __future__ import annotations

import random
from typing import Any

COUNTRIES = ("ID", "DE", "KE", "BR", "CA")
_MISSING, _OTHER_TYPE = 3, 7


def conditions(number: int) -> list[dict[str, Any]]:
    """The conditions of a type's rule, in our API's form: all must hold."""
    return [
        {"field": "sku", "operator": "equals", "value": _sku(number)},
        {"field": "total", "operator": "greater_than", "value": _least(number)},
        {"field": "country", "operator": "in", "value": list(COUNTRIES[:3])},
    ]


def json_logic(number: int) -> dict[str, Any]:
    """The same as JsonLogic."""
    return {
        "and": [
            {"==": [{"var": "sku"}, _sku(number)]},
            {">": [{"var": "total"}, _least(number)]},
            {"in": [{"var": "country"}, list(COUNTRIES[:3])]},
        ]
    }


def expression(number: int) -> str:
    """The same as an expression of rule-engine."""
    named = ", ".join(f'"{country}"' for country in COUNTRIES[:3])
    return f'sku == "{_sku(number)}" and total > {_least(number)} and country in [{named}]'


def cel(number: int) -> str:
    """The same in the Common Expression Language."""
    named = ", ".join(f'"{country}"' for country in COUNTRIES[:3])
    return f'sku == "{_sku(number)}" && total > {_least(number)} && country in [{named}]'


def decision_table(rules: int) -> dict[str, Any]:
    """All rules of a type as a decision table of zen-engine: a row for each, which gives its number."""
    columns = [{"id": name, "name": name, "field": name} for name in ("sku", "total", "country")]
    named = ", ".join(f'"{country}"' for country in COUNTRIES[:3])
    rows = [
        {
            "_id": str(number),
            "sku": f'"{_sku(number)}"',
            "total": f"> {_least(number)}",
            "country": named,
            "rule": str(number),
        }
        for number in range(rules)
    ]
    table = {
        "hitPolicy": "collect",
        "inputs": columns,
        "outputs": [{"id": "rule", "name": "rule", "field": "rule"}],
        "rules": rows,
    }
    return {
        "nodes": [
            {"id": "in", "type": "inputNode", "name": "in"},
            {"id": "table", "type": "decisionTableNode", "name": "table", "content": table},
            {"id": "out", "type": "outputNode", "name": "out"},
        ],
        "edges": [
            {"id": "first", "sourceId": "in", "targetId": "table", "type": "edge"},
            {"id": "second", "sourceId": "table", "targetId": "out", "type": "edge"},
        ],
    }


def payloads(count: int, rules: int) -> list[dict[str, Any]]:
    """So many payloads, each about one of a type's rules.

    Of one in ten a field is missing, of one in ten one has another type.
    """
    draw = random.Random(f"{count}:{rules}")
    return [_spoiled(draw, number, _payload(draw, number, rules)) for number in range(count)]


def _payload(draw: random.Random, number: int, rules: int) -> dict[str, Any]:
    return {
        "sku": _sku(draw.randrange(rules)),
        "total": draw.randrange(100),
        "country": draw.choice(COUNTRIES),
        "order": f"order-{number:09d}",
        "items": [f"article-{draw.randrange(10_000):05d}" for _ in range(6)],
    }


def _spoiled(draw: random.Random, number: int, payload: dict[str, Any]) -> dict[str, Any]:
    if number % 10 == _MISSING:
        del payload[draw.choice(("sku", "total", "country"))]
    elif number % 10 == _OTHER_TYPE:
        name, value = draw.choice((("sku", 7), ("total", "many"), ("country", 49)))
        payload[name] = value
    return payload


def meant(payload: dict[str, Any]) -> int | None:
    """The only rule that a payload may match; None where it says none."""
    sku = payload.get("sku")
    return int(sku.removeprefix("sku-")) if isinstance(sku, str) else None


def matches(payload: dict[str, Any], number: int) -> bool:
    """Whether a type's rule matches: the definition that every side is checked by."""
    total = payload.get("total")
    return (
        payload.get("sku") == _sku(number)
        and isinstance(total, int)
        and total > _least(number)
        and payload.get("country") in COUNTRIES[:3]
    )


def _sku(number: int) -> str:
    return f"sku-{number:05d}"


def _least(number: int) -> int:
    return 10 + number % 50
