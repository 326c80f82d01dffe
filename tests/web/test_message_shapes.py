"""What the API says of `/send`, beside what is read of a request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from heliograph.core import requests, routing, routing_trees, timeouts
from heliograph.web import message_shapes as shapes
from tests.web import client


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        (shapes.MessageToSend, requests.MESSAGE),
        (shapes.MessageRecipient, (*requests.TO, *requests.GROUPS, *requests.PROFILE)),
        (shapes.Metadata, requests.METADATA),
        (shapes.OnChannel, routing.CHANNEL),
        (shapes.ByProvider, routing.PROVIDER),
        (shapes.Timeout, timeouts.FIELDS),
    ],
)
def test_what_is_described_is_what_is_read(shape: type[msgspec.Struct], read: tuple[str, ...]) -> None:
    """No field of a message is read that is not described, and none described that is not read."""
    assert sorted(shape.__struct_encode_fields__) == sorted(read)


def test_words_that_are_described_are_those_that_are_taken() -> None:
    """The methods and criteria of the description are those that a request may name."""
    said = msgspec.json.schema_components([shapes.MessageToSend], ref_template="{name}")[1]
    assert sorted(said["Ways"]["properties"]["method"]["enum"]) == sorted(routing_trees.METHODS)
    (criteria, _) = said["Timeout"]["properties"]["criteria"]["anyOf"]
    assert sorted(criteria["enum"]) == sorted(timeouts.CRITERIA)


def test_the_description_of_a_message_names_its_fields(lone_api: client.Client) -> None:
    """Who reads the API's description finds what a message says, down to how it is delayed."""
    found: dict[str, Any] = lone_api.get("/schema/openapi.json", key=None).json()["components"]["schemas"]
    assert found["SendBody"]["properties"]["message"] == {"$ref": "#/components/schemas/MessageToSend"}
    assert found["MessageToSend"]["required"] == ["to"]
    assert sorted(found["Delay"]["properties"]) == ["duration", "timezone", "until"]
