"""`apply`: definitions from files, all of them or none."""

import os
from pathlib import Path
from typing import Any

import pytest

from examples.shop import generate
from heliograph.cli import definition_files
from heliograph.core import ids, rules
from heliograph.store import automations, database, dates, definitions, lists, templates, workspaces
from tests.cli import program

SHOP = Path(generate.__file__).parent / "definitions"
RULE = """\
kind: rule
id: 5a0b0000-0000-4000-8000-0000000000aa
name: Thank you
trigger_type: custom.order_placed
conditions:
  all:
    - {field: total, operator: greater_than, value: 100}
actions:
  - {type: send_message, template_id: thanks}
"""
TEMPLATE = """\
kind: template
id: thanks
subject: Thank you
text: Your order {{ event.payload.order_id }} is in good hands.
"""


def folder(place: Path, **files: str) -> Path:
    """A folder of these files."""
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        (place / f"{name}.yaml").write_text(content, encoding="utf-8")
    return place


def stored(url: str) -> tuple[dict[str, automations.Rule], dict[str, Any]]:
    """Rules and templates of the workspace default, by name."""
    store = database.Database(url)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        rules = {rule.definition.name: rule for rule in automations.list_rules(connection, owner, None)}
        known = {one.id: one for one in templates.listed(connection, owner)}
    store.close()
    return rules, known


def version(url: str) -> int:
    """The version by which turns know whether definitions have changed."""
    store = database.Database(url)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        found = definitions.load(connection, owner).version
    store.close()
    return found


DATE = """\
kind: date
id: 5a0b0000-0000-4000-8000-0000000000bb
name: Birthday letter
template: thanks
actionhour: "09:00:00"
"""


def dated(url: str) -> list[dates.Rule]:
    """The date automations of the workspace default."""
    store = database.Database(url)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        found = dates.listed(connection, owner, None)
    store.close()
    return found


# ── what is applied ─────────────────────────────────────────────────────────────────────────────────


def test_the_shop_is_applied_once(house: str, tell: program.Tell) -> None:
    """All of its rules and templates are created, the brand first; a second time not even a version changes."""
    first = tell("apply", SHOP)
    made_at = version(house)
    second = tell("apply", SHOP)
    assert first.lines[-1] == "25 created, 0 changed, 0 unchanged in the workspace default"
    assert second.lines[-1] == "0 created, 0 changed, 25 unchanged in the workspace default"
    assert [line.split()[0] for line in first.lines[:-1]] == ["brand"] + ["template"] * 8 + ["rule"] * 16
    assert version(house) == made_at


def test_a_date_automation_names_its_template(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A file says `template`; the automation has its number, and the template can still be applied anew."""
    files = folder(tmp_path / "house", template=TEMPLATE, date=DATE)
    assert tell("apply", files).lines[:2] == [
        "template  thanks: created",
        "date      Birthday letter: created",
    ]
    (rule,) = dated(house)
    kept = rule.definition
    assert (kept.actiontype, kept.actiontarget, kept.summary) == ("email_autoresponder", "1", None)
    assert (kept.actionhour, kept.template_id, kept.user_id) == ("09:00:00", "thanks", 0)
    assert tell("apply", files).lines[-1].startswith("0 created, 0 changed, 2 unchanged")
    folder(files, template=TEMPLATE.replace("Thank you", "Thanks"), date=DATE + "paused: true\n")
    assert tell("apply", files).lines[:2] == [
        "template  thanks: changed: subject (version 2)",
        "date      Birthday letter: changed: paused (version 2)",
    ]


def test_a_date_automation_that_cannot_act_is_not_applied(
    house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """What an archived template, or a tenant's list, is the target of is refused, and stays paused, as over HTTP."""
    tell("apply", folder(tmp_path / "house", template=TEMPLATE, date=DATE))
    store = database.Database(house)
    with store.writing() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        thanks = templates.read(connection, owner, "thanks")
        assert thanks is not None
        templates.archive(connection, owner, thanks, 1)
        dates.pause_senders(connection, owner, "thanks", 1)
        lists.put(connection, owner, "acme", "news", "News", None, 1)
    store.close()
    again = tell("apply", folder(tmp_path / "again", date=DATE))
    assert again.code != 0
    assert "the template 'thanks' is archived" in again.err
    enlisting = DATE.replace("template: thanks", "list: news\nactiontimediff: -1440\nactiononweekend: true")
    theirs = tell("apply", folder(tmp_path / "lists", date=enlisting.replace("00bb", "00bc")))
    assert theirs.code != 0
    assert "there is no list 'news'" in theirs.err
    assert [rule.definition.paused for rule in dated(house)] == [True]


def test_a_template_is_tried(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """`template preview` prints what a person would read, `template test` puts it in line for an address."""
    tell("apply", folder(tmp_path / "house", template=TEMPLATE))
    shown = tell("template", "preview", "thanks", "--data", '{"n": 1}')
    assert (shown.code, shown.lines[0][:8]) == (0, "Subject:")
    sent = tell("template", "test", "thanks", "--to", "me@example.com")
    assert "to me@example.com stands in line" in sent.out
    assert tell("template", "test", "thanks", "--to", "nobody").code != 0
    assert tell("template", "preview", "nothing").code == 1
    assert tell("template", "preview", "thanks", "--data", "[").code == 2


def test_a_template_is_listed_and_deleted(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Its number is shown; when it goes what sends it is paused, and it can be applied anew."""
    files = folder(tmp_path / "house", template=TEMPLATE, date=DATE)
    tell("workspace", "create", "default")
    assert "has no templates" in tell("template", "list").out
    tell("apply", files)
    assert ["1", "thanks", "1"] in [line.split()[:3] for line in tell("template", "list").lines]
    assert tell("template", "delete", "thanks").lines == [
        "The template thanks is deleted.",
        "Date automation 1 (Birthday letter), which sends it, is paused.",
    ]
    gone = tell("template", "delete", "thanks")
    assert (gone.code, gone.err) == (
        1,
        "heliograph: there is no template 'thanks' in the workspace default\n",
    )
    tell("apply", folder(tmp_path / "again", template=TEMPLATE))
    assert ["2", "thanks", "2"] in [line.split()[:3] for line in tell("template", "list").lines]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (DATE.replace("thanks", "nothing"), "there is no template 'nothing'"),
        (
            DATE.replace("template: thanks", "actiontype: email_autoresponder\nactiontarget: 7"),
            "no message 7",
        ),
        (DATE.replace('"09:00:00"', '"9"'), "date.yaml:5: actionhour: is a whole hour"),
        (DATE + "actiontype: notify\n", "template: takes a template's id"),
        (DATE.replace("5a0b0000", "x"), "id: takes a UUID"),
    ],
)
def test_a_date_automation_that_cannot_be(
    house: str, tmp_path: Path, tell: program.Tell, changed: str, told: str
) -> None:
    """What is wrong with a date automation is told with its file, and nothing is applied."""
    files = folder(tmp_path / "house", template=TEMPLATE, date=changed)
    answer = tell("apply", files)
    assert answer.code == 1
    assert told in answer.err
    assert "date.yaml" in answer.err


def test_a_rule_keeps_the_id_of_its_file(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """What a file calls a rule is its id over the API too."""
    tell("apply", folder(tmp_path / "d", rule=RULE, template=TEMPLATE))
    rules, templates = stored(house)
    assert ids.text(rules["Thank you"].id) == "5a0b0000-0000-4000-8000-0000000000aa"
    assert set(templates) == {"thanks"}


def test_what_changed_is_named(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A changed file makes a new version, and the fields that differ are told."""
    files = folder(tmp_path / "d", rule=RULE, template=TEMPLATE)
    tell("apply", files)
    folder(files, rule=RULE.replace("value: 100", "value: 50") + "priority: 5\n")
    folder(files, template=TEMPLATE.replace("subject: Thank you", "subject: Thanks"))
    told = tell("apply", files)
    assert told.lines == [
        "template  thanks: changed: subject (version 2)",
        "rule      Thank you: changed: conditions, priority (version 2)",
        "0 created, 2 changed, 0 unchanged in the workspace default",
    ]
    assert stored(house)[0]["Thank you"].definition.priority == 5


def test_what_a_file_no_longer_says_is_the_default_again(
    house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """A file is the whole definition: a line that was deleted is undone."""
    files = folder(tmp_path / "d", rule=RULE + "priority: 5\n", template=TEMPLATE)
    tell("apply", files)
    folder(files, rule=RULE)
    assert "Thank you: changed: priority" in tell("apply", files).out
    assert stored(house)[0]["Thank you"].definition.priority == 100


def test_a_deleted_rule_comes_back(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """What stands in the files is there after `apply`, also where somebody has deleted it in between."""
    files = folder(tmp_path / "d", rule=RULE, template=TEMPLATE)
    tell("apply", files)
    store = database.Database(house)
    with store.writing() as connection:
        automations.delete_rule(connection, 1, stored(house)[0]["Thank you"], 1)
    store.close()
    assert "Thank you: created" in tell("apply", files).out
    assert stored(house)[0]["Thank you"].version == 3


def test_what_looks_wrong_is_noted(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A template that is not there is allowed, and said; one that comes in the same breath is there."""
    told = tell("apply", folder(tmp_path / "d", rule=RULE))
    assert "          note: actions[0].template_id there is no template 'thanks' yet" in told.lines
    assert "note" not in tell("apply", folder(tmp_path / "d", template=TEMPLATE)).out


def test_a_workspace_of_its_own(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Definitions go where they are meant to; an id that another workspace has is refused, and nothing is stored."""
    tell("workspace", "create", "north")
    files = folder(tmp_path / "d", rule=RULE, template=TEMPLATE)
    assert tell("apply", files, "--workspace", "north").lines[-1].startswith("2 created")
    told = tell("apply", files)
    assert (told.code, told.out) == (1, "")
    assert (
        f"{files / 'rule.yaml'}: the id 5a0b0000-0000-4000-8000-0000000000aa belongs to something else"
        in told.err
    )
    assert (
        tell("apply", files, "--workspace", "north").lines[-1].startswith("0 created, 0 changed, 2 unchanged")
    )


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────

FAULTS = [
    (RULE.replace("greater_than", "greater"), 7, 'unknown operator "greater"'),
    (RULE.replace("trigger_type", "triger_type"), 4, 'did you mean "trigger_type"?'),
    (RULE.replace("template_id: thanks", "template: thanks"), 9, 'did you mean "template_id"?'),
    (RULE.replace("5a0b0000-0000-4000-8000-0000000000aa", "five"), 2, "takes a UUID"),
    (
        RULE.replace("kind: rule", "kind: rul"),
        1,
        "takes provider, brand, routing_strategy, preference_section",
    ),
    (RULE + "name: Again\n", 10, 'found duplicate key "name"'),
    (RULE + "schedule_settings: {timezone: Mars/Base}\n", 10, "unknown time zone"),
    (RULE + "alert_settings: [\n", 11, "cannot be read as YAML"),
    (RULE + "description: {{ payload.total }}\n", 10, "a text with {{ … }} in it takes quotes"),
    (RULE + "description: Order: one\n", 10, "a text with a colon in it takes quotes"),
    (RULE + "---\n" + RULE, 10, "a file holds one definition, and another begins here"),
    (RULE + "rollout_percentage: .nan\n", 10, "NaN"),
    (RULE + "is_active: !!bool maybe\n", None, "cannot be read as YAML"),
    (RULE + 'priority: !!int ""\n', None, "cannot be read as YAML"),
    (RULE + "1: one\n", 1, "put it in quotes"),
    (RULE + "description: !!binary aGFsbG8=\n", 10, "JSON does not have"),
    (TEMPLATE.replace("}}", "}"), 4, "text"),
    (TEMPLATE.replace("text:", "txt:"), 4, 'did you mean "text"?'),
    (TEMPLATE + "html: 5\n", 5, "takes a text"),
    ("- a\n- b\n", 1, "takes `kind`"),
    (
        "a0: &a0 [lol]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)),
        None,
        "has more than 8 MiB where its aliases are written out",
    ),
    ("conditions: &all {all: [*all]}\n", 1, "is nested deeper than"),
]


@pytest.mark.parametrize(("content", "line", "said"), FAULTS)
def test_a_fault_is_told_with_its_line(
    content: str, line: int | None, said: str, lone_house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """Whoever writes a file by hand is led to the line; a file without faults beside it is not stored either."""
    sound = TEMPLATE.replace("thanks", "other")
    told = tell("apply", folder(tmp_path / "d", sound=sound, wrong=content))
    assert (told.code, told.out) == (1, "")
    place = f"{tmp_path / 'd' / 'wrong.yaml'}{'' if line is None else f':{line}'}"
    assert any(one.startswith(f"heliograph: {place}: ") and said in one for one in told.err.splitlines()), (
        told.err
    )
    tell("workspace", "create", "default")
    assert stored(lone_house) == ({}, {})


def test_all_faults_are_told_at_once(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Two files with three faults give three lines."""
    rule = RULE.replace("greater_than", "greater").replace("name: Thank you", "name: ''")
    told = tell("apply", folder(tmp_path / "d", rule=rule, template=TEMPLATE.replace("text:", "txt:")))
    assert len(told.err.splitlines()) == 4
    assert "template.yaml:1: text: is required" in told.err


def test_an_id_stands_in_one_file(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Two files about the same thing would overwrite each other at every run: both are named."""
    told = tell("apply", folder(tmp_path / "d", a=TEMPLATE, b=TEMPLATE))
    assert told.code == 1
    assert f"{tmp_path / 'd' / 'b.yaml'}: has the same id as {tmp_path / 'd' / 'a.yaml'}" in told.err


def test_dates_stay_as_they_were_written(tmp_path: Path) -> None:
    """A day without quotes, which YAML takes for a date of its own, is the text that JSON has for it."""
    schedule = """\
schedule_settings:
  enabled: true
  timezone: Europe/Paris
  windows: [{days: [mon, tue], start: "09:00", end: "17:00"}]
  exclude_dates: [2026-12-25, 2027-01-01]
"""
    (one,) = definition_files.read(folder(tmp_path / "d", rule=RULE + schedule))
    assert isinstance(one.content, rules.Definition)
    assert one.content.schedule_settings is not None
    assert "2026-12-25" in str(one.content.schedule_settings)
    assert "datetime" not in str(one.content.schedule_settings)


def test_an_empty_folder_is_a_slip(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Nothing to apply is not the same as nothing changed."""
    told = tell("apply", tmp_path)
    assert (told.code, told.out) == (1, "")
    assert "there is no .yaml file" in told.err


# ── journeys ────────────────────────────────────────────────────────────────────────────────────────

JOURNEY = """\
kind: journey
id: welcome
name: Welcome
trigger: {event_type: signed_up, once: true}
steps:
  - {action: send, template: thanks}
  - {action: delay, duration: 3 days}
  - {action: send, template: thanks, if: "data.plan === 'pro'"}
"""


def test_what_is_no_file_is_passed_over(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A pipe in the folder, which would never end, is none of its definitions."""
    os.mkfifo(folder(tmp_path / "defs", thanks=TEMPLATE) / "endless.yaml")
    assert tell("apply", tmp_path / "defs").code == 0


def test_what_nobody_knows_of_elements_is_noted(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A field in the elements of a template or of a journey's message that shows nothing is kept, and told."""
    content = "elements: [{type: text, content: a, colour: red}]"
    files = {
        "template": f"kind: template\nid: drawn\n{content}\n",
        "journey": "kind: journey\nid: j\nname: J\nsteps:\n  - action: send\n    message:\n"
        f"      to: {{email: ana@example.com}}\n      content: {{{content}}}\n",
    }
    for _ in range(2):
        told = tell("apply", folder(tmp_path / "d", **files))
        assert told.code == 0, told
        assert [line.strip() for line in told.lines if "note:" in line] == [
            "note: elements[0].colour is none of the fields that there are: it shows nothing",
            "note: steps[0].message.content.elements[0].colour is none of the fields that there are: it shows nothing",
        ]


def test_journeys_are_applied(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A journey comes from a file as a rule does: created, left alone, changed."""
    files = folder(tmp_path / "d", journey=JOURNEY, template=TEMPLATE)
    assert tell("apply", files).lines[:2] == ["template  thanks: created", "journey   Welcome: created"]
    assert "journey   Welcome: unchanged" in tell("apply", files).lines
    folder(files, journey=JOURNEY.replace("3 days", "2 days"))
    assert "journey   Welcome: changed: steps (version 2)" in tell("apply", files).lines


def test_true_in_place_of_one_is_a_change(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """What a journey says in a step counts as it is written: `true` is not 1."""
    emit = JOURNEY.replace("thanks}\n  - {action: delay", "thanks, data: {first: 1}}\n  - {action: delay")
    files = folder(tmp_path / "d", journey=emit, template=TEMPLATE)
    tell("apply", files)
    folder(files, journey=emit.replace("first: 1", "first: true"))
    assert "journey   Welcome: changed: steps (version 2)" in tell("apply", files).lines


def test_faults_of_a_journey_have_their_lines(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """All of them, with the file."""
    broken = JOURNEY.replace("3 days", "soon").replace("=== 'pro'", "===").replace("name:", "nmae:")
    told = tell("apply", folder(tmp_path / "d", journey=broken))
    assert told.code != 0
    for line in (":3: nmae", ":7: steps[1].duration", ":8: steps[2].if"):
        assert f"journey.yaml{line}" in told.err, told.err


# ── quiet hours and caps ────────────────────────────────────────────────────────────────────────────

POLICY = """\
kind: sending_policy
quiet_hours: [{start: "21:00", end: "08:00"}]
caps:
  - {limit: 2, period: P1D, channel: email}
"""


def test_a_sending_policy_is_applied(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """The workspace's and a tenant's come from files: created, left alone, changed; a fault has its line."""
    files = folder(tmp_path / "d", own=POLICY, acme=f"{POLICY}tenant: acme\n")
    assert {"sending_policy of the workspace: created", "sending_policy acme: created"} <= {
        *tell("apply", files).lines
    }
    assert "sending_policy acme: unchanged" in tell("apply", files).lines
    folder(files, own=POLICY.replace("limit: 2", "limit: 3"))
    assert "sending_policy of the workspace: changed: caps" in tell("apply", files).lines
    broken = folder(tmp_path / "e", own=f"id: mine\n{POLICY.replace('P1D', 'a day')}")
    told = tell("apply", broken)
    assert ("own.yaml:1: id" in told.err, "own.yaml:5: caps[0].period" in told.err) == (True, True), told.err
