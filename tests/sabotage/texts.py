"""What the text of an item says about how to break it on the wire.

The numbers in brackets in the texts of S4 are those of `RULES_API`. A text that names no field, endpoint or
refusal gives nothing: then `named.py` must.
"""

import re

from tests import checklist
from tests.sabotage import wire
from tests.sabotage.wire import Act, Route, Wire

_RULES = "/api/automation"
RULES_API: dict[int, Route] = {
    1: ("GET", f"{_RULES}/rules"),
    2: ("POST", f"{_RULES}/rules"),
    3: ("GET", f"{_RULES}/rules/snoozed"),
    4: ("GET", f"{_RULES}/stats/overview"),
    5: ("GET", f"{_RULES}/stats/timeseries"),
    6: ("GET", f"{_RULES}/stats/alerts"),
    7: ("POST", f"{_RULES}/rules/dry-run"),
    8: ("GET", f"{_RULES}/rules/{{id}}"),
    9: ("PATCH", f"{_RULES}/rules/{{id}}"),
    10: ("POST", f"{_RULES}/rules/{{id}}/snooze"),
    11: ("GET", f"{_RULES}/rules/{{id}}/stats/timeseries"),
    12: ("GET", f"{_RULES}/rules/{{id}}/effective-state"),
    13: ("PATCH", f"{_RULES}/rules/{{id}}/alert-settings"),
    14: ("PATCH", f"{_RULES}/rules/{{id}}/schedule-settings"),
    15: ("PATCH", f"{_RULES}/rules/{{id}}/rollout"),
    16: ("GET", f"{_RULES}/rules/{{id}}/schedule-preview"),
    17: ("GET", f"{_RULES}/control"),
    18: ("PATCH", f"{_RULES}/control"),
    19: ("GET", f"{_RULES}/runs"),
    20: ("GET", f"{_RULES}/runs/export"),
    21: ("GET", f"{_RULES}/runs/by-rule/{{id}}"),
    22: ("GET", f"{_RULES}/runs/by-event/{{id}}"),
    23: ("GET", f"{_RULES}/runs/{{id}}"),
    24: ("GET", f"{_RULES}/events"),
    25: ("GET", f"{_RULES}/events/export"),
    26: ("GET", f"{_RULES}/events/by-conversation/{{id}}"),
    27: ("GET", f"{_RULES}/events/by-rule/{{id}}"),
    28: ("GET", f"{_RULES}/events/by-hash/{{id}}"),
    29: ("GET", f"{_RULES}/events/{{id}}"),
}
_RULE_ANSWERS = frozenset(RULES_API[number] for number in (1, 2, 3, 8, 9, 13, 14, 15))


def _routes(path: str, *methods: str) -> frozenset[Route]:
    return frozenset((method, place) for method in methods for place in (path, f"{path}/{{id}}"))


_DATES = "/v1/dateAutomation"
_FAMILY: dict[str, frozenset[Route]] = {
    "S0": _routes("/api/automations", "GET", "POST", "PATCH", "DELETE"),
    "S1": _routes(_DATES, "GET", "HEAD", "POST", "PUT", "DELETE"),
    "S2": frozenset(
        {
            ("POST", "/automations/invoke"),
            ("POST", "/automations/{id}/invoke"),
            ("PUT", "/automations/templates/{id}"),
        }
    ),
    "S3": _routes("/api/segments", "GET", "POST", "PATCH", "DELETE")
    | _routes("/api/communication-groups", "GET", "POST", "PATCH")
    | _routes("/notifications", "GET", "POST", "PUT"),
    "S4": frozenset(RULES_API.values()),
}
for _family in _FAMILY.values():
    wire.know(_family)

_NUMBER = re.compile(r"\[(\d+)\] ")
_NAME = re.compile(r"`([A-Za-z_.]+)`")
_RULES_ACTS = {
    "Query": Act.IGNORE_QUERY,
    "Request": Act.IGNORE_BODY,
    "Accepts": Act.IGNORE_BODY,
    "Response": Act.DROP,
}
_DATES_ACTS = {
    "GET": Act.DROP,
    "HEAD": Act.IGNORE_QUERY,
    "POST": Act.IGNORE_BODY,
    "PUT": Act.IGNORE_BODY,
}


def sabotage(item: checklist.Item) -> tuple[Wire, ...]:
    """The acts that the item's text names; none for behaviour."""
    family = _FAMILY[item.source]
    number = _NUMBER.match(item.text)
    routes = frozenset({RULES_API[int(number[1])]}) if number else family
    if item.kind == "endpoint":
        return (Wire(Act.FAIL, routes),)
    if item.kind == "error":
        return (Wire(Act.FORGIVE, routes),)
    return _of_fields(item, routes) if item.kind == "field" else ()


def _of_fields(item: checklist.Item, routes: frozenset[Route]) -> tuple[Wire, ...]:
    text = _NUMBER.sub("", item.text)
    first = text.split(" ")[0].rstrip(":")
    if item.source == "S4" and first == "Rule":
        return _each(Act.DROP, _RULE_ANSWERS, text)
    if item.source == "S4":
        return _of_rules_api(first, text, routes)
    if item.source == "S1":
        return _of_dates_api(first, text)
    if item.source == "S2":
        return _each(Act.IGNORE_DEEP, routes, text)[:1]
    if first == "Condition":
        return ()
    return _each(Act.DROP, routes, text.split(":")[0])


def _of_rules_api(first: str, text: str, routes: frozenset[Route]) -> tuple[Wire, ...]:
    if first == "Path":
        return (Wire(Act.FORGIVE, routes),)
    if first == "Response" and "full rule object" in text:
        return (Wire(Act.HOLLOW, routes),)
    if first == "Response" and "list of windows" in text:
        return (Wire(Act.DROP, routes, "windows"),)
    return _each(_RULES_ACTS[first], routes, text)[-1:]


def _of_dates_api(method: str, text: str) -> tuple[Wire, ...]:
    routes = _routes(_DATES, method)
    if method == "DELETE":
        return (Wire(Act.FAIL, routes),)
    return _each(_DATES_ACTS[method], routes, text)[:1]


def _each(act: Act, routes: frozenset[Route], text: str) -> tuple[Wire, ...]:
    return tuple(Wire(act, routes, name.rsplit(".", 1)[-1]) for name in _NAME.findall(text))
