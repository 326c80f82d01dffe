"""Documents say what is there, from operators to metrics, and their examples work."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any

import msgspec
import pytest
from litestar.routes import HTTPRoute

from heliograph import channels, errors
from heliograph.core import (
    batches,
    bulk,
    campaigns,
    conditions,
    dates,
    effects,
    events,
    messages,
    rules,
    runs,
    steps,
)
from heliograph.store import schema
from heliograph.testing import World
from heliograph.web import errors as wire
from heliograph.web import metrics, server, services
from heliograph.web.errors import Family
from tests.laws import pictures, repository

CELL = re.compile(r"(?<!\\)\|")


def page(name: str) -> str:
    """A document's text."""
    return (repository.ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    _, found, rest = page(name).partition(f"\n{heading}\n")
    assert found, f"{name} has no {heading!r}"
    return re.split(r"\n#+ ", rest)[0]


def table(text: str) -> list[list[str]]:
    """The rows of the first table of a text, without its head."""
    lines = text.splitlines()
    first = next((place for place, line in enumerate(lines) if line.startswith("|")), len(lines))
    found = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in CELL.split(line)[1:-1]])
    return found


def words(cell: str) -> set[str]:
    """What stands in a cell as code."""
    return set(re.findall(r"`([^`]+)`", cell))


def examples(name: str, language: str) -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page(name), re.DOTALL)


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────


def defaults(kind: Any) -> dict[str, str]:
    """The fields of a Struct, with their defaults as a document writes them."""
    return {field.name: _default(field) for field in msgspec.structs.fields(kind)}


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{json.dumps(field.default_factory())}`"
    return "required" if field.default is msgspec.NODEFAULT else f"`{json.dumps(field.default)}`"


def fields_told(text: str) -> dict[str, str]:
    """The fields of a documented table, with their defaults."""
    return {row[0].strip("`"): row[1] for row in table(text)}


def test_every_action_is_documented_with_its_fields() -> None:
    """docs/rules.md has each action type, and of each every field with its default."""
    told = {
        name: fields_told(section("docs/rules.md", f"### `{name}`"))
        for name in re.findall(r"^### `(\w+)`$", page("docs/rules.md"), re.MULTILINE)
    }
    assert told == {name: defaults(kind) for name, kind in steps.KINDS.items()}


def test_every_operator_is_documented() -> None:
    """docs/rules.md has each operator, in the order in which messages list them."""
    told = [row[0].strip("`") for row in table(section("docs/rules.md", "### Operators"))]
    assert told == list(conditions.OPERATORS)


def test_every_field_of_a_rule_is_documented() -> None:
    """docs/rules.md has each field that can be written, with its default."""
    there = defaults(rules.Definition)
    told = fields_told(section("docs/rules.md", "## Fields"))
    assert told == {name: there[name] for name in rules.WRITABLE}


def test_every_root_of_a_field_is_documented() -> None:
    """docs/rules.md says what a condition's field may begin with."""
    told = [word for row in table(section("docs/rules.md", "## Conditions")) for word in words(row[0])]
    assert set(told) == set(conditions.ROOTS)


def test_examples_of_rules_can_be_created() -> None:
    """A rule that stands in a document is one that the API takes."""
    written = [json.loads(text) for text in examples("docs/rules.md", "json")]
    made = [rules.define(given).name for given in written if "trigger_type" in given]
    assert made == ["Cart reminder", "Ask how it was"]


def test_every_field_of_a_date_automation_is_documented() -> None:
    """docs/date-automations.md has each field that can be written, and its example is one that can be made."""
    told = fields_told(section("docs/date-automations.md", "## Fields"))
    assert told.keys() == set(dates.WRITABLE)
    assert {name for name, default in told.items() if default == "required"} == set(dates.REQUIRED)
    actions = [row[0].strip("`") for row in table(section("docs/date-automations.md", "## Actions"))]
    assert sorted(actions) == sorted(dates.ACTIONS)
    (example,) = (json.loads(text) for text in examples("docs/date-automations.md", "json"))
    assert dates.define(example).actionhour == "09:00:00"


# ── states ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("document", "heading", "transitions"),
    [
        ("docs/rules.md", "### States of an event", events.TRANSITIONS),
        ("docs/rules.md", "### States of a run", runs.TRANSITIONS),
        ("docs/delivery.md", "## States of a message", messages.TRANSITIONS),
        ("docs/date-automations.md", "## States", dates.TRANSITIONS),
        ("docs/campaigns.md", "### States of a campaign", campaigns.TRANSITIONS),
        ("docs/journeys.md", "#### States of a batch", batches.TRANSITIONS),
        ("docs/sending.md", "### States of a bulk job", bulk.TRANSITIONS),
    ],
    ids=["event", "run", "message", "date automation", "campaign", "batch", "bulk job"],
)
def test_states_in_documents_are_those_of_the_code(
    document: str, heading: str, transitions: Mapping[IntEnum | None, Iterable[IntEnum]]
) -> None:
    """A table of states tells every state and where it may go, as the code's own table does."""
    told = {row[0].strip("`"): words(row[1]) for row in table(section(document, heading))}
    assert told == {
        "(new)" if start is None else start.name.lower(): {end.name.lower() for end in ends}
        for start, ends in transitions.items()
    }


def test_the_picture_of_a_messages_states_is_its_table() -> None:
    """The drawing in docs/delivery.md has the code's transitions as its arrows."""
    (drawing,) = (text for text in examples("docs/delivery.md", "mermaid") if "stateDiagram" in text)
    drawn = set(re.findall(r"^ *(\S+) --> (\w+)", drawing, re.MULTILINE))
    assert drawn == {
        ("[*]" if start is None else start.name.lower(), end.name.lower())
        for start, ends in messages.TRANSITIONS.items()
        for end in ends
    }


def test_the_picture_of_all_doors_is_drawn_from_the_tables() -> None:
    """ARCHITECTURE shows one piece of data through each door, as the code's tables of states draw it."""
    assert pictures.drawn() in examples("ARCHITECTURE.md", "mermaid")
    assert pictures.faults() == []
    doors = {door for way in pictures.WAYS for door in way.door.split(", ")}
    assert doors == {"rule", "journey", "campaign", "date"}
    assert {door.name.lower() for door in effects.Door} < doors


def test_a_messages_status_on_the_wire_is_documented() -> None:
    """docs/delivery.md translates each state to the word of `GET /messages`."""
    _, _, rest = page("docs/delivery.md").partition("in Courier's words:\n")
    told = {row[0].strip("`"): row[1].strip("`") for row in table(rest)}
    assert told == {state.name.lower(): word for state, word in messages.COURIER_STATUS.items()}


def test_codes_of_attempts_are_documented() -> None:
    """docs/delivery.md explains every word of ours that an attempt's code may be."""
    told = words(section("docs/delivery.md", "## Attempts"))
    assert channels.OUR_CODES.keys() <= told
    assert {outcome.value for outcome in channels.Outcome} <= told


# ── the API and the database ────────────────────────────────────────────────────────────────────────


def every_error() -> list[type[errors.HeliographError]]:
    """The whole tree of errors."""
    found = [errors.HeliographError]
    for each in found:  # grows while it is walked
        found += each.__subclasses__()
    return found


def test_every_error_is_documented() -> None:
    """docs/api.md has each code with its status and its message."""
    told = {tuple(row) for row in table(section("docs/api.md", "## Errors"))}
    there = {(f"`{each.code}`", str(each.status), each.default_message()) for each in every_error()}
    assert told == there


def test_paths_in_the_document_are_paths_served() -> None:
    """docs/api.md lists every path with its methods, and no other."""
    told = {
        (path, method)
        for row in table(section("docs/api.md", "## Paths"))
        for path in words(row[0])
        for method in row[1].split(", ")
    }
    served = {
        (route.path_format, method)
        for route in server.routes().routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }
    assert told == served


def test_whose_shape_a_refusal_has_is_documented() -> None:
    """docs/api.md names the paths that speak as Courier, Reach and Sign-Up.to do, all that are served and no other."""
    told = {
        (path, row[1])
        for row in table(section("docs/api.md", "### Other families"))
        for path in words(row[0])
    }
    names = {Family.COURIER: "Courier", Family.REACH: "Reach", Family.SIGN_UP: "Sign-Up.to"}
    served = set()
    for route in server.routes().routes:
        family = wire.family_of(route.path)
        if family is not Family.OURS:
            parts = route.path.strip("/").split("/")
            served.add(("/" + "/".join(parts[: 1 + (parts[0] == "api")]), names[family]))
    assert told == served


def test_every_table_is_documented() -> None:
    """ARCHITECTURE.md says of each table what stands in it."""
    rows = table(section("ARCHITECTURE.md", "## What stands in the tables"))
    told = [word for row in rows for word in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(schema.metadata.tables)


def test_every_metric_is_documented() -> None:
    """docs/operations.md has each metric that is served, and no other."""
    with World() as world:
        given = services.Services(
            world.settings,
            world.app.store,
            world.clock.now,
            world.app.ingest,
            world.app.wake,
            world.app.engine_state,
            world.app.backtests,
            world.app.sandbox,
            world.app.deliveries.link_secret,
            world.app.renders,
            world.app.fetch,
        )
        served = metrics.Metrics(given).text().decode()
    kinds = dict(re.findall(r"^# TYPE (heliograph_\w+) (\w+)$", served, re.MULTILINE))
    names = {name for name in kinds if not name.endswith("_created")}
    told = words(section("docs/operations.md", "## Health and metrics"))
    assert {word for word in told if word.startswith("heliograph_")} == names


# ── examples ────────────────────────────────────────────────────────────────────────────────────────


def told_in(document: str) -> list[Callable[[], None]]:
    """The test functions that stand in a document's examples."""
    found: list[Callable[[], None]] = []
    for number, text in enumerate(examples(document, "python")):
        names: dict[str, Any] = {"__name__": f"example_{number}"}
        exec(compile(text, f"{document}:{number}", "exec"), names)
        found += [value for name, value in names.items() if name.startswith("test_")]
    return found


@pytest.mark.parametrize("example", told_in("docs/testing-your-rules.md"), ids=lambda test: test.__name__)
def test_examples_of_tests_pass(example: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that stands in docs/testing-your-rules.md can be copied and passes."""
    monkeypatch.chdir(repository.ROOT)
    example()
