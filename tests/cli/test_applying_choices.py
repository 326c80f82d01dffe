"""`apply`: how people are reached and what they may choose, from files: strategies, topics, lists, audiences."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.store import database, lists, preference_topics, routing_strategies, templates, workspaces
from tests.cli import program
from tests.cli.test_applying import folder

FILES = {
    "strategy": """\
kind: routing_strategy
id: urgent
name: Urgent
routing: {method: single, channels: [push, sms]}
channels:
  sms: {if: "data.n === 1"}
""",
    "usual": """\
kind: routing_strategy
id: default
name: Usual
routing: {method: all, channels: [email]}
""",
    "section": "kind: preference_section\nid: letters\nname: Letters\n",
    "topic": """\
kind: preference_topic
id: news
section: letters
name: News
default_status: OPTED_IN
routing_options: [email]
""",
    "list": "kind: list\nid: shop.news\nname: Readers\n",
    "audience": """\
kind: audience
id: paying
name: Paying
filter: {operator: EQ, path: plan, value: pro}
""",
    "brand": "kind: brand\nid: shop\nname: Shop\nsettings: {colors: {primary: '#112233'}}\n",
    "template": """\
kind: template
id: alarm
brand: shop
topic: news
routing: urgent
elements:
  - {type: text, content: "Hello"}
""",
    "journey": """\
kind: journey
id: tell
name: Tell
steps:
  - {action: send, message: {to: {list_id: shop.news}, template: alarm}}
""",
}


def test_everything_that_messages_go_by_is_kept_in_files(
    house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """Each is made once in the order in which they name each other, left alone as it is, and changed by its fields."""
    files = folder(tmp_path / "house", **FILES)
    first = tell("apply", files)
    assert (first.code, first.err) == (0, "")
    assert first.lines == [
        "brand     Shop: created",
        "routing_strategy Urgent: created",
        "routing_strategy Usual: created",
        "preference_section Letters: created",
        "preference_topic News: created",
        "list      Readers: created",
        "audience  Paying: created",
        "template  alarm: created",
        "journey   Tell: created",
        "9 created, 0 changed, 0 unchanged in the workspace default",
    ]
    assert tell("apply", files).lines[-1].startswith("0 created, 0 changed, 9 unchanged")
    changes = {
        "strategy": FILES["strategy"].replace("[push, sms]", "[sms]"),
        "section": FILES["section"] + "description: By post\n",
        "topic": FILES["topic"].replace("OPTED_IN", "OPTED_OUT").replace("routing_options: [email]\n", ""),
        "list": FILES["list"].replace("Readers", "All readers"),
        "audience": FILES["audience"].replace("pro}", "free}"),
        "template": FILES["template"].replace("routing: urgent\n", ""),
    }
    told = tell("apply", folder(files, **changes)).lines
    assert [line for line in told if "changed: " in line] == [
        "routing_strategy Urgent: changed: routing",
        "preference_section Letters: changed: description",
        "preference_topic News: changed: default_status, routing_options",
        "list      All readers: changed: name",
        "audience  Paying: changed: filter",
        "template  alarm: changed: routing (version 2)",
    ]
    store = database.Database(house)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        assert {one.id for one in routing_strategies.listed(connection, owner)} == {"urgent", "default"}
        (topic,) = preference_topics.topics(connection, owner)
        assert (topic.section_id, topic.definition.default_status) == ("letters", "OPTED_OUT")
        found = lists.read(connection, owner, None, "shop.news")
        assert found is not None
        assert found.name == "All readers"
        alarm = templates.read(connection, owner, "alarm")
        assert alarm is not None
        assert alarm.published is not None
        assert alarm.published.routing is None
    store.close()


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("strategy", ("[push, sms]", "[fax]"), "strategy.yaml: routing.channels[0]: there is no channel"),
        ("strategy", ("name: Urgent", "name: Urgent\ncolour: red"), "strategy.yaml:4: colour: "),
        ("strategy", ('if: "data.n === 1"', "colour: red"), "strategy.yaml:6: channels.sms.colour: "),
        ("strategy", ("id: urgent", "id: ''"), "strategy.yaml:2: id: "),
        ("topic", ("OPTED_IN", "MAYBE"), "topic.yaml:5: default_status: is one of"),
        ("topic", ("section: letters", "section: gone"), "section: there is no section 'gone'"),
        ("topic", ("section: letters\n", ""), "section: is required"),
        ("list", ("shop.news", "shop..news"), "list.yaml:2: id: "),
        ("list", ("name: Readers\n", ""), "list.yaml:1: name: "),
        ("audience", ("EQ", "IS"), "audience.yaml:4: filter.operator: "),
        ("template", ("routing: urgent", "routing: gone"), "there is no routing strategy 'gone'"),
    ],
)
def test_a_file_that_cannot_be(
    house: str, tmp_path: Path, tell: program.Tell, name: str, changed: tuple[str, str], told: str
) -> None:
    """What is wrong is told with the file and its line, and nothing is applied."""
    answer = tell("apply", folder(tmp_path / "house", **{**FILES, name: FILES[name].replace(*changed)}))
    assert answer.code == 1
    assert told in answer.err, answer.err
    store = database.Database(house)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is None or routing_strategies.listed(connection, owner) == []
    store.close()
