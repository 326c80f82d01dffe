"""Templates filled and written as e-mails: how many a second one process makes, from the ledger's row to MIME.

Law: what is measured is what a delivery does to a claimed message, without the server that it goes to; each person's
message differs. Nothing is rendered beforehand but what is rendered once for all: the template.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks import results, setting
from heliograph.channels.email import signing
from heliograph.core import brands, effects, ids, message_templates, messages
from heliograph.engine import letters, rendering
from heliograph.store import rows

BENCH = "templates"
NOW = 1_767_225_600_000_000
QUICK, FULL = 2_000, 20_000
PEOPLE = 500

_ITEMS = "{% for item in data.items %}<tr><td>{{ item.name }}</td><td>{{ item.price }}</td></tr>{% endfor %}"
MJML = f"""<mjml><mj-head><mj-preview>Order {{{{ data.order }}}}</mj-preview></mj-head><mj-body width="600px">
<mj-section><mj-column><mj-image src="https://shop.example/logo.png" width="140px" /></mj-column></mj-section>
<mj-section><mj-column><mj-text font-size="22px">Thank you, {{{{ contact.given_name }}}}!</mj-text>
<mj-text>Order {{{{ data.order }}}} is on its way to {{{{ contact.city }}}}.</mj-text>
<mj-table>{_ITEMS}</mj-table>{{% if data.gift %}}<mj-text>It is wrapped as a gift.</mj-text>{{% endif %}}
<mj-button href="https://shop.example/orders/{{{{ data.order }}}}">See your order</mj-button></mj-column></mj-section>
</mj-body></mjml>"""
TEXT = "Thank you, {{ contact.given_name }}! Order {{ data.order }} is on its way to {{ contact.city }}.\n"
ELEMENTS: list[dict[str, Any]] = [
    {"type": "meta", "title": "Order {{data.order}}"},
    {"type": "text", "content": "Thank you, {{contact.given_name}}!", "text_style": "h1"},
    {"type": "text", "content": "Order **{{data.order}}** is on its way to {{contact.city}}."},
    {"type": "text", "content": "{{$.item.name}}: {{$.item.price}}", "loop": "data.items"},
    {"type": "text", "content": "It is wrapped as a gift.", "if": "data.gift === true"},
    {"type": "action", "content": "See your order", "href": "https://shop.example/orders/{{data.order}}"},
]
BRAND = {
    "name": "Shop",
    "settings": {
        "colors": {"primary": "#22577a"},
        "email": {
            "header": {"logo": {"image": "https://shop.example/logo.png"}},
            "footer": {"markdown": "Shop, 1 Main Street"},
        },
    },
}


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure each kind of template."""
    count = QUICK if asked.quick else FULL
    subject = "Order {{ data.order }}"
    kinds: dict[str, dict[str, Any]] = {
        "text": {"subject": subject, "text": TEXT},
        "HTML": {"subject": subject, "text": TEXT, "html": f"<p>{TEXT}</p>"},
        "MJML": {"subject": subject, "text": TEXT, "mjml": MJML},
        "Elemental in a brand": {"elements": ELEMENTS},
    }
    steps = asked.progress.add_task(BENCH, total=len(kinds) + 1)
    for name, given in kinds.items():
        asked.progress.update(steps, description=f"{BENCH}: {name}")
        yield results.alone(f"{BENCH}: {name}", "–", count / seconds(given, count), "e-mails/s")
        asked.progress.advance(steps)
    signed = seconds(kinds["MJML"], count, signer())
    yield results.alone(f"{BENCH}: MJML, signed (DKIM)", "–", count / signed, "e-mails/s")
    asked.progress.advance(steps)


def seconds(given: dict[str, Any], count: int, sign: signing.Signer | None = None) -> float:
    """How long so many letters of a template take to be written, and signed."""
    said = message_templates.check(given).said
    is_drawn = said.is_drawn
    look = msgspec.json.encode(brands.effective(brands.define(BRAND), None))
    stored = msgspec.json.encode(said)
    writer = letters.Letters(
        rendering.Rendering(lambda *_: stored, lambda *_: look),
        "Shop <shop@shop.example>",
        "A message",
        lambda *_: (),
    )
    claimed = [_claimed(number, is_drawn) for number in range(PEOPLE)]
    began = time.perf_counter()
    for number in range(count):
        made = writer.write(claimed[number % PEOPLE], NOW, NOW)
        if sign is not None and isinstance(made.content, bytes):
            sign.signed(made.content, made.sender, NOW)
    return time.perf_counter() - began


def signer() -> signing.Signer:
    """What signs for the shop's domain."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signing.Signer("shop.example", "bench", key)


def _claimed(number: int, is_drawn: bool) -> rows.Claimed:
    data = {
        "data": {
            "order": f"A-{number}",
            "gift": number % 3 == 0,
            "items": [{"name": f"Tea {place}", "price": f"{number % 7}.50"} for place in range(3)],
        },
        "contact": {"id": f"p{number}", "given_name": f"Ana {number}", "city": "Rome"},
    }
    identity = ids.mint(NOW, number, 0, 0)
    content = msgspec.json.encode({"brand": ["shop", 1]}) if is_drawn else None
    message = rows.Message(
        1,
        identity,
        0,
        None,
        int(effects.Kind.MESSAGE),
        "email",
        identity,
        identity,
        0,
        0,
        None,
        f"p{number}",
        f"p{number}@example.com",
        "order",
        1,
        content,
        msgspec.json.encode(data),
        int(messages.State.PLANNED),
        None,
        None,
        None,
    )
    return rows.Claimed(message, NOW, NOW, None)
