"""Many rules that differ in the value that a field must equal: for our conditions and for the libraries.

Law: values only, the same for the same numbers. Of a type's rules at most one matches an event, and the libraries get
the same question in their own language.
"""

from __future__ import annotations

import random
from typing import Any

COUNTRIES = ("ID", "DE", "KE", "BR", "CA")


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


def payloads(count: int, rules: int) -> list[dict[str, Any]]:
    """So many payloads, each about one of a type's rules."""
    draw = random.Random(f"{count}:{rules}")
    return [
        {
            "sku": _sku(draw.randrange(rules)),
            "total": draw.randrange(100),
            "country": draw.choice(COUNTRIES),
            "order": f"order-{number:09d}",
            "items": [f"article-{draw.randrange(10_000):05d}" for _ in range(6)],
        }
        for number in range(count)
    ]


def matches(payload: dict[str, Any], number: int) -> bool:
    """Whether a type's rule matches: the definition that every side is checked by."""
    return (
        payload["sku"] == _sku(number)
        and payload["total"] > _least(number)
        and payload["country"] in COUNTRIES[:3]
    )


def _sku(number: int) -> str:
    return f"sku-{number:05d}"


def _least(number: int) -> int:
    return 10 + number % 50
