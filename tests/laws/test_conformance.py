"""What counts as proved, and that breaking an item really breaks it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from heliograph.core import ids
from tests import breaking, checklist, conformance, proofs, sabotage
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


def test_items_are_chosen_by_document_or_by_name() -> None:
    """`S3` stands for all of a document, `S4-33` for itself, and anything else is said to be unknown."""
    assert len(checklist.chosen(["S3"])) == 41
    assert checklist.chosen(["S4-33", "S2-10"]) == {"S4-33", "S2-10"}
    with pytest.raises(ValueError, match="S9"):
        checklist.chosen(["S4-33", "S9"])


def test_a_draw_is_of_what_is_asked_for_and_marked() -> None:
    """A seed draws the same items again, never one that is not marked or was not asked for, and each once."""
    draw = breaking.Draw(7, 2, ["S4-02", "S4-03", "S4-04", "S4-05"], {})
    drawn = draw.items({"S4-02", "S4-03", "S4-04", "S2-10"})
    assert drawn == draw.items({"S2-10", "S4-04", "S4-03", "S4-02"})
    assert len(set(drawn)) == 2
    assert set(drawn) <= {"S4-02", "S4-03", "S4-04"}
    assert draw._replace(size=581).items({"S4-03", "S4-02"}) == ["S4-02", "S4-03"]


def test_processes_share_the_items_drawn(tmp_path: Path) -> None:
    """However many processes take items from one folder, each item is taken once."""
    drawn = [f"S4-{number}" for number in range(100, 111)]
    one, other = breaking.taken(tmp_path, drawn), breaking.taken(tmp_path, drawn)
    found = [next(one), next(other), next(one), *one, *other]
    assert sorted(found) == drawn


class Stub(NamedTuple):
    """A test that may have failed before anything was broken, and may look at the ids of runs."""

    nodeid: str
    is_whole: bool = True
    is_sharp: bool = False

    def iter_markers(self, _: str) -> Iterator[pytest.Mark]:
        """No marks: what it proves is said by whoever hands it over."""
        return iter(())


@pytest.mark.parametrize(
    ("tests", "fault"),
    [
        ([Stub("sharp", is_sharp=True)], None),
        ([Stub("blunt"), Stub("sharp", is_sharp=True)], None),
        ([Stub("blunt"), Stub("dull")], "its tests still pass when heliograph.core.ids:of_run replaced"),
        (
            [Stub("blunt"), Stub("failing", is_whole=False, is_sharp=True)],
            "its tests still pass when heliograph.core.ids:of_run replaced",
        ),
        ([Stub("failing", is_whole=False, is_sharp=True)], "no marked test passes"),
    ],
)
def test_one_test_that_passed_before_must_notice(
    monkeypatch: pytest.MonkeyPatch, tests: list[Stub], fault: str | None
) -> None:
    """An item is struck unless a test that passes as the program is fails once the item is broken."""
    original, whole = ids.of_run, list[str]()

    def passes(test: Stub) -> bool:
        if ids.of_run is original:
            whole.append(test.nodeid)
        return test.is_whole and not (test.is_sharp and ids.of_run is not original)

    monkeypatch.setattr(breaking, "_passes", passes)
    trial, item = breaking.Trial({}), checklist.items()["S4-294"]
    items = cast("list[pytest.Item]", tests)
    assert trial.faults(item, items) == ([fault] if fault else [])
    assert trial.faults(item, items) == ([fault] if fault else [])
    assert len(set(whole)) == len(whole), "a test was run twice as the program is"


def test_the_quickest_tests_are_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is known what tests took, a slow one is not run when a quick one has noticed."""
    asked: list[str] = []

    def passes(test: Stub) -> bool:
        asked.append(test.nodeid)
        return len(asked) == 1

    monkeypatch.setattr(breaking, "_passes", passes)
    tests = cast("list[pytest.Item]", [Stub("slow"), Stub("quick")])
    assert breaking.Trial({"slow": 9.0, "quick": 0.1}).faults(checklist.items()["S4-294"], tests) == []
    assert asked == ["quick", "quick"]


@pytest.mark.parametrize(("done", "has_failed"), [(2, True), (3, False)])
def test_a_run_that_ended_early_has_failed(done: int, has_failed: bool) -> None:
    """Where a process dies, what it had taken is missed."""

    def told() -> Any:
        yield {"total": 3}
        yield from [{"done": str(number)} for number in range(done)]
        return False

    came, found = conformance.shown("items", told())
    assert (came, len(found)) == (has_failed, done)


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
