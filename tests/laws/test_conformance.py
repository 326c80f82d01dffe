"""What counts as proved, and that breaking an item really breaks it."""

import asyncio
import json
from typing import Any

import pytest

from heliograph.core import ids
from tests import checklist, conformance, proofs, sabotage
from tests.sabotage import named, texts, wire

RULE = texts.RULES_API[8]


def outcome(*items: str, over_http: bool = True, database: str | None = None, came: str = "passed") -> Any:
    """What one marked test came to."""
    return {"marks": [list(items), over_http, database], "outcome": came}


def answer(act: wire.Act, field: str = "", *, query: str = "", body: object = None) -> tuple[int, Any]:
    """What an echoing app answers to GET /rules/7 while the act is on."""

    async def echo(scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        heard = json.loads((await receive())["body"])
        said = {"id": 7, "name": "n", "query": scope["query_string"].decode(), "body": heard}
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    async def receive() -> wire.Message:
        return {"type": "http.request", "body": json.dumps(body).encode()}

    sent: list[wire.Message] = []

    async def send(message: wire.Message) -> None:
        sent.append(message)

    async def ask() -> None:
        scope = {"type": "http", "method": "GET", "path": "/api/automation/rules/7", "headers": []}
        with wire.broken(wire.Wire(act, frozenset({RULE}), field)):
            await wire.wrap(echo)(scope | {"query_string": query.encode()}, receive, send)

    asyncio.run(ask())
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_the_checklist_is_whole() -> None:
    """No item of the five source documents is lost."""
    items = checklist.items().values()
    counts = [sum(item.source == source for item in items) for source in checklist.SOURCES]
    assert counts == [42, 81, 118, 41, 299]


@pytest.mark.parametrize(
    ("outcomes", "on_postgres", "is_proved"),
    [
        ([outcome("S4-02")], True, True),
        ([outcome("S4-02", over_http=False)], True, False),
        ([outcome("S4-02", came="skipped")], True, False),
        ([outcome("S4-02"), outcome("S4-02", came="failed")], True, False),
        ([outcome("S4-02", database="sqlite")], False, True),
        ([outcome("S4-02", database="sqlite")], True, False),
        ([outcome("S4-02", database="sqlite"), outcome("S4-02", database="postgresql")], True, True),
        (
            [outcome("S4-02", database="sqlite"), outcome("S4-02", database="postgresql", came="skipped")],
            True,
            False,
        ),
    ],
)
def test_an_item_counts_when_its_tests_passed_on_every_database(
    outcomes: list[Any], on_postgres: bool, is_proved: bool
) -> None:
    """Skips prove nothing, failures disprove, and a field is proved over HTTP or not at all."""
    assert ("S4-02" in conformance.proved(outcomes, on_postgres=on_postgres)) is is_proved


def test_behaviour_may_be_proved_without_http() -> None:
    """What is no endpoint, field or error can be shown by a test of the core."""
    assert conformance.proved([outcome("S4-290", over_http=False)], on_postgres=True) == {"S4-290"}


def test_a_claim_is_modest_and_about_known_items() -> None:
    """A test may name six items at most, and only items of the checklist."""
    assert proofs.wrong_with(["S4-02"]) is None
    assert "not in tests/checklist.tsv" in str(proofs.wrong_with(["S4-02", "S4-1000"]))
    assert "7 items" in str(proofs.wrong_with([f"S4-{number:02}" for number in range(1, 8)]))


def test_the_texts_of_event_rules_say_how_they_are_broken() -> None:
    """Every endpoint, field and error of S4 can be broken without naming code."""
    items = [item for item in checklist.items().values() if item.source == "S4" and item.over_http]
    assert [item.id for item in items if not texts.sabotage(item)] == []


def test_acts_harm_what_they_say() -> None:
    """Each act on the wire has its effect, and only that."""
    whole = {"id": 7, "name": "n", "query": "a=1&b=2", "body": {"a": 1, "b": {"a": 2}}}
    sent: dict[str, Any] = {"query": "a=1&b=2", "body": {"a": 1, "b": {"a": 2}}}
    assert answer(wire.Act.FAIL, **sent)[0] == 503
    assert answer(wire.Act.FORGIVE, **sent) == (200, whole)
    assert answer(wire.Act.HOLLOW, **sent) == (404, {"id": 7})
    assert answer(wire.Act.DROP, "name", **sent) == (404, {k: v for k, v in whole.items() if k != "name"})
    assert answer(wire.Act.IGNORE_QUERY, "a", **sent)[1]["query"] == "b=2"
    assert answer(wire.Act.IGNORE_BODY, "a", **sent)[1]["body"] == {"b": {"a": 2}}
    assert answer(wire.Act.IGNORE_DEEP, "a", **sent)[1]["body"] == {"b": {}}


def test_acts_keep_to_their_route() -> None:
    """Breaking one rule's endpoint leaves the list of snoozed rules alone."""
    assert wire.route("GET", "/api/automation/rules/snoozed") == texts.RULES_API[3]
    assert wire.route("GET", "/api/automation/rules/7") == RULE
    assert wire.route("GET", "/elsewhere") is None


def test_replaced_code_is_put_back() -> None:
    """A sabotage in the code ends with its block, and a name that is gone is said to be gone."""
    original = ids.partition_of_subject
    with sabotage.active(named.Code("heliograph.core.ids:partition_of_subject", named.always(99))):
        assert ids.partition_of_subject(1, "ana") == 99
    assert ids.partition_of_subject is original
    with pytest.raises(LookupError), sabotage.active(named.Code("heliograph.core.ids:gone", named.always(0))):
        pass


def test_named_sabotage_names_items_and_code_that_exist() -> None:
    """Every entry of `named.py` is about an item of the checklist and can be broken."""
    for item, ways in named.SABOTAGE.items():
        assert item in checklist.items()
        for way in ways:
            with sabotage.active(way):
                pass
