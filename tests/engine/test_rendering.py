"""Rendering: what texts are filled from is no more than they read, and never less."""

from typing import Any

import msgspec
import pytest

from heliograph import testing
from heliograph.core import effects, ids, messages, renderings
from heliograph.engine import rendering
from heliograph.store import rows

NOW = 1_795_400_000_000_000
PAYLOAD = {"order": "A-1", "id": "mine", "shop": {"name": "Tea"}, "items": ["one", "two"]}


def row(**said: Any) -> rows.Message:
    fields: dict[str, Any] = dict.fromkeys(rows.Message._fields)
    return rows.Message(
        **fields
        | {
            "workspace_id": 1,
            "id": ids.mint(NOW, 1, 1, 1),
            "kind": int(effects.Kind.MESSAGE),
            "channel": "email",
            "state": int(messages.State.PLANNED),
        }
        | said
    )


EVENT = rows.Event(
    *(1, ids.mint(NOW, 7, 3, 9), 3, None, "custom.paid", "ana", None, "api", None, None, 0),
    msgspec.json.encode(PAYLOAD),
    None,
)


@pytest.mark.parametrize(
    ("text", "is_narrow"),
    [
        ("{{ event.payload.order }} of {{ event.payload.shop.name }}", True),
        ("{% for one in event.payload.items %}{{ one }} {% endfor %}", True),
        ("{{ contact.given_name }}", True),
        ("{{ event.payload.size }} {{ payload.order }} {{ order }}", True),
        ("{{ event.id }} {{ event.payload.order }}", False),
        ("{{ event.order }} {{ event.type }} {{ event.created_at }}", False),
        ("{% assign it = event %}{{ it.source }}", False),
        ("{% assign event = 'mine' %}{{ event }}", False),
        ("{{ event.size }}", False),
        ("{{ event[name] }}", False),
        ("{% assign word = 'event' %}{{ [word].type }}", False),
    ],
)
def test_an_event_is_put_together_only_where_texts_read_more_than_its_payload(
    text: str, is_narrow: bool
) -> None:
    """Texts say the same, whether the event that fills them is whole or the part of it that they read."""
    content = renderings.of_texts(text, text, text)
    message = row(data=b'{"contact":{"given_name":"Ana"},"name":"type"}')
    whole = rendering.context_of(message, EVENT, content.reads)
    narrow = rendering.context_of(message, EVENT, content.reads, payload_alone=content.reads_payload_alone)
    assert content.reads_payload_alone is is_narrow
    assert content.fill(narrow, NOW) == content.fill(whole, NOW)


@pytest.mark.parametrize("literal", [True, False])
@pytest.mark.parametrize("white", ["\r\n", "\n", "\t", " \x0b ", "\x85", "\u2028"])
def test_white_space_in_a_subject_is_one_space(ready_sqlite_url: str, white: str, literal: bool) -> None:
    """A line's end in a subject, filled in or said as it is, stops no message and begins no header."""
    said = {"subject": f"Your order{white}Bcc: you@example.com{white}", "text": "Hello"}
    message = row(content=msgspec.json.encode({**said, "literal": literal}))
    with testing.World(ready_sqlite_url) as world:
        rendered = world.app.renders.render(message, None, NOW)
    assert rendered.subject == "Your order Bcc: you@example.com"
