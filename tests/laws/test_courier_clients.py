"""docs/courier-clients.md says of each method of Courier's client whether it works, and that is so."""

import re

from litestar.routes import HTTPRoute

from heliograph.web import server
from tests.clients import driven, methods
from tests.laws import test_documents

PAGE = "docs/courier-clients.md"
ROWS = test_documents.table(test_documents.section(PAGE, "## Method by method"))

NOT_IN_NODE = (
    "automations.runs.list",
    "automations.runs.list_steps",
    "messages.resend",
    "providers.patch",
    "users.preferences.bulk_replace",
    "users.preferences.bulk_update",
    "users.preferences.delete_topic",
    "workspace_preferences.archive",
    "workspace_preferences.create",
    "workspace_preferences.list",
    "workspace_preferences.list_logs",
    "workspace_preferences.publish",
    "workspace_preferences.replace",
    "workspace_preferences.retrieve",
    "workspace_preferences.topics.archive",
    "workspace_preferences.topics.create",
    "workspace_preferences.topics.list",
    "workspace_preferences.topics.replace",
    "workspace_preferences.topics.retrieve",
)
"""What works, and what the client of Node (7.10) has no method for."""


def shape(asked: str) -> str:
    """A request, whatever the parts of its path are called."""
    return re.sub(r"{\w+}", "{}", asked)


def served() -> set[str]:
    """What is answered, by shape."""
    return {
        f"{method} {shape(route.path_format)}"
        for route in server.routes().routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    }


def test_every_method_of_the_client_is_told_of() -> None:
    """The page has each method of the installed client with its request, and no other, in their order."""
    told = [(name.strip("`"), asked.strip("`")) for name, asked, _ in ROWS]
    assert told == sorted(methods.requests().items())


def test_what_works_is_served_and_nothing_else_is() -> None:
    """`yes` stands at every method whose path is served; at every other one stands why not, or what does it instead."""
    there = served()
    wrong = [
        f"{PAGE}: {name} is {'' if shape(asked.strip('`')) in there else 'not '}served"
        for name, asked, works in ROWS
        if (works == "yes") != (shape(asked.strip("`")) in there) or not re.match(r"yes$|no: .{5}", works)
    ]
    assert wrong == []


def test_what_works_is_driven_by_both_clients() -> None:
    """Every method that works is called by a test with the client of Python, and by a script with that of Node."""
    works = {name.strip("`") for name, _, works in ROWS if works == "yes"}
    assert sorted(works - driven.by_python()) == []
    assert sorted(works - driven.by_node()) == [*NOT_IN_NODE]


def test_a_method_that_is_not_called_is_seen() -> None:
    """The law follows the client through the names that hold it or a part of it, and takes nothing else for a call."""
    python = """
def test(client, house):
    of = client.lists
    of.subscriptions.add("a")
    own = client.with_options(api_key="k")
    made = own.brands.create(name="b").id
    client.messages.list
    made.update(1)
"""
    script = "const of = client.users.preferences;\nawait of.bulkUpdate(ana);\nclient.messages.list;\nother.send();"
    assert set(driven.in_python(python)) == {"lists.subscriptions.add", "brands.create"}
    assert set(driven.in_script(script)) == {"users.preferences.bulk_update"}


def test_a_method_that_is_not_served_is_seen() -> None:
    """The law knows a path that is not there from one that is."""
    assert shape("GET /lists/{id}") in served()
    assert shape("GET /listings/{id}") not in served()
